//! Rows to domain values. A value that no server has written names its table, column and id.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    Assignment, Attempt, AttemptEnd, Encoding, Failure, Gap, GapReason, Job, Limits, Name, Payload, Run,
    Source, State,
};
use fastjob_core::id::{AppId, AttemptKey, Epoch, Id, ShardKey, Token};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Type};

use crate::store::error::StoreError;
use crate::store::shape;

/// A row that is being read.
pub(super) struct Reader<'r> {
    row: &'r SqliteRow,
    table: &'static str,
    id: &'static str,
}

impl<'r> Reader<'r> {
    /// Reads `row` of `table`, whose column `id` names it in errors.
    pub(super) fn new(row: &'r SqliteRow, table: &'static str, id: &'static str) -> Self {
        Self { row, table, id }
    }

    pub(super) fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row.try_get(column).map_err(|error| self.corrupt(column, error))
    }

    pub(super) fn id<Kind>(&self, column: &'static str) -> Result<Id<Kind>, StoreError> {
        self.maybe_id(column)?.ok_or_else(|| self.corrupt(column, "is null"))
    }

    pub(super) fn maybe_id<Kind>(&self, column: &'static str) -> Result<Option<Id<Kind>>, StoreError> {
        match self.get::<Option<&[u8]>>(column)? {
            None => Ok(None),
            Some(bytes) => match Id::from_slice(bytes) {
                Some(id) => Ok(Some(id)),
                None => Err(self.corrupt(column, format_args!("has {} bytes, not 16", bytes.len()))),
            },
        }
    }

    pub(super) fn at(&self, column: &'static str) -> Result<Millis, StoreError> {
        self.get(column).map(Millis::new)
    }

    pub(super) fn maybe_at(&self, column: &'static str) -> Result<Option<Millis>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(Millis::new))
    }

    pub(super) fn name(&self, column: &'static str) -> Result<Name, StoreError> {
        Name::parse(self.get(column)?).map_err(|error| self.corrupt(column, error))
    }

    /// A number narrower than its column.
    pub(super) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        let number: i64 = self.get(column)?;
        T::try_from(number).map_err(|_| self.corrupt(column, format_args!("{number} is out of range")))
    }

    /// 64 bits without a sign.
    pub(super) fn bits(&self, column: &'static str) -> Result<u64, StoreError> {
        self.get(column).map(i64::cast_unsigned)
    }

    pub(super) fn word<T>(
        &self,
        column: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let word: &str = self.get(column)?;
        parse(word).ok_or_else(|| self.corrupt(column, format_args!("unknown word {word:?}")))
    }

    pub(super) fn shard(&self) -> Result<ShardKey, StoreError> {
        Ok(ShardKey { app: AppId(self.get("app_id")?), shard: self.number("shard")? })
    }

    pub(super) fn corrupt(&self, column: &str, what: impl fmt::Display) -> StoreError {
        StoreError::corrupt(self.table, column, &self.row_id(), what)
    }

    fn row_id(&self) -> String {
        if let Ok(number) = self.row.try_get::<i64, _>(self.id) {
            return number.to_string();
        }
        match self.row.try_get::<&[u8], _>(self.id) {
            Ok(bytes) => match Id::<()>::from_slice(bytes) {
                Some(id) => id.to_string(),
                None => format!("{bytes:02x?}"),
            },
            Err(_) => "(unreadable)".to_owned(),
        }
    }

    fn payload(&self, encoding: &'static str, bytes: &'static str) -> Result<Payload, StoreError> {
        let data = Bytes::copy_from_slice(self.get(bytes)?);
        Ok(Payload { encoding: self.word(encoding, encoding_parse)?, data })
    }

    fn failure(&self) -> Result<Option<Failure>, StoreError> {
        let Some(class) = self.get::<Option<&str>>("error_class")? else { return Ok(None) };
        let (message, trace): (&str, &str) = (self.get("error_message")?, self.get("error_trace")?);
        Ok(Some(Failure { class: class.into(), message: message.into(), trace: trace.into() }))
    }
}

/// All columns of `fastjob_job`, as [`job`] reads them.
pub(super) const JOB: &str = "job.id, job.app_id, job.shard, job.name, job.revision, job.definition,
    job.params_encoding, job.params, job.enabled, job.next_at, job.chain_seq, job.created_at, job.updated_at,
    job.deleted_at";

/// A row of [`JOB`].
pub(super) fn job(row: &SqliteRow) -> Result<Job, StoreError> {
    let row = Reader::new(row, "fastjob_job", "id");
    let params = row.payload("params_encoding", "params")?;
    let definition = shape::definition_read(row.get("definition")?, params);
    Ok(Job {
        id: row.id("id")?,
        shard: row.shard()?,
        name: row.name("name")?,
        revision: row.bits("revision")?,
        definition: Arc::new(definition.map_err(|error| row.corrupt("definition", error))?),
        enabled: row.get("enabled")?,
        next_at: row.maybe_at("next_at")?,
        chain_seq: row.bits("chain_seq")?,
        created_at: row.at("created_at")?,
        updated_at: row.at("updated_at")?,
        deleted_at: row.maybe_at("deleted_at")?,
    })
}

/// All columns of `fastjob_run`, as [`Runs`] reads them.
pub(super) const RUN: &str = "run.id, run.app_id, run.shard, run.job_id, run.job_name, run.fire_key, run.source,
    run.tick, run.due_at, run.revision, run.handler, run.params_encoding, run.params, run.limits, run.state, run.reason,
    run.attempt, run.token, run.session_id, run.worker, run.server_id, run.epoch, run.dispatched_at, run.fail_count,
    run.lost_count, run.created_at, run.started_at, run.cancel_at, run.ended_at, run.result_encoding, run.result,
    run.error_class, run.error_message, run.error_trace, run.idempotency_key, run.retry_of";

/// Reads rows of [`RUN`]; equal limits and names share their memory.
#[derive(Default)]
pub(super) struct Runs {
    limits: HashMap<String, Arc<Limits>>,
    names: HashMap<String, Name>,
}

impl Runs {
    /// All of them.
    pub(super) fn read_all(rows: &[SqliteRow]) -> Result<Vec<Run>, StoreError> {
        let mut runs = Self::default();
        rows.iter().map(|row| runs.read(row)).collect()
    }

    /// The next one.
    pub(super) fn read(&mut self, row: &SqliteRow) -> Result<Run, StoreError> {
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
            cancel_at: row.maybe_at("cancel_at")?,
            ended_at: row.maybe_at("ended_at")?,
            result: match row.get::<Option<&str>>("result_encoding")? {
                Some(_) => Some(row.payload("result_encoding", "result")?),
                None => None,
            },
            error: row.failure()?,
            idempotency_key: row.get::<Option<&str>>("idempotency_key")?.map(Arc::from),
            retry_of: row.maybe_id("retry_of")?,
        })
    }

    fn limits(&mut self, row: &Reader<'_>) -> Result<Arc<Limits>, StoreError> {
        let text: &str = row.get("limits")?;
        if let Some(known) = self.limits.get(text) {
            return Ok(known.clone());
        }
        let limits = Arc::new(shape::limits_read(text).map_err(|error| row.corrupt("limits", error))?);
        self.limits.insert(text.to_owned(), limits.clone());
        Ok(limits)
    }

    fn name(&mut self, row: &Reader<'_>, column: &'static str) -> Result<Name, StoreError> {
        let text: &str = row.get(column)?;
        if let Some(known) = self.names.get(text) {
            return Ok(known.clone());
        }
        let name = row.name(column)?;
        self.names.insert(text.to_owned(), name.clone());
        Ok(name)
    }
}

/// The number of a state's word in `fastjob_run.state`.
pub(super) fn state_number(word: &str) -> Option<i64> {
    STATES.iter().position(|known| *known == word).and_then(|at| i64::try_from(at).ok())
}

const STATES: [&str; 6] = ["scheduled", "dispatched", "succeeded", "failed", "cancelled", "skipped"];

fn state(row: &Reader<'_>) -> Result<State, StoreError> {
    let number: usize = row.number("state")?;
    let word =
        *STATES.get(number).ok_or_else(|| row.corrupt("state", format_args!("unknown number {number}")))?;
    let reason = row.get::<Option<&str>>("reason")?.unwrap_or_default();
    State::parse(word, reason)
        .ok_or_else(|| row.corrupt("reason", format_args!("{reason:?} is no reason of {word}")))
}

fn assignment(row: &Reader<'_>) -> Result<Option<Assignment>, StoreError> {
    if row.get::<Option<i64>>("token")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Assignment {
        token: Token(row.bits("token")?),
        session: row.id("session_id")?,
        worker: row.get::<&str>("worker")?.into(),
        server: row.id("server_id")?,
        epoch: Epoch(row.get("epoch")?),
        dispatched_at: row.at("dispatched_at")?,
    }))
}

/// All columns of `fastjob_attempt`, as [`attempt`] reads them.
pub(super) const ATTEMPT: &str =
    "run_id, attempt, token, session_id, worker, server_id, epoch, dispatched_at,
    started_at, ended_at, outcome, error_class, error_message, error_trace";

/// A row of [`ATTEMPT`].
pub(super) fn attempt(row: &SqliteRow) -> Result<Attempt, StoreError> {
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
pub(super) const GAP: &str = "job_id, from_at, to_at, count, reason, revision";

/// A row of [`GAP`].
pub(super) fn gap(row: &SqliteRow) -> Result<Gap, StoreError> {
    let row = Reader::new(row, "fastjob_gap", "job_id");
    Ok(Gap {
        job: row.id("job_id")?,
        from: row.at("from_at")?,
        to: row.at("to_at")?,
        count: row.get::<Option<i64>>("count")?.map(i64::cast_unsigned),
        reason: row.word("reason", GapReason::parse)?,
        revision: row.bits("revision")?,
    })
}

/// The word of an encoding.
pub(super) const fn encoding_word(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "json",
        Encoding::Text => "text",
        Encoding::Binary => "binary",
    }
}

fn encoding_parse(word: &str) -> Option<Encoding> {
    [Encoding::Json, Encoding::Text, Encoding::Binary].into_iter().find(|known| encoding_word(*known) == word)
}
