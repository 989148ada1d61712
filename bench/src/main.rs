//! Measures FastJob on this machine, each scenario beside its floor: what the same rows, frames and calls cost without
//! a scheduler around them. Judges nothing: it prints figures, and `bench/README.md` tells how to read them.

mod figures;
mod floor;
mod machine;
mod process;
mod report;

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
    /// The worker at the other end of the floor's stream.
    #[command(hide = true)]
    FloorWorker(floor::worker::Options),
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match Arguments::parse().scenario {
            Scenario::Floor(options) => floor::run(options).await,
            Scenario::FloorWorker(options) => floor::worker::run(options).await,
        }
    })
}
