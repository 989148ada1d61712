//! The plans: which faults there are, in which order. Everything else is drawn from the seed.

mod clocks;
mod cluster;
mod links;
mod servers;
mod workers;

use super::stage::{LEASE_MS, RENEW_MS, Stage};

/// A plan by name.
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// It needs several servers, and so a database that is reached by network.
    pub(crate) cluster: bool,
    /// Part of the quick set.
    pub(crate) quick: bool,
    /// One server shows all that it is for.
    pub(crate) alone: bool,
    pub(crate) workers: usize,
    pub(crate) terms: Terms,
    /// The database has a clock that can be moved.
    pub(crate) clock: bool,
    /// Its workers pull their attempts.
    pub(crate) pulls: bool,
    pub(crate) run: fn(&mut Stage) -> Result<(), String>,
}

/// How servers hold their leases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) lease_ms: i64,
    pub(crate) renew_ms: i64,
    /// From the kill of an owner to the next dispatch, at most: what is promised (guarantees, G7).
    pub(crate) takeover_limit_ms: i64,
}

const DEFAULT: Terms = Terms { lease_ms: LEASE_MS, renew_ms: RENEW_MS, takeover_limit_ms: 2 * LEASE_MS };
const SHORT: Terms = Terms { lease_ms: 1_500, renew_ms: 400, takeover_limit_ms: 3_000 };

const fn plan(name: &'static str, about: &'static str, run: fn(&mut Stage) -> Result<(), String>) -> Plan {
    Plan {
        name,
        about,
        cluster: false,
        quick: false,
        alone: false,
        workers: 2,
        terms: DEFAULT,
        clock: false,
        pulls: false,
        run,
    }
}

const fn of_cluster(
    name: &'static str,
    about: &'static str,
    run: fn(&mut Stage) -> Result<(), String>,
) -> Plan {
    Plan { cluster: true, ..plan(name, about, run) }
}

/// Every plan.
pub(crate) const PLANS: &[Plan] = &[
    plan("calm", "no fault at all", calm),
    Plan {
        quick: true,
        alone: true,
        ..plan("failpoints", "the server dies at each named point", servers::die_at_failpoints)
    },
    Plan { quick: true, ..plan("kills", "servers and workers are killed at random", servers::die_at_random) },
    plan("pauses", "the server is stopped for 2, 6 and 20 s", servers::pause),
    plan("pause_in_transaction", "the server is stopped inside a transaction", servers::pause_in_transaction),
    plan("twins", "a second server is started with the configuration of a first", servers::twins),
    plan("restarts", "servers are stopped and started in order", servers::restart),
    Plan {
        quick: true,
        alone: true,
        ..plan("links", "links between workers, callers and servers fail", links::fail)
    },
    plan("worker_away", "a worker is cut off for longer than worker_lost_after", links::worker_away),
    plan("workers", "all workers are killed, paused, absent", workers::fail),
    Plan {
        pulls: true,
        ..plan("hung_worker", "the handlers of a worker stand still while it speaks on", workers::hang)
    },
    plan("quarantine", "a run kills each worker that takes it", workers::quarantine),
    Plan { quick: true, ..of_cluster("owners", "owners are killed", cluster::kill_owners) },
    Plan {
        terms: SHORT,
        ..of_cluster("owners_short_lease", "owners with a lease of 1.5 s are killed", cluster::kill_owners)
    },
    of_cluster("all_servers", "all servers are killed", cluster::kill_all),
    of_cluster("database", "the database stops and crashes", cluster::stop_the_database),
    of_cluster("owner_database", "the owner and its database are parted", cluster::part_owner_and_database),
    of_cluster(
        "renewals",
        "the owner does not hear that it renewed its lease",
        cluster::lose_answers_to_renewals,
    ),
    of_cluster("undisturbed", "nothing happens to servers for half a minute", undisturbed),
    of_cluster("peers", "the owner is away from workers and servers", cluster::part_peers),
    Plan {
        quick: true,
        ..of_cluster("commits", "answers to COMMIT are swallowed", cluster::swallow_commits)
    },
    of_cluster("database_links", "links to the database are reset, slow, cut", cluster::harm_database_links),
    of_cluster("read_only", "the database is read-only for a while", cluster::read_only),
    Plan {
        clock: true,
        ..plan("clock_back", "the database's clock is set back by an hour", clocks::set_back)
    },
    Plan {
        clock: true,
        ..plan("clock_ahead", "the database's clock is set ahead by ten minutes", clocks::set_ahead)
    },
    plan("waiting", "runs wait for a worker when the server dies", workers::wait_over_an_outage),
];

fn calm(stage: &mut Stage) -> Result<(), String> {
    stage.work_for(8_000, 12_000)
}

/// Long enough for servers to take each other for dead.
fn undisturbed(stage: &mut Stage) -> Result<(), String> {
    for _ in 0..8 {
        stage.work_for(3_500, 4_500)?;
    }
    Ok(())
}
