//! What the worker holds, as data: attempts from their dispatch until their outcome is acknowledged and their handler has
//! returned, and the credit granted for more. It sends nothing and reads no clock.
//!
//! Invariant: credit that is out on live streams and attempts held are together never more than the slots.

mod end;
mod outcome;
mod speak;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Millis;
use crate::protocol::v1;
use crate::worker::attempt::{Attempt, AttemptKey, CancelReason, duration};
use crate::worker::handler::Completion;
use crate::worker::queue::Event;

pub(in crate::worker) use self::speak::say;

/// Names one stream of this process.
pub(in crate::worker) type StreamId = u64;

pub(in crate::worker) struct Outbox {
    slots: u32,
    /// Which shard gets the first of the slots that do not divide evenly: differs between workers.
    turn: u32,
    held: HashMap<AttemptKey, Held>,
    shards: BTreeMap<u32, Shard>,
    streams: HashMap<StreamId, Stream>,
    deadlines: BTreeSet<(Duration, AttemptKey)>,
    /// Outcomes that are durable but not judged yet; the newest, at most as many as there are slots.
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
    returned: bool,
    /// Acknowledged, or of no interest to the owner any more.
    settled: bool,
    deadline: Option<Duration>,
}

struct Shard {
    /// The stream whose Welcome named it.
    stream: Option<StreamId>,
    floor: i64,
    /// When a frame of its owner came last.
    heard: Duration,
    lost_after: Duration,
    lost: bool,
    /// Credit granted on its stream and not used.
    unspent: u32,
    held: u32,
    /// Outcomes to be sent.
    ready: VecDeque<AttemptKey>,
}

struct Stream {
    wake: Arc<Notify>,
    welcomed: bool,
    /// No credit is granted on it any more.
    retired: bool,
    said_bye: bool,
}

/// A floor counts for this long after the last frame of the owner that set it.
pub(in crate::worker) const FLOOR_LAPSES: Duration = Duration::from_secs(15);

impl Outbox {
    pub(in crate::worker) fn new(slots: u32, turn: u32) -> Self {
        Self {
            slots,
            turn,
            held: HashMap::new(),
            shards: BTreeMap::new(),
            streams: HashMap::new(),
            deadlines: BTreeSet::new(),
            stored: VecDeque::new(),
            progress: BTreeMap::new(),
            running: 0,
            unacked: 0,
            leaving: false,
        }
    }

    /// The shards that the app has: the slots are spread over them.
    pub(in crate::worker) fn locate(&mut self, shards: impl IntoIterator<Item = u32>, now: Duration) {
        for shard in shards {
            self.shards.entry(shard).or_insert_with(|| Shard::new(now));
        }
        self.wake_all();
    }

    /// A stream begins: nothing is sent on it before its Welcome but the Hello.
    pub(in crate::worker) fn open(&mut self, stream: StreamId) -> Arc<Notify> {
        let wake = Arc::new(Notify::new());
        let opened = Stream { wake: wake.clone(), welcomed: false, retired: false, said_bye: false };
        self.streams.insert(stream, opened);
        wake
    }

    /// A stream has ended; so has its credit.
    pub(in crate::worker) fn close(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
        for shard in self.shards.values_mut().filter(|shard| shard.stream == Some(stream)) {
            shard.stream = None;
            shard.unspent = 0;
        }
    }

    /// The owner has judged the Hello: which shards this stream serves, and what is not wanted any more.
    /// Answers how many shards it may serve: those of an older epoch than the floor are refused.
    pub(in crate::worker) fn welcome(
        &mut self,
        stream: StreamId,
        welcome: &v1::Welcome,
        now: Duration,
        events: &mut Vec<Event>,
    ) -> usize {
        let Some(opened) = self.streams.get_mut(&stream) else { return 0 };
        opened.welcomed = true;
        let mut served = 0;
        for of in &welcome.shards {
            let shard = self.shards.entry(of.shard).or_insert_with(|| Shard::new(now));
            if of.epoch < shard.floor_at(now) {
                continue;
            }
            served += 1;
            shard.stream = Some(stream);
            shard.floor = of.epoch;
            shard.heard = now;
            shard.lost_after = duration(welcome.lost_after_ms);
            shard.lost = false;
            shard.unspent = 0;
        }
        for key in welcome.drop.iter().filter_map(AttemptKey::from_wire) {
            self.disown(&key, CancelReason::Superseded, now, events);
        }
        served
    }

    /// A frame came on this stream.
    pub(in crate::worker) fn heard(&mut self, stream: StreamId, now: Duration) {
        for shard in self.shards.values_mut().filter(|shard| shard.stream == Some(stream)) {
            shard.heard = now;
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
        let had_credit = shard.unspent > 0;
        shard.unspent = shard.unspent.saturating_sub(1);
        // Without credit of its own it may not take the room that is promised to others.
        if epoch < shard.floor_at(now) || (!had_credit && self.free() == 0) {
            return;
        }
        let shard = self.shards.get_mut(&key.shard).expect("found above");
        shard.floor = shard.floor.max(epoch);
        shard.held += 1;
        self.running += 1;
        let deadline = now.saturating_add(attempt.timeout);
        self.deadlines.insert((deadline, key));
        let held = Held {
            attempt: attempt.clone(),
            started_at: None,
            outcome: None,
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
            if self.stored.len() >= self.slots as usize {
                self.stored.pop_front();
            }
            self.stored.push_back(outcome);
        }
        self.release(&key);
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

    /// Nothing is granted on this stream any more: its server no longer owns the shards.
    pub(in crate::worker) fn retire(&mut self, stream: StreamId) {
        if let Some(open) = self.streams.get_mut(&stream) {
            open.retired = true;
        }
        for shard in self.shards.values_mut().filter(|shard| shard.stream == Some(stream)) {
            shard.unspent = 0;
        }
    }

    /// Whether outcomes wait for an acknowledgement on this stream.
    pub(in crate::worker) fn awaits_acks(&self, stream: StreamId) -> bool {
        self.unacked > 0
            && self.held.iter().any(|(key, held)| {
                held.outcome.is_some()
                    && self.shards.get(&key.shard).is_some_and(|shard| shard.stream == Some(stream))
            })
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

    /// Whether this stream has had its Welcome.
    pub(in crate::worker) fn is_welcomed(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_some_and(|open| open.welcomed)
    }

    pub(in crate::worker) fn is_served(&self, shard: u32) -> bool {
        self.shards.get(&shard).is_some_and(|shard| shard.stream.is_some())
    }

    /// Slots that are neither held nor promised.
    fn free(&self) -> u32 {
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        let unspent: u32 = self.shards.values().map(|shard| shard.unspent).sum();
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
        }
    }

    fn wake(&self, shard: u32) {
        let stream = self.shards.get(&shard).and_then(|shard| shard.stream);
        if let Some(open) = stream.and_then(|stream| self.streams.get(&stream)) {
            open.wake.notify_one();
        }
    }

    fn wake_all(&self) {
        for open in self.streams.values() {
            open.wake.notify_one();
        }
    }
}

impl Shard {
    /// Whether no other live stream carries its outcomes.
    fn is_listed_by(&self, stream: StreamId) -> bool {
        self.stream.is_none_or(|served| served == stream)
    }

    fn new(now: Duration) -> Self {
        Self {
            stream: None,
            floor: 0,
            heard: now,
            lost_after: Duration::ZERO,
            lost: false,
            unspent: 0,
            held: 0,
            ready: VecDeque::new(),
        }
    }

    fn floor_at(&self, now: Duration) -> i64 {
        if now.saturating_sub(self.heard) > FLOOR_LAPSES { 0 } else { self.floor }
    }
}

/// Characters of a progress note.
const MAX_NOTE_CHARS: usize = 1_024;
