//! Looking at a database beside its servers, for `fastjob doctor`: raw facts, no judgement. Nothing here migrates,
//! writes, or takes a lock that a server would wait for.

use fastjob_core::clock::Millis;
use fastjob_core::id::RunId;

use super::error::StoreError;
use super::scans::Scan;

/// What a database tells of itself and of its tables.
pub(super) trait Inspect {
    /// Settings on which durability, isolation and time depend, as a new connection has them.
    async fn inspect_settings(&self) -> Result<Vec<Setting>, StoreError>;
    /// The database's time; `None` where its server's clock is it.
    async fn inspect_time(&self) -> Result<Option<Millis>, StoreError>;
    /// What this program's user may do.
    async fn inspect_rights(&self) -> Result<Rights, StoreError>;
    /// Which schema is there.
    async fn inspect_schema(&self) -> Result<Schema, StoreError>;
    /// How much there is.
    async fn inspect_sizes(&self) -> Result<Sizes, StoreError>;
    /// What breaks an invariant.
    async fn inspect_scan(&self, scan: &Scan) -> Result<Violations, StoreError>;
    /// Runs with an idempotency key after `after`, in order of id, at most `limit`.
    async fn inspect_keys(&self, after: Option<RunId>, limit: u32) -> Result<Vec<KeyedRun>, StoreError>;
}

/// A setting by its name in the database, as `synchronous_commit`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    /// In lower case.
    pub name: String,
    /// As the database words it.
    pub value: String,
}

/// What a user may do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rights {
    /// As whom this program is connected.
    pub user: String,
    /// What servers need and the user lacks, as `INSERT on fastjob_run`.
    pub missing: Vec<String>,
    /// What lets the user write where nobody should, as into a primary that was set read-only.
    pub powers: Vec<String>,
}

/// Which schema is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schema {
    /// Of the database; 0: none.
    pub found: i64,
    /// The newest that this program knows.
    pub known: i64,
}

/// How much there is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sizes {
    /// Jobs that are not deleted.
    pub jobs: u64,
    /// Runs, all of them.
    pub runs: u64,
    /// Runs that have not ended.
    pub open_runs: u64,
    /// When the run ended that ended first.
    pub oldest_ended: Option<Millis>,
    /// Commands that wait for an owner.
    pub inbox_waiting: u64,
    /// When the one was written that waits longest.
    pub inbox_oldest: Option<Millis>,
    /// Reasons of commands that were set aside, with their number, the most frequent first; at most
    /// [`Sizes::MAX_REASONS`].
    pub inbox_failed: Vec<(String, u64)>,
}

impl Sizes {
    /// Reasons that are listed.
    pub const MAX_REASONS: usize = 5;
}

/// What breaks an invariant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Violations {
    /// How many.
    pub count: u64,
    /// Some of them, at most [`Violations::MAX_EXAMPLES`].
    pub examples: Vec<String>,
}

impl Violations {
    /// Examples that are shown.
    pub const MAX_EXAMPLES: usize = 5;
}

/// A run with an idempotency key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyedRun {
    /// Which.
    pub id: RunId,
    /// As its row holds it, which may be no fire key at all.
    pub fire_key: String,
    /// As the caller gave it.
    pub idempotency_key: String,
}
