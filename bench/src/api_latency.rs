//! From a trigger's call to the handler's first instruction on a server that has nothing else to do.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fastjob_core::client::{Job, Overlap, Trigger};

use crate::figures::{Figure, percentile, ratios};
use crate::probe::Probe;
use crate::report::Report;
use crate::server::Server;
use crate::tally::{Language, Tally};
use crate::worker::{HANDLER, now_us};

/// Of the job that is triggered.
const JOB: &str = "bench";
/// Triggers before the count begins: connections open, statements are prepared.
const WARM_UP: u32 = 50;

/// How much is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// The server's program.
    #[arg(long, default_value = "target/release/fastjob")]
    fastjob: PathBuf,
    /// Rounds.
    #[arg(long, env = "ROUNDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Triggers of a round, one at a time.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    triggers: u32,
    /// Milliseconds between two.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pause: u64,
    /// Where the JSON goes.
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

/// Measures in rounds; the probe takes turns with the triggers.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let mut figures = [(50.0, "p50", "goal: 3 or less"), (99.0, "p99", "goal: 5 or less")]
        .map(|(percent, name, goal)| (percent, name, goal, Vec::new(), Vec::new()));
    for round in 1..=options.rounds {
        let (ours, probed) = measured(&options).await?;
        for (percent, _, _, all_ours, all_probed) in &mut figures {
            all_ours.push(percentile(&ours, *percent));
            all_probed.push(percentile(&probed, *percent));
        }
        println!(
            "round {round}: p50 {:.2} ms, p99 {:.2} ms",
            percentile(&ours, 50.0),
            percentile(&ours, 99.0)
        );
    }
    let figures = figures.into_iter().flat_map(|(_, name, goal, ours, probed)| {
        let ratio = ratios(&ours, &probed);
        [
            Figure::new(format!("trigger to handler, {name}"), "ms", ours),
            Figure::new(format!("probe, {name}"), "ms", probed),
            Figure::new(format!("{name} / probe"), "ratio", ratio).beside(goal),
        ]
    });
    let figures = figures.collect();
    let mut settings = crate::floor::settings().await?;
    settings["triggers"] = options.triggers.into();
    settings["pause_ms"] = options.pause.into();
    let about = "one trigger at a time, beside a commit of one row with a message there and back".to_owned();
    Report { name: "api-latency".to_owned(), about, settings, figures }.publish(&options.results)
}

/// Latencies of the triggers and of the probe, sorted.
async fn measured(options: &Options) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let server = Server::start(&options.fastjob).await?;
    let tally = Tally::start(&server, Language::Rust, &["--note", "params"]).await?;
    let client = server.client().await?;
    client.job_put(Job::named(JOB).handler(HANDLER).api().overlap(Overlap::AllowAll)).await?;
    let mut probe = Probe::start().await?;
    let mut probed = Vec::new();
    let mut from = now_us();
    for turn in 0..WARM_UP + options.triggers {
        if turn == WARM_UP {
            probed.clear();
            from = now_us();
        }
        let fired = client.trigger(Trigger::of(JOB).params_text(now_us().to_string())).await?;
        client.run_wait(fired.run.id, None).await?;
        tokio::time::sleep(Duration::from_millis(options.pause)).await;
        probed.push(probe.once().await?);
        tokio::time::sleep(Duration::from_millis(options.pause)).await;
    }
    let to = now_us();
    probe.stop().await?;
    let noted = tally.stop().await?;
    server.stop().await?;
    probed.sort_by(f64::total_cmp);
    let ours = noted.late_ms(from, to);
    anyhow::ensure!(
        ours.len() == options.triggers as usize,
        "{} of {} triggers ran",
        ours.len(),
        options.triggers
    );
    Ok((ours, probed))
}
