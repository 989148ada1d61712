//! How late ticks reach their handler: many cron jobs, of which a share is due each second.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fastjob_core::client::{Client, Job, Overlap};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::figures::{Figure, percentile};
use crate::probe::Probe;
use crate::report::Report;
use crate::server::Server;
use crate::tally::{Language, Tally};
use crate::worker::{HANDLER, now_us};

/// Jobs of one call.
const PUT: usize = 1_000;
/// How often the probe measures.
const PROBE_EVERY: Duration = Duration::from_millis(100);
/// Time before the count begins: jobs are stored, ticks planned.
pub(crate) const WARM_UP: Duration = Duration::from_secs(3);
/// Time after it: the last ticks reach their handlers.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);

/// How much is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// The server's program.
    #[arg(long, default_value = "target/release/fastjob")]
    fastjob: PathBuf,
    /// Rounds.
    #[arg(long, env = "ROUNDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Cron jobs: each is due once in `jobs / due` seconds.
    #[arg(long, default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    jobs: u32,
    /// Jobs due per second, at its first instant; `jobs / due` must divide 60.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    due: u32,
    /// Seconds of a round.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Where the JSON goes.
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

/// Measures in rounds of their own servers.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let period = options.jobs / options.due;
    anyhow::ensure!(period > 0 && 60 % period == 0, "--jobs / --due is {period}: it must divide 60");
    let percents = [50.0, 99.0, 100.0];
    let (mut ours, mut probes) = (vec![Vec::new(); 3], vec![Vec::new(); 3]);
    let mut counts = Vec::new();
    for round in 1..=options.rounds {
        let (late, probe) = measured(&options, period).await?;
        for (index, percent) in percents.into_iter().enumerate() {
            ours[index].push(percentile(&late, percent));
            probes[index].push(percentile(&probe, percent));
        }
        counts.push(late.len() as f64);
        println!(
            "round {round}: {} ticks, p99 {:.2} ms, probe {:.2} ms",
            late.len(),
            percentile(&late, 99.0),
            percentile(&probe, 99.0)
        );
    }
    let due = u64::from(options.due) * options.seconds;
    let mut figures = vec![Figure::new("ticks", "count", counts).beside(format!("due: {due}"))];
    let goals = ["", "goal: the probe's + 3 ms", "goal: the probe's + 50 ms"];
    for (index, name) in ["p50", "p99", "max"].into_iter().enumerate() {
        figures.push(Figure::new(format!("late, {name}"), "ms", ours[index].clone()).beside(goals[index]));
        figures.push(Figure::new(format!("probe, {name}"), "ms", probes[index].clone()));
    }
    let mut settings = crate::floor::settings().await?;
    settings["jobs"] = options.jobs.into();
    settings["due_per_second"] = options.due.into();
    settings["seconds"] = options.seconds.into();
    let about =
        "handler entry after the tick, beside a timer with a commit and a message there and back".to_owned();
    Report { name: "lateness".to_owned(), about, settings, figures }.publish(&options.results)
}

async fn measured(options: &Options, period: u32) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let server = Server::start(&options.fastjob).await?;
    let client = server.client().await?;
    let tally = Tally::start(&server, Language::Rust, &["--note", "tick"]).await?;
    let probe = Probe::start().await?;
    put_jobs(&client, options.jobs, period).await?;
    tokio::time::sleep(WARM_UP).await;
    let (end, ended) = watch::channel(false);
    let mut probing = JoinSet::new();
    probing.spawn(probe.keep_on(PROBE_EVERY, ended));
    let from = now_us();
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let to = now_us();
    end.send_replace(true);
    let probed = probing.join_next().await.expect("one probe was started")??;
    // The last ticks may still be on their way.
    tokio::time::sleep(SETTLE).await;
    let noted = tally.stop().await?;
    server.stop().await?;
    Ok((noted.late_ms(from, to), probed))
}

/// Puts cron jobs, the same number due at each second of the period.
pub(crate) async fn put_jobs(client: &Client, jobs: u32, period: u32) -> anyhow::Result<()> {
    let job = |index: u32| {
        let cron = format!("{}/{period} * * * * ?", index % period);
        Job::named(format!("tick-{index}")).handler(HANDLER).cron(cron).overlap(Overlap::AllowAll)
    };
    let all: Vec<u32> = (0..jobs).collect();
    for some in all.chunks(PUT) {
        client.job_put_all(some.iter().map(|index| job(*index)).collect()).await?;
    }
    Ok(())
}
