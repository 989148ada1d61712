//! The run states: what each event makes of a run. One pure function, one test per row.

use crate::domain::{AttemptEnd, CancelCause, Ended, FailReason, Limits, Run, SkipReason, State};

/// What can happen to an open run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// A worker was chosen.
    Start,
    /// It will never start.
    Skip(SkipReason),
    /// Somebody or something asks for its end.
    CancelAsked(CancelCause),
    /// The grace after that is over.
    CancelOver,
    /// Its handler returned.
    Succeeded,
    /// Its handler failed.
    Failed(Hope),
    /// Its attempt ran too long.
    TimedOut(Hope),
    /// Its handler gave way to a cancel.
    GaveWay,
    /// Its worker never had it.
    Undelivered,
    /// Its worker was out of contact for too long.
    Lost,
}

/// What the worker says of another attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hope {
    /// It may succeed.
    TryAgain,
    /// It is useless.
    GiveUp,
}

/// What becomes of the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// Nothing: the event does not concern a run in this state.
    Same,
    /// It goes to a worker.
    Dispatched,
    /// It stays with its worker until that gives way.
    Cancelling,
    /// Another attempt; the last one ended so.
    Again(AttemptEnd),
    /// Over.
    Ended(Ended),
}

/// The state table of the guarantees.
pub(super) fn next(run: &Run, event: Event) -> Next {
    match (run.state, event) {
        (State::Scheduled, Event::Start) => Next::Dispatched,
        (State::Scheduled, Event::Skip(reason)) => Next::Ended(Ended::Skipped(reason)),
        (State::Scheduled, Event::CancelAsked(cause)) => Next::Ended(Ended::Cancelled(cause)),
        (State::Dispatched, Event::CancelAsked(_)) if run.cancel.is_none() => Next::Cancelling,
        (State::Dispatched, Event::Succeeded) => Next::Ended(Ended::Succeeded),
        (State::Dispatched, Event::CancelOver) => Next::Ended(Ended::Cancelled(cause_of(run))),
        (State::Dispatched, ended) => after_attempt(run, ended),
        (State::Scheduled | State::Ended(_), _) => Next::Same,
    }
}

/// An attempt ended without success. Whoever asked for a cancel gets it.
fn after_attempt(run: &Run, event: Event) -> Next {
    let next = match event {
        Event::Failed(hope) if may_try_again(run, hope) => Next::Again(AttemptEnd::Failed),
        Event::Failed(_) => Next::Ended(Ended::Failed(FailReason::Error)),
        Event::TimedOut(hope) if may_try_again(run, hope) => Next::Again(AttemptEnd::Timeout),
        Event::TimedOut(_) => Next::Ended(Ended::Failed(FailReason::Timeout)),
        // Nobody but a stopping worker cancels unasked: the attempt failed, and is counted as such.
        Event::GaveWay if may_try_again(run, Hope::TryAgain) => Next::Again(AttemptEnd::Failed),
        Event::GaveWay => Next::Ended(Ended::Failed(FailReason::Error)),
        Event::Undelivered => Next::Again(AttemptEnd::Undelivered),
        Event::Lost if run.limits.at_most_once => Next::Ended(Ended::Failed(FailReason::Lost)),
        Event::Lost if run.lost_count + 1 >= Limits::MAX_LOST => {
            Next::Ended(Ended::Failed(FailReason::Quarantined))
        }
        Event::Lost => Next::Again(AttemptEnd::Lost),
        Event::Start | Event::Skip(_) | Event::CancelAsked(_) | Event::CancelOver | Event::Succeeded => {
            Next::Same
        }
    };
    match next {
        Next::Same => Next::Same,
        _ if run.cancel.is_some() => Next::Ended(Ended::Cancelled(cause_of(run))),
        next => next,
    }
}

fn cause_of(run: &Run) -> CancelCause {
    run.cancel.map_or(CancelCause::Requested, |cancel| cancel.cause)
}

fn may_try_again(run: &Run, hope: Hope) -> bool {
    hope == Hope::TryAgain && run.fail_count < run.limits.retry.retries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::domain::{Cancel, FireKey, Limits, Name, Payload, Retry, Source};
    use crate::id::{AppId, Id, ShardKey};

    fn run(state: State) -> Run {
        let name = Name::parse("job").expect("a name");
        Run {
            id: Id::from_bytes([1; 16]),
            shard: ShardKey { app: AppId(1), shard: 0 },
            job: Id::from_bytes([2; 16]),
            job_name: name.clone(),
            fire_key: FireKey::Tick(Millis::new(0)),
            source: Source::Cron,
            tick: None,
            jitter_ms: 0,
            due: Millis::new(0),
            revision: 1,
            handler: name,
            params: Payload::default(),
            limits: Limits { retry: Retry { retries: 1, ..Retry::default() }, ..Limits::default() }.into(),
            state,
            attempt: u32::from(state == State::Dispatched),
            assignment: None,
            fail_count: 0,
            lost_count: 0,
            created_at: Millis::new(0),
            started_at: None,
            cancel: None,
            ended_at: None,
            result: None,
            error: None,
            idempotency_key: None,
            retry_of: None,
        }
    }

    fn scheduled() -> Run {
        run(State::Scheduled)
    }

    fn dispatched() -> Run {
        run(State::Dispatched)
    }

    fn failed_before() -> Run {
        Run { fail_count: 1, ..dispatched() }
    }

    const ATTEMPT_ENDS: [Event; 8] = [
        Event::CancelOver,
        Event::Succeeded,
        Event::Failed(Hope::TryAgain),
        Event::TimedOut(Hope::TryAgain),
        Event::GaveWay,
        Event::Undelivered,
        Event::Lost,
        Event::Failed(Hope::GiveUp),
    ];

    #[test]
    fn a_scheduled_run_starts() {
        assert_eq!(next(&scheduled(), Event::Start), Next::Dispatched);
    }

    #[test]
    fn a_scheduled_run_is_skipped_for_any_reason_but_a_dispatched_one_is_not() {
        for reason in [
            SkipReason::Overlap,
            SkipReason::CatchUp,
            SkipReason::Disabled,
            SkipReason::Deleted,
            SkipReason::StartDeadline,
        ] {
            assert_eq!(next(&scheduled(), Event::Skip(reason)), Next::Ended(Ended::Skipped(reason)));
            assert_eq!(next(&dispatched(), Event::Skip(reason)), Next::Same);
        }
    }

    #[test]
    fn a_cancel_ends_a_scheduled_run_at_once_and_a_dispatched_one_when_it_gives_way_or_its_grace_is_over() {
        assert_eq!(
            next(&scheduled(), Event::CancelAsked(CancelCause::Requested)),
            Next::Ended(Ended::Cancelled(CancelCause::Requested))
        );
        assert_eq!(next(&dispatched(), Event::CancelAsked(CancelCause::Requested)), Next::Cancelling);
        let cancelling = Run {
            cancel: Some(Cancel { at: Millis::new(5), cause: CancelCause::Requested }),
            ..dispatched()
        };
        assert_eq!(next(&cancelling, Event::CancelAsked(CancelCause::Requested)), Next::Same);
        for event in ATTEMPT_ENDS.into_iter().filter(|event| *event != Event::Succeeded) {
            assert_eq!(
                next(&cancelling, event),
                Next::Ended(Ended::Cancelled(CancelCause::Requested)),
                "{event:?}"
            );
        }
    }

    #[test]
    fn a_success_is_a_success_also_while_a_cancel_is_asked_for() {
        let cancelling = Run {
            cancel: Some(Cancel { at: Millis::new(5), cause: CancelCause::Requested }),
            ..dispatched()
        };
        assert_eq!(next(&dispatched(), Event::Succeeded), Next::Ended(Ended::Succeeded));
        assert_eq!(next(&cancelling, Event::Succeeded), Next::Ended(Ended::Succeeded));
    }

    #[test]
    fn an_error_is_tried_again_while_tries_are_left_and_the_handler_has_not_given_up() {
        assert_eq!(next(&dispatched(), Event::Failed(Hope::TryAgain)), Next::Again(AttemptEnd::Failed));
        let failed = Next::Ended(Ended::Failed(FailReason::Error));
        assert_eq!(next(&dispatched(), Event::Failed(Hope::GiveUp)), failed);
        assert_eq!(next(&failed_before(), Event::Failed(Hope::TryAgain)), failed);
    }

    #[test]
    fn a_timeout_is_tried_again_while_tries_are_left() {
        assert_eq!(next(&dispatched(), Event::TimedOut(Hope::TryAgain)), Next::Again(AttemptEnd::Timeout));
        let failed = Next::Ended(Ended::Failed(FailReason::Timeout));
        assert_eq!(next(&failed_before(), Event::TimedOut(Hope::TryAgain)), failed);
        assert_eq!(next(&dispatched(), Event::TimedOut(Hope::GiveUp)), failed);
    }

    #[test]
    fn an_attempt_that_gave_way_unasked_counts_as_failed() {
        assert_eq!(next(&dispatched(), Event::GaveWay), Next::Again(AttemptEnd::Failed));
        assert_eq!(next(&failed_before(), Event::GaveWay), Next::Ended(Ended::Failed(FailReason::Error)));
    }

    #[test]
    fn an_undelivered_attempt_is_sent_again_however_often_and_whatever_the_run_has_been_through() {
        let worn = Run {
            fail_count: 1,
            lost_count: 2,
            limits: Limits { at_most_once: true, ..Limits::default() }.into(),
            ..dispatched()
        };
        assert_eq!(next(&worn, Event::Undelivered), Next::Again(AttemptEnd::Undelivered));
    }

    #[test]
    fn a_lost_attempt_is_sent_again_twice_then_the_run_is_quarantined() {
        let lost = |lost_count| next(&Run { lost_count, ..failed_before() }, Event::Lost);
        assert_eq!([lost(0), lost(1)], [Next::Again(AttemptEnd::Lost); 2]);
        assert_eq!(lost(2), Next::Ended(Ended::Failed(FailReason::Quarantined)));
    }

    #[test]
    fn a_run_that_may_run_at_most_once_fails_when_its_attempt_is_lost() {
        let limits = Limits { at_most_once: true, ..Limits::default() }.into();
        let lost = next(&Run { limits, ..dispatched() }, Event::Lost);
        assert_eq!(lost, Next::Ended(Ended::Failed(FailReason::Lost)));
    }

    #[test]
    fn nothing_happens_to_a_run_that_has_ended_nor_an_attempt_end_to_one_that_has_none() {
        for event in
            ATTEMPT_ENDS.into_iter().chain([Event::Start, Event::CancelAsked(CancelCause::Requested)])
        {
            assert_eq!(next(&run(State::Ended(Ended::Succeeded)), event), Next::Same, "{event:?}");
        }
        for event in ATTEMPT_ENDS {
            assert_eq!(next(&scheduled(), event), Next::Same, "{event:?}");
        }
        assert_eq!(next(&dispatched(), Event::Start), Next::Same);
    }
}
