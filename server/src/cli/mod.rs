//! The command line: `fastjob <noun> <verb>`. Commands speak gRPC to a server and print what it answers; they decide
//! nothing. Data goes to stdout, everything else to stderr.

mod app;
mod apply;
mod args;
mod audit;
mod audit_read;
mod connect;
mod cron;
mod dev;
mod doctor;
mod export;
mod failure;
mod follow;
mod import;
mod job;
mod job_files;
mod job_put;
mod job_run;
mod jobfile;
mod lint;
mod plan;
mod preview;
mod print;
mod run;
mod serve;
mod server;
mod shape;
mod simulate;
#[cfg(test)]
mod tests;
mod token;
mod worker;

pub use failure::{Exit, Failure};

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

/// FastJob: a distributed job scheduler.
///
/// Exit codes: 0 done; 1 failed; 2 wrong usage or input; 3 not found; 4 conflict; 5 no server reachable or not ready;
/// 6 not permitted; with --wait: 10 run failed, 11 cancelled, 12 skipped, 13 still waiting.
#[derive(Parser, Debug)]
#[command(name = "fastjob", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start a server for this machine alone, with an embedded database and one app.
    Dev(dev::Dev),
    /// Start a server from a configuration.
    Serve(serve::Serve),
    /// Jobs: what runs, and when.
    Job(job::JobCommand),
    /// Runs: each firing of a job.
    Run(run::RunCommand),
    /// Apps: the tenants that own jobs and workers.
    App(app::AppCommand),
    /// Access tokens of an app.
    Token(token::TokenCommand),
    /// Connected workers.
    Worker(worker::WorkerCommand),
    /// Servers.
    Server(server::ServerCommand),
    /// Prove that runs and gaps are the ticks of every schedule, from its edit history.
    Audit(audit::AuditCommand),
    /// Tell what is likely wrong with the jobs of files, without a server.
    Lint(lint::Lint),
    /// Show what the coming days, or the last ones, hold for a fleet of jobs, without touching anything.
    Simulate(Box<simulate::Simulate>),
    /// Cron expressions, without a server: their ticks, their meaning, their faults.
    Cron(cron::CronCommand),
    /// Make an app's jobs those of files.
    Apply(apply::Apply),
    /// Show what `apply` would change.
    Diff(apply::Diff),
    /// Write an app's jobs as a file for `apply`.
    Export(export::Export),
    /// Make a file for `apply` of another scheduler's jobs.
    Import(import::ImportCommand),
    /// Look at the database beside its servers: settings, rights, sizes, invariants.
    Doctor(doctor::Doctor),
}

/// Runs one command. `shutdown` ends a server in order; other commands are simply dropped.
pub async fn run(cli: Cli, shutdown: CancellationToken) -> Result<Exit, Failure> {
    match cli.command {
        Command::Dev(dev) => dev.run(shutdown).await,
        Command::Serve(serve) => serve.run(shutdown).await,
        Command::Job(job) => job.run().await,
        Command::Run(run) => run.run().await,
        Command::App(app) => app.run().await,
        Command::Token(token) => token.run().await,
        Command::Worker(worker) => worker.run().await,
        Command::Server(server) => server.run().await,
        Command::Audit(audit) => audit.run().await,
        Command::Lint(lint) => lint.run(),
        Command::Simulate(simulate) => simulate.run().await,
        Command::Cron(cron) => cron.run(),
        Command::Apply(apply) => apply.run().await,
        Command::Diff(diff) => diff.run().await,
        Command::Export(export) => export.run().await,
        Command::Import(import) => import.run(),
        Command::Doctor(doctor) => doctor.run().await,
    }
}

impl Cli {
    /// The command starts a server, whose end is ordered by a signal.
    pub fn starts_a_server(&self) -> bool {
        matches!(self.command, Command::Dev(_) | Command::Serve(_))
    }
}
