//! What a worker says of itself.

use std::sync::Arc;

use super::{Name, Outcome};
use crate::id::{AttemptKey, Epoch, SessionId};

/// Who a worker is and what it can run.
#[derive(Clone, PartialEq, Debug)]
pub struct WorkerProfile {
    /// The process.
    pub session: SessionId,
    /// For people, as `host:pid`.
    pub name: Arc<str>,
    /// As `rust/0.1.0`.
    pub sdk: Arc<str>,
    /// What it can run.
    pub handlers: Vec<HandlerOffer>,
    /// How many attempts at a time, over all its streams.
    pub slots: u32,
    /// For selection by tag.
    pub tags: Vec<Arc<str>>,
    /// For people and selection.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
}

impl WorkerProfile {
    /// The most slots of a worker.
    pub const MAX_SLOTS: u32 = 100_000;
    /// The most handlers of a worker.
    pub const MAX_HANDLERS: usize = 10_000;
}

/// A handler that a worker has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HandlerOffer {
    /// Its name.
    pub name: Name,
    /// May be empty.
    pub version: Arc<str>,
}

/// A worker's introduction on a new stream, or on one whose owner forgot it.
#[derive(Clone, PartialEq, Debug)]
pub struct Hello {
    /// Who.
    pub profile: WorkerProfile,
    /// Rises with each Hello of the session; the highest wins.
    pub ordinal: u64,
    /// The highest epoch it has seen of this shard.
    pub floor: Option<Epoch>,
    /// Attempts it has taken and not reported.
    pub running: Vec<AttemptKey>,
    /// Outcomes not acknowledged.
    pub unacked: Vec<Outcome>,
}
