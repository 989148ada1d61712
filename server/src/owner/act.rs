//! The last step of a turn: what was committed is sent, answered and counted. Nothing here can fail the turn.

use std::collections::HashMap;

use fastjob_core::clock::Millis;
use fastjob_core::shard::{Frame, Message, Plan, StreamId};

use super::Owner;
use crate::failpoint::failpoint;
use crate::metrics;

impl Owner {
    pub(super) fn act(&mut self, plan: Plan, now: Millis) {
        if plan.frames.iter().any(|(_, frame)| matches!(frame, Frame::Ack { .. })) {
            failpoint("before_acknowledgement");
        }
        metrics::decided(&self.app, &plan, self.shard.load(), now);
        let sent = plan.frames.iter().any(|(_, frame)| matches!(frame, Frame::Dispatch(_)));
        self.send(plan.frames, now);
        if sent {
            failpoint("after_send");
        }
        for (ticket, reply) in plan.replies {
            self.reply(ticket, reply);
        }
        self.shared.waiters.ended(&plan.ended);
    }

    /// A stream that does not keep up is closed: its worker says hello again, and nothing is lost.
    fn send(&mut self, frames: Vec<(StreamId, Frame)>, now: Millis) {
        let mut by_stream: HashMap<StreamId, Vec<Frame>> = HashMap::new();
        for (stream, frame) in frames {
            by_stream.entry(stream).or_default().push(frame);
        }
        for (stream, frames) in by_stream {
            let Some(queue) = self.streams.get(&stream) else { continue };
            if queue.try_send(frames).is_err() {
                tracing::warn!(shard = %self.settings.shard, stream = stream.0, "stream closed: its queue is full or gone");
                self.streams.remove(&stream);
                self.own.push(Message::StreamEnded { stream, last_contact: now });
            }
        }
    }
}
