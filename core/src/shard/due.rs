//! What time brings: runs that are due, that may no longer start, attempts that are lost or over their time.

use super::horizon::TURN_ROWS;
use super::memory::{Open, Stage};
use super::settling::Report;
use super::states::{self, Event, Hope, Next};
use super::turn::Turn;
use super::{CancelReason, Frame, Shard};
use crate::clock::Millis;
use crate::domain::{Failure, SkipReason, State};
use crate::id::RunId;

impl Shard {
    /// Looks at every run whose instant has come.
    pub(super) fn judge_due(&mut self, turn: &mut Turn) {
        let mut undecided = Vec::new();
        while turn.changes_made() < 2 * TURN_ROWS {
            let Some(id) = self.memory.next_due(turn.now) else { break };
            let Some(open) = self.memory.run(id) else { continue };
            match open.run.state {
                State::Scheduled if open.stage != Stage::Coming => {
                    self.skip(id, SkipReason::StartDeadline, turn)
                }
                State::Scheduled if self.must_wait_for_facts(open) => undecided.push(id),
                State::Scheduled => self.run_is_due(id, turn),
                State::Dispatched if is_over_unasked(open, turn) => undecided.push(id),
                State::Dispatched => self.attempt_is_overdue(id, turn),
                State::Ended(_) => {}
            }
        }
        for id in undecided {
            self.memory.change(id, |_| ());
        }
        self.again |= self.memory.wakes_at().is_some_and(|at| at <= turn.now);
    }

    /// Its job is not loaded yet, or the catch-up has not decided on it.
    fn must_wait_for_facts(&self, open: &Open) -> bool {
        self.memory.unknown_jobs().contains(&open.run.job) || self.horizon.withholds(&open.run)
    }

    fn run_is_due(&mut self, id: RunId, turn: &mut Turn) {
        let Some(open) = self.memory.run(id) else { return };
        match self.reason_to_skip(open, turn.now) {
            Some(reason) => self.skip(id, reason, turn),
            None => self.meet_others(id, turn),
        }
    }

    /// Asked once: a run that has had an attempt goes on.
    fn reason_to_skip(&self, open: &Open, now: Millis) -> Option<SkipReason> {
        let run = &open.run;
        if run.attempt > 0 {
            return None;
        }
        if self.memory.job(run.job).is_some_and(|known| known.job.deleted_at.is_some()) {
            return Some(SkipReason::Deleted);
        }
        open.start_before().is_some_and(|last| last < now).then_some(SkipReason::StartDeadline)
    }

    /// The run never starts.
    pub(super) fn skip(&mut self, id: RunId, reason: SkipReason, turn: &mut Turn) {
        let Some(open) = self.memory.run(id) else { return };
        if let Next::Ended(ended) = states::next(&open.run, Event::Skip(reason)) {
            self.end(id, ended, turn);
        }
    }

    fn attempt_is_overdue(&mut self, id: RunId, turn: &mut Turn) {
        let Some(open) = self.memory.run(id) else { return };
        let is_over = |at: Option<Millis>| at.is_some_and(|at| at <= turn.now);
        if is_over(open.cancel_over_at()) {
            self.attempt_over(id, Event::CancelOver, Report::default(), turn);
        } else if is_over(open.lost_at) {
            let error =
                Failure::new("WorkerLost", &format!("no contact with worker {}", worker_of(open)), "");
            self.attempt_over(id, Event::Lost, Report { error: Some(error), ..Report::default() }, turn);
        } else if open.lost_at.is_some() {
            self.memory.change(id, |_| ());
        } else if is_over(open.timeout_over_at()) {
            let error = Failure::new("Timeout", &format!("no report from worker {}", worker_of(open)), "");
            let report = Report { error: Some(error), ..Report::default() };
            self.attempt_over(id, Event::TimedOut(Hope::TryAgain), report, turn);
        } else if is_over(open.times_out_at()) && open.timeout_told.is_none() {
            self.memory.change(id, |open| open.timeout_told = Some(turn.now));
            self.tell_to_end(id, CancelReason::Timeout, turn);
        } else {
            self.memory.change(id, |_| ());
        }
    }

    /// Tells the attempt's worker, if it is connected, to end it.
    pub(super) fn tell_to_end(&self, id: RunId, reason: CancelReason, turn: &mut Turn) {
        let Some(open) = self.memory.run(id) else { return };
        let session = open.run.assignment.as_ref().map(|assignment| assignment.session);
        let stream = session.and_then(|session| self.sessions.stream_of(session));
        if let (Some(stream), Some(key)) = (stream, open.run.attempt_key()) {
            let grace_ms = match (reason, open.cancel_over_at()) {
                (CancelReason::Requested, Some(over)) => over.since(turn.now).max(0),
                _ => open.run.limits.cancel_grace_ms,
            };
            turn.frame(stream, Frame::Cancel { key, reason, grace_ms });
        }
    }
}

/// Its attempt is to be judged, and it is not known whether its outcome waits in the inbox: the next turn's load tells.
fn is_over_unasked(open: &Open, turn: &Turn) -> bool {
    open.attempt_over_at().is_some_and(|at| at <= turn.now) && !turn.judgeable.contains(&open.run.id)
}

fn worker_of(open: &Open) -> &str {
    open.run.assignment.as_ref().map_or("", |assignment| &assignment.worker)
}
