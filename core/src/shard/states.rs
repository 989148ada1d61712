//! The run states: what each event makes of a run. One pure function, one test per row.

use crate::domain::{AttemptEnd, Ended, FailReason, Limits, Run, SkipReason, State};

/// What can happen to an open run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// A worker was chosen.
    Start,
    /// It will never start.
    Skip(SkipReason),
    /// Somebody asks for its end.
    CancelAsked,
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
        (State::Scheduled, Event::CancelAsked) => Next::Ended(Ended::Cancelled),
        (State::Dispatched, Event::CancelAsked) if run.cancel_at.is_none() => Next::Cancelling,
        (State::Dispatched, Event::Succeeded) => Next::Ended(Ended::Succeeded),
        (State::Dispatched, Event::CancelOver) => Next::Ended(Ended::Cancelled),
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
        Event::Start | Event::Skip(_) | Event::CancelAsked | Event::CancelOver | Event::Succeeded => {
            Next::Same
        }
    };
    match next {
        Next::Same => Next::Same,
        _ if run.cancel_at.is_some() => Next::Ended(Ended::Cancelled),
        next => next,
    }
}

fn may_try_again(run: &Run, hope: Hope) -> bool {
    hope == Hope::TryAgain && run.fail_count < run.limits.retry.retries
}
