//! The kill test: kills the server at named failpoints and at random moments under load, and workers too; then joins an
//! independent oracle's ticks, the ledger, the attempts and the handlers' own log. No tick may be missing or doubled, and
//! every duplicate execution must have its recorded cause.
//!
//! `cargo test --test chaos` is the quick part; `make chaos SEED=n ROUNDS=n` is the whole. Everything is drawn from the seed,
//! which is printed.

mod check;
mod handlers;
#[path = "../harness/mod.rs"]
mod harness;
mod history;
mod load;
mod processes;

use std::process::ExitCode;
use std::time::Duration;

use processes::{Workers, run_awhile, server, start_to_die};

/// Where the server is killed; each must be hit with attempts in flight.
const FAILPOINTS: [&str; 6] = [
    "after_write_ahead_commit",
    "after_dispatch_commit",
    "after_send",
    "before_acknowledgement",
    "inside_renewal",
    "during_boot",
];
/// Hits of each failpoint in the whole test; the quick part does one.
const FULL_ROUNDS: usize = 5;
/// After healing, everything due must have ended within this.
const HEAL: Duration = Duration::from_secs(60);
const WORKERS: usize = 2;

fn main() -> ExitCode {
    if std::env::var_os("CHAOS_ROLE").is_some_and(|role| role == "worker") {
        return handlers::run();
    }
    let seed = number("SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let rounds = number("ROUNDS").and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
    match test(seed, rounds) {
        Ok(()) => {
            println!("chaos: 1 passed, 0 failed");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("chaos: seed {seed}: {why}\nchaos: 0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn test(seed: u64, rounds: usize) -> Result<(), String> {
    println!(
        "chaos: seed {seed}, {rounds} kills at each of {} failpoints, and as many at random",
        FAILPOINTS.len()
    );
    let mut chance = load::Chance::new(seed);
    let place = tempfile::tempdir().map_err(|error| format!("failed to make a directory: {error}"))?;
    let mut server = server(place.path());
    server.start()?;
    let mut workers = Workers::start(WORKERS, &server)?;
    let jobs = load::put_jobs(&server)?;
    let calls = load::Calls::begin(&server, seed);
    let mut kills = history::Kills::default();

    for round in 0..rounds {
        for failpoint in FAILPOINTS {
            let passes = if failpoint == "during_boot" { 1 } else { 1 + chance.below(4) };
            run_awhile(&mut server, Duration::from_millis(500 + chance.below(1_500)))?;
            server.kill()?;
            start_to_die(&mut server, &format!("{failpoint}:{passes}"))?;
            kills.note(failpoint, &workers)?;
            server.start()?;
        }
        run_awhile(&mut server, Duration::from_millis(chance.below(2_000)))?;
        server.kill()?;
        kills.note("random moment", &workers)?;
        server.start()?;
        workers.kill_one(chance.below(WORKERS as u64) as usize, &server)?;
        println!("chaos: round {} of {rounds} done", round + 1);
    }

    let accepted = calls.end();
    let ended = load::wait_until_quiet(&server, &jobs, HEAL)?;
    let history = history::read(&server, &workers, &jobs, ended, accepted)?;
    workers.stop();
    server.stop()?;
    kills.print(&history);
    if rounds >= FULL_ROUNDS {
        kills.must_be_enough(&FAILPOINTS, FULL_ROUNDS)?;
    }
    check::all(&history)
}
