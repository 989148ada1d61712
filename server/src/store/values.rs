//! What a turn writes, row by row: which values, in which order. How a database is given them is its own affair.

use std::sync::Arc;

use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    Assignment, Attempt, Cancel, Ended, Failure, Gap, Job, Limits, Payload, Run, State,
};
use fastjob_core::id::{Id, InboxId, RunId, ShardKey};
use fastjob_core::shard::{Cursor, InboxFailed, Rows, RunChanged, RunCopied, RunEnded, RunStarted};

use super::backend::{InboxRow, Turn};
use super::error::{ErrorKind, StoreError};
use super::row::{encoding_word, state_number};
use super::shape;

/// The values of one row, given in the order of its statement's parameters.
pub(super) trait Values {
    /// An id.
    fn uuid(&mut self, id: Option<&[u8; 16]>);
    /// A whole number.
    fn whole(&mut self, number: Option<i64>);
    /// Text.
    fn text(&mut self, text: Option<&str>);
    /// Bytes.
    fn bytes(&mut self, bytes: Option<&[u8]>);
    /// Yes or no.
    fn flag(&mut self, flag: bool);

    fn id<Kind>(&mut self, id: &Id<Kind>) {
        self.uuid(Some(id.as_bytes()));
    }

    fn maybe_id<Kind>(&mut self, id: Option<&Id<Kind>>) {
        self.uuid(id.map(Id::as_bytes));
    }

    fn at(&mut self, at: Millis) {
        self.whole(Some(at.get()));
    }

    fn maybe_at(&mut self, at: Option<Millis>) {
        self.whole(at.map(Millis::get));
    }

    fn number(&mut self, number: impl Into<i64>) {
        self.whole(Some(number.into()));
    }

    /// 64 bits without a sign.
    fn bits(&mut self, number: u64) {
        self.whole(Some(number.cast_signed()));
    }

    fn word(&mut self, word: &str) {
        self.text(Some(word));
    }

    /// App and shard.
    fn shard(&mut self, shard: ShardKey) {
        self.number(shard.app.0);
        self.number(shard.shard);
    }

    /// An encoding and its bytes.
    fn payload(&mut self, payload: Option<&Payload>) {
        self.text(payload.map(|payload| encoding_word(payload.encoding)));
        self.bytes(payload.map(|payload| &payload.data[..]));
    }

    /// Class, message and trace.
    fn failure(&mut self, failure: Option<&Failure>) {
        self.text(failure.map(|failure| &*failure.class));
        self.text(failure.map(|failure| &*failure.message));
        self.text(failure.map(|failure| &*failure.trace));
    }

    /// Token, session, worker, server, epoch, instant.
    fn assignment(&mut self, assignment: Option<&Assignment>) {
        self.whole(assignment.map(|given| given.token.0.cast_signed()));
        self.maybe_id(assignment.map(|given| &given.session));
        self.text(assignment.map(|given| &*given.worker));
        self.maybe_id(assignment.map(|given| &given.server));
        self.whole(assignment.map(|given| given.epoch.0));
        self.maybe_at(assignment.map(|given| given.dispatched_at));
    }
}

/// The turns whose fence holds: one list of each kind of row.
pub(super) struct Joined<'a>(pub(super) &'a [&'a Turn<'a>]);

impl<'a> Joined<'a> {
    pub(super) fn all<T>(&self, list: impl Fn(&'a Rows) -> &'a Vec<T>) -> Vec<&'a T> {
        self.0.iter().flat_map(|turn| list(turn.rows)).collect()
    }

    /// Of new and revised jobs, each of which makes a revision.
    pub(super) fn revisions(&self) -> Vec<&'a Job> {
        self.0.iter().flat_map(|turn| turn.rows.jobs_revised.iter().chain(&turn.rows.jobs_created)).collect()
    }

    /// New runs: those of which [`run_waiting`] says it all, and the others.
    pub(super) fn runs_created(&self) -> (Vec<&'a Run>, Vec<&'a Run>) {
        self.all(|rows| &rows.runs_created).into_iter().partition(|run| is_fresh(run))
    }

    /// Runs that end: those of which [`run_succeeded`] says it all, and the others.
    pub(super) fn runs_ended(&self) -> (Vec<&'a RunEnded>, Vec<&'a RunEnded>) {
        // Nothing has failed before, so the row has counts of zero and no error.
        let at_once = |run: &&RunEnded| {
            run.ended == Ended::Succeeded && run.fail_count == 0 && run.lost_count == 0 && run.error.is_none()
        };
        self.all(|rows| &rows.runs_ended).into_iter().partition(at_once)
    }

    /// Shards whose outage is over.
    pub(super) fn outages_over(&self) -> Vec<ShardKey> {
        self.0.iter().filter(|turn| turn.rows.outage_over).map(|turn| turn.shard).collect()
    }
}

/// Of new runs that do not wait: those of which [`run_sent`] says it all, and the others.
pub(super) fn runs_sent(runs: Vec<&Run>) -> (Vec<&Run>, Vec<&Run>) {
    runs.into_iter().partition(|run| has_no_end(run))
}

/// Scheduled, with nothing yet to say of an attempt or an end: most runs that a schedule makes.
fn is_fresh(run: &Run) -> bool {
    run.state == State::Scheduled && run.attempt == 0 && run.assignment.is_none() && has_no_end(run)
}

fn has_no_end(run: &Run) -> bool {
    matches!(run.state, State::Scheduled | State::Dispatched)
        && run.fail_count == 0
        && run.lost_count == 0
        && run.started_at.is_none()
        && run.cancel.is_none()
        && run.ended_at.is_none()
        && run.result.is_none()
        && run.error.is_none()
}

/// app_id, shard, server_id, epoch.
pub(super) fn fence(row: &mut impl Values, turn: &Turn<'_>) -> Result<(), StoreError> {
    row.shard(turn.shard);
    row.id(&turn.server);
    row.number(turn.epoch.0);
    Ok(())
}

/// app_id, shard.
pub(super) fn shard(row: &mut impl Values, shard: &ShardKey) -> Result<(), StoreError> {
    row.shard(*shard);
    Ok(())
}

/// id.
pub(super) fn run_id(row: &mut impl Values, run: &&RunId) -> Result<(), StoreError> {
    row.id(*run);
    Ok(())
}

/// id.
pub(super) fn inbox_id(row: &mut impl Values, id: &&InboxId) -> Result<(), StoreError> {
    row.id(*id);
    Ok(())
}

/// id, failed_at, reason.
pub(super) fn inbox_failed(row: &mut impl Values, failed: &&InboxFailed) -> Result<(), StoreError> {
    row.id(&failed.id);
    row.at(failed.at);
    row.word(&failed.reason);
    Ok(())
}

/// id, app, kind, name, idempotency_key, due_at, params, body, run_id, created_at.
pub(super) fn inbox_row(row: &mut impl Values, command: &InboxRow) -> Result<(), StoreError> {
    row.id(&command.id);
    row.word(&command.app);
    row.word(&command.kind);
    row.word(&command.name);
    row.text(command.idempotency_key.as_deref());
    row.maybe_at(command.due_at);
    row.text(command.params.as_deref());
    row.bytes(command.body.as_deref());
    row.maybe_id(command.run.as_ref());
    row.at(command.created_at);
    Ok(())
}

/// id, revision, definition, params_encoding, params, enabled, next_at, chain_seq, updated_at, deleted_at.
pub(super) fn job_revised(row: &mut impl Values, job: &&Job) -> Result<(), StoreError> {
    row.id(&job.id);
    row.bits(job.revision);
    row.word(&definition(job)?);
    row.payload(Some(&job.definition.params));
    row.flag(job.enabled);
    row.maybe_at(job.next_at);
    row.bits(job.chain_seq);
    row.at(job.updated_at);
    row.maybe_at(job.deleted_at);
    Ok(())
}

/// id, app_id, shard, name, revision, definition, params_encoding, params, enabled, next_at, chain_seq, created_at,
/// updated_at, deleted_at.
pub(super) fn job_created(row: &mut impl Values, job: &&Job) -> Result<(), StoreError> {
    row.id(&job.id);
    row.shard(job.shard);
    row.word(job.name.as_str());
    row.bits(job.revision);
    row.word(&definition(job)?);
    row.payload(Some(&job.definition.params));
    row.flag(job.enabled);
    row.maybe_at(job.next_at);
    row.bits(job.chain_seq);
    row.at(job.created_at);
    row.at(job.updated_at);
    row.maybe_at(job.deleted_at);
    Ok(())
}

/// job_id, revision, from_at, definition, params_encoding, params, enabled, deleted.
pub(super) fn revision(row: &mut impl Values, job: &&Job) -> Result<(), StoreError> {
    row.id(&job.id);
    row.bits(job.revision);
    row.at(job.deleted_at.unwrap_or(job.updated_at));
    row.word(&definition(job)?);
    row.payload(Some(&job.definition.params));
    row.flag(job.enabled);
    row.flag(job.deleted_at.is_some());
    Ok(())
}

/// id, next_at, chain_seq.
pub(super) fn cursor(row: &mut impl Values, cursor: &&Cursor) -> Result<(), StoreError> {
    row.id(&cursor.job);
    row.maybe_at(cursor.next_at);
    row.bits(cursor.chain_seq);
    Ok(())
}

/// id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision, handler, params_encoding, params, limits,
/// state, attempt, fail_count, lost_count, created_at, idempotency_key, retry_of, jitter_ms.
pub(super) fn run_waiting(
    row: &mut impl Values,
    run: &&Run,
    limits: &mut LimitsTexts,
) -> Result<(), StoreError> {
    row.id(&run.id);
    row.shard(run.shard);
    row.id(&run.job);
    row.word(run.job_name.as_str());
    row.word(&run.fire_key.to_string());
    row.word(run.source.as_str());
    row.maybe_at(run.tick);
    row.at(run.due);
    row.bits(run.revision);
    row.word(run.handler.as_str());
    row.payload(Some(&run.params));
    row.word(&limits.of(&run.limits)?);
    row.number(number(run.state));
    row.number(run.attempt);
    row.number(run.fail_count);
    row.number(run.lost_count);
    row.at(run.created_at);
    row.text(run.idempotency_key.as_deref());
    row.maybe_id(run.retry_of.as_ref());
    row.whole(Some(run.jitter_ms).filter(|jitter_ms| *jitter_ms != 0));
    Ok(())
}

/// As [`run_waiting`]; then token, session_id, worker, server_id, epoch, dispatched_at.
pub(super) fn run_sent(
    row: &mut impl Values,
    run: &&Run,
    limits: &mut LimitsTexts,
) -> Result<(), StoreError> {
    run_waiting(row, run, limits)?;
    row.assignment(run.assignment.as_ref());
    Ok(())
}

/// As [`run_sent`]; then reason, started_at, cancel_at,
/// ended_at, result_encoding, result, error_class, error_message, error_trace.
pub(super) fn run_created(
    row: &mut impl Values,
    run: &&Run,
    limits: &mut LimitsTexts,
) -> Result<(), StoreError> {
    run_sent(row, run, limits)?;
    row.text(reason(run.state, run.cancel));
    row.maybe_at(run.started_at);
    row.maybe_at(run.cancel.map(|cancel| cancel.at));
    row.maybe_at(run.ended_at);
    row.payload(run.result.as_ref());
    row.failure(run.error.as_ref());
    Ok(())
}

/// id, attempt, token, session_id, worker, server_id, epoch, dispatched_at.
pub(super) fn run_started(row: &mut impl Values, started: &&RunStarted) -> Result<(), StoreError> {
    row.id(&started.run);
    row.number(started.attempt);
    row.assignment(Some(&started.assignment));
    Ok(())
}

/// id, state, due_at, fail_count, lost_count, cancel_at, reason, error_class, error_message, error_trace.
pub(super) fn run_changed(row: &mut impl Values, changed: &&RunChanged) -> Result<(), StoreError> {
    row.id(&changed.run);
    row.number(number(changed.state));
    row.at(changed.due);
    row.number(changed.fail_count);
    row.number(changed.lost_count);
    row.maybe_at(changed.cancel.map(|cancel| cancel.at));
    row.text(reason(changed.state, changed.cancel));
    row.failure(changed.error.as_ref());
    Ok(())
}

/// id, revision, handler, params_encoding, params, limits.
pub(super) fn run_copied(
    row: &mut impl Values,
    copied: &&RunCopied,
    limits: &mut LimitsTexts,
) -> Result<(), StoreError> {
    row.id(&copied.run);
    row.bits(copied.revision);
    row.word(copied.handler.as_str());
    row.payload(Some(&copied.params));
    row.word(&limits.of(&copied.limits)?);
    Ok(())
}

/// id, ended_at, started_at, result_encoding, result; the rest is as it was.
pub(super) fn run_succeeded(row: &mut impl Values, ended: &&RunEnded) -> Result<(), StoreError> {
    row.id(&ended.run);
    row.at(ended.ended_at);
    row.maybe_at(ended.started_at);
    row.payload(ended.result.as_ref());
    Ok(())
}

/// id, state, reason, ended_at, started_at, fail_count, lost_count, result_encoding, result, error_class, error_message,
/// error_trace.
pub(super) fn run_ended(row: &mut impl Values, ended: &&RunEnded) -> Result<(), StoreError> {
    let state = State::Ended(ended.ended);
    row.id(&ended.run);
    row.number(number(state));
    row.text(reason(state, None));
    row.at(ended.ended_at);
    row.maybe_at(ended.started_at);
    row.number(ended.fail_count);
    row.number(ended.lost_count);
    row.payload(ended.result.as_ref());
    row.failure(ended.error.as_ref());
    Ok(())
}

/// run_id, attempt, token, session_id, worker, server_id, epoch, dispatched_at, started_at, ended_at, outcome, error_class,
/// error_message, error_trace.
pub(super) fn attempt(row: &mut impl Values, attempt: &&Attempt) -> Result<(), StoreError> {
    row.id(&attempt.key.run);
    row.number(attempt.key.attempt);
    row.assignment(Some(&attempt.assignment));
    row.maybe_at(attempt.started_at);
    row.at(attempt.ended_at);
    row.word(attempt.end.as_str());
    row.failure(attempt.error.as_ref());
    Ok(())
}

/// job_id, from_at, to_at, count, reason, revision.
pub(super) fn gap(row: &mut impl Values, gap: &&Gap) -> Result<(), StoreError> {
    row.id(&gap.job);
    row.at(gap.from);
    row.at(gap.to);
    row.whole(gap.count.map(u64::cast_signed));
    row.word(gap.reason.as_str());
    row.bits(gap.revision);
    Ok(())
}

fn definition(job: &Job) -> Result<String, StoreError> {
    shape::definition_text(&job.definition).map_err(|error| unwritable("definition", error))
}

fn number(state: State) -> i64 {
    state_number(state.as_str()).expect("every state has a number")
}

/// Why a run ended, or is to end.
fn reason(state: State, cancel: Option<Cancel>) -> Option<&'static str> {
    match state {
        State::Ended(ended) => Some(ended.reason()).filter(|reason| !reason.is_empty()),
        State::Scheduled | State::Dispatched => cancel.map(|cancel| cancel.cause.as_str()),
    }
}

fn unwritable(what: &str, error: serde_json::Error) -> StoreError {
    StoreError::new(ErrorKind::Data, format!("write a {what} as JSON")).because(error)
}

/// The text of limits that many runs share is made once.
#[derive(Default)]
pub(super) struct LimitsTexts {
    last: Option<(Arc<Limits>, Arc<str>)>,
}

impl LimitsTexts {
    fn of(&mut self, limits: &Arc<Limits>) -> Result<Arc<str>, StoreError> {
        match &self.last {
            Some((known, text)) if Arc::ptr_eq(known, limits) => Ok(text.clone()),
            _ => {
                let text: Arc<str> =
                    shape::limits_text(limits).map_err(|error| unwritable("limits", error))?.into();
                self.last = Some((limits.clone(), text.clone()));
                Ok(text)
            }
        }
    }
}
