//! The floor's rows: those of an API run from its trigger to its end, in the server's own table, with the fewest
//! statements that write them. No fence, no state, no judgement.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use fastjob_core::id::RunId;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Arguments, AssertSqlSafe, Connection, Executor};

/// The server's tables.
const SCHEMA: &str = include_str!("../../../server/migrations/sqlite/0001_init.sql");
/// Rows of one statement; the sizes of turns are multiples of it.
pub(crate) const CHUNK: usize = 100;

const CREATED_DISPATCHED: &str = "INSERT INTO fastjob_run (id, fire_key, token, params, app_id, shard, job_id, \
    job_name, source, due_at, revision, handler, params_encoding, limits, state, attempt, session_id, worker, \
    server_id, epoch, dispatched_at, fail_count, lost_count, created_at) VALUES ";
const CREATED_SCHEDULED: &str = "INSERT INTO fastjob_run (id, fire_key, params, app_id, shard, job_id, job_name, \
    source, due_at, revision, handler, params_encoding, limits, state, attempt, fail_count, lost_count, created_at) \
    VALUES ";

/// A run on its way.
pub(crate) struct NewRun {
    pub(crate) id: RunId,
    pub(crate) fire_key: String,
    pub(crate) token: i64,
}

/// A run that came back.
pub(crate) struct EndedRun {
    pub(crate) id: RunId,
    pub(crate) token: i64,
    pub(crate) started_at: i64,
    pub(crate) ended_at: i64,
}

/// What one transaction writes; each list a multiple of [`CHUNK`] long.
#[derive(Default)]
pub(crate) struct Turn<'a> {
    /// New rows that are with a worker already: the first of two writes.
    pub(crate) dispatched_at_once: &'a [NewRun],
    /// New rows that wait: the first of three writes.
    pub(crate) scheduled: &'a [NewRun],
    /// Waiting rows that go to a worker: the second of three.
    pub(crate) dispatched: &'a [NewRun],
    /// The last write.
    pub(crate) ended: &'a [EndedRun],
}

/// The one writer.
pub(crate) struct Rows {
    connection: SqliteConnection,
    texts: Texts,
    params: Vec<u8>,
    ids: [Vec<u8>; 3],
}

struct Texts {
    dispatched_at_once: String,
    scheduled: String,
    dispatched: String,
    ended: String,
}

impl Rows {
    /// A new database with the server's tables and its durability.
    pub(crate) async fn create(path: &Path, params: Vec<u8>) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        connection.execute(SCHEMA).await.context("failed to make the tables")?;
        let ids = [vec![1; 16], vec![2; 16], vec![3; 16]];
        Ok(Self { connection, texts: Texts::new(), params, ids })
    }

    /// For the settings of the report.
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// One transaction.
    pub(crate) async fn commit(&mut self, turn: Turn<'_>, now: i64) -> anyhow::Result<()> {
        self.connection.execute("BEGIN IMMEDIATE").await?;
        for runs in turn.dispatched_at_once.chunks_exact(CHUNK) {
            let mut row = self.shared(now)?;
            for run in runs {
                row.add(&run.id.as_bytes()[..]).and_then(|()| row.add(&run.fire_key)).map_err(sqlx::Error::Encode)?;
                row.add(run.token).and_then(|()| row.add(&self.params)).map_err(sqlx::Error::Encode)?;
            }
            write(&mut self.connection, &self.texts.dispatched_at_once, row).await?;
        }
        for runs in turn.scheduled.chunks_exact(CHUNK) {
            let mut row = self.shared(now)?;
            for run in runs {
                row.add(&run.id.as_bytes()[..]).and_then(|()| row.add(&run.fire_key)).map_err(sqlx::Error::Encode)?;
                row.add(&self.params).map_err(sqlx::Error::Encode)?;
            }
            write(&mut self.connection, &self.texts.scheduled, row).await?;
        }
        for runs in turn.dispatched.chunks_exact(CHUNK) {
            let mut row = self.shared(now)?;
            for run in runs {
                row.add(&run.id.as_bytes()[..]).and_then(|()| row.add(run.token)).map_err(sqlx::Error::Encode)?;
            }
            write(&mut self.connection, &self.texts.dispatched, row).await?;
        }
        for runs in turn.ended.chunks_exact(CHUNK) {
            let mut row = SqliteArguments::default();
            for run in runs {
                row.add(&run.id.as_bytes()[..]).and_then(|()| row.add(run.token)).map_err(sqlx::Error::Encode)?;
                row.add(run.started_at).and_then(|()| row.add(run.ended_at)).map_err(sqlx::Error::Encode)?;
            }
            write(&mut self.connection, &self.texts.ended, row).await?;
        }
        self.connection.execute("COMMIT").await?;
        Ok(())
    }

    /// ?1 job, ?2 session, ?3 server, ?4 now.
    fn shared(&self, now: i64) -> anyhow::Result<SqliteArguments> {
        let mut arguments = SqliteArguments::default();
        for id in &self.ids {
            arguments.add(id).map_err(sqlx::Error::Encode)?;
        }
        arguments.add(now).map_err(sqlx::Error::Encode)?;
        Ok(arguments)
    }
}

async fn write(connection: &mut SqliteConnection, text: &str, arguments: SqliteArguments) -> anyhow::Result<()> {
    let done = sqlx::query_with(AssertSqlSafe(text.to_owned()), arguments).execute(connection).await?;
    anyhow::ensure!(done.rows_affected() == CHUNK as u64, "{} of {CHUNK} rows written", done.rows_affected());
    Ok(())
}
