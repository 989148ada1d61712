//! The floor's rows in PostgreSQL: each column of a statement is one array.

use anyhow::Context;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgConnectOptions, PgConnection, PgTypeInfo};
use sqlx::{ConnectOptions, Connection, Encode, Executor, Postgres, Type};

use super::{NewRun, Turn};

/// The server's tables.
const SCHEMA: &str = include_str!("../../../../server/migrations/postgres/0001_init.sql");

const CREATED_DISPATCHED: &str = "INSERT INTO fastjob_run (id, fire_key, token, params, due_at, dispatched_at, created_at,
        app_id, shard, job_id, job_name, source, revision, handler, params_encoding, limits, state, attempt, session_id,
        worker, server_id, epoch, fail_count, lost_count)
    SELECT id, fire_key, token, $4, $5, $5, $5, 1, 0, repeat('01', 16)::uuid, 'bench', 'api', 1, 'bench', 'text', '{}',
           1, 1, repeat('02', 16)::uuid, 'bench:1', repeat('03', 16)::uuid, 1, 0, 0
    FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS v (id, fire_key, token)";
const CREATED_SCHEDULED: &str = "INSERT INTO fastjob_run (id, fire_key, params, due_at, created_at, app_id, shard, job_id,
        job_name, source, revision, handler, params_encoding, limits, state, attempt, fail_count, lost_count)
    SELECT id, fire_key, $3, $4, $4, 1, 0, repeat('01', 16)::uuid, 'bench', 'api', 1, 'bench', 'text', '{}', 0, 0, 0, 0
    FROM unnest($1::uuid[], $2::text[]) AS v (id, fire_key)";
const DISPATCHED: &str = "UPDATE fastjob_run run
    SET state = 1, attempt = run.attempt + 1, token = v.token, session_id = repeat('02', 16)::uuid, worker = 'bench:1',
        server_id = repeat('03', 16)::uuid, epoch = 1, dispatched_at = $3
    FROM unnest($1::uuid[], $2::bigint[]) AS v (id, token) WHERE run.id = v.id AND run.state = 0";
const ENDED: &str = "UPDATE fastjob_run run SET state = 2, started_at = v.started_at, ended_at = v.ended_at
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]) AS v (id, token, started_at, ended_at)
    WHERE run.id = v.id AND run.state = 1 AND run.token = v.token";

/// Searches by key, as the server's sessions do.
const SETTINGS: [(&str, &str); 5] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
    ("jit", "off"),
];

/// The one writer.
pub(crate) struct PostgresRows {
    connection: PgConnection,
    params: Vec<u8>,
}

impl PostgresRows {
    /// The server's tables in this empty database.
    pub(crate) async fn create(url: &str, params: Vec<u8>) -> anyhow::Result<Self> {
        let options: PgConnectOptions = url.parse()?;
        let mut connection =
            PgConnection::connect_with(&options.options(SETTINGS).disable_statement_logging()).await?;
        connection.execute(SCHEMA).await.context("failed to make the tables")?;
        Ok(Self { connection, params })
    }

    /// One transaction.
    pub(crate) async fn commit(&mut self, turn: Turn<'_>, now: i64) -> anyhow::Result<()> {
        let mut write = self.connection.begin().await?;
        let keys = |runs: &[NewRun]| runs.iter().map(|run| run.fire_key.clone()).collect::<Vec<_>>();
        let tokens = |runs: &[NewRun]| runs.iter().map(|run| run.token).collect::<Vec<_>>();
        let new = turn.dispatched_at_once;
        if !new.is_empty() {
            let query =
                sqlx::query(CREATED_DISPATCHED).bind(Ids::of(new.iter().map(|run| run.id.as_bytes())));
            let query = query.bind(keys(new)).bind(tokens(new)).bind(&self.params).bind(now);
            all(new.len(), query.execute(&mut *write).await?.rows_affected())?;
        }
        if !turn.scheduled.is_empty() {
            let query = sqlx::query(CREATED_SCHEDULED);
            let query = query.bind(Ids::of(turn.scheduled.iter().map(|run| run.id.as_bytes())));
            let query = query.bind(keys(turn.scheduled)).bind(&self.params).bind(now);
            all(turn.scheduled.len(), query.execute(&mut *write).await?.rows_affected())?;
        }
        if !turn.dispatched.is_empty() {
            let query =
                sqlx::query(DISPATCHED).bind(Ids::of(turn.dispatched.iter().map(|run| run.id.as_bytes())));
            let query = query.bind(tokens(turn.dispatched)).bind(now);
            all(turn.dispatched.len(), query.execute(&mut *write).await?.rows_affected())?;
        }
        let ended = turn.ended;
        if !ended.is_empty() {
            let query = sqlx::query(ENDED).bind(Ids::of(ended.iter().map(|run| run.id.as_bytes())));
            let query = query.bind(ended.iter().map(|run| run.token).collect::<Vec<_>>());
            let query = query.bind(ended.iter().map(|run| run.started_at).collect::<Vec<_>>());
            let query = query.bind(ended.iter().map(|run| run.ended_at).collect::<Vec<_>>());
            all(ended.len(), query.execute(&mut *write).await?.rows_affected())?;
        }
        Ok(write.commit().await?)
    }
}

fn all(rows: usize, written: u64) -> anyhow::Result<()> {
    anyhow::ensure!(written == rows as u64, "{written} of {rows} rows written");
    Ok(())
}

/// An array of uuids in the form that goes over the wire.
struct Ids(Vec<u8>);

impl Ids {
    fn of<'i>(ids: impl ExactSizeIterator<Item = &'i [u8; 16]>) -> Self {
        let count = i32::try_from(ids.len()).expect("a batch is small");
        let (dimensions, no_nulls, uuid, first_index) = (1_i32, 0_i32, 2950_i32, 1_i32);
        let head = [dimensions, no_nulls, uuid, count, first_index];
        let mut bytes: Vec<u8> = head.into_iter().flat_map(i32::to_be_bytes).collect();
        for id in ids {
            bytes.extend_from_slice(&16_i32.to_be_bytes());
            bytes.extend_from_slice(id);
        }
        Self(bytes)
    }
}

impl Type<Postgres> for Ids {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(2951))
    }
}

impl Encode<'_, Postgres> for Ids {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
}
