//! Measures FastJob on this machine, each scenario beside its floor: what the same rows, frames and calls cost without
//! a scheduler around them. Judges nothing: it prints figures, and `bench/README.md` tells how to read them.

mod api_latency;
mod cluster;
mod database;
mod figures;
mod floor;
mod lateness;
mod machine;
mod probe;
mod process;
mod report;
mod schedule;
mod server;
mod spread;
mod tally;
mod throughput;
mod worker;

use clap::{Parser, Subcommand};

/// Measures FastJob beside what the machine can do at all.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// The row writes and stream frames that no scheduler of this design can do without.
    Floor(floor::Options),
    /// API runs per second, beside the floor.
    Throughput(throughput::Options),
    /// API runs per second on PostgreSQL or MariaDB, by one server and by several, beside the floor.
    Cluster(cluster::Options),
    /// How late ticks are, beside a probe.
    Lateness(lateness::Options),
    /// What a run costs in one app and in a thousand.
    Spread(spread::Options),
    /// From a trigger to its handler on an idle server, beside a probe.
    ApiLatency(api_latency::Options),
    /// What cron expressions cost, without a server.
    Schedule(schedule::Options),
    /// The worker of the scenarios.
    #[command(hide = true)]
    Worker(worker::Options),
    /// The worker at the other end of the floor's stream.
    #[command(hide = true)]
    FloorWorker(floor::worker::Options),
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match Arguments::parse().scenario {
            Scenario::Floor(options) => floor::run(options).await,
            Scenario::Throughput(options) => throughput::run(options).await,
            Scenario::Cluster(options) => cluster::run(options).await,
            Scenario::Lateness(options) => lateness::run(options).await,
            Scenario::Spread(options) => spread::run(options).await,
            Scenario::ApiLatency(options) => api_latency::run(options).await,
            Scenario::Schedule(options) => schedule::run(&options),
            Scenario::Worker(options) => worker::run(options).await,
            Scenario::FloorWorker(options) => floor::worker::run(options).await,
        }
    })
}
