//! What a walk consists of, generated and shrunk by proptest. A step names what happens; its choices are resolved against
//! the state in which it happens, so that any subsequence of a walk is a walk.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;

/// What happens in one step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// And the owner takes a turn.
    TimePasses,
    /// The frames that are under way to them.
    WorkersRead,
    HandlerReturns,
    WorkersConnect,
    /// Or a worker dies.
    StreamBreaks,
    JobEdited,
    JobsTriggered,
    /// The inbox is written or read, or a worker is heard of without a stream of its own.
    ToldThroughOthers,
    RunCancelledOrRetried,
    /// Or its fate stays unknown.
    CommitFails,
    ClockSetBack,
    /// And another one boots.
    ServerDies,
    OwnerSettles,
}

/// One step of a walk.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// Taken in order, each modulo what there is to choose from; 0 once they are used up.
    pub(crate) choices: Vec<u16>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // On one line each, also where the walk is printed with indents.
        write!(f, "{:?} {:?}", self.action, self.choices)
    }
}

/// A walk: what chance gives to ids and tokens, and at most `steps` steps.
pub(crate) fn walk(steps: usize) -> impl Strategy<Value = (u64, Vec<Step>)> {
    (any::<u64>().no_shrink(), vec(step(), 1..=steps))
}

fn step() -> impl Strategy<Value = Step> {
    let of = |action: Action, most: usize| {
        vec(any::<u16>(), most).prop_map(move |choices| Step { action, choices }).boxed()
    };
    prop_oneof![
        30 => of(Action::TimePasses, 3),
        15 => of(Action::WorkersRead, 4),
        15 => of(Action::HandlerReturns, 3),
        8 => of(Action::WorkersConnect, 2),
        3 => of(Action::StreamBreaks, 4),
        6 => of(Action::JobEdited, 24),
        8 => of(Action::JobsTriggered, 35),
        3 => of(Action::ToldThroughOthers, 4),
        5 => of(Action::RunCancelledOrRetried, 3),
        7 => of(Action::CommitFails, 2),
        1 => of(Action::ClockSetBack, 0),
        1 => of(Action::ServerDies, 5),
        1 => of(Action::OwnerSettles, 0),
    ]
}
