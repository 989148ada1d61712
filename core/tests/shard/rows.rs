//! The rows of one shard in memory: applies what a turn writes, and fails the test if a write contradicts what is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    Attempt, CancelCause, Ended, FailReason, FireKey, Gap, Job, Run, SkipReason, Source, State,
};
use fastjob_core::id::{AttemptKey, InboxId, JobId, RunId};
use fastjob_core::shard::{DuePage, Facts, History, JobPage, Needs, OpenPage, Rows};

use crate::inbox::Waiting;

/// One revision of a job, as the audit would read it.
#[derive(Clone, Debug)]
pub(crate) struct Revised {
    pub(crate) at: Millis,
    pub(crate) job: Job,
}

/// Everything stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables {
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) revisions: BTreeMap<JobId, Vec<Revised>>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    pub(crate) attempts: BTreeMap<(RunId, u32), Attempt>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) outage_from: Option<Millis>,
    /// The inbox.
    pub(crate) commands: BTreeMap<InboxId, Waiting>,
    keys: HashMap<(JobId, FireKey), RunId>,
    /// How often each row of the state table was taken.
    pub(crate) taken: BTreeMap<String, u64>,
}

impl Tables {
    /// Commits a turn.
    pub(crate) fn apply(&mut self, rows: &Rows) {
        self.check_lists(rows);
        for id in &rows.runs_removed {
            let run = self.runs.remove(id).expect("G4: a removed run exists");
            assert!(
                run.state == State::Scheduled && run.attempt == 0,
                "G4: removed after its start: {run:?}"
            );
            self.keys.remove(&(run.job, run.fire_key));
            self.take("run taken back".into());
        }
        self.apply_jobs(rows);
        self.apply_runs(rows);
        for attempt in &rows.attempts {
            let earlier = self.attempts.insert((attempt.key.run, attempt.key.attempt), attempt.clone());
            assert!(earlier.is_none(), "G4: attempt written twice: {attempt:?}");
            assert!(self.runs.contains_key(&attempt.key.run));
            self.take(format!("dispatched -> {:?}", attempt.end));
        }
        for gap in &rows.gaps {
            assert!(gap.from <= gap.to, "{gap:?}");
            let overlaps =
                |other: &&Gap| other.job == gap.job && other.from <= gap.to && gap.from <= other.to;
            assert!(self.gaps.iter().find(overlaps).is_none(), "gaps overlap: {gap:?}");
            self.gaps.push(gap.clone());
            self.take(format!("gap -> {:?}", gap.reason));
        }
        self.apply_commands(rows);
        if rows.outage_over {
            self.outage_from = None;
            self.take("outage made up for".into());
        }
    }

    pub(crate) fn take(&mut self, row: String) {
        *self.taken.entry(row).or_default() += 1;
    }

    /// A run or job stands in one list of its kind; only a changed run may be copied as well.
    fn check_lists(&self, rows: &Rows) {
        let once = |lists: &[Vec<RunId>]| {
            let mut seen = BTreeSet::new();
            lists
                .iter()
                .flatten()
                .for_each(|id| assert!(seen.insert(*id), "run {id} stands in two lists: {rows:?}"));
        };
        let ids = |list: Vec<RunId>| list;
        let created = ids(rows.runs_created.iter().map(|run| run.id).collect());
        let started = ids(rows.runs_started.iter().map(|run| run.run).collect());
        let ended = ids(rows.runs_ended.iter().map(|run| run.run).collect());
        let changed = ids(rows.runs_changed.iter().map(|run| run.run).collect());
        let copied = ids(rows.runs_copied.iter().map(|run| run.run).collect());
        let removed = rows.runs_removed.clone();
        once(&[removed.clone(), created.clone(), started.clone(), ended.clone()]);
        once(&[removed.clone(), created.clone(), started.clone(), changed]);
        once(&[removed, created, started, ended, copied]);
        let jobs = rows.jobs_created.iter().chain(&rows.jobs_revised).map(|job| job.id);
        let mut seen = BTreeSet::new();
        jobs.chain(rows.cursors.iter().map(|cursor| cursor.job))
            .for_each(|id| assert!(seen.insert(id), "job {id}"));
    }

    fn apply_jobs(&mut self, rows: &Rows) {
        for job in &rows.jobs_revised {
            let old = self.jobs.insert(job.id, job.clone()).expect("a revised job exists");
            assert!(old.deleted_at.is_none() && job.revision > old.revision, "{old:?} -> {job:?}");
            self.revisions.entry(job.id).or_default().push(Revised { at: job.updated_at, job: job.clone() });
        }
        for job in &rows.jobs_created {
            assert!(self.jobs.insert(job.id, job.clone()).is_none(), "job created twice: {job:?}");
            self.revisions.entry(job.id).or_default().push(Revised { at: job.updated_at, job: job.clone() });
        }
        let mut names = BTreeSet::new();
        for job in self.jobs.values().filter(|job| job.deleted_at.is_none()) {
            assert!(names.insert(&job.name), "two living jobs are named {}", job.name);
        }
        for cursor in &rows.cursors {
            let job = self.jobs.get_mut(&cursor.job).expect("a job whose cursor moves exists");
            (job.next_at, job.chain_seq) = (cursor.next_at, cursor.chain_seq);
        }
    }

    fn apply_runs(&mut self, rows: &Rows) {
        for run in &rows.runs_created {
            assert!(self.jobs.contains_key(&run.job), "run without a job: {run:?}");
            let twin = self.keys.insert((run.job, run.fire_key.clone()), run.id);
            assert!(twin.is_none(), "G1, G12: fired twice: {run:?}");
            assert!(self.runs.insert(run.id, run.clone()).is_none(), "run created twice: {run:?}");
            self.take(format!("- -> {}", name(run.state)));
            if run.source == Source::Backfill {
                self.take("tick run again".into());
            }
        }
        for started in &rows.runs_started {
            let run = self.runs.get_mut(&started.run).expect("G4: a started run exists");
            assert_eq!((run.state, run.attempt + 1), (State::Scheduled, started.attempt), "G4: {run:?}");
            run.state = State::Dispatched;
            run.attempt = started.attempt;
            run.assignment = Some(started.assignment.clone());
            self.take("scheduled -> dispatched".into());
        }
        for copied in &rows.runs_copied {
            let run = self.runs.get_mut(&copied.run).expect("G4: a copied run exists");
            run.revision = copied.revision;
            run.handler = copied.handler.clone();
            run.params = copied.params.clone();
            run.limits = copied.limits.clone();
            self.take("run follows an edit".into());
        }
        for changed in &rows.runs_changed {
            let run = self.runs.get_mut(&changed.run).expect("G4: a changed run exists");
            assert!(!matches!(run.state, State::Ended(_)), "G4: changed after its end: {run:?}");
            run.state = changed.state;
            run.due = changed.due;
            (run.fail_count, run.lost_count) = (changed.fail_count, changed.lost_count);
            run.cancel = changed.cancel;
            run.error = changed.error.clone();
            if run.state == State::Scheduled {
                run.assignment = None;
            }
        }
        for copied in &rows.runs_copied {
            assert_eq!(self.runs[&copied.run].state, State::Scheduled, "copied while it runs");
        }
        for ended in &rows.runs_ended {
            let run = self.runs.get_mut(&ended.run).expect("G4: an ended run exists");
            assert!(!matches!(run.state, State::Ended(_)), "G4: ended twice: {run:?}");
            let row = format!("{} -> {}", name(run.state), name(State::Ended(ended.ended)));
            run.state = State::Ended(ended.ended);
            run.ended_at = Some(ended.ended_at);
            run.started_at = ended.started_at;
            (run.fail_count, run.lost_count) = (ended.fail_count, ended.lost_count);
            run.result = ended.result.clone();
            run.error = ended.error.clone();
            assert!(run.lost_count <= 3, "G13: lost too often: {run:?}");
            self.take(row);
        }
    }

    pub(crate) fn job_named(&self, name: &fastjob_core::domain::Name) -> Option<&Job> {
        self.jobs.values().find(|job| job.deleted_at.is_none() && job.name == *name)
    }

    /// What a turn asks for.
    pub(crate) fn facts(&self, needs: &Needs) -> Facts {
        let mut jobs: Vec<Job> =
            needs.jobs_named.iter().filter_map(|name| self.job_named(name)).cloned().collect();
        jobs.extend(needs.jobs.iter().filter_map(|id| self.jobs.get(id)).cloned());
        let fired = needs.fired.iter().filter_map(|(name, key)| {
            self.keys.get(&(self.job_named(name)?.id, key.clone())).map(|id| &self.runs[id])
        });
        let runs = needs.runs.iter().filter_map(|id| self.runs.get(id)).chain(fired).cloned().collect();
        let histories = needs.histories.iter().filter_map(|name| self.job_named(name));
        let histories = histories.map(|job| self.history(job.id, needs.histories_after)).collect();
        Facts {
            jobs,
            runs,
            outcomes: self.outcomes_of(&needs.outcomes_of),
            histories,
            due: needs.due.map(|page| self.due(page)),
        }
    }

    fn history(&self, job: JobId, after: Millis) -> History {
        let runs = || self.runs.values().filter(|run| run.job == job);
        let ended = || runs().filter(|run| matches!(run.state, State::Ended(_)));
        let own = |run: &&Run| {
            run.state == State::Scheduled
                && !matches!(run.source, Source::Api | Source::Manual | Source::Backfill)
        };
        History {
            job,
            ticks: ended()
                .filter(|run| run.fire_key.is_tick())
                .filter_map(|run| run.tick)
                .filter(|tick| *tick > after)
                .collect(),
            scheduled: runs().filter(own).cloned().collect(),
            chain_ended_at: ended()
                .filter(|run| matches!(run.fire_key, FireKey::Chain(_)))
                .filter_map(|run| run.ended_at)
                .max(),
        }
    }

    fn due(&self, page: DuePage) -> JobPage {
        let limit = page.limit as usize;
        let living = || self.jobs.values().filter(|job| job.enabled && job.deleted_at.is_none());
        let mut jobs: Vec<_> =
            living().filter(|job| job.next_at.is_some_and(|at| at <= page.until)).cloned().collect();
        jobs.sort_by_key(|job| (job.next_at, job.id));
        let scheduled = || self.runs.values().filter(|run| run.state == State::Scheduled);
        let within = |run: &&Run| page.opened < run.due && run.due <= page.until;
        let mut runs: Vec<_> = scheduled().filter(within).cloned().collect();
        runs.sort_by_key(|run| (run.due, run.id));
        let more = jobs.len() > limit || runs.len() > limit;
        jobs.truncate(limit);
        runs.truncate(limit);
        let ticks = living().filter_map(|job| job.next_at).filter(|at| *at > page.until);
        let next_beyond = ticks.chain(scheduled().map(|run| run.due).filter(|due| *due > page.until)).min();
        JobPage { jobs, runs, more, next_beyond }
    }

    /// A page of the boot.
    pub(crate) fn open_page(&self, until: Millis, after: Option<RunId>, limit: usize) -> OpenPage {
        let wanted = |run: &&Run| match run.state {
            State::Scheduled => run.due <= until || run.attempt > 0,
            State::Dispatched => true,
            State::Ended(_) => false,
        };
        let mut runs: Vec<_> = self
            .runs
            .values()
            .filter(wanted)
            .filter(|run| Some(run.id) > after)
            .take(limit + 1)
            .cloned()
            .collect();
        let more = runs.len() > limit;
        runs.truncate(limit);
        let ids: BTreeSet<JobId> = runs.iter().map(|run| run.job).collect();
        OpenPage { runs, jobs: ids.iter().map(|id| self.jobs[id].clone()).collect(), more }
    }

    /// The attempt is committed.
    pub(crate) fn knows_attempt(&self, key: AttemptKey) -> bool {
        let current = self.runs.get(&key.run).is_some_and(|run| run.attempt_key() == Some(key));
        current || self.attempts.get(&(key.run, key.attempt)).is_some_and(|attempt| attempt.key == key)
    }
}

/// The state's name in the table of the guarantees.
pub(crate) fn name(state: State) -> String {
    match state {
        State::Scheduled => "scheduled".into(),
        State::Dispatched => "dispatched".into(),
        State::Ended(Ended::Succeeded) => "succeeded".into(),
        State::Ended(Ended::Cancelled(CancelCause::Requested)) => "cancelled".into(),
        State::Ended(Ended::Cancelled(CancelCause::Overlap)) => "cancelled(overlap)".into(),
        State::Ended(Ended::Failed(reason)) => match reason {
            FailReason::Error => "failed(error)".into(),
            FailReason::Timeout => "failed(timeout)".into(),
            FailReason::Lost => "failed(lost)".into(),
            FailReason::Quarantined => "failed(quarantined)".into(),
        },
        State::Ended(Ended::Skipped(reason)) => match reason {
            SkipReason::Overlap => "skipped(overlap)".into(),
            SkipReason::CatchUp => "skipped(catch_up)".into(),
            SkipReason::Disabled => "skipped(disabled)".into(),
            SkipReason::Deleted => "skipped(deleted)".into(),
            SkipReason::StartDeadline => "skipped(start_deadline)".into(),
        },
    }
}
