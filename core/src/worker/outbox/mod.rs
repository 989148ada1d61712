//! What the worker holds, as data: attempts from their dispatch until their outcome is acknowledged and their handler has
//! returned, and the credit granted for more. It sends nothing and reads no clock.
//!
//! Invariant: credit that is out on live streams and attempts held are together never more than the slots.

mod elsewhere;
mod end;
mod outcome;
mod quota;
mod speak;
mod streams;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Millis;
use crate::protocol::v1;
use crate::worker::attempt::{Attempt, AttemptKey};
use crate::worker::handler::Completion;
use crate::worker::queue::Event;

use self::streams::{Shard, Stream};

pub(in crate::worker) use self::elsewhere::Report;
pub(in crate::worker) use self::speak::say;
pub(in crate::worker) use self::streams::{FLOOR_LAPSES, Greeted, Move};

/// Names one stream of this process.
pub(in crate::worker) type StreamId = u64;

pub(in crate::worker) struct Outbox {
    slots: u32,
    /// Which shard gets the first of the slots that do not divide evenly: differs between workers.
    turn: u32,
    held: HashMap<AttemptKey, Held>,
    shards: BTreeMap<u32, Shard>,
    /// Shards whose owners have runs for the worker and no credit, longest first.
    wants: VecDeque<u32>,
    /// Credits said so far.
    grants: u64,
    streams: HashMap<StreamId, Stream>,
    /// Not followed yet.
    moves: Vec<Move>,
    deadlines: BTreeSet<(Duration, AttemptKey)>,
    /// Outcomes that are durable but not judged yet: the newest, at most [`STORED_PER_SLOT`] for each slot.
    stored: VecDeque<v1::Outcome>,
    progress: BTreeMap<AttemptKey, (u32, String)>,
    /// Attempts whose handler has not returned.
    running: usize,
    /// Attempts whose outcome is known and not acknowledged.
    unacked: usize,
    leaving: bool,
}

struct Held {
    attempt: Arc<Attempt>,
    started_at: Option<Millis>,
    outcome: Option<v1::Outcome>,
    /// The stream that carried the outcome last.
    sent_on: Option<StreamId>,
    returned: bool,
    /// Acknowledged, or of no interest to the owner any more.
    settled: bool,
    deadline: Option<Duration>,
}

/// Stored outcomes that are remembered, for each slot; the oldest are dropped beyond it.
const STORED_PER_SLOT: usize = 4;

impl Outbox {
    pub(in crate::worker) fn new(slots: u32, turn: u32) -> Self {
        Self {
            slots,
            turn,
            held: HashMap::new(),
            shards: BTreeMap::new(),
            wants: VecDeque::new(),
            grants: 0,
            streams: HashMap::new(),
            moves: Vec::new(),
            deadlines: BTreeSet::new(),
            stored: VecDeque::new(),
            progress: BTreeMap::new(),
            running: 0,
            unacked: 0,
            leaving: false,
        }
    }

    /// Takes an attempt, unless it is held already, comes from an owner that was replaced, or makes no sense.
    pub(in crate::worker) fn dispatch(
        &mut self,
        stream: StreamId,
        dispatch: v1::Dispatch,
        now: Duration,
        events: &mut Vec<Event>,
    ) {
        let epoch = dispatch.epoch;
        let Some(attempt) = Attempt::from_wire(dispatch).map(Arc::new) else { return };
        let key = attempt.key;
        let Some(shard) = self.shards.get_mut(&key.shard) else { return };
        if shard.stream != Some(stream) || self.held.contains_key(&key) {
            return;
        }
        let had_credit = shard.unspent + shard.in_doubt > 0;
        let spent = if shard.in_doubt > 0 { &mut shard.in_doubt } else { &mut shard.unspent };
        *spent = spent.saturating_sub(1);
        // Without credit of its own it may not take the room that is promised to others.
        if epoch < shard.floor_at(now) || (!had_credit && self.free() == 0) {
            return;
        }
        let shard = self.shards.get_mut(&key.shard).expect("found above");
        shard.raise_floor(epoch);
        shard.takes(&attempt);
        self.running += 1;
        let deadline = now.saturating_add(attempt.timeout);
        self.deadlines.insert((deadline, key));
        let held = Held {
            attempt: attempt.clone(),
            started_at: None,
            outcome: None,
            sent_on: None,
            returned: false,
            settled: false,
            deadline: Some(deadline),
        };
        self.held.insert(key, held);
        events.push(Event::Dispatch(attempt));
    }

    /// The owner's verdict frees the outcome.
    pub(in crate::worker) fn acknowledge(&mut self, ack: &v1::OutcomeAck) {
        let Some(wire) = &ack.key else { return };
        self.stored.retain(|stored| stored.key.as_ref() != Some(wire));
        let Some(key) = AttemptKey::from_wire(wire) else { return };
        let Some(held) = self.held.get_mut(&key) else { return };
        let Some(outcome) = held.outcome.take() else { return };
        tracing::trace!(run = %key.run, attempt = key.attempt, verdict = ack.verdict().as_str_name(), "outcome answered");
        self.unacked -= 1;
        held.settled = true;
        if ack.verdict() == v1::Verdict::Stored {
            if self.stored.len() >= (self.slots as usize).saturating_mul(STORED_PER_SLOT) {
                self.stored.pop_front();
            }
            self.stored.push_back(outcome);
        }
        self.release(&key);
        self.wake(key.shard);
    }

    /// The handler is called.
    pub(in crate::worker) fn enter(&mut self, key: &AttemptKey, server_now: Millis) {
        if let Some(held) = self.held.get_mut(key) {
            held.started_at.get_or_insert(server_now);
        }
    }

    /// The handler has returned. Only the first call for an attempt counts, and nothing that comes after its grace.
    pub(in crate::worker) fn complete(
        &mut self,
        key: &AttemptKey,
        completion: Completion,
        server_now: Millis,
    ) {
        let Some(held) = self.held.get_mut(key) else { return };
        if std::mem::replace(&mut held.returned, true) {
            return;
        }
        self.running -= 1;
        self.progress.remove(key);
        if let Some(deadline) = held.deadline.take() {
            self.deadlines.remove(&(deadline, *key));
        }
        if held.outcome.is_none() && !held.settled {
            let outcome = outcome::returned(held, completion, server_now);
            self.report(key, outcome);
        }
        self.release(key);
        self.wake(key.shard);
    }

    /// How far a handler is. Only the newest is kept.
    pub(in crate::worker) fn progress(&mut self, key: &AttemptKey, percent: u32, note: &str) {
        if self.held.get(key).is_some_and(|held| !held.returned && !held.settled) {
            let note = note.chars().take(MAX_NOTE_CHARS).collect();
            self.progress.insert(*key, (percent.min(100), note));
            self.wake(key.shard);
        }
    }

    /// Nothing more is granted anywhere.
    pub(in crate::worker) fn leave(&mut self) {
        self.leaving = true;
        self.wake_all();
    }

    pub(in crate::worker) fn running(&self) -> usize {
        self.running
    }

    /// Whether no handler that runs has any time left: none of them is waited for.
    pub(in crate::worker) fn is_overdue(&self) -> bool {
        self.deadlines.is_empty()
    }

    pub(in crate::worker) fn unacked(&self) -> usize {
        self.unacked
    }

    /// Slots that are neither held nor promised.
    fn free(&self) -> u32 {
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        let unspent: u32 = self.shards.values().map(|shard| shard.unspent + shard.in_doubt).sum();
        self.slots.saturating_sub(held.saturating_add(unspent))
    }

    fn report(&mut self, key: &AttemptKey, outcome: v1::Outcome) {
        let Some(held) = self.held.get_mut(key) else { return };
        held.outcome = Some(outcome);
        self.unacked += 1;
        if let Some(shard) = self.shards.get_mut(&key.shard) {
            shard.ready.push_back(*key);
        }
    }

    /// Frees the slot if nothing holds it any more.
    fn release(&mut self, key: &AttemptKey) {
        if self.held.get(key).is_some_and(|held| held.settled && held.returned) {
            self.held.remove(key);
            if let Some(shard) = self.shards.get_mut(&key.shard) {
                shard.held -= 1;
            }
            self.serve_wants();
        }
    }
}

impl Held {
    /// Whether its outcome is known and this stream has not carried it.
    fn is_unsaid_on(&self, stream: StreamId) -> bool {
        self.outcome.is_some() && self.sent_on != Some(stream)
    }
}

/// Characters of a progress note.
const MAX_NOTE_CHARS: usize = 1_024;
