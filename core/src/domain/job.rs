//! A job: a stored definition with exactly one trigger.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Name, Payload, Trigger};
use crate::clock::Millis;
use crate::id::{JobId, ShardKey};

/// The shard of an app with this many whose owner has the job: by the hash of its name, so that all find it without asking.
pub fn shard_of(job: &str, shards: u16) -> u16 {
    let digest = Sha256::digest(job);
    let head = u64::from_be_bytes(digest[..8].try_into().expect("8 of 32 bytes"));
    u16::try_from(head % u64::from(shards.max(1))).expect("less than the number of shards")
}

/// A job as its row holds it.
#[derive(Clone, PartialEq, Debug)]
pub struct Job {
    /// For ever the same.
    pub id: JobId,
    /// Who owns it.
    pub shard: ShardKey,
    /// Unique among the app's living jobs.
    pub name: Name,
    /// Rises with each change of definition or of `enabled`; 1 at the creation.
    pub revision: u64,
    /// What it does and when.
    pub definition: Arc<Definition>,
    /// A disabled job keeps its row and makes no ticks.
    pub enabled: bool,
    /// The first tick that is neither a run nor in a gap; `None` when there is none, or the trigger has no ticks.
    pub next_at: Option<Millis>,
    /// Ordinal of the newest run of a fixed-delay chain; 0 before the first.
    pub chain_seq: u64,
    /// When it was put first; the default phase of a fixed rate.
    pub created_at: Millis,
    /// When this revision was put.
    pub updated_at: Millis,
    /// A tombstone, so that history keeps its job; the name is free again.
    pub deleted_at: Option<Millis>,
}

/// What a job was from one edit to the next.
#[derive(Clone, PartialEq, Debug)]
pub struct Revision {
    /// From 1, without a hole.
    pub revision: u64,
    /// Ticks after this instant follow it, up to and with the `from` of the next one.
    pub from: Millis,
    /// What the job did and when.
    pub definition: Arc<Definition>,
    /// Whether it made ticks.
    pub enabled: bool,
    /// The job was deleted: there is no next one.
    pub deleted: bool,
}

/// What a job does and when: what a put gives, and what makes two puts equal.
#[derive(Clone, PartialEq, Debug)]
pub struct Definition {
    /// Which of the worker's functions runs it.
    pub handler: Name,
    /// When it fires.
    pub trigger: Trigger,
    /// What its runs get unless a trigger gives others.
    pub params: Payload,
    /// When its ticks begin and end, and how they are spread.
    pub timing: Timing,
    /// What becomes of missed ticks.
    pub catch_up: CatchUp,
    /// Copied into each run.
    pub limits: Limits,
    /// Who may overwrite it.
    pub managed_by: ManagedBy,
    /// A put with a lower one is refused.
    pub source_version: Option<u64>,
}

/// What a job adds to its trigger. Calls are not bound by it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Timing {
    /// No tick lies before it, and no run of a fixed-delay chain.
    pub start_at: Option<Millis>,
    /// None lies at it or after it. Later than `start_at`.
    pub end_at: Option<Millis>,
    /// The run of a tick is due up to this much later, the same whoever asks, and never as late as the next tick; 0 to
    /// [`Timing::MAX_JITTER_MS`].
    pub jitter_ms: i64,
}

impl Timing {
    /// 24 hours.
    pub const MAX_JITTER_MS: i64 = 86_400_000;
}

/// The part of a definition that a run carries with it.
#[derive(Clone, PartialEq, Debug)]
pub struct Limits {
    /// For a tick while an earlier run is alive.
    pub overlap: Overlap,
    /// How failed attempts are repeated.
    pub retry: Retry,
    /// From the dispatch; 1 to [`Limits::MAX_TIMEOUT_MS`].
    pub attempt_timeout_ms: i64,
    /// From the due instant to the first dispatch; later the run is skipped. `None`: it waits.
    pub start_deadline_ms: Option<i64>,
    /// From a cancel or timeout to the end of the attempt; 0 to [`Limits::MAX_GRACE_MS`].
    pub cancel_grace_ms: i64,
    /// Without contact to its worker for this long, an attempt is lost; `None`: the server's default.
    pub worker_lost_after_ms: Option<i64>,
    /// Never dispatched again after its worker was lost.
    pub at_most_once: bool,
    /// Higher first among the waiting; -100 to 100.
    pub priority: i32,
    /// How its worker is chosen among the capable.
    pub routing: Routing,
}

impl Limits {
    /// 30 days.
    pub const MAX_TIMEOUT_MS: i64 = 30 * 86_400_000;
    /// One hour.
    pub const MAX_GRACE_MS: i64 = 3_600_000;
    /// 24 hours.
    pub const MAX_LOST_AFTER_MS: i64 = 86_400_000;
    /// A run whose worker was lost this often is quarantined.
    pub const MAX_LOST: u32 = 3;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            overlap: Overlap::Skip,
            retry: Retry::default(),
            attempt_timeout_ms: 3_600_000,
            start_deadline_ms: None,
            cancel_grace_ms: 10_000,
            worker_lost_after_ms: None,
            at_most_once: false,
            priority: 0,
            routing: Routing::LeastBusy,
        }
    }
}

/// What happens to a run that is due while an earlier run of its job is alive, that is due or running.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Overlap {
    /// It is skipped.
    #[default]
    Skip,
    /// One waits for the end of the earlier one; further ones are skipped.
    BufferOne,
    /// All wait, one runs after the other in order of due; beyond [`Overlap::MAX_BUFFERED`] they are skipped.
    BufferAll,
    /// The earlier one is cancelled, and it starts once that has ended. Of several that wait so, the newest starts.
    CancelOther,
    /// The earlier one is cancelled, and it starts at once, whether or not the handler gives way.
    TerminateOther,
    /// It runs beside it.
    AllowAll,
}

impl Overlap {
    /// Every policy.
    pub const ALL: [Self; 6] = [
        Self::Skip,
        Self::BufferOne,
        Self::BufferAll,
        Self::CancelOther,
        Self::TerminateOther,
        Self::AllowAll,
    ];
    /// The most runs of one job that wait for an earlier one.
    pub const MAX_BUFFERED: usize = 1_000;

    /// Its word, as `buffer_one`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::BufferOne => "buffer_one",
            Self::BufferAll => "buffer_all",
            Self::CancelOther => "cancel_other",
            Self::TerminateOther => "terminate_other",
            Self::AllowAll => "allow_all",
        }
    }
}

/// How a failed run is tried again.
#[derive(Clone, PartialEq, Debug)]
pub struct Retry {
    /// Attempts after the first failed one; 0 to [`Retry::MAX_RETRIES`].
    pub retries: u32,
    /// How the waits grow.
    pub backoff: Backoff,
    /// The first wait.
    pub delay_ms: i64,
    /// The longest wait.
    pub max_delay_ms: i64,
    /// Each wait is drawn from [1 - jitter, 1] of it.
    pub jitter: f64,
}

impl Retry {
    /// The most retries of a run.
    pub const MAX_RETRIES: u32 = 1_000;

    /// The wait before the attempt that follows the `failed`-th failed one (from 1); `fraction` is a draw from [0, 1).
    pub fn wait_ms(&self, failed: u32, fraction: f64) -> i64 {
        let wait = match self.backoff {
            Backoff::Fixed => self.delay_ms,
            Backoff::Exponential => {
                let doublings = failed.saturating_sub(1).min(62);
                self.delay_ms.saturating_mul(1 << doublings).min(self.max_delay_ms)
            }
        };
        (wait as f64 * (1.0 - self.jitter * fraction)) as i64
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self { retries: 0, backoff: Backoff::Fixed, delay_ms: 1_000, max_delay_ms: 3_600_000, jitter: 0.0 }
    }
}

/// How the waits between attempts grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Backoff {
    /// All equal.
    #[default]
    Fixed,
    /// Each twice the one before.
    Exponential,
}

/// What becomes of ticks that no trusted owner saw in time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CatchUp {
    /// For ticks later than the threshold.
    pub policy: CatchUpPolicy,
    /// A missed tick no later than this simply fires late.
    pub threshold_ms: i64,
    /// Ticks older than this are never made up for; `None`: 1 h for periods under a day, else 24 h.
    pub window_ms: Option<i64>,
}

impl Default for CatchUp {
    fn default() -> Self {
        Self { policy: CatchUpPolicy::Latest, threshold_ms: 60_000, window_ms: None }
    }
}

/// Which of the missed ticks fire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CatchUpPolicy {
    /// The newest; the others are one gap.
    #[default]
    Latest,
    /// None; all are one gap.
    None,
    /// The newest of this many, 1 to [`CatchUpPolicy::MAX_RUNS`], one after the other in order of tick; the older ones are
    /// one gap.
    All(u32),
}

impl CatchUpPolicy {
    /// The most missed ticks of a job that `all` lets fire.
    pub const MAX_RUNS: u32 = 1_000;
    /// As many unless told otherwise.
    pub const DEFAULT_RUNS: u32 = 100;
}

/// How a run's worker is chosen among those that are capable and have a free slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Routing {
    /// The one with the smallest share of its slots in use.
    #[default]
    LeastBusy,
    /// Each in turn.
    RoundRobin,
}

/// Who may overwrite a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ManagedBy {
    /// The services that put it at their start.
    #[default]
    Code,
    /// People.
    Console,
}
