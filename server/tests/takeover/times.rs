//! How long an app is without an owner. Measured, not judged: run them by name with `--ignored --nocapture`.

use fastjob_core::clock::{Clock, SystemClock};

use crate::fleet::Fleet;
use crate::postgres::Durability;

/// Of each kind.
const ROUNDS: usize = 20;
const APPS: usize = 30;

/// What ends the owner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    Stop,
}

#[test]
#[ignore = "it measures: two minutes"]
fn times_after_a_kill_with_the_default_lease() {
    measure("kill -9, lease 4 s, renewal 1 s", End::Kill, &[]);
}

#[test]
#[ignore = "it measures: a minute"]
fn times_after_a_kill_with_a_short_lease() {
    let short = [("FASTJOB_CLUSTER__LEASE_MS", "1500"), ("FASTJOB_CLUSTER__RENEW_MS", "400")];
    measure("kill -9, lease 1.5 s, renewal 0.4 s", End::Kill, &short);
}

#[test]
#[ignore = "it measures: a minute"]
fn times_of_a_drain_by_sigterm() {
    measure("SIGTERM, lease 4 s, renewal 1 s", End::Stop, &[]);
}

/// From the signal to the last claim of what the server owned, by the owner log.
fn measure(what: &str, end: End, settings: &[(&'static str, &'static str)]) {
    let mut fleet = Fleet::start(3, APPS - 1, Durability::Disk, settings);
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let owner = fleet.owner();
        let gone = fleet.servers[owner].rpc.clone();
        let since = SystemClock.now().get();
        match end {
            End::Kill => drop(fleet.servers[owner].kill().unwrap()),
            End::Stop => fleet.servers[owner].stop().unwrap(),
        }
        fleet.without(&gone, APPS);
        let last = fleet.sql("SELECT max(at) FROM fastjob_owner_log WHERE reason = 'claimed'");
        took.push(last.parse::<i64>().unwrap() - since);
        fleet.servers.remove(owner);
        fleet.add();
        // The newcomer has to see the others before it can observe anything.
        fleet.until("it is listed", || {
            fleet.sql("SELECT count(*) FROM fastjob_server WHERE phase = 'up'") == "3"
        });
    }
    took.sort_unstable();
    println!(
        "{what}: {APPS} apps, {ROUNDS} rounds: p50 {} ms, max {} ms",
        took[ROUNDS / 2],
        took[ROUNDS - 1]
    );
}
