//! The last step of a turn: what was committed is sent, answered and counted. Nothing here can fail the turn.

use std::collections::HashMap;

use fastjob_core::clock::Millis;
use fastjob_core::domain::State;
use fastjob_core::shard::{Frame, Message, Plan, Reply, Rows, StreamId};

use super::Owner;
use crate::failpoint::failpoint;
use crate::metrics::OpenRuns;

impl Owner {
    pub(super) fn act(&mut self, plan: Plan, rows: &Rows, now: Millis) {
        if plan.frames.iter().any(|(_, frame)| matches!(frame, Frame::Ack { .. })) {
            failpoint("before_acknowledgement");
        }
        self.count(&plan, rows);
        let sent = plan.frames.iter().any(|(_, frame)| matches!(frame, Frame::Dispatch(_)));
        self.send(plan.frames, now);
        if sent {
            failpoint("after_send");
        }
        for (ticket, reply) in plan.replies {
            if let Reply::Overdue(overdue) = &reply {
                self.metrics.overdue(overdue, now);
            }
            self.reply(ticket, reply);
        }
        self.shared.waiters.ended(&plan.ended);
        self.count_commands(rows);
    }

    fn count_commands(&self, rows: &Rows) {
        self.metrics.commands(rows.inbox_done.len(), rows.inbox_failed.len());
        if let Some(first) = rows.inbox_failed.first() {
            let (id, reason) = (first.id, &*first.reason);
            let rows = rows.inbox_failed.len();
            tracing::warn!(shard = %self.settings.shard, rows, first = %id, reason, "commands of the inbox set aside");
        }
    }

    fn count(&mut self, plan: &Plan, rows: &Rows) {
        for (_, frame) in &plan.frames {
            if let Frame::Dispatch(dispatch) = frame
                && dispatch.key.attempt == 1
            {
                self.metrics.run_dispatched(dispatch.dispatched_at.since(dispatch.due));
            }
        }
        for run in &rows.runs_created {
            self.metrics.run_created(run.source.as_str());
        }
        let at_once = rows.runs_created.iter().map(|run| run.state);
        for state in rows.runs_ended.iter().map(|run| State::Ended(run.ended)).chain(at_once) {
            if let State::Ended(ended) = state {
                self.metrics.run_ended(state.as_str(), ended.reason());
            }
        }
        let load = self.shard.load();
        self.load.show(load);
        self.metrics.open_runs(OpenRuns {
            waiting: load.waiting,
            buffered: load.buffered,
            scheduled: load.scheduled,
            dispatched: load.dispatched,
        });
    }

    /// A stream that does not keep up is closed: its worker says hello again, and nothing is lost.
    pub(super) fn send(&mut self, frames: Vec<(StreamId, Frame)>, now: Millis) {
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
