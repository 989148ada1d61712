//! Jobs are put, enabled, disabled and deleted. An edit takes effect at its turn: what has not started follows it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::firing::job_not_found;
use super::memory::{KnownJob, Open, Stage};
use super::turn::Turn;
use super::{Change, JobPut, JobPutDone, Shard};
use crate::clock::Millis;
use crate::domain::{
    Definition, FireKey, GapReason, Job, ManagedBy, Name, Refusal, RefusalKind, Run, SkipReason, Source,
    State, Trigger,
};
use crate::id::{Id, JobId, RunId};
use crate::mutant::mutant;
use crate::schedule::Schedule;

/// What a job becomes.
struct Revision {
    definition: Arc<Definition>,
    enabled: bool,
    deleted_at: Option<Millis>,
}

/// What an edit makes of a run.
enum Fate {
    /// It goes on as it is.
    Stays,
    /// It is taken back.
    Removed,
    /// It follows the new definition.
    Follows,
    /// It never starts.
    Skipped(SkipReason),
}

impl Shard {
    /// Creates or replaces jobs: all or none.
    pub(super) fn put_jobs(
        &mut self,
        puts: Vec<JobPut>,
        turn: &mut Turn,
    ) -> Result<Vec<JobPutDone>, Refusal> {
        let mut names = HashSet::new();
        for (index, put) in puts.iter().enumerate() {
            let checked = if names.insert(put.name.clone()) {
                self.check_put(put)
            } else {
                Err(named_twice(&put.name))
            };
            checked.map_err(|refusal| refusal.within(&format!("jobs[{index}]")))?;
        }
        Ok(puts.into_iter().filter_map(|put| self.put_job(put, turn)).collect())
    }

    pub(super) fn check_put(&self, put: &JobPut) -> Result<(), Refusal> {
        let created_at = match self.memory.job_named(&put.name) {
            Some(known) => {
                may_overwrite(&known.job.name, &known.job.definition, &put.definition)?;
                known.job.created_at
            }
            None => self.now,
        };
        let compiled = Schedule::compile(&put.definition.trigger, created_at);
        compiled.map(drop).map_err(|error| {
            Refusal::invalid(error.code, format!("trigger.{}", error.field), error.message)
                .remedy(error.remedy)
        })
    }

    pub(super) fn put_job(&mut self, put: JobPut, turn: &mut Turn) -> Option<JobPutDone> {
        let Some(KnownJob { job, .. }) = self.memory.job_named(&put.name) else {
            let job = self.create_job(put, turn)?;
            return Some(JobPutDone { change: Change::Created, job });
        };
        let (id, enabled) = (job.id, put.enabled.unwrap_or(job.enabled));
        if *job.definition == put.definition && job.enabled == enabled {
            return Some(JobPutDone { change: Change::Unchanged, job: job.clone() });
        }
        let revision = Revision { definition: Arc::new(put.definition), enabled, deleted_at: None };
        let job = self.revise(id, revision, turn)?;
        Some(JobPutDone { change: Change::Updated, job })
    }

    fn create_job(&mut self, put: JobPut, turn: &mut Turn) -> Option<Job> {
        let job = Job {
            id: Id::new(turn.now, &mut self.chance),
            shard: self.settings.shard,
            name: put.name,
            revision: 1,
            definition: Arc::new(put.definition),
            enabled: put.enabled.unwrap_or(true),
            next_at: None,
            chain_seq: 0,
            created_at: turn.now,
            updated_at: turn.now,
            deleted_at: None,
        };
        let id = job.id;
        turn.creates_job(&job);
        self.memory.set_job(job);
        self.restart_ticks(id, turn);
        self.restart_chain(id, turn);
        self.memory.job(id).map(|known| known.job.clone())
    }

    /// Enables or disables a job; nothing happens if it is so already.
    pub(super) fn enable_job(&mut self, name: &Name, enabled: bool, turn: &mut Turn) -> Result<Job, Refusal> {
        let KnownJob { job, .. } = self.memory.job_named(name).ok_or_else(|| job_not_found(name))?;
        if job.enabled == enabled {
            return Ok(job.clone());
        }
        let revision = Revision { definition: job.definition.clone(), enabled, deleted_at: None };
        self.revise(job.id, revision, turn).ok_or_else(|| job_not_found(name))
    }

    /// Leaves a tombstone: history keeps its job, and the name is free again. Called runs that have had an attempt go
    /// on; the others are skipped.
    pub(super) fn delete_job(&mut self, name: &Name, turn: &mut Turn) -> Result<(), Refusal> {
        let KnownJob { job, .. } = self.memory.job_named(name).ok_or_else(|| job_not_found(name))?;
        let revision =
            Revision { definition: job.definition.clone(), enabled: job.enabled, deleted_at: Some(turn.now) };
        self.revise(job.id, revision, turn).map(drop).ok_or_else(|| job_not_found(name))
    }

    /// The job is another from this turn on: what is due is accounted for by the old definition, what has not started
    /// follows the new one, and its ticks begin anew after now.
    fn revise(&mut self, id: JobId, revision: Revision, turn: &mut Turn) -> Option<Job> {
        if let Some(history) = turn.histories.get_mut(&id) {
            let scheduled = std::mem::take(&mut history.scheduled);
            scheduled.into_iter().for_each(|run| self.memory.admit(Open::new(run)));
        }
        // Revisions follow each other, also if the clock was set back between two owners.
        let at = turn.now.max(self.memory.job(id)?.job.updated_at);
        self.account_until(id, at, turn);
        let old = &self.memory.job(id)?.job;
        let (overlap, revised) = (old.definition.limits.overlap, revision.definition.limits.overlap);
        turn.changes_job(old);
        let job = Job {
            revision: old.revision + 1,
            definition: revision.definition,
            enabled: revision.enabled,
            deleted_at: revision.deleted_at,
            updated_at: at,
            ..old.clone()
        };
        self.memory.set_job(job);
        for run in self.memory.runs_of(id) {
            self.follow_edit(run, turn);
        }
        if overlap != revised {
            self.judge_buffered_again(id, turn);
        }
        self.restart_ticks(id, turn);
        self.restart_chain(id, turn);
        self.memory.job(id).map(|known| known.job.clone())
    }

    fn account_until(&mut self, id: JobId, at: Millis, turn: &mut Turn) {
        let Some(known) = self.memory.job(id) else { return };
        if !known.job.enabled {
            return self.gap_until(id, at, GapReason::Disabled, turn);
        }
        self.make_up_for(id, turn);
        self.write_ticks_of(id, at, turn);
        // More than a turn can write: as if nobody had been there.
        self.gap_until(id, at, GapReason::CatchUp, turn);
    }

    fn follow_edit(&mut self, id: RunId, turn: &mut Turn) {
        let Some(open) = self.memory.run(id) else { return };
        let Some(known) = self.memory.job(open.run.job) else { return };
        match fate(open, &known.job) {
            Fate::Stays => {}
            Fate::Removed => self.take_back(id, turn),
            Fate::Skipped(reason) => self.skip(id, reason, turn),
            Fate::Follows => {
                turn.changes(&open.run);
                let (definition, revision, limits) =
                    (known.job.definition.clone(), known.job.revision, known.limits.clone());
                self.memory.change(id, |Open { run, .. }| {
                    run.revision = revision;
                    run.handler = definition.handler.clone();
                    run.params = definition.params.clone();
                    run.limits = limits;
                });
            }
        }
    }

    fn take_back(&mut self, id: RunId, turn: &mut Turn) {
        let Some(Open { run, .. }) = self.memory.forget(id) else { return };
        turn.removes(&run);
        let Some(KnownJob { job, .. }) = self.memory.job(run.job) else { return };
        if run.fire_key == FireKey::Chain(job.chain_seq) {
            let (job, next_at, chain_seq) = (job.id, job.next_at, job.chain_seq - 1);
            self.memory.set_cursor(job, next_at, chain_seq);
        }
    }

    /// The first tick is the first one after the edit. Ticks after it that have their run already are stepped over; what
    /// lies between them gets its run now, skipped if the job is disabled, so that the cursor can stand behind them all.
    fn restart_ticks(&mut self, id: JobId, turn: &mut Turn) {
        let taken = self.ticks_taken(id, turn);
        let Some(KnownJob { job, schedule, .. }) = self.memory.job(id) else { return };
        let (enabled, at) = (job.enabled, job.updated_at);
        let schedule = schedule.clone().filter(|_| job.deleted_at.is_none());
        let next = |after: Millis| schedule.as_ref().and_then(|schedule| schedule.next(after));
        let last_taken = taken.last().copied().unwrap_or(at);
        let mut next_at = next(at);
        while let Some(tick) = next_at.filter(|tick| *tick <= last_taken) {
            let written = if taken.contains(&tick) { None } else { self.write_tick(id, tick, turn) };
            if let (Some(run), false) = (written, enabled) {
                self.skip(run, SkipReason::Disabled, turn);
            }
            next_at = next(tick);
        }
        self.set_cursor(id, next_at, turn);
    }

    /// Ticks after now that have a run.
    fn ticks_taken(&self, id: JobId, turn: &Turn) -> BTreeSet<Millis> {
        let ended = turn.histories.get(&id).map(|history| history.ticks.clone()).unwrap_or_default();
        let of_tick =
            |run: RunId| Some(&self.memory.run(run)?.run).filter(|run| run.fire_key.is_tick())?.tick;
        let open = self.memory.runs_of(id).into_iter().filter_map(of_tick);
        ended.into_iter().chain(open).filter(|tick| *tick > turn.now).collect()
    }

    /// A fixed-delay job without an open run of its chain gets one.
    fn restart_chain(&mut self, id: JobId, turn: &mut Turn) {
        let Some(KnownJob { job, .. }) = self.memory.job(id) else { return };
        let Trigger::FixedDelay { delay_ms } = job.definition.trigger else { return };
        if !job.enabled || job.deleted_at.is_some() {
            return;
        }
        let runs: Vec<&Run> =
            self.memory.runs_of(id).into_iter().filter_map(|run| Some(&self.memory.run(run)?.run)).collect();
        let of_chain = || runs.iter().filter(|run| matches!(run.fire_key, FireKey::Chain(_)));
        if of_chain().any(|run| !matches!(run.state, State::Ended(_))) {
            return;
        }
        let stored = turn.histories.get(&id).and_then(|history| history.chain_ended_at);
        let last_end = of_chain().filter_map(|run| run.ended_at).chain(stored).max();
        let due = last_end.map_or(turn.now, |end| end.plus(delay_ms).max(turn.now));
        self.put_chain_run(id, due, turn);
    }
}

/// What becomes of a run when its job becomes `job`.
fn fate(open: &Open, job: &Job) -> Fate {
    let run = &open.run;
    if run.state != State::Scheduled {
        return Fate::Stays;
    }
    if matches!(run.source, Source::Api | Source::Manual | Source::Backfill) {
        let dropped = job.deleted_at.is_some() && run.attempt == 0;
        return if dropped { Fate::Skipped(SkipReason::Deleted) } else { Fate::Stays };
    }
    let ahead =
        run.attempt == 0 && open.stage == Stage::Coming && run.tick.unwrap_or(run.due) > job.updated_at;
    let of_tick = run.tick.is_some();
    match (job.deleted_at.is_some(), job.enabled) {
        (true, _) | (_, false) if ahead && of_tick => Fate::Removed,
        (true, _) => Fate::Skipped(SkipReason::Deleted),
        (false, false) => Fate::Skipped(SkipReason::Disabled),
        (false, true) if ahead && mutant("edit_keeps_runs") => Fate::Stays,
        (false, true) if ahead => Fate::Removed,
        (false, true) => Fate::Follows,
    }
}

/// Whether the stored job of this name may be replaced by the one that is put.
///
/// # Errors
/// `Conflict` if the console manages it, or a newer version put it.
pub fn may_overwrite(name: &Name, stored: &Definition, put: &Definition) -> Result<(), Refusal> {
    let conflict = |code, field: &'static str, message: String| Refusal {
        field: field.into(),
        ..Refusal::new(RefusalKind::Conflict, code, message)
    };
    if stored.managed_by == ManagedBy::Console && put.managed_by == ManagedBy::Code {
        let message = format!("job \"{name}\" is managed by the console");
        return Err(conflict("managed_by_console", "managed_by", message)
            .remedy("change it in the console, or put it with managed_by = console"));
    }
    if let (Some(stored_version), Some(version)) = (stored.source_version, put.source_version)
        && version < stored_version
    {
        let message = format!("is {version}, but job \"{name}\" was put by version {stored_version}");
        return Err(conflict("source_version_older", "source_version", message)
            .remedy("put it from the newer version, or raise source_version"));
    }
    Ok(())
}

pub(super) fn named_twice(name: &Name) -> Refusal {
    Refusal::invalid("job_named_twice", "name", format!("\"{name}\" stands twice in this call"))
        .remedy("put each job once")
}
