//! Durable API runs per second: one app, one shard, triggered in batches while they run, a handler that does nothing in
//! a process of its own. Each round measures the floor first, so that both see the same neighbours.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use fastjob_core::client::{Client, Job, Overlap, RunFilter, Trigger};
use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::protocol::v1::RunState;
use tokio::task::JoinSet;

use crate::figures::{Figure, ratios};
use crate::floor::pipeline::{Shape, Taken};
use crate::floor::{self, PARAMS};
use crate::process;
use crate::report::Report;
use crate::server::Server;
use crate::tally::{Language, Tally};
use crate::worker::HANDLER;

/// Callers at a time; each waits for the end of its batch before it triggers the next.
pub(crate) const CALLERS: usize = 4;
/// How often it is asked whether all runs have ended.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How long the runs of a round may take in all.
pub(crate) const END_WITHIN: Duration = Duration::from_secs(120);
const MIB: f64 = 1024.0 * 1024.0;
/// Of the job that is triggered.
pub(crate) const JOB: &str = "bench";

/// How much is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// The server's program.
    #[arg(long, default_value = "target/release/fastjob")]
    fastjob: PathBuf,
    /// In what the worker is written.
    #[arg(long, value_enum, default_value_t = Language::Rust)]
    language: Language,
    /// Rounds.
    #[arg(long, env = "ROUNDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Runs of a round, in thousands.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(4..=10_000))]
    thousands: u32,
    /// Triggers of a call.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    batch: u32,
    /// Where the JSON goes.
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

/// Measures in interleaved rounds.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let runs = options.thousands as usize * 1_000;
    let shape = Shape { writes: 2, batch: 1_000, runs, params: PARAMS };
    let (mut floors, mut ours, mut memory) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()]);
    let mut journal = String::new();
    for round in 1..=options.rounds {
        floors.push(floor::measured(true, shape).await?);
        let Measured { taken, idle_bytes, most_bytes, journal_mode } = measured(&options, runs).await?;
        ours.push(taken);
        memory[0].push(idle_bytes as f64 / MIB);
        memory[1].push(most_bytes as f64 / MIB);
        journal = journal_mode;
        let (floor, taken) = (floors[floors.len() - 1], taken);
        println!("round {round}: {:.0} executions/s, floor {:.0} runs/s", taken.rate(), floor.rate());
    }
    let rates = |taken: &[Taken]| taken.iter().map(Taken::rate).collect::<Vec<f64>>();
    let of_floor = ratios(&rates(&ours), &rates(&floors));
    let mut figures = vec![
        Figure::new("executions", "1/s", rates(&ours)),
        Figure::new("floor: rows and frames, 2 writes", "1/s", rates(&floors)),
        Figure::new("executions / floor", "ratio", of_floor).beside("goal: 0.50 or more"),
        Figure::new("floor: CPU", "us/run", floors.iter().map(Taken::cpu_us).collect()),
    ];
    figures.extend(floor::costs("executions", &ours));
    let [idle, most] = memory;
    figures.push(Figure::new("memory of the server, idle", "MiB", idle));
    figures.push(Figure::new("memory of the server, at most", "MiB", most));
    let mut settings = floor::settings().await?;
    settings["worker"] = options.language.name().into();
    settings["runs"] = runs.into();
    settings["batch"] = options.batch.into();
    settings["callers"] = CALLERS.into();
    settings["server_database"] =
        format!("journal_mode {journal}; it refuses less than synchronous FULL").into();
    let name = format!("throughput-{}", options.language.name());
    let about = "API runs triggered while they run; CPU of server, worker and client together".to_owned();
    Report { name, about, settings, figures }.publish(&options.results)
}

/// What a round has found.
struct Measured {
    taken: Taken,
    /// Resident memory of the server once its worker is connected, and the most that it has held at the end.
    idle_bytes: u64,
    most_bytes: u64,
    journal_mode: String,
}

/// One round on a server of its own.
async fn measured(options: &Options, runs: usize) -> anyhow::Result<Measured> {
    let server = Server::start(&options.fastjob).await?;
    let tally = Tally::start(&server, options.language, &[]).await?;
    let client = server.client().await?;
    client.job_put(Job::named(JOB).handler(HANDLER).api().overlap(Overlap::AllowAll)).await?;
    let (_, idle_bytes) = server.memory()?;
    let commits_before = commits(&server).await?;
    let used_before = server.used()? + tally.used()? + process::used_here()?;
    let started = SystemClock.elapsed();
    trigger_all(&client, runs, options.batch as usize).await?;
    all_ended(&client, started + END_WITHIN).await?;
    let elapsed = SystemClock.elapsed() - started;
    let used = server.used()? + tally.used()? + process::used_here()? - used_before;
    let commits = commits(&server).await? - commits_before;
    let (most_bytes, _) = server.memory()?;
    let noted = tally.stop().await?;
    let ledger = server.stop().await?;
    let (succeeded, rows) = ledger.runs().await?;
    anyhow::ensure!(
        noted.distinct == succeeded && succeeded == rows && rows == runs as u64,
        "{runs} triggered, {rows} rows, {succeeded} succeeded, {} distinct in {} calls of the handler",
        noted.distinct,
        noted.executions
    );
    let taken = Taken { elapsed, used, commits, runs };
    Ok(Measured { taken, idle_bytes, most_bytes, journal_mode: ledger.journal_mode().await? })
}

/// So many runs, by [`CALLERS`].
pub(crate) async fn trigger_all(client: &Client, runs: usize, batch: usize) -> anyhow::Result<()> {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = client.clone();
        let own = runs / CALLERS + usize::from(caller < runs % CALLERS);
        callers.spawn(async move { trigger_own(&client, own, batch).await });
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(())
}

/// Triggers the caller's share batch by batch, never a batch before the last run of the one before has ended.
async fn trigger_own(client: &Client, runs: usize, batch: usize) -> anyhow::Result<()> {
    let mut left = runs;
    while left > 0 {
        let now = left.min(batch);
        let triggers = (0..now).map(|_| Trigger::of(JOB).params_text("x".repeat(PARAMS))).collect();
        let mut last = None;
        for fired in client.trigger_all(triggers).await? {
            last = Some(fired?.run.id);
        }
        let last = last.context("the server answered no run")?;
        client.run_wait(last, Some(END_WITHIN)).await?;
        left -= now;
    }
    Ok(())
}

/// Returns once no run is open.
pub(crate) async fn all_ended(client: &Client, until: Duration) -> anyhow::Result<()> {
    loop {
        let states = vec![RunState::Scheduled, RunState::Dispatched];
        let open = client.run_list(RunFilter { states, limit: 1, ..RunFilter::default() }).await?;
        if open.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(SystemClock.elapsed() < until, "runs are open after {END_WITHIN:?}");
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn commits(server: &Server) -> anyhow::Result<usize> {
    Ok(server.metric("fastjob_commit_duration_seconds_count").await? as usize)
}
