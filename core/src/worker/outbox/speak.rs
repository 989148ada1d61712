//! What a stream carries to its server: the Hello, outcomes, credit, progress, and the Bye.

use std::time::Duration;

use prost::Message;

use super::{Outbox, StreamId};
use crate::protocol::v1;
use crate::protocol::v1::worker_message::Message as Said;

/// The part of a Hello that says what is held.
#[derive(Default)]
pub(in crate::worker) struct Holdings {
    pub(in crate::worker) floors: Vec<v1::ShardEpoch>,
    pub(in crate::worker) running: Vec<v1::RunningAttempt>,
    pub(in crate::worker) unacked: Vec<v1::Outcome>,
}

/// Messages of one frame, at most.
pub(in crate::worker) const MAX_FRAME_MESSAGES: usize = 100;
/// Bytes of one frame, about: a frame ends with the message that passes it.
pub(in crate::worker) const MAX_FRAME_BYTES: usize = 1024 * 1024;
/// Bytes of outcomes in a Hello, about; further ones are listed as running and sent after the Welcome.
const MAX_HELLO_BYTES: usize = 2 * 1024 * 1024;

impl Outbox {
    /// What a Hello on this stream lists: of the shards named, or, on a new stream, all that is held of whatever shard,
    /// since an owner may come to own a shard that another stream still serves. A server passes over the shards that are
    /// not its own.
    pub(in crate::worker) fn hello(
        &mut self,
        stream: StreamId,
        shards: &[u32],
        ordinal: u64,
        now: Duration,
    ) -> Holdings {
        self.greet(stream, shards, ordinal);
        let named = |shard: u32| shards.is_empty() || shards.contains(&shard);
        let mut said = Holdings::default();
        for (&number, shard) in self.shards.iter().filter(|(number, _)| named(**number)) {
            let epoch = shard.floor_at(now);
            if epoch > 0 {
                said.floors.push(v1::ShardEpoch { shard: number, epoch });
            }
        }
        let mut bytes = 0;
        for (key, held) in self.held.iter_mut().filter(|(key, held)| named(key.shard) && !held.settled) {
            match &held.outcome {
                Some(outcome) if bytes < MAX_HELLO_BYTES => {
                    bytes += outcome.encoded_len();
                    said.unacked.push(outcome.clone());
                    held.sent_on = Some(stream);
                }
                _ => {
                    held.sent_on = None;
                    let phase =
                        if held.started_at.is_some() { v1::Phase::Running } else { v1::Phase::Queued };
                    said.running.push(v1::RunningAttempt { key: Some(key.to_wire()), phase: phase.into() });
                }
            }
        }
        for outcome in self.stored.iter().filter(|outcome| named(shard_of(outcome))) {
            if bytes < MAX_HELLO_BYTES {
                bytes += outcome.encoded_len();
                said.unacked.push(outcome.clone());
            }
        }
        said
    }

    /// Writes the messages that this stream should carry now; answers whether more are left.
    pub(in crate::worker) fn fill(
        &mut self,
        stream: StreamId,
        messages: &mut Vec<v1::WorkerMessage>,
    ) -> bool {
        let Some(open) = self.streams.get(&stream) else { return false };
        let grants = !self.leaving;
        let mut bytes = 0;
        let mut more = false;
        let (shares, mut free, waiting) = (self.shares(), self.free(), self.waiting());
        for (rank, (&number, shard)) in self.shards.iter_mut().enumerate() {
            if shard.stream != Some(stream) || open.asked.contains(&number) {
                continue;
            }
            while let Some(key) = shard.ready.front() {
                if messages.len() >= MAX_FRAME_MESSAGES || bytes >= MAX_FRAME_BYTES {
                    more = true;
                    break;
                }
                if let Some(held) = self.held.get_mut(key)
                    && let Some(outcome) = held.outcome.clone()
                {
                    held.sent_on = Some(stream);
                    bytes += outcome.encoded_len();
                    messages.push(say(Said::Outcome(outcome)));
                }
                shard.ready.pop_front();
            }
            let add = shares.owed(rank, shard).min(free.saturating_sub(waiting.before(number)));
            let goes =
                !messages.is_empty() || is_worth_a_frame(add, shard.unspent, shares.quota(rank, shard));
            if grants && add > 0 && goes {
                shard.unspent += add;
                free -= add;
                self.grants += 1;
                shard.granted = self.grants;
                shard.endowed = false;
                self.wants.retain(|waiting| *waiting != number);
                messages.push(say(Said::Credit(v1::Credit { shard: number, add })));
            }
            if shard.recall > 0 {
                shard.recalling = std::mem::take(&mut shard.recall);
                messages.push(say(Said::Recall(v1::Recall { shard: number, credit: shard.recalling })));
            }
        }
        self.fill_progress(stream, messages);
        if self.leaving && !more && self.serves(stream) {
            self.say_bye(stream, messages);
        }
        more
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
}

/// 0 for an outcome that names no attempt; there is none.
pub(super) fn shard_of(outcome: &v1::Outcome) -> u32 {
    outcome.key.as_ref().map_or(0, |key| key.shard)
}

/// Whether credit goes at once, or with the next frame that goes anyway: the owner still has more than is held back.
fn is_worth_a_frame(add: u32, unspent: u32, quota: u32) -> bool {
    unspent <= add || u64::from(add) * 4 >= u64::from(quota)
}

pub(in crate::worker) fn say(message: Said) -> v1::WorkerMessage {
    v1::WorkerMessage { message: Some(message) }
}
