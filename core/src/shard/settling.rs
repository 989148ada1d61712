//! How attempts and runs end.

use std::sync::Arc;

use super::memory::{Open, Stage};
use super::states::{self, Event, Hope, Next};
use super::turn::Turn;
use super::{Call, CancelReason, Frame, Reply, Shard, StreamId, Ticket, Verdict};
use crate::clock::Millis;
use crate::domain::{
    Attempt, AttemptEnd, Cancel, CancelCause, Ended, FailReason, Failure, FireKey, Outcome, OutcomeKind,
    Payload, Refusal, RefusalKind, Run, SkipReason, State,
};
use crate::id::{AttemptKey, RunId};
use crate::mutant::mutant;

/// The longest wait that a handler may ask for.
const MAX_RETRY_AFTER_MS: i64 = 30 * 86_400_000;
/// A chain whose run was skipped goes on no sooner than this.
const SKIPPED_CHAIN_PAUSE_MS: i64 = 1_000;

/// What is known of an attempt that ended.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) started_at: Option<Millis>,
    pub(super) result: Option<Payload>,
    pub(super) error: Option<Failure>,
    pub(super) retry_after_ms: Option<i64>,
}

impl Shard {
    /// The worker says how an attempt ended. Only the current attempt's token settles its run.
    pub(super) fn attempt_ended(&mut self, stream: StreamId, outcome: Outcome, turn: &mut Turn) {
        self.ask_for_hello(stream, turn);
        let key = outcome.key;
        let verdict = self.judge_outcome(outcome, turn);
        turn.frame(stream, Frame::Ack { key, verdict });
    }

    /// What becomes of an outcome, however it came.
    pub(super) fn judge_outcome(&mut self, outcome: Outcome, turn: &mut Turn) -> Verdict {
        let key = outcome.key;
        let verdict = match self.any_run(key.run, turn) {
            None => Verdict::Unknown,
            Some(run) if run.attempt_key() != Some(key) && !mutant("outcome_without_token") => Verdict::Late,
            Some(run) => match run.state {
                State::Ended(ended) if says(&outcome.kind, ended) => Verdict::Duplicate,
                State::Ended(_) | State::Scheduled => Verdict::Late,
                State::Dispatched => Verdict::Accepted,
            },
        };
        if verdict == Verdict::Accepted {
            let (event, report) = read(outcome);
            self.attempt_over(key.run, event, report, turn);
        }
        verdict
    }

    /// An attempt ended, by whatever event: the run is tried again or ends.
    pub(super) fn attempt_over(&mut self, id: RunId, event: Event, report: Report, turn: &mut Turn) {
        let Some(open) = self.memory.run(id) else { return };
        match states::next(&open.run, event) {
            Next::Again(end) => self.try_again(id, end, report, turn),
            Next::Ended(ended) => {
                turn.changes(&open.run);
                self.memory.change(id, |open| {
                    let run = &mut open.run;
                    run.started_at = report.started_at;
                    run.result = report.result.filter(|_| ended == Ended::Succeeded);
                    match ended {
                        Ended::Failed(FailReason::Error | FailReason::Timeout) => run.fail_count += 1,
                        Ended::Failed(FailReason::Lost | FailReason::Quarantined) => run.lost_count += 1,
                        Ended::Succeeded | Ended::Cancelled(_) | Ended::Skipped(_) => {}
                    }
                    if matches!(ended, Ended::Failed(_)) {
                        run.error = report.error.or(run.error.take());
                    }
                });
                self.end(id, ended, turn);
            }
            Next::Same | Next::Dispatched | Next::Cancelling => {}
        }
    }

    /// Records the attempt and puts the run back among the scheduled.
    fn try_again(&mut self, id: RunId, end: AttemptEnd, report: Report, turn: &mut Turn) {
        let Some(open) = self.memory.run(id) else { return };
        let (Some(key), Some(assignment)) = (open.run.attempt_key(), open.run.assignment.clone()) else {
            return;
        };
        let session = assignment.session;
        turn.changes(&open.run);
        turn.plan.rows.attempts.push(Attempt {
            key,
            assignment,
            started_at: report.started_at,
            ended_at: turn.now,
            end,
            error: report.error.clone(),
        });
        let counted = matches!(end, AttemptEnd::Failed | AttemptEnd::Timeout);
        let wait_ms = if counted {
            let drawn = open.run.limits.retry.wait_ms(open.run.fail_count + 1, self.chance.next_fraction());
            drawn.max(report.retry_after_ms.unwrap_or(0).min(MAX_RETRY_AFTER_MS))
        } else {
            0
        };
        self.memory.change(id, |open| {
            open.lost_at = None;
            open.timeout_told = None;
            open.life = None;
            open.stage = Stage::Coming;
            open.progress = None;
            let run = &mut open.run;
            run.state = State::Scheduled;
            run.assignment = None;
            run.due = turn.now.plus(wait_ms);
            run.fail_count += u32::from(counted);
            run.lost_count += u32::from(end == AttemptEnd::Lost);
            run.error = report.error.or(run.error.take());
        });
        self.forget_if_idle(session);
    }

    /// The run is over. A chain goes on.
    pub(super) fn end(&mut self, id: RunId, ended: Ended, turn: &mut Turn) {
        let Some(open) = self.memory.run(id) else { return };
        if matches!(open.run.state, State::Ended(_)) {
            return;
        }
        turn.changes(&open.run);
        let run = &open.run;
        let (job, chain) = (run.job, run.fire_key.clone());
        let session = run.assignment.as_ref().map(|assignment| assignment.session);
        self.memory.change(id, |open| {
            open.stage = Stage::Coming;
            open.lost_at = None;
            open.run.state = State::Ended(ended);
            open.run.ended_at = Some(turn.now);
        });
        if let Some(session) = session {
            self.forget_if_idle(session);
        }
        self.start_buffered(job);
        let pause_ms = match ended {
            Ended::Skipped(SkipReason::Disabled | SkipReason::Deleted) => return,
            Ended::Skipped(_) => SKIPPED_CHAIN_PAUSE_MS,
            Ended::Cancelled(_) | Ended::Succeeded | Ended::Failed(_) => 0,
        };
        if let FireKey::Chain(n) = chain {
            self.follow_chain(job, n, pause_ms, turn);
            if mutant("chain_continued_twice") {
                self.follow_chain(job, n + 1, pause_ms + 1, turn);
            }
        }
    }

    /// Somebody asks for the end of a run. `None`: answered in the next turn.
    pub(super) fn cancel(&mut self, ticket: Ticket, id: RunId, turn: &mut Turn) -> Option<Reply> {
        let Some(run) = self.any_run(id, turn).cloned() else {
            return Some(Reply::Refused(run_not_found(id)));
        };
        if matches!(run.state, State::Ended(_)) {
            return Some(Reply::Refused(run_ended(&run)));
        }
        let chain_is_lost = matches!(run.fire_key, FireKey::Chain(_)) && self.memory.job(run.job).is_none();
        if chain_is_lost && self.takes_later(ticket, &Call::RunCancel { run: id }, &run, turn) {
            return None;
        }
        self.memory.admit(Open::new(run.clone()));
        self.ask_to_end(id, CancelCause::Requested, turn);
        self.any_run(id, turn).map(|run| Reply::Run(Box::new(run.clone())))
    }

    /// A run is to end: at once, or when its worker has given way or its grace is over.
    pub(super) fn ask_to_end(&mut self, id: RunId, cause: CancelCause, turn: &mut Turn) {
        let Some(open) = self.memory.run(id) else { return };
        match states::next(&open.run, Event::CancelAsked(cause)) {
            Next::Ended(ended) => self.end(id, ended, turn),
            Next::Cancelling => {
                turn.changes(&open.run);
                self.memory.change(id, |open| open.run.cancel = Some(Cancel { at: turn.now, cause }));
                self.tell_to_end(id, CancelReason::Requested, turn);
            }
            Next::Same | Next::Dispatched | Next::Again(_) => {}
        }
    }

    /// How far a running attempt is, by its handler.
    pub(super) fn progressed(&mut self, key: AttemptKey, percent: u8, note: Arc<str>) {
        let current =
            |open: &Open| open.run.state == State::Dispatched && open.run.attempt_key() == Some(key);
        if self.memory.run(key.run).is_some_and(current) {
            self.memory.change(key.run, |open| open.progress = Some((percent.min(100), note)));
        }
    }
}

/// The worker's word, as the state table hears it.
fn read(outcome: Outcome) -> (Event, Report) {
    let hope = if outcome.give_up { Hope::GiveUp } else { Hope::TryAgain };
    let report = Report {
        started_at: outcome.started_at,
        retry_after_ms: outcome.retry_after_ms,
        ..Report::default()
    };
    match outcome.kind {
        OutcomeKind::Succeeded(result) => (Event::Succeeded, Report { result: Some(result), ..report }),
        OutcomeKind::Failed(error) => (Event::Failed(hope), Report { error: Some(error), ..report }),
        OutcomeKind::TimedOut(error) => (Event::TimedOut(hope), Report { error: Some(error), ..report }),
        OutcomeKind::Cancelled(error) => (Event::GaveWay, Report { error: Some(error), ..report }),
        OutcomeKind::Lost(error) => (Event::Lost, Report { error: Some(error), ..report }),
    }
}

/// The outcome is the one that is recorded.
fn says(kind: &OutcomeKind, ended: Ended) -> bool {
    match ended {
        Ended::Succeeded => matches!(kind, OutcomeKind::Succeeded(_)),
        Ended::Failed(FailReason::Error) => {
            matches!(kind, OutcomeKind::Failed(_) | OutcomeKind::Cancelled(_))
        }
        Ended::Failed(FailReason::Timeout) => matches!(kind, OutcomeKind::TimedOut(_)),
        Ended::Cancelled(_) => !matches!(kind, OutcomeKind::Succeeded(_)),
        Ended::Failed(FailReason::Lost | FailReason::Quarantined) => matches!(kind, OutcomeKind::Lost(_)),
        Ended::Skipped(_) => false,
    }
}

pub(super) fn run_not_found(id: RunId) -> Refusal {
    Refusal::new(RefusalKind::NotFound, "run_not_found", format!("there is no run {id}"))
        .remedy("check its id; old runs are deleted after their retention")
}

fn run_ended(run: &Run) -> Refusal {
    let state = match run.state {
        State::Ended(Ended::Succeeded) => "succeeded",
        State::Ended(Ended::Failed(_)) => "failed",
        State::Ended(Ended::Cancelled(_)) => "cancelled",
        State::Ended(Ended::Skipped(_)) => "skipped",
        State::Scheduled | State::Dispatched => "open",
    };
    Refusal::new(RefusalKind::Conflict, "run_ended", format!("run {} has ended: it is {state}", run.id))
        .remedy("nothing is left to cancel")
}
