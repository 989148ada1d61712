//! Which stream carries which shard: what a Welcome, a Moved and the end of a stream change, and for how long the floor
//! of an epoch counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::{Held, Outbox, StreamId};
use crate::mutant::mutant;
use crate::protocol::v1;
use crate::worker::attempt::{Attempt, AttemptKey, CancelReason, duration};
use crate::worker::queue::Event;

pub(super) struct Shard {
    /// The stream whose Welcome named it.
    pub(super) stream: Option<StreamId>,
    floor: i64,
    /// When a frame of its owner came last.
    heard: Duration,
    /// When the worker was last known to its owner, whichever way.
    contact: Duration,
    /// Since when no stream carries it.
    down: Option<Duration>,
    lost_after: Duration,
    /// No attempt of it is lost with less time without contact.
    soonest_lost: Duration,
    /// Credit granted on its stream and not used.
    pub(super) unspent: u32,
    /// Credit that a Hello under way takes back: until its Welcome the owner may still have used it.
    pub(super) in_doubt: u32,
    pub(super) held: u32,
    /// Which of all grants was its last.
    pub(super) granted: u64,
    /// It was given slots, and has not been granted any since: they are not taken from it again.
    pub(super) endowed: bool,
    /// Slots that it has beyond its even share, or that others have of it.
    pub(super) lent: i64,
    /// Credit that is to be taken back, and not asked for yet.
    pub(super) recall: u32,
    /// Credit that was asked back; no more is while this is not answered.
    pub(super) recalling: u32,
    /// Outcomes to be sent.
    pub(super) ready: VecDeque<AttemptKey>,
}

#[derive(Default)]
pub(super) struct Stream {
    pub(super) wake: Arc<Notify>,
    welcomed: bool,
    /// Its server has said that it does not own shards that were expected of it.
    moved: bool,
    pub(super) said_bye: bool,
    /// The ordinal of the Hello it began with.
    first: u64,
    /// Of the newest Hello that was said again, by shard.
    again: BTreeMap<u32, u64>,
    /// Shards for which that is not answered: nothing is said for them meanwhile.
    pub(super) asked: BTreeSet<u32>,
    /// Shards for which Hello is to be said again.
    due: BTreeSet<u32>,
}

/// What a Welcome was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::worker) enum Greeted {
    /// The stream serves its shard.
    Served,
    /// A newer Hello was said since.
    Outdated,
    /// Its owner was replaced.
    Refused,
}

/// A server has said that it does not own shards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::worker) struct Move {
    pub(in crate::worker) stream: StreamId,
    /// Empty: all that were expected of it.
    pub(in crate::worker) shards: Vec<u32>,
    /// Where the owner listens; may be empty.
    pub(in crate::worker) to: String,
    /// Else how long to wait before asking.
    pub(in crate::worker) after: Duration,
}

/// A floor counts for this long after the last frame of the owner that set it.
pub(in crate::worker) const FLOOR_LAPSES: Duration = Duration::from_secs(15);
/// Moves that nobody has followed yet; Locate tells of others.
const MAX_MOVES: usize = 1_024;

impl Outbox {
    /// The shards that the app has: the slots are spread over them.
    pub(in crate::worker) fn locate(&mut self, shards: impl IntoIterator<Item = u32>, now: Duration) {
        for shard in shards {
            self.know(shard, now);
        }
        self.wake_all();
    }

    /// A shard of the app. Each that was not known changes the share of all.
    fn know(&mut self, number: u32, now: Duration) {
        let known = self.shards.len();
        self.shards.entry(number).or_insert_with(|| Shard::new(now));
        if self.shards.len() > known {
            self.shards.values_mut().for_each(|shard| shard.lent = 0);
        }
    }

    /// A stream begins: nothing is sent on it before its Welcome but the Hello.
    pub(in crate::worker) fn open(&mut self, stream: StreamId) -> Arc<Notify> {
        let opened = Stream::default();
        let wake = opened.wake.clone();
        self.streams.insert(stream, opened);
        wake
    }

    /// A stream has ended; so has its credit.
    pub(in crate::worker) fn close(&mut self, stream: StreamId, now: Duration) {
        self.streams.remove(&stream);
        if mutant("outbox_dropped") {
            let finished = self.held.iter().filter(|(_, held)| held.outcome.is_some());
            for key in finished.map(|(key, _)| *key).collect::<Vec<_>>() {
                self.disown(&key, CancelReason::Lost, now, &mut Vec::new());
            }
        }
        for (number, shard) in self.shards.iter_mut().filter(|(_, shard)| shard.stream == Some(stream)) {
            shard.detach(now);
            self.wants.retain(|waiting| waiting != number);
        }
        self.serve_wants();
    }

    /// An owner has judged a Hello: which shard this stream serves, and what is not wanted any more.
    pub(in crate::worker) fn welcome(
        &mut self,
        stream: StreamId,
        welcome: &v1::Welcome,
        now: Duration,
        events: &mut Vec<Event>,
    ) -> Greeted {
        welcome.shards.iter().for_each(|of| self.know(of.shard, now));
        let Some(opened) = self.streams.get_mut(&stream) else { return Greeted::Refused };
        let mut greeted = Greeted::Refused;
        for of in &welcome.shards {
            let newest = opened.again.get(&of.shard).copied().unwrap_or(opened.first);
            if welcome.ordinal != 0 && welcome.ordinal != newest {
                return Greeted::Outdated;
            }
            let shard = self.shards.get_mut(&of.shard).expect("known by now");
            opened.asked.remove(&of.shard);
            if of.epoch < shard.floor_at(now) {
                continue;
            }
            opened.welcomed = true;
            shard.attach(stream, of.epoch, duration(welcome.lost_after_ms), now);
            // What this stream has not carried yet, its Hello included, may have gone to an owner that was replaced.
            let unsaid =
                self.held.iter().filter(|(key, held)| key.shard == of.shard && held.is_unsaid_on(stream));
            shard.ready = unsaid.map(|(key, _)| *key).collect();
            greeted = Greeted::Served;
        }
        if greeted == Greeted::Served {
            for key in welcome.drop.iter().filter_map(AttemptKey::from_wire) {
                self.disown(&key, CancelReason::Superseded, now, events);
            }
        }
        greeted
    }

    /// A Hello with this ordinal is composed for the stream: the first one for all shards, others for those named.
    pub(super) fn greet(&mut self, stream: StreamId, shards: &[u32], ordinal: u64) {
        let Some(open) = self.streams.get_mut(&stream) else { return };
        if shards.is_empty() {
            open.first = ordinal;
        }
        for &number in shards {
            open.again.insert(number, ordinal);
            open.asked.insert(number);
        }
        for (number, shard) in &mut self.shards {
            let named = shards.is_empty() || shards.contains(number);
            if named && shard.stream.is_none_or(|served| served == stream) {
                let in_doubt = shard.in_doubt + shard.unspent;
                shard.void_credit();
                shard.in_doubt = in_doubt;
                self.wants.retain(|waiting| waiting != number);
                shard.ready.clear();
            }
        }
    }

    /// Hello is to be said again on this stream, for this shard.
    pub(in crate::worker) fn ask_again(&mut self, stream: StreamId, shard: u32) {
        if let Some(open) = self.streams.get_mut(&stream) {
            open.due.insert(shard);
            open.wake.notify_one();
        }
    }

    /// The shards for which Hello is to be said again now.
    pub(in crate::worker) fn take_due(&mut self, stream: StreamId) -> Vec<u32> {
        self.streams
            .get_mut(&stream)
            .map_or_else(Vec::new, |open| std::mem::take(&mut open.due).into_iter().collect())
    }

    /// A frame came on this stream.
    pub(in crate::worker) fn heard(&mut self, stream: StreamId, now: Duration) {
        for shard in self.shards.values_mut().filter(|shard| shard.stream == Some(stream)) {
            shard.heard = now;
            shard.contact = now;
        }
    }

    /// The owner of this shard has heard of the worker through another server.
    pub(in crate::worker) fn reached(&mut self, shard: u32, now: Duration) {
        if let Some(shard) = self.shards.get_mut(&shard) {
            shard.contact = now;
        }
    }

    /// The stream's server does not own the shards (empty: any of them): it sends nothing more for them, and nothing is said to it for them.
    pub(in crate::worker) fn moved(&mut self, moved: Move, now: Duration) {
        let stream = moved.stream;
        self.retire(stream, &moved.shards, now);
        if let Some(open) = self.streams.get_mut(&stream) {
            if moved.shards.is_empty() {
                open.asked.clear();
                open.due.clear();
            }
            open.asked.retain(|shard| !moved.shards.contains(shard));
        }
        if self.moves.len() >= MAX_MOVES {
            self.moves.remove(0);
        }
        self.moves.push(moved);
    }

    /// Takes the shards (empty: all) from a stream whose server was replaced as their owner.
    pub(in crate::worker) fn retire(&mut self, stream: StreamId, shards: &[u32], now: Duration) {
        for (number, shard) in &mut self.shards {
            if shard.stream == Some(stream) && (shards.is_empty() || shards.contains(number)) {
                shard.detach(now);
                self.wants.retain(|waiting| waiting != number);
            }
        }
        self.serve_wants();
        if let Some(open) = self.streams.get_mut(&stream) {
            open.moved = true;
            open.wake.notify_one();
        }
    }

    /// What is to be followed.
    pub(in crate::worker) fn take_moves(&mut self) -> Vec<Move> {
        std::mem::take(&mut self.moves)
    }

    /// Whether the stream's server owns nothing any more that is expected of it.
    pub(in crate::worker) fn is_vacated(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_some_and(|open| {
            open.moved && open.asked.is_empty() && open.due.is_empty() && !self.serves(stream)
        })
    }

    /// Whether outcomes that were sent on this stream, and on no newer one, wait for an acknowledgement.
    pub(in crate::worker) fn awaits_acks(&self, stream: StreamId) -> bool {
        self.unacked > 0
            && self.held.values().any(|held| held.outcome.is_some() && held.sent_on == Some(stream))
    }

    /// Whether this stream has had a Welcome.
    pub(in crate::worker) fn is_welcomed(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_some_and(|open| open.welcomed)
    }

    /// Whether any shard is served on this stream.
    pub(in crate::worker) fn serves(&self, stream: StreamId) -> bool {
        self.shards.values().any(|shard| shard.stream == Some(stream))
    }

    /// The stream that serves the shard.
    pub(in crate::worker) fn stream_of(&self, shard: u32) -> Option<StreamId> {
        self.shards.get(&shard)?.stream
    }

    /// Gives up what was without contact for too long; answers when the next attempt would be.
    pub(super) fn lose_contact(&mut self, now: Duration, events: &mut Vec<Event>) -> Option<Duration> {
        let due = |shard: &Shard| shard.contact.saturating_add(shard.soonest_lost);
        let late = |shard: &Shard| shard.held > 0 && due(shard) <= now;
        if self.shards.values().any(late) {
            self.lose_attempts(now, events);
        }
        self.shards.values().filter(|shard| shard.held > 0).map(due).filter(|due| *due > now).min()
    }

    fn lose_attempts(&mut self, now: Duration, events: &mut Vec<Event>) {
        let mut lost = Vec::new();
        let mut soonest: BTreeMap<u32, Duration> = BTreeMap::new();
        let holds = |held: &Held| {
            !held.settled && !held.returned && held.attempt.cancel_reason() != Some(CancelReason::Lost)
        };
        for (key, held) in self.held.iter().filter(|(_, held)| holds(held)) {
            let Some(shard) = self.shards.get(&key.shard) else { continue };
            let after = shard.lost_after(&held.attempt);
            if shard.contact.saturating_add(after) <= now {
                lost.push(*key);
            } else {
                let first = soonest.entry(key.shard).or_insert(after);
                *first = after.min(*first);
            }
        }
        for (number, shard) in &mut self.shards {
            shard.soonest_lost = soonest.get(number).copied().unwrap_or(Duration::MAX);
        }
        for key in lost {
            self.give_up(&key, now, events);
        }
    }

    pub(super) fn wake(&self, shard: u32) {
        self.wake_stream(self.shards.get(&shard).and_then(|shard| shard.stream));
    }

    pub(super) fn wake_stream(&self, stream: Option<StreamId>) {
        if let Some(open) = stream.and_then(|stream| self.streams.get(&stream)) {
            open.wake.notify_one();
        }
    }

    pub(super) fn wake_all(&self) {
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
            contact: now,
            down: Some(now),
            lost_after: Duration::MAX,
            soonest_lost: Duration::MAX,
            unspent: 0,
            in_doubt: 0,
            held: 0,
            granted: 0,
            endowed: false,
            lent: 0,
            recall: 0,
            recalling: 0,
            ready: VecDeque::new(),
        }
    }

    /// Its stream grants nothing any more: what was granted is void.
    pub(super) fn void_credit(&mut self) {
        self.unspent = 0;
        self.in_doubt = 0;
        self.endowed = false;
        self.recall = 0;
        self.recalling = 0;
    }

    /// The highest epoch seen, as long as it counts; else 0.
    pub(super) fn floor_at(&self, now: Duration) -> i64 {
        if now.saturating_sub(self.heard) > FLOOR_LAPSES { 0 } else { self.floor }
    }

    /// A frame of this epoch has come.
    pub(super) fn raise_floor(&mut self, epoch: i64) {
        self.floor = self.floor.max(epoch);
    }

    /// An attempt of its owner begins.
    pub(super) fn takes(&mut self, attempt: &Attempt) {
        self.held += 1;
        self.soonest_lost = self.soonest_lost.min(self.lost_after(attempt));
    }

    /// How long the attempt may be without contact.
    fn lost_after(&self, attempt: &Attempt) -> Duration {
        attempt.lost_after.unwrap_or(self.lost_after)
    }

    /// Since when no stream carries it.
    pub(super) fn down_since(&self) -> Option<Duration> {
        self.down
    }

    fn attach(&mut self, stream: StreamId, epoch: i64, lost_after: Duration, now: Duration) {
        self.stream = Some(stream);
        self.floor = epoch;
        self.heard = now;
        self.contact = now;
        self.down = None;
        self.lost_after = if lost_after.is_zero() { Duration::MAX } else { lost_after };
        self.soonest_lost = self.soonest_lost.min(self.lost_after);
        self.void_credit();
    }

    fn detach(&mut self, now: Duration) {
        self.stream = None;
        self.void_credit();
        self.down = Some(now);
    }
}
