//! The floor's rows in MySQL and MariaDB.

use std::sync::Arc;

use anyhow::Context;
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlConnection};
use sqlx::{Arguments, AssertSqlSafe, ConnectOptions, Executor};

use super::{CHUNK, Turn};

/// The server's tables.
const SCHEMA: &str = include_str!("../../../../server/migrations/mysql/0001_init.sql");

const CREATED_DISPATCHED: &str = "INSERT INTO fastjob_run (id, fire_key, token, params, due_at, dispatched_at, created_at,
    app_id, shard, job_id, job_name, source, revision, handler, params_encoding, limits, state, attempt, session_id,
    worker, server_id, epoch, fail_count, lost_count) VALUES";
const CREATED_SCHEDULED: &str = "INSERT INTO fastjob_run (id, fire_key, params, due_at, created_at, app_id, shard, job_id,
    job_name, source, revision, handler, params_encoding, limits, state, attempt, fail_count, lost_count) VALUES";

/// The one writer.
pub(crate) struct MysqlRows {
    connection: MySqlConnection,
    texts: Texts,
    params: Vec<u8>,
}

struct Texts {
    dispatched_at_once: Arc<str>,
    scheduled: Arc<str>,
    dispatched: Arc<str>,
    ended: Arc<str>,
}

impl MysqlRows {
    /// The server's tables in this empty database.
    pub(crate) async fn create(url: &str, params: Vec<u8>) -> anyhow::Result<Self> {
        let options: MySqlConnectOptions = url.parse()?;
        let mut connection = options.disable_statement_logging().connect().await?;
        connection.execute(SCHEMA).await.context("failed to make the tables")?;
        Ok(Self { connection, texts: Texts::new(), params })
    }

    /// One transaction.
    pub(crate) async fn commit(&mut self, turn: Turn<'_>, now: i64) -> anyhow::Result<()> {
        self.connection.execute("BEGIN").await?;
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

    async fn write(&mut self, text: &Arc<str>, values: Values) -> anyhow::Result<()> {
        let query = sqlx::query_with(AssertSqlSafe(text.clone()), values.0);
        let rows = query.execute(&mut self.connection).await?.rows_affected();
        anyhow::ensure!(rows == CHUNK as u64, "{rows} of {CHUNK} rows written");
        Ok(())
    }
}

#[derive(Default)]
struct Values(MySqlArguments);

impl Values {
    fn put<'q, T>(&mut self, value: T) -> &mut Self
    where
        T: sqlx::Encode<'q, sqlx::MySql> + sqlx::Type<sqlx::MySql>,
    {
        self.0.add(value).expect("numbers, text and bytes always encode");
        self
    }
}

impl Texts {
    fn new() -> Self {
        let (job, session, server) = (binary(1), binary(2), binary(3));
        let new_row = format!(
            "(?, ?, ?, ?, ?, ?, ?, 1, 0, {job}, 'bench', 'api', 1, 'bench', 'text', '{{}}', 1, 1, {session}, \
             'bench:1', {server}, 1, 0, 0)"
        );
        let waiting_row =
            format!("(?, ?, ?, ?, ?, 1, 0, {job}, 'bench', 'api', 1, 'bench', 'text', '{{}}', 0, 0, 0, 0)");
        let dispatched = table("CAST(? AS BINARY(16)) id, CAST(? AS SIGNED) token, CAST(? AS SIGNED) at");
        let ended = table(
            "CAST(? AS BINARY(16)) id, CAST(? AS SIGNED) token, CAST(? AS SIGNED) started_at, \
             CAST(? AS SIGNED) ended_at",
        );
        Self {
            dispatched_at_once: format!("{CREATED_DISPATCHED} {}", vec![&*new_row; CHUNK].join(", ")).into(),
            scheduled: format!("{CREATED_SCHEDULED} {}", vec![&*waiting_row; CHUNK].join(", ")).into(),
            dispatched: format!(
                "UPDATE {dispatched} STRAIGHT_JOIN fastjob_run run ON run.id = v.id
                 SET run.state = 1, run.attempt = run.attempt + 1, run.token = v.token, run.session_id = {session},
                     run.worker = 'bench:1', run.server_id = {server}, run.epoch = 1, run.dispatched_at = v.at
                 WHERE run.state = 0"
            )
            .into(),
            ended: format!(
                "UPDATE {ended} STRAIGHT_JOIN fastjob_run run ON run.id = v.id
                 SET run.state = 2, run.started_at = v.started_at, run.ended_at = v.ended_at
                 WHERE run.state = 1 AND run.token = v.token"
            )
            .into(),
        }
    }
}

/// The list of one statement's rows, as a table.
fn table(row: &str) -> String {
    format!("({}) v", vec![format!("SELECT {row}"); CHUNK].join(" UNION ALL "))
}

/// An id that is the same in each row, as SQL has it.
fn binary(byte: u8) -> String {
    format!("x'{}'", format!("{byte:02x}").repeat(16))
}
