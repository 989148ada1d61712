//! Rows of jobs, runs, attempts and gaps.

use std::collections::HashMap;
use std::sync::Arc;

use fastjob_core::domain::{
    Assignment, Attempt, AttemptEnd, Cancel, CancelCause, Gap, GapReason, Job, Limits, Name, Revision, Run,
    Source, State,
};
use fastjob_core::id::{AttemptKey, Epoch, Token};

use super::{Cells, Reader};
use crate::store::error::StoreError;
use crate::store::shape;

/// All columns of `fastjob_job`, as [`job`] reads them.
pub(in crate::store) const JOB: &str =
    "job.id, job.app_id, job.shard, job.name, job.revision, job.definition,
    job.params_encoding, job.params, job.enabled, job.next_at, job.chain_seq, job.created_at, job.updated_at,
    job.deleted_at";

/// A row of [`JOB`].
pub(in crate::store) fn job(row: &impl Cells) -> Result<Job, StoreError> {
    let row = Reader::new(row, "fastjob_job", "id");
    let params = row.payload("params_encoding", "params")?;
    let definition = shape::definition_read(row.text("definition")?, params);
    Ok(Job {
        id: row.id("id")?,
        shard: row.shard()?,
        name: row.name("name")?,
        revision: row.bits("revision")?,
        definition: Arc::new(definition.map_err(|error| row.corrupt("definition", error))?),
        enabled: row.flag("enabled")?,
        next_at: row.maybe_at("next_at")?,
        chain_seq: row.bits("chain_seq")?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
        deleted_at: row.maybe_at("deleted_at")?,
    })
}

/// All columns of `fastjob_job_revision` but the job's, as [`revision`] reads them.
pub(in crate::store) const REVISION: &str =
    "revision, from_at, definition, params_encoding, params, enabled, deleted";

/// A row of [`REVISION`].
pub(in crate::store) fn revision(row: &impl Cells) -> Result<Revision, StoreError> {
    let row = Reader::new(row, "fastjob_job_revision", "revision");
    let params = row.payload("params_encoding", "params")?;
    let definition = shape::definition_read(row.text("definition")?, params);
    Ok(Revision {
        revision: row.bits("revision")?,
        from: row.at("from_at")?,
        definition: Arc::new(definition.map_err(|error| row.corrupt("definition", error))?),
        enabled: row.flag("enabled")?,
        deleted: row.flag("deleted")?,
    })
}

/// All columns of `fastjob_run`, as [`Runs`] reads them.
pub(in crate::store) const RUN: &str = "run.id, run.app_id, run.shard, run.job_id, run.job_name, run.fire_key, run.source,
    run.tick, run.due_at, run.revision, run.handler, run.params_encoding, run.params, run.limits, run.state, run.reason,
    run.attempt, run.token, run.session_id, run.worker, run.server_id, run.epoch, run.dispatched_at, run.fail_count,
    run.lost_count, run.created_at, run.started_at, run.cancel_at, run.ended_at, run.result_encoding, run.result,
    run.error_class, run.error_message, run.error_trace, run.idempotency_key, run.retry_of,
    run.jitter_ms";

/// Reads rows of [`RUN`]; equal limits and names share their memory.
#[derive(Default)]
pub(in crate::store) struct Runs {
    limits: HashMap<String, Arc<Limits>>,
    names: HashMap<String, Name>,
}

impl Runs {
    /// All of them.
    pub(in crate::store) fn read_all(rows: &[impl Cells]) -> Result<Vec<Run>, StoreError> {
        let mut runs = Self::default();
        rows.iter().map(|row| runs.read(row)).collect()
    }

    /// The next one.
    pub(in crate::store) fn read(&mut self, row: &impl Cells) -> Result<Run, StoreError> {
        let row = Reader::new(row, "fastjob_run", "id");
        Ok(Run {
            id: row.id("id")?,
            shard: row.shard()?,
            job: row.id("job_id")?,
            job_name: self.name(&row, "job_name")?,
            fire_key: row.word("fire_key", |text| text.parse().ok())?,
            source: row.word("source", Source::parse)?,
            tick: row.maybe_at("tick")?,
            due: row.at("due_at")?,
            revision: row.bits("revision")?,
            handler: self.name(&row, "handler")?,
            params: row.payload("params_encoding", "params")?,
            limits: self.limits(&row)?,
            state: state(&row)?,
            attempt: row.number("attempt")?,
            assignment: assignment(&row)?,
            fail_count: row.number("fail_count")?,
            lost_count: row.number("lost_count")?,
            created_at: row.at("created_at")?,
            started_at: row.maybe_at("started_at")?,
            cancel: cancel(&row)?,
            ended_at: row.maybe_at("ended_at")?,
            result: match row.maybe_text("result_encoding")? {
                Some(_) => Some(row.payload("result_encoding", "result")?),
                None => None,
            },
            error: row.failure()?,
            idempotency_key: row.maybe_text("idempotency_key")?.map(Arc::from),
            retry_of: row.maybe_id("retry_of")?,
            jitter_ms: row.maybe_whole("jitter_ms")?.unwrap_or(0),
        })
    }

    fn limits(&mut self, row: &Reader<'_, impl Cells>) -> Result<Arc<Limits>, StoreError> {
        let text = row.text("limits")?;
        if let Some(known) = self.limits.get(text) {
            return Ok(known.clone());
        }
        let limits = Arc::new(shape::limits_read(text).map_err(|error| row.corrupt("limits", error))?);
        self.limits.insert(text.to_owned(), limits.clone());
        Ok(limits)
    }

    fn name(&mut self, row: &Reader<'_, impl Cells>, column: &'static str) -> Result<Name, StoreError> {
        let text = row.text(column)?;
        if let Some(known) = self.names.get(text) {
            return Ok(known.clone());
        }
        let name = row.name(column)?;
        self.names.insert(text.to_owned(), name.clone());
        Ok(name)
    }
}

/// The number of a state's word in `fastjob_run.state`.
pub(in crate::store) fn state_number(word: &str) -> Option<i64> {
    STATES.iter().position(|known| *known == word).and_then(|at| i64::try_from(at).ok())
}

const STATES: [&str; 6] = ["scheduled", "dispatched", "succeeded", "failed", "cancelled", "skipped"];

fn state(row: &Reader<'_, impl Cells>) -> Result<State, StoreError> {
    let number: usize = row.number("state")?;
    let word =
        *STATES.get(number).ok_or_else(|| row.corrupt("state", format_args!("unknown number {number}")))?;
    // Of an open run it is why the run is to end, which `cancel` reads.
    let is_open = row.maybe_at("ended_at")?.is_none();
    let reason = row.maybe_text("reason")?.filter(|_| !is_open).unwrap_or_default();
    State::parse(word, reason)
        .ok_or_else(|| row.corrupt("reason", format_args!("{reason:?} is no reason of {word}")))
}

/// A cancel that was asked for; rows of the first release do not say why.
fn cancel(row: &Reader<'_, impl Cells>) -> Result<Option<Cancel>, StoreError> {
    let Some(at) = row.maybe_at("cancel_at")? else { return Ok(None) };
    let cause = match row.maybe_text("reason")? {
        Some(word) => CancelCause::parse(word).unwrap_or(CancelCause::Requested),
        None => CancelCause::Requested,
    };
    Ok(Some(Cancel { at, cause }))
}

fn assignment(row: &Reader<'_, impl Cells>) -> Result<Option<Assignment>, StoreError> {
    if row.maybe_whole("token")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Assignment {
        token: Token(row.bits("token")?),
        session: row.id("session_id")?,
        worker: row.text("worker")?.into(),
        server: row.id("server_id")?,
        epoch: Epoch(row.whole("epoch")?),
        dispatched_at: row.at("dispatched_at")?,
    }))
}

/// All columns of `fastjob_attempt`, as [`attempt`] reads them.
pub(in crate::store) const ATTEMPT: &str =
    "run_id, attempt, token, session_id, worker, server_id, epoch, dispatched_at,
    started_at, ended_at, outcome, error_class, error_message, error_trace";

/// A row of [`ATTEMPT`].
pub(in crate::store) fn attempt(row: &impl Cells) -> Result<Attempt, StoreError> {
    let row = Reader::new(row, "fastjob_attempt", "run_id");
    let assignment = assignment(&row)?.ok_or_else(|| row.corrupt("token", "is null"))?;
    Ok(Attempt {
        key: AttemptKey { run: row.id("run_id")?, attempt: row.number("attempt")?, token: assignment.token },
        assignment,
        started_at: row.maybe_at("started_at")?,
        ended_at: row.at("ended_at")?,
        end: row.word("outcome", AttemptEnd::parse)?,
        error: row.failure()?,
    })
}

/// All columns of `fastjob_gap`, as [`gap`] reads them.
pub(in crate::store) const GAP: &str = "job_id, from_at, to_at, count, reason, revision";

/// A row of [`GAP`].
pub(in crate::store) fn gap(row: &impl Cells) -> Result<Gap, StoreError> {
    let row = Reader::new(row, "fastjob_gap", "job_id");
    Ok(Gap {
        job: row.id("job_id")?,
        from: row.at("from_at")?,
        to: row.at("to_at")?,
        count: row.maybe_whole("count")?.map(i64::cast_unsigned),
        reason: row.word("reason", GapReason::parse)?,
        revision: row.bits("revision")?,
    })
}
