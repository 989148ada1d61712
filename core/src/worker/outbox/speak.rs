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
    /// What a Hello on this stream lists: all that is held, of whatever shard, since an owner may come to own a shard that
    /// another stream still serves. A server passes over the shards that are not its own.
    pub(in crate::worker) fn hello(&mut self, stream: StreamId, now: Duration) -> Holdings {
        let mut said = Holdings::default();
        if let Some(open) = self.streams.get_mut(&stream) {
            open.welcomed = false;
        }
        for (&number, shard) in &mut self.shards {
            if shard.is_listed_by(stream) {
                shard.unspent = 0;
                shard.ready.clear();
            }
            if shard.floor_at(now) > 0 {
                said.floors.push(v1::ShardEpoch { shard: number, epoch: shard.floor });
            }
        }
        let mut bytes = 0;
        for (key, held) in self.held.iter().filter(|(_, held)| !held.settled) {
            match &held.outcome {
                Some(outcome) if bytes < MAX_HELLO_BYTES => {
                    bytes += outcome.encoded_len();
                    said.unacked.push(outcome.clone());
                }
                outcome => {
                    let shard = self.shards.get_mut(&key.shard).filter(|shard| shard.is_listed_by(stream));
                    if let (Some(_), Some(shard)) = (outcome, shard) {
                        shard.ready.push_back(*key);
                    }
                    let phase =
                        if held.started_at.is_some() { v1::Phase::Running } else { v1::Phase::Queued };
                    said.running.push(v1::RunningAttempt { key: Some(key.to_wire()), phase: phase.into() });
                }
            }
        }
        for outcome in &self.stored {
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

/// Of `slots`, those of the shard with this rank among `count`.
fn share(slots: u32, count: usize, rank: usize) -> u32 {
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    slots / count + u32::from(rank < (slots % count) as usize)
}

pub(in crate::worker) fn say(message: Said) -> v1::WorkerMessage {
    v1::WorkerMessage { message: Some(message) }
}
