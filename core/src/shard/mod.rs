//! The pure heart: what an owner knows of its shard, and what it decides. No I/O, no clock, no chance but what it is
//! given, so that a simulation can run it.
//!
//! An owner's turn is collect, load, decide, commit, act. This module says what must be loaded ([`Shard::needs`]),
//! decides ([`Shard::decide`]) and returns a [`Plan`]. If the commit fails, the memory is thrown away: a new [`Shard`]
//! boots from the rows.

mod facts;
mod message;
mod plan;
mod rows;

pub use facts::{DuePage, Facts, History, JobPage, Needs, OpenPage};
pub use message::{
    Call, Change, Fire, JobPut, JobPutDone, Message, Reply, StreamId, Ticket, Triggered, When, WorkerState,
};
pub use plan::{CancelReason, Dispatch, Frame, Plan, Verdict};
pub use rows::{Cursor, Rows, RunChanged, RunCopied, RunEnded, RunStarted};

use crate::clock::Millis;
use crate::id::{Chance, Epoch, ServerId, ShardKey};

/// What an owner is told of itself.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Of which shard.
    pub shard: ShardKey,
    /// Who owns it.
    pub server: ServerId,
    /// At which epoch.
    pub epoch: Epoch,
    /// How far ahead runs are written and held in memory.
    pub horizon_ms: i64,
    /// For jobs that name none: without contact for this long, an attempt is lost.
    pub worker_lost_after_ms: i64,
}

/// How much an owner holds, for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Written, not due yet.
    pub scheduled: usize,
    /// Due, waiting for a worker.
    pub waiting: usize,
    /// With a worker.
    pub dispatched: usize,
    /// Connected workers.
    pub workers: usize,
    /// Free slots of connected workers.
    pub free_slots: usize,
}

/// An owner's memory of its shard.
#[derive(Debug)]
pub struct Shard {}

impl Shard {
    /// An empty memory, to be filled by [`Shard::open`] and [`Shard::booted`].
    pub fn new(settings: Settings, chance: Chance) -> Self {
        todo!()
    }

    /// Takes one page of the boot. `until` is the horizon the page was asked with.
    pub fn open(&mut self, page: OpenPage, until: Millis) {
        todo!()
    }

    /// The boot has read everything: from `now` on, attempts in flight wait for their workers' Hello. An outage that this
    /// boot ends is the first message of the next batch.
    pub fn booted(&mut self, now: Millis) {
        todo!()
    }

    /// What must be loaded before `batch` can be decided at `now`.
    pub fn needs(&self, batch: &[Message], now: Millis) -> Needs {
        todo!()
    }

    /// Takes the batch message by message, then whatever is due at `now`.
    pub fn decide(&mut self, batch: Vec<Message>, facts: Facts, now: Millis) -> Plan {
        todo!()
    }

    /// When a turn has something to do even without a message; `None`: never. The present or past means at once.
    pub fn next_wake(&self) -> Option<Millis> {
        todo!()
    }

    /// How much it holds.
    pub fn load(&self) -> Load {
        todo!()
    }
}
