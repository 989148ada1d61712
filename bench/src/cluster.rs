//! Durable API runs per second on PostgreSQL or MariaDB: one server with one app, and several servers with an app each.
//! The worker, the callers and the database share the machine with them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use fastjob_core::client::{Client, Job, Overlap};
use fastjob_core::clock::{Clock, SystemClock};
use tokio::task::JoinSet;

use crate::database::{Database, Kind};
use crate::figures::{Figure, ratios};
use crate::floor::PARAMS;
use crate::floor::pipeline::{self, Shape, Taken};
use crate::floor::rows::{MysqlRows, PostgresRows, Rows};
use crate::process;
use crate::report::Report;
use crate::server::Server;
use crate::tally::{Language, Tally};
use crate::throughput::{CALLERS, END_WITHIN, JOB, all_ended, trigger_all};
use crate::worker::HANDLER;

/// How often it is asked whether the apps are where they are to be.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long they may take to get there.
const PLACED_WITHIN: Duration = Duration::from_secs(20);

/// How much is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// The server's program.
    #[arg(long, default_value = "target/release/fastjob")]
    fastjob: PathBuf,
    /// Which database; a server of it is started and thrown away.
    #[arg(long, value_enum, default_value_t = Kind::Postgres)]
    database: Kind,
    /// Servers, with an app each; one is measured beside them.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    servers: u32,
    /// Rounds.
    #[arg(long, env = "ROUNDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Runs of a measurement, in thousands.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(4..=10_000))]
    thousands: u32,
    /// Where the JSON goes.
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

/// What one measurement took.
struct Cost {
    whole: Taken,
    servers_us: f64,
    database_us: f64,
    log_bytes: f64,
}

/// Measures in interleaved rounds.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let database = Database::start(options.database)?;
    let (mut floors, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        floors.push(floor(&options, &database).await?);
        one.push(measured(&options, &database, 1).await?);
        many.push(measured(&options, &database, options.servers).await?);
        let rate = |costs: &[Cost]| costs.last().map_or(f64::NAN, |cost| cost.whole.rate());
        println!(
            "round {round}: {:.0} runs/s by one server, {:.0} by {}, floor {:.0}",
            rate(&one),
            rate(&many),
            options.servers,
            rate(&floors)
        );
    }
    let many_name = format!("{} servers", options.servers);
    let mut figures = shown("floor", &floors, None);
    figures.extend(shown("one server", &one, Some(&floors)));
    figures.extend(shown(&many_name, &many, Some(&floors)));
    let mut settings = database.settings()?;
    settings["runs"] = (options.thousands * 1_000).into();
    settings["callers_of_an_app"] = CALLERS.into();
    let name = format!("cluster-{}", options.database.name());
    let about = "API runs triggered while they run, by one server and by several, on one database".to_owned();
    Report { name, about, settings, figures }.publish(&options.results)
}

fn shown(name: &str, costs: &[Cost], floors: Option<&[Cost]>) -> Vec<Figure> {
    let each = |of: fn(&Cost) -> f64| costs.iter().map(of).collect::<Vec<f64>>();
    let mut figures = vec![Figure::new(format!("{name}: executions"), "1/s", each(|cost| cost.whole.rate()))];
    if let Some(floors) = floors {
        let floor_rates: Vec<f64> = floors.iter().map(|floor| floor.whole.rate()).collect();
        let of_floor = ratios(&each(|cost| cost.whole.rate()), &floor_rates);
        figures.push(Figure::new(format!("{name}: executions / floor"), "ratio", of_floor));
        figures.push(Figure::new(
            format!("{name}: CPU of the servers"),
            "us/run",
            each(|cost| cost.servers_us),
        ));
    }
    figures.extend([
        Figure::new(
            format!("{name}: CPU of all but the database"),
            "us/run",
            each(|cost| cost.whole.cpu_us()),
        ),
        Figure::new(format!("{name}: CPU of the database"), "us/run", each(|cost| cost.database_us)),
        Figure::new(format!("{name}: commits"), "1/run", each(|cost| cost.whole.commits())),
        Figure::new(format!("{name}: log of the database"), "B/run", each(|cost| cost.log_bytes)),
    ]);
    figures
}

/// The rows and frames alone, on one connection.
async fn floor(options: &Options, database: &Database) -> anyhow::Result<Cost> {
    let runs = options.thousands as usize * 1_000;
    let shape = Shape { writes: 2, batch: 1_000, runs, params: PARAMS };
    let directory = tempfile::tempdir()?;
    let (url, params) = (database.fresh()?, pipeline::params(PARAMS));
    let rows = match options.database {
        Kind::Postgres => Rows::Postgres(Box::new(PostgresRows::create(&url, params).await?)),
        Kind::Mariadb => Rows::Mysql(Box::new(MysqlRows::create(&url, params).await?)),
    };
    let (used, log) = (database.used()?, database.log_bytes()?);
    let whole = pipeline::with_worker(rows, directory.path(), shape).await?;
    let (used, log) = (database.used()? - used, database.log_bytes()? - log);
    let per_run = |number: f64| number / runs as f64;
    Ok(Cost {
        servers_us: f64::NAN,
        database_us: per_run(used.cpu.as_secs_f64() * 1e6),
        log_bytes: per_run(log as f64),
        whole,
    })
}

/// So many servers on a new database, with an app each.
async fn measured(options: &Options, database: &Database, servers: u32) -> anyhow::Result<Cost> {
    let url = database.fresh()?;
    let shared = tempfile::tempdir()?;
    write_key(&shared.path().join("cluster.key"))?;
    let mut cluster = Vec::new();
    for _ in 0..servers {
        cluster.push(Server::join(&options.fastjob, &url, shared.path()).await?);
    }
    let clients = apps(&cluster, shared.path()).await?;
    let list = shared.path().join("apps");
    let list = list.to_str().context("the temporary directory is not UTF-8")?;
    let tally = Tally::start(&cluster[0], Language::Rust, &["--apps", list]).await?;
    let before = (database.used()?, database.log_bytes()?);
    let runs = options.thousands as usize * 1_000 / clients.len();
    let (whole, servers_cpu) = triggered(&cluster, &tally, clients, runs).await?;
    let (used, log) = (database.used()? - before.0, database.log_bytes()? - before.1);
    let noted = tally.stop().await?;
    for server in cluster {
        server.end().await?;
    }
    let (succeeded, rows) = database.runs(&url)?;
    anyhow::ensure!(
        noted.distinct == succeeded && succeeded == rows && rows == whole.runs as u64,
        "{} triggered, {rows} rows, {succeeded} succeeded, {} distinct in {} calls of the handler",
        whole.runs,
        noted.distinct,
        noted.executions
    );
    let per_run = |number: f64| number / whole.runs as f64;
    Ok(Cost {
        servers_us: per_run(servers_cpu.as_secs_f64() * 1e6),
        database_us: per_run(used.cpu.as_secs_f64() * 1e6),
        log_bytes: per_run(log as f64),
        whole,
    })
}

/// Triggers `runs` of each app and waits for their end. Answers what it took, and the CPU time of the servers.
async fn triggered(
    cluster: &[Server],
    tally: &Tally,
    clients: Vec<Client>,
    runs: usize,
) -> anyhow::Result<(Taken, Duration)> {
    let (servers_before, commits_before) = of_servers(cluster).await?;
    let used_before = servers_before + tally.used()? + process::used_here()?;
    let started = SystemClock.elapsed();
    let all = runs * clients.len();
    let mut apps = JoinSet::new();
    for client in clients {
        apps.spawn(async move {
            trigger_all(&client, runs, 1_000).await?;
            all_ended(&client, started + END_WITHIN).await
        });
    }
    while let Some(ended) = apps.join_next().await {
        ended??;
    }
    let elapsed = SystemClock.elapsed() - started;
    let (servers, commits) = of_servers(cluster).await?;
    let used = servers + tally.used()? + process::used_here()? - used_before;
    let taken = Taken { elapsed, used, commits: commits - commits_before, runs: all };
    Ok((taken, (servers - servers_before).cpu))
}

async fn of_servers(cluster: &[Server]) -> anyhow::Result<(process::Used, usize)> {
    let (mut used, mut commits) = (process::Used::default(), 0.0);
    for server in cluster {
        used = used + server.used()?;
        commits += server.metric("fastjob_commit_duration_seconds_count").await?;
    }
    Ok((used, commits as usize))
}

/// An app on each server, with its job; its name and token become a line of the file `apps`.
async fn apps(cluster: &[Server], shared: &Path) -> anyhow::Result<Vec<Client>> {
    let (mut clients, mut list) = (Vec::new(), String::new());
    let until = SystemClock.elapsed() + PLACED_WITHIN;
    for (number, server) in cluster.iter().enumerate() {
        let name = format!("app-{number}");
        let admin = server.client_of(&name, server.token()).await?;
        let token = admin.app_create(&name, 1).await?.token;
        list.push_str(&format!("{name} {token}\n"));
        while !is_at(&admin, &name, server.address()).await? {
            anyhow::ensure!(SystemClock.elapsed() < until, "{name} did not come to {}", server.address());
            admin.app_move(None, server.address()).await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let client = server.client_of(&name, &token).await?;
        client.job_put(Job::named(JOB).handler(HANDLER).api().overlap(Overlap::AllowAll)).await?;
        clients.push(client);
    }
    std::fs::write(shared.join("apps"), list)?;
    Ok(clients)
}

async fn is_at(admin: &Client, name: &str, address: &str) -> anyhow::Result<bool> {
    let apps = admin.app_list().await?;
    let app = apps.iter().find(|app| app.name == name);
    Ok(app.is_some_and(|app| app.owners.iter().all(|owner| owner.address == address)))
}

/// Only its owner may read it, or a server refuses it.
fn write_key(path: &Path) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    Ok(file.write_all("k".repeat(64).as_bytes())?)
}
