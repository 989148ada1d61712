//! The planted bugs of `fastjob_core::mutant`, each with the plan that shows it and the invariants it breaks. One that is
//! not caught by its invariant means that the checker, or the plan, is blind.

/// A planted bug.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    pub(crate) plan: &'static str,
    pub(crate) database: &'static str,
    /// Servers have it once all are at work: they would not get there with it.
    pub(crate) late: bool,
    /// One of these must be broken.
    pub(crate) breaks: &'static [&'static str],
}

const fn on_sqlite(name: &'static str, plan: &'static str, breaks: &'static [&'static str]) -> Mutant {
    Mutant { name, plan, database: "sqlite", late: false, breaks }
}

const fn on_postgres(name: &'static str, plan: &'static str, breaks: &'static [&'static str]) -> Mutant {
    Mutant { name, plan, database: "postgres", late: false, breaks }
}

/// All of them.
pub(crate) const MUTANTS: &[Mutant] = &[
    on_sqlite("send_before_commit", "failpoints", &["G2"]),
    on_sqlite("outcome_without_token", "worker_away", &["G4"]),
    on_sqlite("timer_as_truth", "kills", &["G3"]),
    on_sqlite("lost_at_once", "links", &["G5"]),
    on_sqlite("outbox_dropped", "links", &["G5"]),
    on_sqlite("edit_keeps_runs", "calm", &["G10", "G1"]),
    on_sqlite("hello_not_reconciled", "failpoints", &["G3"]),
    on_sqlite("catch_up_of_waiting", "waiting", &["G8"]),
    on_sqlite("chain_continued_twice", "calm", &["G1"]),
    on_sqlite("next_at_apart", "failpoints", &["G1"]),
    on_sqlite("inbox_apart", "failpoints", &["G12"]),
    on_postgres("unknown_commit_failed", "commits", &["G1", "G3"]),
    on_postgres("unknown_commit_done", "database_links", &["G1", "G2", "G3"]),
    // What the older owner commits after the newer one has read its runs is seen by nobody.
    on_postgres("fence_as_predicate", "pause_in_transaction", &["G6", "G2", "G1", "G3"]),
    on_postgres("renewal_by_name", "renewals", &["G7"]),
    Mutant { late: true, ..on_postgres("no_seq_compare", "undisturbed", &["G6"]) },
    on_postgres("claim_by_upsert", "owners", &["G6"]),
    on_postgres("expiry_by_wall_clock", "clock_ahead", &["G6"]),
    on_sqlite("beat_without_life", "hung_worker", &["G3"]),
];

/// Seeds that are tried before a bug counts as not found.
pub(crate) const SEEDS: u64 = 3;
