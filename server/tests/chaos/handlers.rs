//! The other role of this program: a worker whose handlers write down when they are entered and left. One line is one
//! write, so that a SIGKILL loses no line that was begun before it.

use std::fs::File;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastjob_core::client::{Client, Options};
use fastjob_core::worker::{Context, Worker};
use tokio::signal::unix::{SignalKind, signal};

const SLOTS: u32 = 200;
const GRACE: Duration = Duration::from_secs(5);

pub(crate) fn run() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime.map(|runtime| runtime.block_on(work())) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        other => {
            eprintln!("chaos worker: {other:?}");
            ExitCode::FAILURE
        }
    }
}

async fn work() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let path = std::env::var_os("CHAOS_LOG").ok_or("CHAOS_LOG is not set")?;
    let log = Arc::new(File::options().create(true).append(true).open(path)?);
    let client = Client::connect(Options::from_env()?).await?;
    let mut builder = Worker::builder(&client).slots(SLOTS);
    for (name, takes_ms, fails) in [("quick", 1, false), ("work", 700, false), ("fail", 50, true)] {
        let log = Arc::clone(&log);
        builder = builder.handler(name, move |ctx: Context| {
            let log = Arc::clone(&log);
            async move {
                note(&log, "entered", &ctx)?;
                tokio::time::sleep(Duration::from_millis(takes_ms)).await;
                note(&log, "left", &ctx)?;
                if fails { Err(std::io::Error::other("as it should").into()) } else { Ok("done") }
            }
        });
    }
    let worker = builder.start().await?;
    signal(SignalKind::terminate())?.recv().await;
    worker.stop(GRACE).await?;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the handlers' log is to be independent of the product's clock"
)]
fn note(mut log: &File, event: &str, ctx: &Context) -> std::io::Result<()> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let line = serde_json::json!({
        "event": event, "run": ctx.run_id().to_string(), "attempt": ctx.attempt(), "at_ms": now_ms as u64, "pid": std::process::id(),
        "tick_ms": ctx.tick().map(|tick| tick.get()),
    });
    log.write_all(format!("{line}\n").as_bytes())
}
