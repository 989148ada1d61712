//! What a turn must know and memory lacks.

use std::collections::BTreeSet;

use crate::clock::Millis;
use crate::domain::{FireKey, Job, Name, Outcome, Run};
use crate::id::{InboxId, JobId, RunId};

/// What to load before a batch can be decided. Empty for most turns.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Needs {
    /// Living jobs by name.
    pub jobs_named: BTreeSet<Name>,
    /// Jobs by id, tombstones included.
    pub jobs: BTreeSet<JobId>,
    /// Runs by id.
    pub runs: BTreeSet<RunId>,
    /// Runs of a living job by fire key.
    pub fired: Vec<(Name, FireKey)>,
    /// Runs whose outcomes may wait in the inbox: nothing is judged of their attempts before these are known.
    pub outcomes_of: BTreeSet<RunId>,
    /// What an edit of these living jobs must respect, from this instant on.
    pub histories: BTreeSet<Name>,
    /// Ticks after this instant belong into the histories.
    pub histories_after: Millis,
    /// The next page of the horizon.
    pub due: Option<DuePage>,
}

impl Needs {
    /// There is nothing to load.
    pub fn is_empty(&self) -> bool {
        self.jobs_named.is_empty()
            && self.jobs.is_empty()
            && self.runs.is_empty()
            && self.fired.is_empty()
            && self.outcomes_of.is_empty()
            && self.histories.is_empty()
            && self.due.is_none()
    }
}

/// A page of what comes due: enabled living jobs with `next_at <= until` in order of (next_at, id), and runs in state
/// scheduled with `opened < due_at <= until`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DuePage {
    /// Runs due up to here are in memory.
    pub opened: Millis,
    /// The new horizon.
    pub until: Millis,
    /// At most this many jobs, and this many runs.
    pub limit: u32,
}

/// What was loaded, all of it as of before this turn.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Facts {
    /// Of `jobs_named` and `jobs`: those that exist.
    pub jobs: Vec<Job>,
    /// Of `runs` and `fired`: those that exist.
    pub runs: Vec<Run>,
    /// Of `outcomes_of`: what waits in the inbox, by (created_at, id).
    pub outcomes: Vec<(InboxId, Outcome)>,
    /// Of `histories`: one for each job that exists.
    pub histories: Vec<History>,
    /// Of `due`.
    pub due: Option<JobPage>,
}

/// What an edit must respect.
#[derive(Clone, PartialEq, Debug)]
pub struct History {
    /// Of which job.
    pub job: JobId,
    /// Ticks after the instant asked for that have a terminal run: they are not fired again.
    pub ticks: Vec<Millis>,
    /// Its runs in state scheduled that its own trigger made: whose source is neither api, manual nor backfill.
    pub scheduled: Vec<Run>,
    /// When the newest terminal run of its chain ended.
    pub chain_ended_at: Option<Millis>,
}

/// What comes due.
#[derive(Clone, PartialEq, Debug)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// The runs, in order of (due_at, id).
    pub runs: Vec<Run>,
    /// Either list was cut at its limit: ask again.
    pub more: bool,
    /// The earliest `next_at` of a job, or due instant of a scheduled run, after `until`. The owner may sleep till then,
    /// less the horizon.
    pub next_beyond: Option<Millis>,
}

/// A page of the boot: open runs in order of id that are dispatched, or due up to the horizon, or have had an attempt;
/// and their jobs.
#[derive(Clone, PartialEq, Debug)]
pub struct OpenPage {
    /// The runs.
    pub runs: Vec<Run>,
    /// Each job that one of the runs belongs to, tombstones included.
    pub jobs: Vec<Job>,
    /// The list was cut at its limit: ask for those after its last run.
    pub more: bool,
}
