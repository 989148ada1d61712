//! The program `fastjob`: reads the command line, runs the command, and exits with its code.

use std::process::ExitCode;
use std::thread;

use clap::Parser;
use fastjob_server::cli::{self, Cli, Exit, Failure};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Threads that run tasks; the machine may have fewer cores, and needs no more.
const MAX_THREADS: usize = 16;
/// What a shell shows of a process that a signal ended.
const ENDED_BY_SIGNAL: i32 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match run(cli) {
        Ok(exit) => exit,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit
        }
    };
    ExitCode::from(exit.code())
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let threads = thread::available_parallelism().map_or(1, usize::from).clamp(1, MAX_THREADS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.map_err(|error| failed("start its threads", &error))?;
    let serves = cli.starts_a_server();
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        if !serves {
            return cli::run(cli, shutdown).await;
        }
        let stopped =
            stop_at_signals(shutdown.clone()).map_err(|error| failed("wait for signals", &error))?;
        tokio::select! {
            ended = cli::run(cli, shutdown) => ended,
            never = stopped => match never {},
        }
    })
}

/// The first SIGINT or SIGTERM asks the server to end in order; the second ends the process.
fn stop_at_signals(
    shutdown: CancellationToken,
) -> std::io::Result<impl Future<Output = std::convert::Infallible>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        either(&mut interrupt, &mut terminate).await;
        tracing::info!("stopping; a second signal ends the process at once");
        shutdown.cancel();
        either(&mut interrupt, &mut terminate).await;
        std::process::exit(ENDED_BY_SIGNAL)
    })
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn failed(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("failed to {what}: {error}"))
}
