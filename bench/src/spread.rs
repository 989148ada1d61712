//! Whether a run costs the same in a thousand apps as in one: the same number of jobs, each due once a second.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use fastjob_core::client::{Client, Job, Options as ClientOptions, Overlap};
use fastjob_core::clock::{Clock, SystemClock};

use crate::figures::{Figure, percentile, ratios};
use crate::lateness::{SETTLE, WARM_UP, put_jobs};
use crate::report::Report;
use crate::server::{APP, Server};
use crate::tally::{Language, Tally};
use crate::worker::{HANDLER, now_us};

/// How much is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// The server's program.
    #[arg(long, default_value = "target/release/fastjob")]
    fastjob: PathBuf,
    /// Rounds; each measures one app and many.
    #[arg(long, env = "ROUNDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Jobs due per second: in one app, and one in each of so many apps.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    jobs: u32,
    /// Seconds of a measurement.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// A connection of the worker's for each app, as if each had a worker of its own; else they share one.
    #[arg(long)]
    apart: bool,
    /// Where the JSON goes.
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

/// What one measurement found.
#[derive(Default)]
struct Cost {
    server_us: Vec<f64>,
    all_us: Vec<f64>,
    p99_ms: Vec<f64>,
    executions: Vec<f64>,
    commits: Vec<f64>,
}

/// Measures one app and many in turns.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let (mut one, mut many) = (Cost::default(), Cost::default());
    for round in 1..=options.rounds {
        measure(&options, 1, &mut one).await?;
        measure(&options, options.jobs, &mut many).await?;
        let last = |values: &[f64]| values.last().copied().unwrap_or(f64::NAN);
        println!(
            "round {round}: {:.1} us in one app, {:.1} us in many",
            last(&one.all_us),
            last(&many.all_us)
        );
    }
    let of_server = ratios(&many.server_us, &one.server_us);
    let of_all = ratios(&many.all_us, &one.all_us);
    let mut figures = Vec::new();
    for (name, cost) in [("one app".to_owned(), one), (format!("{} apps", options.jobs), many)] {
        figures.push(Figure::new(format!("{name}: executions"), "count", cost.executions));
        figures.push(Figure::new(format!("{name}: CPU of server and worker"), "us/run", cost.all_us));
        figures.push(Figure::new(format!("{name}: CPU of the server"), "us/run", cost.server_us));
        figures.push(Figure::new(format!("{name}: commits"), "1/run", cost.commits));
        figures.push(Figure::new(format!("{name}: late, p99"), "ms", cost.p99_ms));
    }
    figures.push(Figure::new("CPU of the server, many / one", "ratio", of_server));
    figures.push(Figure::new("CPU of both, many / one", "ratio", of_all).beside("goal: 1.5 or less"));
    let mut settings = crate::floor::settings().await?;
    settings["due_per_second"] = options.jobs.into();
    settings["seconds"] = options.seconds.into();
    settings["connections"] = if options.apart { "one for each app" } else { "one for all apps" }.into();
    let about = "jobs due each second, all in one app and one in each of many".to_owned();
    Report { name: "spread".to_owned(), about, settings, figures }.publish(&options.results)
}

async fn measure(options: &Options, apps: u32, cost: &mut Cost) -> anyhow::Result<()> {
    let server = Server::start(&options.fastjob).await?;
    let clients = clients(&server, apps).await?;
    let list: String = clients.iter().map(|(app, token, _)| format!("{app} {token}\n")).collect();
    let path = server.directory().join("apps");
    std::fs::write(&path, list)?;
    let path = path.to_str().context("the temporary directory is not UTF-8")?;
    let slots = options.jobs.div_ceil(apps).saturating_mul(8).to_string();
    let mut arguments = vec!["--note", "tick", "--apps", path, "--slots", &*slots];
    arguments.extend(options.apart.then_some("--apart"));
    let tally = Tally::start(&server, Language::Rust, &arguments).await?;
    for (_, _, client) in &clients {
        if apps == 1 {
            put_jobs(client, options.jobs, 1).await?;
        } else {
            let job = Job::named("tick").handler(HANDLER).cron("* * * * * ?").overlap(Overlap::AllowAll);
            client.job_put(job).await?;
        }
    }
    tokio::time::sleep(WARM_UP).await;
    let (server_used, tally_used) = (server.used()?, tally.used()?);
    let commits = server.metric("fastjob_commit_duration_seconds_count").await?;
    let (from, started) = (now_us(), SystemClock.elapsed());
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let (server_used, tally_used) = (server.used()? - server_used, tally.used()? - tally_used);
    let commits = server.metric("fastjob_commit_duration_seconds_count").await? - commits;
    let (to, seconds) = (now_us(), (SystemClock.elapsed() - started).as_secs_f64());
    // The last ticks may still be on their way.
    tokio::time::sleep(SETTLE).await;
    let late = tally.stop().await?.late_ms(from, to);
    server.stop().await?;
    // Ticks come evenly: those of the time measured are the jobs times its seconds.
    let executions = f64::from(options.jobs) * seconds;
    let (server_us, tally_us) = (server_used.cpu.as_secs_f64() * 1e6, tally_used.cpu.as_secs_f64() * 1e6);
    cost.server_us.push(server_us / executions);
    cost.all_us.push((server_us + tally_us) / executions);
    cost.p99_ms.push(percentile(&late, 99.0));
    cost.executions.push(late.len() as f64);
    cost.commits.push(commits / executions);
    Ok(())
}

/// So many apps, each with its token and a client; the server's own app if it is one.
async fn clients(server: &Server, apps: u32) -> anyhow::Result<Vec<(String, String, Client)>> {
    let own = server.client().await?;
    if apps == 1 {
        return Ok(vec![(APP.to_owned(), server.token().to_owned(), own)]);
    }
    let mut clients = Vec::new();
    for index in 0..apps {
        let app = format!("app-{index}");
        let token = own.app_create(&app, 1).await?.token;
        let client = Client::connect(ClientOptions::new([server.address()], &*app, &*token)).await?;
        clients.push((app, token, client));
    }
    Ok(clients)
}
