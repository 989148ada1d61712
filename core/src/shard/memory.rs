//! What an owner holds of its shard: open runs, the jobs they need, who waits, and when something is due. Keeps its
//! indexes true; decides nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::clock::Millis;
use crate::domain::{Job, Limits, Name, Run, State};
use crate::id::{JobId, RunId, SessionId};
use crate::schedule::{Schedule, Timer};

/// A run in memory; one that ended stays until the turn is written.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) run: Run,
    pub(super) stage: Stage,
    /// From then on its attempt is lost, unless its worker comes back.
    pub(super) lost_at: Option<Millis>,
    /// Its cancel gives no grace: a newer run takes its place.
    pub(super) cut_off: bool,
    /// When its worker was told that its time is over.
    pub(super) timeout_told: Option<Millis>,
    /// What its worker last showed as a sign of life, through another server.
    pub(super) life: Option<u64>,
    /// The last word of its handler.
    pub(super) progress: Option<(u8, Arc<str>)>,
}

/// Where a scheduled run stands on its way to a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// It is not due yet, or nobody has looked at it since.
    Coming,
    /// It is due, and waits for the end of an earlier run of its job.
    Buffered,
    /// It is due, and waits for a worker.
    Waiting,
}

/// A job in memory.
#[derive(Debug)]
pub(super) struct KnownJob {
    pub(super) job: Job,
    pub(super) schedule: Option<Schedule>,
    /// Shared by the job's runs.
    pub(super) limits: Arc<Limits>,
}

/// What is held of one job, its row known or not.
#[derive(Debug, Default)]
struct JobRuns {
    open: BTreeSet<RunId>,
    alive: u32,
    /// In the order in which they start.
    buffered: BTreeSet<(Millis, RunId)>,
}

/// Order among the waiting runs of a handler: higher priority, then earlier due, then older.
pub(super) type Place = (Reverse<i32>, Millis, RunId);

/// Everything in memory but the sessions.
#[derive(Debug, Default)]
pub(super) struct Memory {
    runs: HashMap<RunId, Open>,
    job_runs: HashMap<JobId, JobRuns>,
    jobs: HashMap<JobId, KnownJob>,
    names: HashMap<Name, JobId>,
    /// Enabled living jobs by their next tick.
    coming: BTreeSet<(Millis, JobId)>,
    /// Jobs of runs in memory that are not in memory themselves.
    unknown: BTreeSet<JobId>,
    waiting: BTreeMap<Name, BTreeSet<Place>>,
    /// Attempts in flight, by the worker that has them.
    held: HashMap<SessionId, BTreeSet<RunId>>,
    timer: Timer<RunId>,
    waiting_runs: usize,
    buffered_runs: usize,
    dispatched_runs: usize,
}

/// How long after a timeout and its grace the owner settles the attempt itself: the worker's own report goes first.
pub(super) const REPORT_MS: i64 = 2_000;

impl Open {
    pub(super) fn new(run: Run) -> Self {
        Self {
            run,
            stage: Stage::Coming,
            lost_at: None,
            cut_off: false,
            timeout_told: None,
            life: None,
            progress: None,
        }
    }

    /// It is due or running: what an overlap policy looks at.
    pub(super) fn is_alive(&self) -> bool {
        match self.run.state {
            State::Scheduled => self.stage == Stage::Waiting || self.run.attempt > 0,
            State::Dispatched => true,
            State::Ended(_) => false,
        }
    }

    /// It is scheduled, and stands there.
    pub(super) fn is_in(&self, stage: Stage) -> bool {
        self.run.state == State::Scheduled && self.stage == stage
    }

    /// When it may no longer start.
    pub(super) fn start_before(&self) -> Option<Millis> {
        let deadline_ms = self.run.limits.start_deadline_ms?;
        (self.run.attempt == 0).then(|| self.run.due.plus(deadline_ms))
    }

    /// When its attempt's time is over.
    pub(super) fn times_out_at(&self) -> Option<Millis> {
        let dispatched_at = self.run.assignment.as_ref()?.dispatched_at;
        Some(dispatched_at.plus(self.run.limits.attempt_timeout_ms))
    }

    /// When the owner settles a timeout that nobody reported.
    pub(super) fn timeout_over_at(&self) -> Option<Millis> {
        Some(self.timeout_told?.plus(self.run.limits.cancel_grace_ms).plus(REPORT_MS))
    }

    /// When a cancel that nobody acknowledged is over.
    pub(super) fn cancel_over_at(&self) -> Option<Millis> {
        let grace_ms = if self.cut_off { 0 } else { self.run.limits.cancel_grace_ms };
        Some(self.run.cancel?.at.plus(grace_ms))
    }

    /// When the owner judges its attempt without its worker's word: cancelled, lost or timed out.
    pub(super) fn attempt_over_at(&self) -> Option<Millis> {
        if self.run.state != State::Dispatched {
            return None;
        }
        let attempt = self.lost_at.or(self.timeout_over_at());
        [attempt, self.cancel_over_at()].into_iter().flatten().min()
    }

    /// When the owner must look at it next.
    fn wakes_at(&self) -> Option<Millis> {
        match self.run.state {
            State::Scheduled if self.stage != Stage::Coming => Some(self.start_before()?.plus(1)),
            State::Scheduled => Some(self.run.due),
            // Its worker minds the timeout. While it is away, only its loss counts: it may come back with an outcome.
            State::Dispatched => {
                let attempt = self.lost_at.or(self.timeout_over_at()).or(self.times_out_at());
                [attempt, self.cancel_over_at()].into_iter().flatten().min()
            }
            State::Ended(_) => None,
        }
    }

    fn place(&self) -> Place {
        (Reverse(self.run.limits.priority), self.run.due, self.run.id)
    }
}

impl Memory {
    pub(super) fn run(&self, id: RunId) -> Option<&Open> {
        self.runs.get(&id)
    }

    /// All runs in memory.
    pub(super) fn all_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values().map(|open| &open.run)
    }

    /// Takes a run in, unless it is there.
    pub(super) fn admit(&mut self, open: Open) {
        if self.runs.contains_key(&open.run.id) {
            return;
        }
        let job = open.run.job;
        self.job_runs.entry(job).or_default().open.insert(open.run.id);
        if !self.jobs.contains_key(&job) {
            self.unknown.insert(job);
        }
        self.put_in_place(open);
    }

    /// Changes a run and all that depends on it. `None`: it is not here.
    pub(super) fn change<T>(&mut self, id: RunId, change: impl FnOnce(&mut Open) -> T) -> Option<T> {
        let mut open = self.take_from_place(id)?;
        let result = change(&mut open);
        self.put_in_place(open);
        Some(result)
    }

    /// Lets a run go.
    pub(super) fn forget(&mut self, id: RunId) -> Option<Open> {
        let open = self.take_from_place(id)?;
        if let Some(of_job) = self.job_runs.get_mut(&open.run.job) {
            of_job.open.remove(&id);
            if of_job.open.is_empty() {
                self.job_runs.remove(&open.run.job);
                self.unknown.remove(&open.run.job);
            }
        }
        Some(open)
    }

    fn put_in_place(&mut self, open: Open) {
        let id = open.run.id;
        if let Some(at) = open.wakes_at() {
            self.timer.arm(at, id);
        }
        if open.is_in(Stage::Waiting) {
            self.waiting.entry(open.run.handler.clone()).or_default().insert(open.place());
            self.waiting_runs += 1;
        }
        if let (State::Dispatched, Some(assignment)) = (open.run.state, &open.run.assignment) {
            self.held.entry(assignment.session).or_default().insert(id);
            self.dispatched_runs += 1;
        }
        if open.is_alive() {
            self.job_runs.entry(open.run.job).or_default().alive += 1;
        } else if open.is_in(Stage::Buffered) {
            self.job_runs.entry(open.run.job).or_default().buffered.insert((open.run.due, id));
            self.buffered_runs += 1;
        }
        self.runs.insert(id, open);
    }

    fn take_from_place(&mut self, id: RunId) -> Option<Open> {
        let open = self.runs.remove(&id)?;
        if let Some(at) = open.wakes_at() {
            self.timer.disarm(at, id);
        }
        if open.is_in(Stage::Waiting) {
            if let Some(places) = self.waiting.get_mut(&open.run.handler) {
                places.remove(&open.place());
                if places.is_empty() {
                    self.waiting.remove(&open.run.handler);
                }
            }
            self.waiting_runs -= 1;
        }
        if let (State::Dispatched, Some(assignment)) = (open.run.state, &open.run.assignment) {
            if let Some(held) = self.held.get_mut(&assignment.session) {
                held.remove(&id);
                if held.is_empty() {
                    self.held.remove(&assignment.session);
                }
            }
            self.dispatched_runs -= 1;
        }
        if let Some(of_job) = self.job_runs.get_mut(&open.run.job) {
            if open.is_alive() {
                of_job.alive -= 1;
            } else if of_job.buffered.remove(&(open.run.due, id)) {
                self.buffered_runs -= 1;
            }
        }
        Some(open)
    }

    /// The next run that is due for a look at `now`, taken off the timer.
    pub(super) fn next_due(&mut self, now: Millis) -> Option<RunId> {
        self.timer.due(now, 1).pop().map(|(_, run)| run)
    }

    /// The runs that are due for a look at `now`, still on the timer.
    pub(super) fn due(&self, now: Millis) -> impl Iterator<Item = RunId> {
        self.timer.peek(now).map(|(_, run)| run)
    }

    /// When the owner must look at a run next.
    pub(super) fn wakes_at(&self) -> Option<Millis> {
        self.timer.next()
    }

    /// Handlers for which runs wait.
    pub(super) fn waiting_handlers(&self) -> impl Iterator<Item = &Name> {
        self.waiting.keys()
    }

    /// The first of the waiting for this handler, after `after`.
    pub(super) fn first_waiting(&self, handler: &Name, after: Option<Place>) -> Option<Place> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.waiting.get(handler)?.range((from, Unbounded)).next().copied()
    }

    /// The attempts that a session has.
    pub(super) fn held_by(&self, session: SessionId) -> impl Iterator<Item = RunId> + '_ {
        self.held.get(&session).into_iter().flatten().copied()
    }

    /// How many they are.
    pub(super) fn held_count(&self, session: SessionId) -> usize {
        self.held.get(&session).map_or(0, BTreeSet::len)
    }

    /// All attempts in flight.
    pub(super) fn all_held(&self) -> Vec<RunId> {
        self.held.values().flatten().copied().collect()
    }

    /// The job's open runs in order of id.
    pub(super) fn runs_of(&self, job: JobId) -> Vec<RunId> {
        self.job_runs.get(&job).map(|of_job| of_job.open.iter().copied().collect()).unwrap_or_default()
    }

    /// How many runs of the job are due or running.
    pub(super) fn alive(&self, job: JobId) -> u32 {
        self.job_runs.get(&job).map_or(0, |of_job| of_job.alive)
    }

    /// How many runs of the job wait for an earlier one.
    pub(super) fn buffered(&self, job: JobId) -> usize {
        self.job_runs.get(&job).map_or(0, |of_job| of_job.buffered.len())
    }

    /// They, in the order in which they start.
    pub(super) fn all_buffered(&self, job: JobId) -> impl Iterator<Item = RunId> + '_ {
        self.job_runs.get(&job).into_iter().flat_map(|of_job| &of_job.buffered).map(|(_, run)| *run)
    }

    pub(super) fn job(&self, id: JobId) -> Option<&KnownJob> {
        self.jobs.get(&id)
    }

    /// A living job by name.
    pub(super) fn job_named(&self, name: &Name) -> Option<&KnownJob> {
        self.jobs.get(self.names.get(name)?)
    }

    /// Jobs that runs in memory need and nobody has loaded.
    pub(super) fn unknown_jobs(&self) -> &BTreeSet<JobId> {
        &self.unknown
    }

    /// They do not exist.
    pub(super) fn give_up_unknown_jobs(&mut self) {
        self.unknown.clear();
    }

    /// All jobs in memory.
    pub(super) fn known_jobs(&self) -> impl Iterator<Item = &KnownJob> {
        self.jobs.values()
    }

    /// Takes a job in as its row holds it, unless it is there: memory is never older than the rows.
    pub(super) fn admit_job(&mut self, job: Job) {
        if !self.jobs.contains_key(&job.id) {
            self.set_job(job);
        }
    }

    /// Takes a job as it is now.
    pub(super) fn set_job(&mut self, job: Job) {
        self.forget_job(job.id);
        self.unknown.remove(&job.id);
        // What does not compile was refused at the door; should it stand in a row, the job has no ticks.
        let schedule = Schedule::of(&job);
        if job.deleted_at.is_none() {
            self.names.insert(job.name.clone(), job.id);
            if let (true, Some(next_at), Some(_)) = (job.enabled, job.next_at, &schedule) {
                self.coming.insert((next_at, job.id));
            }
        }
        let limits = Arc::new(job.definition.limits.clone());
        self.jobs.insert(job.id, KnownJob { job, schedule, limits });
    }

    /// Moves a job's ticks on.
    pub(super) fn set_cursor(&mut self, id: JobId, next_at: Option<Millis>, chain_seq: u64) {
        let Some(known) = self.jobs.get_mut(&id) else { return };
        let job = &mut known.job;
        if let Some(old) = job.next_at {
            self.coming.remove(&(old, id));
        }
        (job.next_at, job.chain_seq) = (next_at, chain_seq);
        if let (true, None, Some(next_at)) = (job.enabled, job.deleted_at, next_at) {
            self.coming.insert((next_at, id));
        }
    }

    /// Lets a job go; its open runs stay.
    pub(super) fn forget_job(&mut self, id: JobId) {
        let Some(KnownJob { job, .. }) = self.jobs.remove(&id) else { return };
        if self.names.get(&job.name) == Some(&id) {
            self.names.remove(&job.name);
        }
        if let Some(next_at) = job.next_at {
            self.coming.remove(&(next_at, id));
        }
    }

    /// Whether open runs of the job are in memory.
    pub(super) fn has_runs(&self, job: JobId) -> bool {
        self.job_runs.contains_key(&job)
    }

    /// The earliest tick that is not written, and whose.
    pub(super) fn next_tick(&self) -> Option<(Millis, JobId)> {
        self.coming.first().copied()
    }

    /// Runs that are not due, buffered, waiting for a worker, and with one.
    pub(super) fn counts(&self) -> [usize; 4] {
        let due = self.buffered_runs + self.waiting_runs + self.dispatched_runs;
        [self.runs.len() - due, self.buffered_runs, self.waiting_runs, self.dispatched_runs]
    }
}
