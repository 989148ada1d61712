//! One turn while it is decided: what was loaded, what has changed, and the plan that comes of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::rows::{Cursor, RunChanged, RunCopied, RunEnded, RunStarted};
use super::{Facts, Frame, History, Plan, Reply, Rows, StreamId, Ticket};
use crate::clock::Millis;
use crate::domain::{Cancel, FireKey, Job, Run, State};
use crate::id::{InboxId, JobId, RunId};

/// A turn in the making.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) now: Millis,
    pub(super) plan: Plan,
    /// Loaded runs that are not in memory.
    pub(super) runs: HashMap<RunId, Run>,
    /// Loaded and new runs by what fired them.
    pub(super) fired: HashMap<(JobId, FireKey), RunId>,
    pub(super) histories: HashMap<JobId, History>,
    /// Runs that changed, as they were stored before this turn.
    changed: BTreeMap<RunId, Before>,
    jobs_changed: BTreeMap<JobId, JobBefore>,
    /// Jobs that may no longer be needed in memory.
    pub(super) touched: BTreeSet<JobId>,
    /// Runs whose outcomes in the inbox are known: only these attempts may be judged without their worker's word.
    pub(super) judgeable: BTreeSet<RunId>,
    /// Commands of the inbox that were taken.
    pub(super) commands: BTreeSet<InboxId>,
    /// The calls at hand have had their second load.
    pub(super) second_load: bool,
}

/// What the rows hold of a run before the turn.
#[derive(Clone, PartialEq, Debug)]
enum Before {
    Absent,
    Stored(Stored),
}

#[derive(Clone, PartialEq, Debug)]
struct Stored {
    state: State,
    revision: u64,
    due: Millis,
    fail_count: u32,
    lost_count: u32,
    attempt: u32,
    cancel: Option<Cancel>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum JobBefore {
    Absent,
    Stored { revision: u64, next_at: Option<Millis>, chain_seq: u64 },
}

impl Turn {
    pub(super) fn new(facts: Facts, now: Millis) -> Self {
        let fired = facts.runs.iter().map(|run| ((run.job, run.fire_key.clone()), run.id)).collect();
        Self {
            now,
            plan: Plan::default(),
            runs: facts.runs.into_iter().map(|run| (run.id, run)).collect(),
            fired,
            histories: facts.histories.into_iter().map(|history| (history.job, history)).collect(),
            changed: BTreeMap::new(),
            jobs_changed: BTreeMap::new(),
            touched: BTreeSet::new(),
            judgeable: BTreeSet::new(),
            commands: BTreeSet::new(),
            second_load: false,
        }
    }

    pub(super) fn frame(&mut self, stream: StreamId, frame: Frame) {
        self.plan.frames.push((stream, frame));
    }

    pub(super) fn reply(&mut self, ticket: Ticket, reply: Reply) {
        self.plan.replies.push((ticket, reply));
    }

    pub(super) fn rows(&mut self) -> &mut Rows {
        &mut self.plan.rows
    }

    /// The run is about to change.
    pub(super) fn changes(&mut self, run: &Run) {
        self.changed.entry(run.id).or_insert_with(|| {
            Before::Stored(Stored {
                state: run.state,
                revision: run.revision,
                due: run.due,
                fail_count: run.fail_count,
                lost_count: run.lost_count,
                attempt: run.attempt,
                cancel: run.cancel,
            })
        });
    }

    /// The run is new.
    pub(super) fn creates(&mut self, run: &Run) {
        self.changed.insert(run.id, Before::Absent);
        self.fired.insert((run.job, run.fire_key.clone()), run.id);
    }

    /// The run is taken back.
    pub(super) fn removes(&mut self, run: &Run) {
        self.fired.remove(&(run.job, run.fire_key.clone()));
        if self.changed.remove(&run.id) != Some(Before::Absent) {
            self.plan.rows.runs_removed.push(run.id);
        }
    }

    /// Its row changes in this turn already: a second step waits for the next turn, so that one write tells it all.
    pub(super) fn holds(&self, run: RunId) -> bool {
        matches!(self.changed.get(&run), Some(Before::Stored(_)))
    }

    /// The job is about to change.
    pub(super) fn changes_job(&mut self, job: &Job) {
        self.touched.insert(job.id);
        self.jobs_changed.entry(job.id).or_insert(JobBefore::Stored {
            revision: job.revision,
            next_at: job.next_at,
            chain_seq: job.chain_seq,
        });
    }

    /// The job is new.
    pub(super) fn creates_job(&mut self, job: &Job) {
        self.touched.insert(job.id);
        self.jobs_changed.insert(job.id, JobBefore::Absent);
    }

    /// How many rows change, about.
    pub(super) fn changes_made(&self) -> usize {
        self.changed.len() + self.jobs_changed.len() + self.plan.rows.runs_removed.len()
    }

    /// The runs that changed, in order of id.
    pub(super) fn changed_runs(&self) -> Vec<RunId> {
        self.changed.keys().copied().collect()
    }

    /// The jobs that changed, in order of id.
    pub(super) fn changed_jobs(&self) -> Vec<JobId> {
        self.jobs_changed.keys().copied().collect()
    }

    /// Writes what became of a run, once, at the end of the turn.
    pub(super) fn write_run(&mut self, run: &Run) {
        let Some(before) = self.changed.get(&run.id).cloned() else { return };
        if matches!(run.state, State::Ended(_)) {
            self.plan.ended.push(run.id);
        }
        match before {
            Before::Absent => self.plan.rows.runs_created.push(run.clone()),
            Before::Stored(stored) => self.write_change(&stored, run),
        }
    }

    fn write_change(&mut self, before: &Stored, run: &Run) {
        let rows = &mut self.plan.rows;
        if let State::Ended(ended) = run.state {
            if before.state == State::Dispatched && run.assignment.is_none() {
                // Its attempt was over before, and has a row of its own: the run's names it no more.
                rows.runs_changed.push(changed_row(run, State::Scheduled));
            }
            return rows.runs_ended.push(ended_row(run, ended));
        }
        if let (State::Scheduled, State::Dispatched, Some(assignment)) =
            (before.state, run.state, run.assignment.clone())
        {
            return rows.runs_started.push(RunStarted { run: run.id, attempt: run.attempt, assignment });
        }
        if run.revision != before.revision {
            rows.runs_copied.push(RunCopied {
                run: run.id,
                revision: run.revision,
                handler: run.handler.clone(),
                params: run.params.clone(),
                limits: run.limits.clone(),
            });
        }
        let now = Stored {
            state: run.state,
            revision: before.revision,
            due: run.due,
            fail_count: run.fail_count,
            lost_count: run.lost_count,
            attempt: run.attempt,
            cancel: run.cancel,
        };
        if now != *before {
            rows.runs_changed.push(changed_row(run, run.state));
        }
    }

    /// Writes what became of a job, once, at the end of the turn.
    pub(super) fn write_job(&mut self, job: &Job) {
        let rows = &mut self.plan.rows;
        match self.jobs_changed.get(&job.id) {
            None => {}
            Some(JobBefore::Absent) => rows.jobs_created.push(job.clone()),
            Some(JobBefore::Stored { revision, .. }) if *revision != job.revision => {
                rows.jobs_revised.push(job.clone());
            }
            Some(JobBefore::Stored { next_at, chain_seq, .. })
                if (*next_at, *chain_seq) == (job.next_at, job.chain_seq) => {}
            Some(JobBefore::Stored { .. }) => {
                rows.cursors.push(Cursor { job: job.id, next_at: job.next_at, chain_seq: job.chain_seq });
            }
        }
    }
}

fn changed_row(run: &Run, state: State) -> RunChanged {
    RunChanged {
        run: run.id,
        state,
        due: run.due,
        fail_count: run.fail_count,
        lost_count: run.lost_count,
        cancel: run.cancel,
        error: run.error.clone(),
    }
}

fn ended_row(run: &Run, ended: crate::domain::Ended) -> RunEnded {
    RunEnded {
        run: run.id,
        ended,
        ended_at: run.ended_at.unwrap_or(run.due),
        started_at: run.started_at,
        fail_count: run.fail_count,
        lost_count: run.lost_count,
        result: run.result.clone(),
        error: run.error.clone(),
    }
}
