//! The floor's rows in SQLite, as the server runs it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::{CHUNK, NewRun, Turn};

/// The server's tables.
const SCHEMA: &str = include_str!("../../../../server/migrations/sqlite/0001_init.sql");
/// As the server's.
const CHECKPOINT_PAGES: u32 = 4_000;

const CREATED_DISPATCHED: &str = "INSERT INTO fastjob_run (id, fire_key, token, params, due_at, \
    dispatched_at, created_at, app_id, shard, job_id, job_name, source, revision, handler, params_encoding, limits, \
    state, attempt, session_id, worker, server_id, epoch, fail_count, lost_count) VALUES ";
const CREATED_SCHEDULED: &str = "INSERT INTO fastjob_run (id, fire_key, params, due_at, created_at, app_id, \
    shard, job_id, job_name, source, revision, handler, params_encoding, limits, state, attempt, fail_count, \
    lost_count) VALUES ";

/// The one writer.
pub(crate) struct SqliteRows {
    connection: SqliteConnection,
    texts: Texts,
    params: Vec<u8>,
}

struct Texts {
    dispatched_at_once: Arc<str>,
    scheduled: Arc<str>,
    dispatched: Arc<str>,
    ended: Arc<str>,
    one: Arc<str>,
}

impl SqliteRows {
    /// A new database with the server's tables and its durability.
    pub(crate) async fn create(path: &Path, params: Vec<u8>) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .disable_statement_logging();
        let mut connection = SqliteConnection::connect_with(&options).await?;
        connection.execute(SCHEMA).await.context("failed to make the tables")?;
        Ok(Self { connection, texts: Texts::new(), params })
    }

    /// For the settings of the report.
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// One transaction.
    pub(crate) async fn commit(&mut self, turn: Turn<'_>, now: i64) -> anyhow::Result<()> {
        self.connection.execute("BEGIN IMMEDIATE").await?;
        for runs in turn.dispatched_at_once.chunks_exact(CHUNK) {
            let mut values = Values::default();
            for run in runs {
                values.put(&run.id.as_bytes()[..]).put(&*run.fire_key).put(run.token).put(&*self.params);
                values.put(now).put(now).put(now);
            }
            self.write(&self.texts.dispatched_at_once.clone(), values).await?;
        }
        for runs in turn.scheduled.chunks_exact(CHUNK) {
            let mut values = Values::default();
            for run in runs {
                values.put(&run.id.as_bytes()[..]).put(&*run.fire_key).put(&*self.params).put(now).put(now);
            }
            self.write(&self.texts.scheduled.clone(), values).await?;
        }
        for runs in turn.dispatched.chunks_exact(CHUNK) {
            let mut values = Values::default();
            for run in runs {
                values.put(&run.id.as_bytes()[..]).put(run.token).put(now);
            }
            self.write(&self.texts.dispatched.clone(), values).await?;
        }
        for runs in turn.ended.chunks_exact(CHUNK) {
            let mut values = Values::default();
            for run in runs {
                values.put(&run.id.as_bytes()[..]).put(run.token).put(run.started_at).put(run.ended_at);
            }
            self.write(&self.texts.ended.clone(), values).await?;
        }
        self.connection.execute("COMMIT").await?;
        Ok(())
    }

    /// One new row in a commit of its own.
    pub(crate) async fn commit_one(&mut self, run: &NewRun, now: i64) -> anyhow::Result<()> {
        let mut values = Values::default();
        values.put(&run.id.as_bytes()[..]).put(&*run.fire_key).put(run.token).put(&*self.params);
        values.put(now).put(now).put(now);
        let query = sqlx::query_with(AssertSqlSafe(self.texts.one.clone()), values.0);
        query.execute(&mut self.connection).await?;
        Ok(())
    }

    async fn write(&mut self, text: &Arc<str>, values: Values) -> anyhow::Result<()> {
        let query = sqlx::query_with(AssertSqlSafe(text.clone()), values.0);
        let rows = query.execute(&mut self.connection).await?.rows_affected();
        anyhow::ensure!(rows == CHUNK as u64, "{rows} of {CHUNK} rows written");
        Ok(())
    }
}

#[derive(Default)]
struct Values(SqliteArguments);

impl Values {
    fn put<'q, T>(&mut self, value: T) -> &mut Self
    where
        T: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.0.add(value).expect("numbers, text and bytes always encode");
        self
    }
}

impl Texts {
    fn new() -> Self {
        let (job, session, server) = (blob(1), blob(2), blob(3));
        let new_row = format!(
            "(?, ?, ?, ?, ?, ?, ?, 1, 0, {job}, 'bench', 'api', 1, 'bench', 'text', '{{}}', 1, 1, {session}, \
             'bench:1', {server}, 1, 0, 0)"
        );
        let waiting_row =
            format!("(?, ?, ?, ?, ?, 1, 0, {job}, 'bench', 'api', 1, 'bench', 'text', '{{}}', 0, 0, 0, 0)");
        Self {
            dispatched_at_once: format!("{CREATED_DISPATCHED}{}", rows(&new_row)).into(),
            one: format!("{CREATED_DISPATCHED}{new_row}").into(),
            scheduled: format!("{CREATED_SCHEDULED}{}", rows(&waiting_row)).into(),
            dispatched: format!(
                "UPDATE fastjob_run INDEXED BY sqlite_autoindex_fastjob_run_1 \
                 SET state = 1, attempt = attempt + 1, token = v.column2, session_id = {session}, \
                 worker = 'bench:1', server_id = {server}, epoch = 1, dispatched_at = v.column3 \
                 FROM (VALUES {}) AS v WHERE id = v.column1 AND state = 0",
                rows("(?, ?, ?)")
            )
            .into(),
            ended: format!(
                "UPDATE fastjob_run INDEXED BY sqlite_autoindex_fastjob_run_1 \
                 SET state = 2, started_at = v.column3, ended_at = v.column4 \
                 FROM (VALUES {}) AS v WHERE id = v.column1 AND state = 1 AND token = v.column2",
                rows("(?, ?, ?, ?)")
            )
            .into(),
        }
    }
}

/// An id that is the same in each row, as SQL has it.
fn blob(byte: u8) -> String {
    format!("x'{}'", format!("{byte:02x}").repeat(16))
}

/// The list of one statement's rows.
fn rows(row: &str) -> String {
    vec![row; CHUNK].join(", ")
}
