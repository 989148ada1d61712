//! The guarantees, judged at each step and at the end.

use std::collections::{BTreeMap, HashMap};

use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    AttemptEnd, Ended, FireKey, GapReason, Job, OutcomeKind, SkipReason, Source, State,
};
use fastjob_core::id::{AttemptKey, Id, JobId, RunId};
use fastjob_core::shard::{Call, Dispatch, Fire, Reply, Rows, Verdict};

use super::clients::CallId;
use super::{Ms, Sim, millis};
use crate::checks::{self, Past};
use crate::inbox;
use crate::worker::{Execution, done};

/// By how much the servers' idea of the database's time may be wrong when no clock steps.
const CLOCK_ERROR_MS: i64 = 500;
/// What a turn may take beyond an outage before it is told of it.
const SLACK_MS: i64 = 2_000;

/// What was seen to happen.
#[derive(Default)]
pub(super) struct Laws {
    pub(super) executions: BTreeMap<AttemptKey, Execution>,
    pub(super) accepted: BTreeMap<AttemptKey, OutcomeKind>,
    /// What owners were told of times that nobody saw.
    pub(super) outages: Vec<(Millis, Millis)>,
    /// When each attempt was committed.
    dispatched: BTreeMap<AttemptKey, Ms>,
    /// The newest answered revision of each job, and when it was answered.
    answered: BTreeMap<JobId, (u64, Ms)>,
    keyed: HashMap<String, RunId>,
    /// Triggers that were answered once the inbox held them.
    pub(super) stored: Vec<Fire>,
    /// Some clock was moved.
    pub(super) clock_stepped: bool,
    pub(super) faults: u32,
}

impl Sim {
    pub(super) fn past(&self) -> Past<'_> {
        let Laws { executions, accepted, .. } = &self.laws;
        Past { tables: &self.store.tables, executions, accepted }
    }

    /// A turn has landed.
    pub(super) fn committed(&mut self, rows: &Rows) {
        let now = self.now;
        let tables = &self.store.tables;
        let started = rows.runs_started.iter().map(|started| started.run);
        let created = rows.runs_created.iter().filter(|run| run.state == State::Dispatched).map(|run| run.id);
        for run in started.chain(created).map(|id| &tables.runs[&id]) {
            let key = run.attempt_key().expect("a dispatched run has an attempt");
            self.laws.dispatched.insert(key, now);
            let job = &tables.jobs[&run.job];
            if run.attempt == 1 && !matches!(run.source, Source::Api | Source::Manual) {
                let current = job.enabled && job.deleted_at.is_none() && run.revision == job.revision;
                assert!(current, "G10: dispatched by an old definition: {run:?} of {job:?}");
            }
        }
    }

    /// A handler is called.
    pub(super) fn note_start(&mut self, dispatch: &Dispatch, execution: Execution) {
        let key = dispatch.key;
        assert!(self.store.tables.knows_attempt(key), "G2: executed without a committed attempt: {key:?}");
        let early = dispatch.tick.is_some_and(|tick| tick > millis(self.now).plus(CLOCK_ERROR_MS));
        assert!(!early || self.laws.clock_stepped, "G2, G9: started before its instant: {dispatch:?}");
        let run = &self.store.tables.runs[&key.run];
        if dispatch.key.attempt == 1
            && !matches!(run.source, Source::Api | Source::Manual)
            && let Some((revision, at)) = self.laws.answered.get(&run.job)
            && let Some(committed) = self.laws.dispatched.get(&key)
        {
            let old = dispatch.revision < *revision && committed > at;
            assert!(!old, "G10: started by an old definition after the edit was answered: {dispatch:?}");
        }
        let earlier = self.laws.executions.insert(key, execution);
        assert!(earlier.is_none(), "G5: one attempt was executed twice: {key:?}");
    }

    /// G3 and G4: what is answered `accepted` is recorded, and once.
    pub(super) fn note_verdict(&mut self, key: AttemptKey, verdict: Verdict) {
        if verdict != Verdict::Accepted {
            return;
        }
        let tables = &self.store.tables;
        let run = &tables.runs[&key.run];
        let recorded = tables.attempts.contains_key(&(key.run, key.attempt))
            || (run.attempt_key() == Some(key) && run.ended_at.is_some());
        assert!(recorded, "G3: accepted, and not recorded: {key:?} of {run:?}");
        assert!(self.laws.accepted.insert(key, done()).is_none(), "G4: accepted twice: {key:?}");
    }

    /// G12: what is answered is stored, and one key is one run.
    pub(super) fn note_reply(&mut self, call: CallId, reply: &Reply) {
        let (now, number) = (self.now, call.number);
        let call = self.clients[call.client].calls[&call.number].clone();
        match (&call, reply) {
            (Call::RunRetry { request, .. }, Reply::Run(run)) => {
                self.note_keyed(format!("retry {request}"), run.id);
            }
            (Call::Trigger(fires), Reply::Triggered(results)) => {
                for (at, (fire, result)) in fires.iter().zip(results).enumerate() {
                    let Ok(fired) = result else { continue };
                    self.note_keyed(format!("{} call {number} {at}", fired.run.job), fired.run.id);
                    let key = fire.idempotency_key.clone().unwrap_or_else(|| fire.request.to_string().into());
                    self.note_keyed(format!("{} {key}", fired.run.job), fired.run.id);
                }
            }
            (_, Reply::Put(puts)) => puts.iter().for_each(|put| self.note_edit(&put.job, now)),
            (_, Reply::Job(job)) => self.note_edit(job, now),
            _ => {}
        }
    }

    fn note_edit(&mut self, job: &Job, now: Ms) {
        let stored = self.store.tables.jobs.get(&job.id);
        let survives = stored.is_some_and(|stored| stored.revision >= job.revision);
        assert!(survives, "G12: an answered edit is not stored: {job:?}");
        let entry = self.laws.answered.entry(job.id).or_insert((job.revision, now));
        if entry.0 < job.revision {
            *entry = (job.revision, now);
        }
    }

    fn note_keyed(&mut self, key: String, run: RunId) {
        assert!(self.store.tables.runs.contains_key(&run), "G12: an answered run is not stored: {key}");
        let first = *self.laws.keyed.entry(key).or_insert(run);
        assert_eq!(first, run, "G12: two runs of one key");
    }

    /// Over the whole history.
    pub(super) fn judge(&self) {
        let past = self.past();
        checks::every_tick_is_accounted_for(past);
        checks::executions_are_explained(past);
        checks::chains_are_consecutive(past);
        checks::skipped_runs_never_started(past);
        for run in self.laws.keyed.values() {
            assert!(past.tables.runs.contains_key(run), "G12: an answered run is gone: {run}");
        }
        inbox::stored_outcomes_are_recorded(past.tables, &self.store.stored);
        self.catch_up_is_for_outages();
        self.duplicates_are_explained();
    }

    /// G8: only what nobody saw is caught up with.
    fn catch_up_is_for_outages(&self) {
        let outages = &self.laws.outages;
        let missed = |tick: Millis| {
            outages.iter().any(|(from, until)| from.plus(-SLACK_MS) < tick && tick <= until.plus(SLACK_MS))
        };
        let tables = &self.store.tables;
        for run in tables.runs.values() {
            let skipped = run.state == State::Ended(Ended::Skipped(SkipReason::CatchUp));
            assert!(
                !skipped || (run.tick.is_some() && missed(run.due)),
                "G8: {run:?} was missed in none of {outages:?}"
            );
        }
        for gap in tables.gaps.iter().filter(|gap| gap.reason == GapReason::CatchUp) {
            assert!(missed(gap.from) && missed(gap.to), "G8: {gap:?} lies in none of {outages:?}");
        }
    }

    /// G12: what the inbox held has fired, or is kept with the reason why it cannot.
    fn stored_triggers_fired(&self) {
        let tables = &self.store.tables;
        let waits = tables.commands.values().find(|waiting| waiting.failed.is_none());
        assert!(waits.is_none(), "G3: still in the inbox: {waits:?}");
        for fire in &self.laws.stored {
            let refused = tables.commands.contains_key(&Id::from_bytes(*fire.request.as_bytes()));
            let key = match &fire.idempotency_key {
                Some(key) => FireKey::of_idempotency_key(key),
                None => FireKey::Request(fire.request),
            };
            let fired = || tables.runs.values().any(|run| run.job_name == fire.job && run.fire_key == key);
            assert!(refused || fired(), "G12: a stored trigger made no run: {fire:?}");
        }
    }

    /// G5: executions <= 1 + lost + retries; without a fault, one.
    fn duplicates_are_explained(&self) {
        let mut executions: BTreeMap<RunId, u32> = BTreeMap::new();
        self.laws.executions.keys().for_each(|key| *executions.entry(key.run).or_default() += 1);
        for (id, executed) in executions {
            let run = &self.store.tables.runs[&id];
            let explained = 1 + run.fail_count + run.lost_count;
            assert!(executed <= explained, "G5: executed {executed} times: {run:?}");
        }
        if self.laws.faults == 0 {
            let superfluous = self
                .store
                .tables
                .attempts
                .values()
                .find(|attempt| matches!(attempt.end, AttemptEnd::Lost | AttemptEnd::Undelivered));
            assert!(superfluous.is_none(), "G5: without a fault: {superfluous:?}");
        }
    }

    /// G3 and G11, once all faults have ended.
    pub(super) fn judge_end(&self) {
        self.judge();
        checks::overlap_is_respected(self.past());
        let open: Vec<_> =
            self.store.tables.runs.values().filter(|run| !matches!(run.state, State::Ended(_))).collect();
        assert!(open.is_empty(), "G3: still open long after all faults ended: {open:?}");
        assert!(
            self.workers.iter().all(super::fleet::Worker::is_idle),
            "G3: a worker still has attempts or outcomes"
        );
        self.stored_triggers_fired();
        assert_eq!(self.store.tables.outage_from, None, "G8: the outage is made up for");
    }
}
