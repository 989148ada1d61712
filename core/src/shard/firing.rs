//! New runs: of ticks, of chains, of calls.

use std::sync::Arc;

use super::memory::{KnownJob, Open};
use super::turn::Turn;
use super::{Fire, Shard, Triggered, When};
use crate::clock::Millis;
use crate::domain::{FireKey, Gap, GapReason, Limits, Refusal, RefusalKind, Run, Source, State, Trigger};
use crate::id::{Id, JobId, RunId, ShardKey};

/// Ticks of one job in one turn; more wait for the next one.
const TICKS: usize = 1_000;

impl Shard {
    /// Writes a run for each tick of a job up to `until`, at most [`TICKS`], and moves its cursor on.
    pub(super) fn write_ticks_of(&mut self, id: JobId, until: Millis, turn: &mut Turn) {
        let Some(KnownJob { job, schedule: Some(schedule), .. }) = self.memory.job(id) else { return };
        if !job.enabled || job.deleted_at.is_some() {
            return;
        }
        let (mut next_at, schedule) = (job.next_at, schedule.clone());
        for _ in 0..TICKS {
            let Some(tick) = next_at.filter(|tick| *tick <= until) else { break };
            self.write_tick(id, tick, turn);
            next_at = schedule.next(tick);
        }
        self.set_cursor(id, next_at, turn);
    }

    /// Writes the run of one tick.
    pub(super) fn write_tick(&mut self, id: JobId, tick: Millis, turn: &mut Turn) -> Option<RunId> {
        let run_id = Id::new(turn.now, &mut self.chance);
        let known = self.memory.job(id)?;
        let due = known.schedule.as_ref().map_or(tick, |schedule| schedule.due(tick));
        let source = source_of(&known.job.definition.trigger);
        let fresh = new_run(run_id, self.settings.shard, known, FireKey::Tick(tick), source, turn.now);
        self.create(Run { tick: Some(tick), jitter_ms: due.since(tick), due, ..fresh }, turn);
        Some(run_id)
    }

    /// Notes the unwritten ticks of a job up to `until` as one gap, and moves its cursor behind them.
    pub(super) fn gap_until(&mut self, id: JobId, until: Millis, reason: GapReason, turn: &mut Turn) {
        let Some(KnownJob { job, schedule: Some(schedule), .. }) = self.memory.job(id) else { return };
        let Some(from) = job.next_at.filter(|tick| *tick <= until) else { return };
        let to = schedule.previous(until.plus(1)).unwrap_or(from);
        let count = schedule.count(from, to, Gap::MAX_COUNTED);
        let next_at = schedule.next(to);
        turn.plan.rows.gaps.push(Gap { job: id, from, to, count, reason, revision: job.revision });
        self.set_cursor(id, next_at, turn);
    }

    pub(super) fn set_cursor(&mut self, id: JobId, next_at: Option<Millis>, turn: &mut Turn) {
        let Some(known) = self.memory.job(id) else { return };
        let chain_seq = known.job.chain_seq;
        if known.job.next_at != next_at {
            turn.changes_job(&known.job);
            self.memory.set_cursor(id, next_at, chain_seq);
        }
    }

    /// Puts the next run of a fixed-delay chain, due at `due` or, by its life and jitter, later. Its life may be over.
    pub(super) fn put_chain_run(&mut self, id: JobId, due: Millis, turn: &mut Turn) {
        let run_id = Id::new(turn.now, &mut self.chance);
        let Some(known) = self.memory.job(id) else { return };
        let Some(schedule) = &known.schedule else { return };
        let Some(due) = schedule.within_life(due).map(|due| schedule.due(due)) else { return };
        let n = known.job.chain_seq + 1;
        let key = FireKey::Chain(n);
        let run =
            Run { due, ..new_run(run_id, self.settings.shard, known, key, Source::FixedDelay, turn.now) };
        turn.changes_job(&known.job);
        self.memory.set_cursor(id, None, n);
        self.create(run, turn);
    }

    /// A run of a chain ended: the chain goes on, unless the job is off or another run has followed already.
    pub(super) fn follow_chain(&mut self, job: JobId, ended: u64, pause_ms: i64, turn: &mut Turn) {
        let Some(KnownJob { job, .. }) = self.memory.job(job) else { return };
        if let Trigger::FixedDelay { delay_ms } = job.definition.trigger
            && job.enabled
            && job.deleted_at.is_none()
            && job.chain_seq == ended
        {
            self.put_chain_run(job.id, turn.now.plus(delay_ms.max(pause_ms)), turn);
        }
    }

    pub(super) fn fire_all(&mut self, fires: Vec<Fire>, turn: &mut Turn) -> Vec<Result<Triggered, Refusal>> {
        fires.into_iter().map(|fire| self.fire(fire, turn)).collect()
    }

    /// One firing by call. The same key, or the same request, makes one run.
    pub(super) fn fire(&mut self, fire: Fire, turn: &mut Turn) -> Result<Triggered, Refusal> {
        let Some(known) = self.memory.job_named(&fire.job) else { return Err(job_not_found(&fire.job)) };
        let key = fire.fire_key();
        let earlier = turn.fired.get(&(known.job.id, key.clone())).and_then(|id| self.any_run(*id, turn));
        if let Some(run) = earlier {
            return fire.has_fired(run);
        }
        let limits = match fire.overlap {
            Some(overlap) => Arc::new(Limits { overlap, ..known.job.definition.limits.clone() }),
            None => known.limits.clone(),
        };
        let run_id = Id::new(turn.now, &mut self.chance);
        let fresh = new_run(run_id, self.settings.shard, known, key, fire.source, turn.now);
        let run = Run {
            due: due_of(fire.when, turn.now),
            params: fire.params.unwrap_or_else(|| fresh.params.clone()),
            limits,
            idempotency_key: fire.idempotency_key,
            ..fresh
        };
        self.create(run.clone(), turn);
        Ok(Triggered { run, existed: false })
    }

    /// A run in memory, or as it was loaded.
    pub(super) fn any_run<'a>(&'a self, id: RunId, turn: &'a Turn) -> Option<&'a Run> {
        self.memory.run(id).map(|open| &open.run).or_else(|| turn.runs.get(&id))
    }

    /// Takes a new run in.
    pub(super) fn create(&mut self, run: Run, turn: &mut Turn) {
        turn.creates(&run);
        self.memory.admit(Open::new(run));
    }
}

/// A run of the job as it is now, due now.
pub(super) fn new_run(
    id: RunId,
    shard: ShardKey,
    known: &KnownJob,
    fire_key: FireKey,
    source: Source,
    now: Millis,
) -> Run {
    let job = &known.job;
    Run {
        id,
        shard,
        job: job.id,
        job_name: job.name.clone(),
        fire_key,
        source,
        tick: None,
        jitter_ms: 0,
        due: now,
        revision: job.revision,
        handler: job.definition.handler.clone(),
        params: job.definition.params.clone(),
        limits: known.limits.clone(),
        state: State::Scheduled,
        attempt: 0,
        assignment: None,
        fail_count: 0,
        lost_count: 0,
        created_at: now,
        started_at: None,
        cancel: None,
        ended_at: None,
        result: None,
        error: None,
        idempotency_key: None,
        retry_of: None,
    }
}

impl Fire {
    /// What makes this firing the same as another.
    pub fn fire_key(&self) -> FireKey {
        match &self.idempotency_key {
            Some(key) => FireKey::of_idempotency_key(key),
            None => FireKey::Request(self.request),
        }
    }

    /// The earlier run of the same fire key, if it was fired with the same parameters.
    ///
    /// # Errors
    /// `Conflict`, naming the run.
    pub fn has_fired(&self, run: &Run) -> Result<Triggered, Refusal> {
        if self.params.as_ref().is_none_or(|params| *params == run.params) {
            return Ok(Triggered { run: run.clone(), existed: true });
        }
        let message = format!("run {} was fired with the same key and other params", run.id);
        Err(Refusal::new(RefusalKind::Conflict, "idempotency_conflict", message)
            .remedy("give the same params, or another idempotency key"))
    }
}

pub(super) fn job_not_found(name: &crate::domain::Name) -> Refusal {
    Refusal::new(RefusalKind::NotFound, "job_not_found", format!("no job is named \"{name}\""))
        .remedy("put the job first, or check its name")
}

fn due_of(when: When, now: Millis) -> Millis {
    match when {
        When::Now => now,
        When::At(at) => at.max(now),
        When::AfterMs(ms) => now.plus(ms.max(0)),
    }
}

fn source_of(trigger: &Trigger) -> Source {
    match trigger {
        Trigger::Cron(_) => Source::Cron,
        Trigger::FixedRate { .. } => Source::FixedRate,
        Trigger::FixedDelay { .. } => Source::FixedDelay,
        Trigger::DailyWindow(_) => Source::DailyWindow,
        Trigger::At(_) => Source::At,
        Trigger::Api => Source::Api,
    }
}
