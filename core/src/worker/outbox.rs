//! What the worker holds, as data: attempts from their dispatch until their outcome is acknowledged and their handler has
//! returned, and the credit granted for more. It sends nothing and reads no clock.
//!
//! Invariant: credit that is out on live streams and attempts held are together never more than the slots.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::sync::Notify;

use super::attempt::{Attempt, AttemptKey, CancelReason, duration};
use super::handler::Completion;
use super::queue::Event;
use crate::clock::Millis;
use crate::domain::{Failure, Payload};
use crate::protocol::v1;
use crate::protocol::v1::worker_message::Message as Said;

/// Names one stream of this process.
pub(super) type StreamId = u64;

pub(super) struct Outbox {
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

/// The part of a Hello that says what is held.
#[derive(Default)]
pub(super) struct Holdings {
    pub(super) floors: Vec<v1::ShardEpoch>,
    pub(super) running: Vec<v1::RunningAttempt>,
    pub(super) unacked: Vec<v1::Outcome>,
}

/// Messages of one frame, at most.
pub(super) const MAX_FRAME_MESSAGES: usize = 100;
/// Bytes of one frame, about: a frame ends with the message that passes it.
pub(super) const MAX_FRAME_BYTES: usize = 1024 * 1024;
/// Bytes of outcomes in a Hello, about; further ones are listed as running and sent after the Welcome.
const MAX_HELLO_BYTES: usize = 2 * 1024 * 1024;
/// A floor counts for this long after the last frame of the owner that set it.
pub(super) const FLOOR_LAPSES: Duration = Duration::from_secs(15);

impl Outbox {
    pub(super) fn new(slots: u32, turn: u32) -> Self {
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
    pub(super) fn locate(&mut self, shards: impl IntoIterator<Item = u32>, now: Duration) {
        for shard in shards {
            self.shards.entry(shard).or_insert_with(|| Shard::new(now));
        }
        self.wake_all();
    }

    /// A stream begins: nothing is sent on it before its Welcome but the Hello.
    pub(super) fn open(&mut self, stream: StreamId) -> Arc<Notify> {
        let wake = Arc::new(Notify::new());
        let opened = Stream { wake: wake.clone(), welcomed: false, retired: false, said_bye: false };
        self.streams.insert(stream, opened);
        wake
    }

    /// A stream has ended; so has its credit.
    pub(super) fn close(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
        for shard in self.shards.values_mut().filter(|shard| shard.stream == Some(stream)) {
            shard.stream = None;
            shard.unspent = 0;
        }
    }

    /// What a Hello on this stream lists: all that no other live stream answers for.
    pub(super) fn hello(&mut self, stream: StreamId, now: Duration) -> Holdings {
        let mut said = Holdings::default();
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.welcomed = false;
        }
        for (&number, shard) in &mut self.shards {
            if shard.stream == Some(stream) {
                shard.unspent = 0;
            }
            if shard.stream.is_none_or(|served| served == stream) {
                shard.ready.clear();
                if shard.floor_at(now) > 0 {
                    said.floors.push(v1::ShardEpoch { shard: number, epoch: shard.floor });
                }
            }
        }
        let mut bytes = 0;
        for (key, held) in self.held.iter().filter(|(_, held)| !held.settled) {
            let Some(shard) = self.shards.get_mut(&key.shard) else { continue };
            if shard.stream.is_some_and(|served| served != stream) {
                continue;
            }
            match &held.outcome {
                Some(outcome) if bytes < MAX_HELLO_BYTES => {
                    bytes += outcome.encoded_len();
                    said.unacked.push(outcome.clone());
                }
                outcome => {
                    if outcome.is_some() {
                        shard.ready.push_back(*key);
                    }
                    let phase =
                        if held.started_at.is_some() { v1::Phase::Running } else { v1::Phase::Queued };
                    said.running.push(v1::RunningAttempt { key: Some(key.to_wire()), phase: phase.into() });
                }
            }
        }
        for outcome in &self.stored {
            if bytes >= MAX_HELLO_BYTES {
                break;
            }
            let shard = outcome.key.as_ref().and_then(|key| self.shards.get(&key.shard));
            if shard.is_some_and(|shard| shard.stream.is_none_or(|served| served == stream)) {
                bytes += outcome.encoded_len();
                said.unacked.push(outcome.clone());
            }
        }
        said
    }

    /// The owner has judged the Hello: which shards this stream serves, and what is not wanted any more.
    /// Answers how many shards it may serve: those of an older epoch than the floor are refused.
    pub(super) fn welcome(
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
    pub(super) fn heard(&mut self, stream: StreamId, now: Duration) {
        for shard in self.shards.values_mut().filter(|shard| shard.stream == Some(stream)) {
            shard.heard = now;
        }
    }

    /// Takes an attempt, unless it is held already, comes from an owner that was replaced, or makes no sense.
    pub(super) fn dispatch(
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

    /// The owner wants an attempt to end.
    pub(super) fn cancel(&mut self, cancel: &v1::Cancel, now: Duration, events: &mut Vec<Event>) {
        let Some(key) = cancel.key.as_ref().and_then(AttemptKey::from_wire) else { return };
        match cancel.reason() {
            v1::CancelReason::Superseded => self.disown(&key, CancelReason::Superseded, now, events),
            v1::CancelReason::Timeout => {
                self.end_within(&key, CancelReason::Timeout, duration(cancel.grace_ms), now, events);
            }
            v1::CancelReason::Requested | v1::CancelReason::Unspecified => {
                self.end_within(&key, CancelReason::Requested, duration(cancel.grace_ms), now, events);
            }
        }
    }

    /// The worker stops: all handlers have at most `grace` to give way.
    pub(super) fn cancel_all(&mut self, grace: Duration, now: Duration, events: &mut Vec<Event>) {
        let keys: Vec<_> = self.held.iter().filter(|(_, held)| !held.returned).map(|(key, _)| *key).collect();
        for key in keys {
            let own = self.held[&key].attempt.grace;
            self.end_within(&key, CancelReason::Stopping, own.min(grace), now, events);
        }
    }

    /// The owner's verdict frees the outcome.
    pub(super) fn acknowledge(&mut self, ack: &v1::OutcomeAck) {
        let Some(wire) = &ack.key else { return };
        self.stored.retain(|stored| stored.key.as_ref() != Some(wire));
        let Some(key) = AttemptKey::from_wire(wire) else { return };
        let Some(held) = self.held.get_mut(&key) else { return };
        let Some(outcome) = held.outcome.take() else { return };
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
    pub(super) fn enter(&mut self, key: &AttemptKey, server_now: Millis) {
        if let Some(held) = self.held.get_mut(key) {
            held.started_at.get_or_insert(server_now);
        }
    }

    /// The handler has returned. Only the first call for an attempt counts, and nothing that comes after its grace.
    pub(super) fn complete(&mut self, key: &AttemptKey, completion: Completion, server_now: Millis) {
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
            let outcome = outcome(held, completion, server_now);
            self.report(key, outcome);
        }
        self.release(key);
        self.wake(key.shard);
    }

    /// How far a handler is. Only the newest is kept.
    pub(super) fn progress(&mut self, key: &AttemptKey, percent: u32, note: &str) {
        if self.held.get(key).is_some_and(|held| !held.returned && !held.settled) {
            let note = note.chars().take(MAX_NOTE_CHARS).collect();
            self.progress.insert(*key, (percent.min(100), note));
            self.wake(key.shard);
        }
    }

    /// What time has brought: timeouts, graces that are over, shards out of contact. Answers when to look again.
    pub(super) fn expire(
        &mut self,
        now: Duration,
        server_now: Millis,
        events: &mut Vec<Event>,
    ) -> Option<Duration> {
        while let Some(&(due, key)) = self.deadlines.first() {
            if due > now {
                break;
            }
            self.deadlines.pop_first();
            self.deadline_passed(&key, now, server_now, events);
        }
        let contact = self.lose_shards(now, events);
        let deadline = self.deadlines.first().map(|(due, _)| *due);
        [contact, deadline].into_iter().flatten().min()
    }

    /// Writes the messages that this stream should carry now; answers whether more are left.
    pub(super) fn fill(&mut self, stream: StreamId, messages: &mut Vec<v1::WorkerMessage>) -> bool {
        let Some(open) = self.streams.get(&stream).filter(|open| open.welcomed) else { return false };
        let grants = !self.leaving && !open.retired;
        let mut bytes = 0;
        let mut more = false;
        let (count, slots, mut free) = (self.shards.len(), self.slots, self.free());
        let turn = self.turn as usize % count.max(1);
        for (rank, (&number, shard)) in self.shards.iter_mut().enumerate() {
            if shard.stream != Some(stream) {
                continue;
            }
            while let Some(key) = shard.ready.front() {
                if messages.len() >= MAX_FRAME_MESSAGES || bytes >= MAX_FRAME_BYTES {
                    more = true;
                    break;
                }
                if let Some(outcome) = self.held.get(key).and_then(|held| held.outcome.clone()) {
                    bytes += outcome.encoded_len();
                    messages.push(say(Said::Outcome(outcome)));
                }
                shard.ready.pop_front();
            }
            let share = share(slots, count, (rank + count - turn) % count);
            let add = share.saturating_sub(shard.unspent + shard.held).min(free);
            if grants && add > 0 {
                shard.unspent += add;
                free -= add;
                messages.push(say(Said::Credit(v1::Credit { shard: number, add })));
            }
        }
        self.fill_progress(stream, messages);
        if self.leaving && !more {
            self.say_bye(stream, messages);
        }
        more
    }

    /// Nothing is granted on this stream any more: its server no longer owns the shards.
    pub(super) fn retire(&mut self, stream: StreamId) {
        if let Some(open) = self.streams.get_mut(&stream) {
            open.retired = true;
        }
        for shard in self.shards.values_mut().filter(|shard| shard.stream == Some(stream)) {
            shard.unspent = 0;
        }
    }

    /// Whether outcomes wait for an acknowledgement on this stream.
    pub(super) fn awaits_acks(&self, stream: StreamId) -> bool {
        self.unacked > 0
            && self.held.iter().any(|(key, held)| {
                held.outcome.is_some()
                    && self.shards.get(&key.shard).is_some_and(|shard| shard.stream == Some(stream))
            })
    }

    /// Nothing more is granted anywhere.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.wake_all();
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// Whether no handler that runs has any time left: none of them is waited for.
    pub(super) fn is_overdue(&self) -> bool {
        self.deadlines.is_empty()
    }

    pub(super) fn unacked(&self) -> usize {
        self.unacked
    }

    pub(super) fn is_served(&self, shard: u32) -> bool {
        self.shards.get(&shard).is_some_and(|shard| shard.stream.is_some())
    }

    /// Slots that are neither held nor promised.
    fn free(&self) -> u32 {
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        let unspent: u32 = self.shards.values().map(|shard| shard.unspent).sum();
        self.slots.saturating_sub(held.saturating_add(unspent))
    }

    fn end_within(
        &mut self,
        key: &AttemptKey,
        reason: CancelReason,
        grace: Duration,
        now: Duration,
        events: &mut Vec<Event>,
    ) {
        let Some(held) = self.held.get(key).filter(|held| !held.returned) else { return };
        if held.attempt.cancel(reason) {
            events.push(Event::Cancel { key: *key, reason });
            self.set_deadline(key, now.saturating_add(grace));
        } else if held.deadline.is_some_and(|deadline| deadline > now.saturating_add(grace)) {
            self.set_deadline(key, now.saturating_add(grace));
        }
    }

    /// The owner does not want to hear of it any more.
    fn disown(&mut self, key: &AttemptKey, reason: CancelReason, now: Duration, events: &mut Vec<Event>) {
        let Some(held) = self.held.get_mut(key).filter(|held| !held.settled) else { return };
        held.settled = true;
        if held.outcome.take().is_some() {
            self.unacked -= 1;
        }
        self.progress.remove(key);
        if !held.returned {
            let grace = held.attempt.grace;
            held.attempt.cancel(reason);
            events.push(Event::Cancel { key: *key, reason });
            self.set_deadline(key, now.saturating_add(grace));
        }
        self.release(key);
    }

    fn deadline_passed(
        &mut self,
        key: &AttemptKey,
        now: Duration,
        server_now: Millis,
        events: &mut Vec<Event>,
    ) {
        let Some(held) = self.held.get_mut(key) else { return };
        held.deadline = None;
        let Some(reason) = held.attempt.cancel_reason() else {
            let grace = held.attempt.grace;
            return self.end_within(key, CancelReason::Timeout, grace, now, events);
        };
        held.attempt.end();
        if !held.settled && held.outcome.is_none() {
            let outcome = overdue(held, reason, server_now);
            self.report(key, outcome);
            self.wake(key.shard);
        }
    }

    /// Gives up what is held for shards whose owner was not heard for too long; answers when the next one would be.
    fn lose_shards(&mut self, now: Duration, events: &mut Vec<Event>) -> Option<Duration> {
        let mut next: Option<Duration> = None;
        let mut lost = Vec::new();
        for (&number, shard) in &mut self.shards {
            if shard.held == 0 || shard.lost || shard.lost_after.is_zero() {
                continue;
            }
            let due = shard.heard.saturating_add(shard.lost_after);
            if due <= now {
                shard.lost = true;
                lost.push(number);
            } else {
                next = Some(next.map_or(due, |next| next.min(due)));
            }
        }
        if !lost.is_empty() {
            let keys: Vec<_> = self.held.keys().filter(|key| lost.contains(&key.shard)).copied().collect();
            for key in keys {
                self.disown(&key, CancelReason::Lost, now, events);
            }
        }
        next
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

    fn set_deadline(&mut self, key: &AttemptKey, due: Duration) {
        let Some(held) = self.held.get_mut(key) else { return };
        if let Some(before) = held.deadline.replace(due) {
            self.deadlines.remove(&(before, *key));
        }
        self.deadlines.insert((due, *key));
    }

    fn fill_progress(&mut self, stream: StreamId, messages: &mut Vec<v1::WorkerMessage>) {
        if self.progress.is_empty() {
            return;
        }
        let shards = &self.shards;
        self.progress.retain(|key, (percent, note)| {
            if shards.get(&key.shard).is_none_or(|shard| shard.stream != Some(stream))
                || messages.len() >= MAX_FRAME_MESSAGES
            {
                return true;
            }
            let (key, note) = (Some(key.to_wire()), std::mem::take(note));
            messages.push(say(Said::Progress(v1::Progress { key, percent: *percent, note })));
            false
        });
    }

    fn say_bye(&mut self, stream: StreamId, messages: &mut Vec<v1::WorkerMessage>) {
        if let Some(open) = self.streams.get_mut(&stream).filter(|open| !open.said_bye) {
            open.said_bye = true;
            messages.push(say(Said::Bye(v1::Bye {})));
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

/// Of `slots`, those of the shard with this rank among `count`.
fn share(slots: u32, count: usize, rank: usize) -> u32 {
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    slots / count + u32::from(rank < (slots % count) as usize)
}

fn outcome(held: &Held, completion: Completion, server_now: Millis) -> v1::Outcome {
    let mut outcome = blank(held, server_now);
    let error = match completion {
        Completion::Succeeded(result) if result.data.len() <= Payload::MAX_BYTES => {
            outcome.set_kind(v1::OutcomeKind::Succeeded);
            outcome.result = Some(crate::client::wire(result));
            return outcome;
        }
        Completion::Succeeded(result) => {
            let message =
                format!("the result has {} bytes, more than {}", result.data.len(), Payload::MAX_BYTES);
            Failure::new("result_too_large", &message, "").into()
        }
        Completion::Failed(error) => error,
    };
    outcome.set_kind(match held.attempt.cancel_reason() {
        Some(CancelReason::Timeout) => v1::OutcomeKind::TimedOut,
        Some(CancelReason::Requested) => v1::OutcomeKind::Cancelled,
        _ => v1::OutcomeKind::Failed,
    });
    outcome.error = Some(failure(&error.failure));
    outcome.retry_after_ms = error.retry_after_ms;
    outcome.give_up = error.give_up;
    outcome
}

/// Of an attempt whose handler has not returned in its grace.
fn overdue(held: &Held, reason: CancelReason, server_now: Millis) -> v1::Outcome {
    let mut outcome = blank(held, server_now);
    let (kind, class, message) = match reason {
        CancelReason::Timeout => {
            (v1::OutcomeKind::TimedOut, "timeout", "did not end within its timeout and grace")
        }
        CancelReason::Stopping => {
            (v1::OutcomeKind::Failed, "worker_stopped", "the worker stopped before it ended")
        }
        _ => (v1::OutcomeKind::Cancelled, "cancelled", "did not end within the grace after its cancel"),
    };
    outcome.set_kind(kind);
    outcome.error = Some(failure(&Failure::new(class, message, "")));
    outcome
}

fn blank(held: &Held, server_now: Millis) -> v1::Outcome {
    let started_at = held.started_at.map_or(0, Millis::get);
    let ended_at = server_now.get().max(started_at);
    v1::Outcome { key: Some(held.attempt.key.to_wire()), started_at, ended_at, ..Default::default() }
}

fn failure(failure: &Failure) -> v1::Failure {
    v1::Failure {
        class: failure.class.to_string(),
        message: failure.message.to_string(),
        trace: failure.trace.to_string(),
    }
}

pub(super) fn say(message: Said) -> v1::WorkerMessage {
    v1::WorkerMessage { message: Some(message) }
}
