//! What a turn decided: rows to commit, and what to send and answer once they are committed.

use std::sync::Arc;

use super::{Reply, Rows, StreamId, Ticket};
use crate::clock::Millis;
use crate::domain::{Name, Payload, Source};
use crate::id::{AttemptKey, Epoch, RunId};

/// A turn's decisions. Nothing but `rows` may leave the owner before they are committed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// One fenced transaction; none if empty.
    pub rows: Rows,
    /// In the order in which each stream must see them.
    pub frames: Vec<(StreamId, Frame)>,
    /// One per call of the batch; a call whose run had to be loaded first is answered in a later turn.
    pub replies: Vec<(Ticket, Reply)>,
    /// Runs that became terminal.
    pub ended: Vec<RunId>,
}

/// What a worker is told.
#[derive(Clone, PartialEq, Debug)]
pub enum Frame {
    /// Its Hello is judged.
    Welcome {
        /// Of this owner.
        epoch: Epoch,
        /// Of the Hello.
        ordinal: u64,
        /// How long it may be away before its attempts are lost.
        lost_after_ms: i64,
        /// Of the attempts it named: these go on.
        adopted: Vec<AttemptKey>,
        /// And these are no longer wanted.
        drop: Vec<AttemptKey>,
    },
    /// An attempt to run.
    Dispatch(Box<Dispatch>),
    /// An attempt to end.
    Cancel {
        /// Which.
        key: AttemptKey,
        /// Why.
        reason: CancelReason,
        /// The handler has this long to return.
        grace_ms: i64,
    },
    /// What became of an outcome.
    Ack {
        /// Of which attempt.
        key: AttemptKey,
        /// What became of it.
        verdict: Verdict,
    },
    /// The stream is not known here: say Hello on it.
    HelloAgain,
    /// Runs wait that it could take, and its credit is used up.
    Wanting,
    /// So much of its credit is gone, as it asked.
    Recalled {
        /// How many fewer attempts it will be sent.
        credit: u32,
    },
}

/// An attempt, as the worker needs it.
#[derive(Clone, PartialEq, Debug)]
pub struct Dispatch {
    /// Names it.
    pub key: AttemptKey,
    /// Of the owner.
    pub epoch: Epoch,
    /// Name of the job.
    pub job: Name,
    /// Which function.
    pub handler: Name,
    /// What it gets.
    pub params: Payload,
    /// The instant its schedule produced.
    pub tick: Option<Millis>,
    /// The tick before.
    pub previous_tick: Option<Millis>,
    /// When it was due.
    pub due: Millis,
    /// When it was decided.
    pub dispatched_at: Millis,
    /// From now.
    pub timeout_ms: i64,
    /// After the timeout.
    pub grace_ms: i64,
    /// As of [`crate::domain::Run::max_attempts`].
    pub max_attempts: u32,
    /// The job's revision.
    pub revision: u64,
    /// What fired the run.
    pub source: Source,
    /// The caller's; `None`: the run's id serves.
    pub idempotency_key: Option<Arc<str>>,
    /// How long its worker may be away; `None`: as the Welcome says.
    pub lost_after_ms: Option<i64>,
}

/// Why an attempt should end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CancelReason {
    /// Somebody asked for it.
    Requested,
    /// Its time is over.
    Timeout,
    /// It is no longer the run's current one.
    Superseded,
}

/// What became of an outcome.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// It is recorded.
    Accepted,
    /// It was recorded before.
    Duplicate,
    /// Its attempt was superseded, or its run had ended otherwise.
    Late,
    /// There is no such run.
    Unknown,
}
