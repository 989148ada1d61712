//! What a turn writes: data, so that it can be repeated, joined with other shards' and applied by any backend.

use std::sync::Arc;

use crate::clock::Millis;
use crate::domain::{
    Assignment, Attempt, Cancel, Ended, Failure, Gap, Job, Limits, Name, Payload, Run, State,
};
use crate::id::{InboxId, JobId, RunId};

/// The rows of one turn of one shard. A run or job stands in at most one of the lists of its kind (a removed run in no
/// other; a changed run may also be copied: these write different columns), so the order in which the lists are applied
/// is free but for removals first, then revised jobs (a name may be given up and taken anew), new jobs, and runs.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rows {
    /// Scheduled runs without an attempt that an edit takes back.
    pub runs_removed: Vec<RunId>,
    /// New jobs; each also writes its revision.
    pub jobs_created: Vec<Job>,
    /// New revisions, `enabled` flips and tombstones; each also writes its revision.
    pub jobs_revised: Vec<Job>,
    /// Where the ticks of otherwise unchanged jobs stand.
    pub cursors: Vec<Cursor>,
    /// New runs in any state.
    pub runs_created: Vec<Run>,
    /// Scheduled runs that go to a worker.
    pub runs_started: Vec<RunStarted>,
    /// Open runs that end.
    pub runs_ended: Vec<RunEnded>,
    /// Open runs that stay open: back to scheduled, or with a cancel asked for.
    pub runs_changed: Vec<RunChanged>,
    /// Due runs that follow a new definition.
    pub runs_copied: Vec<RunCopied>,
    /// Superseded attempts.
    pub attempts: Vec<Attempt>,
    /// Ticks without a run.
    pub gaps: Vec<Gap>,
    /// The outage is made up for: clear `app_owner.outage_from`.
    pub outage_over: bool,
    /// Commands of the inbox that this turn carries out: delete them. One may be gone already.
    pub inbox_done: Vec<InboxId>,
    /// Commands of the inbox that cannot be carried out: set them aside. One may be gone already.
    pub inbox_failed: Vec<InboxFailed>,
}

/// A command of the inbox that was refused.
#[derive(Clone, PartialEq, Debug)]
pub struct InboxFailed {
    /// Which.
    pub id: InboxId,
    /// When.
    pub at: Millis,
    /// Why, for people; at most 1,024 characters.
    pub reason: String,
}

/// Where a job's ticks stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// Which job.
    pub job: JobId,
    /// As in [`Job`].
    pub next_at: Option<Millis>,
    /// As in [`Job`].
    pub chain_seq: u64,
}

/// A run goes to a worker: state dispatched.
#[derive(Clone, PartialEq, Debug)]
pub struct RunStarted {
    /// Which run.
    pub run: RunId,
    /// Its ordinal.
    pub attempt: u32,
    /// To whom.
    pub assignment: Assignment,
}

/// A run is over.
#[derive(Clone, PartialEq, Debug)]
pub struct RunEnded {
    /// Which run.
    pub run: RunId,
    /// How.
    pub ended: Ended,
    /// When.
    pub ended_at: Millis,
    /// When its handler was entered.
    pub started_at: Option<Millis>,
    /// As in [`Run`].
    pub fail_count: u32,
    /// As in [`Run`].
    pub lost_count: u32,
    /// If it succeeded.
    pub result: Option<Payload>,
    /// Of its last failed attempt.
    pub error: Option<Failure>,
}

/// A run stays open. In state scheduled its assignment is cleared.
#[derive(Clone, PartialEq, Debug)]
pub struct RunChanged {
    /// Which run.
    pub run: RunId,
    /// Scheduled or dispatched.
    pub state: State,
    /// As in [`Run`].
    pub due: Millis,
    /// As in [`Run`].
    pub fail_count: u32,
    /// As in [`Run`].
    pub lost_count: u32,
    /// As in [`Run`].
    pub cancel: Option<Cancel>,
    /// Of its last failed attempt.
    pub error: Option<Failure>,
}

/// A waiting run follows its job's new definition.
#[derive(Clone, PartialEq, Debug)]
pub struct RunCopied {
    /// Which run.
    pub run: RunId,
    /// As in [`Run`].
    pub revision: u64,
    /// As in [`Run`].
    pub handler: Name,
    /// As in [`Run`].
    pub params: Payload,
    /// As in [`Run`].
    pub limits: Arc<Limits>,
}

impl Rows {
    /// Nothing to commit.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many rows it writes, revisions aside.
    pub fn len(&self) -> usize {
        self.runs_removed.len()
            + self.jobs_created.len()
            + self.jobs_revised.len()
            + self.cursors.len()
            + self.runs_created.len()
            + self.runs_started.len()
            + self.runs_ended.len()
            + self.runs_changed.len()
            + self.runs_copied.len()
            + self.attempts.len()
            + self.gaps.len()
            + usize::from(self.outage_over)
            + self.inbox_done.len()
            + self.inbox_failed.len()
    }
}
