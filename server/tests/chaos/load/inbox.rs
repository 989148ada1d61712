//! A business program that inserts triggers by SQL, in transactions of its own; some it takes back.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection as _, MySqlConnection, PgConnection, Row as _, SqliteConnection};
use tokio_util::sync::CancellationToken;

use super::super::clock::now_ms;
use super::super::record::Record;

/// From one insert to the next.
const PACE: Duration = Duration::from_millis(700);
/// Every so many inserts one is rolled back.
const ROLLED_BACK_EVERY: u64 = 4;

/// The database, reached past every proxy.
#[derive(Clone, Debug)]
pub(crate) enum Sql {
    Sqlite(PathBuf),
    Postgres(String),
    MariaDb(String),
}

/// Who inserts.
pub(crate) struct Inserts {
    pub(crate) sql: Sql,
    pub(crate) app: String,
}

impl Inserts {
    pub(super) async fn insert(self, record: Record, seed: u64, stop: CancellationToken) {
        for ordinal in 0.. {
            let key = format!("inbox-{seed}-{ordinal}");
            let keeps = ordinal % ROLLED_BACK_EVERY != ROLLED_BACK_EVERY - 1;
            let call_ms = now_ms();
            let result = match (self.sql.insert(&self.app, &key, keeps).await, keeps) {
                (Ok(()), true) => "committed",
                (Ok(()), false) => "rolled_back",
                (Err(_), true) => "unknown",
                (Err(_), false) => "rolled_back",
            };
            record.add(json!({
                "kind": "inbox", "job": "called", "key": key, "call_ms": call_ms, "reply_ms": now_ms(), "result": result,
            }));
            tokio::select! {
                () = tokio::time::sleep(PACE) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// The same words on every database; its own defaults fill the rest.
const INSERT: &str = "INSERT INTO fastjob_inbox (app, name, idempotency_key) VALUES ";

impl Sql {
    async fn insert(&self, app: &str, key: &str, keeps: bool) -> Result<(), sqlx::Error> {
        macro_rules! insert {
            ($connection:ty, $url:expr, $values:literal) => {{
                let mut connection = <$connection>::connect($url).await?;
                let mut transaction = connection.begin().await?;
                let sql = sqlx::AssertSqlSafe(format!("{INSERT}{}", $values));
                sqlx::query(sql).bind(app).bind("called").bind(key).execute(&mut *transaction).await?;
                if keeps { transaction.commit().await } else { transaction.rollback().await }
            }};
        }
        match self {
            Self::Sqlite(path) => insert!(SqliteConnection, &sqlite(path), "(?, ?, ?)"),
            Self::Postgres(url) => insert!(PgConnection, url, "($1, $2, $3)"),
            Self::MariaDb(url) => insert!(MySqlConnection, url, "(?, ?, ?)"),
        }
    }

    /// Commands that wait for an owner.
    pub(crate) async fn waiting(&self) -> Result<i64, String> {
        const COUNT: &str = "SELECT COUNT(*) FROM fastjob_inbox WHERE failed_at IS NULL";
        let failed = |error: sqlx::Error| format!("failed to count the inbox: {error}");
        macro_rules! count {
            ($connection:ty, $url:expr) => {{
                let mut connection = <$connection>::connect($url).await.map_err(failed)?;
                sqlx::query_scalar(COUNT).fetch_one(&mut connection).await.map_err(failed)
            }};
        }
        match self {
            Self::Sqlite(path) => count!(SqliteConnection, &sqlite(path)),
            Self::Postgres(url) => count!(PgConnection, url),
            Self::MariaDb(url) => count!(MySqlConnection, url),
        }
    }

    /// When it committed what it holds, as lines of the history, if it can tell.
    pub(crate) async fn commits(&self) -> Result<Vec<Value>, String> {
        const COMMITS: &str = "
            SELECT id::text, NULL, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::bigint FROM fastjob_run
            WHERE ended_at IS NOT NULL OR state = 1
            UNION ALL
            SELECT NULL, epoch, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000)::bigint FROM fastjob_owner_log
            WHERE reason <> 'released'";
        let Self::Postgres(url) = self else { return Ok(Vec::new()) };
        let failed = |error: sqlx::Error| format!("failed to read when rows were committed: {error}");
        let mut connection = PgConnection::connect(url).await.map_err(failed)?;
        let rows: Vec<(Option<String>, Option<i64>, Option<i64>)> =
            sqlx::query_as(COMMITS).fetch_all(&mut connection).await.map_err(failed)?;
        let told = rows.into_iter().filter_map(|(run, epoch, at_ms)| {
            Some(json!({"kind": "commit", "run": run, "epoch": epoch, "at_ms": at_ms?}))
        });
        Ok(told.collect())
    }

    /// The log of owners, as lines of the history.
    pub(crate) async fn owner_log(&self, app: &str) -> Result<Vec<Value>, String> {
        let failed = |error: sqlx::Error| format!("failed to read the log of owners: {error}");
        let sql = |server: &str| {
            sqlx::AssertSqlSafe(format!(
                "SELECT CAST(app_id AS CHAR(20)) AS app, CAST(shard AS CHAR(20)) AS shard, CAST(epoch AS CHAR(20)) AS epoch, \
                 {server} AS server, CAST(at AS CHAR(20)) AS at_ms, reason FROM fastjob_owner_log ORDER BY id"
            ))
        };
        macro_rules! read {
            ($connection:ty, $url:expr, $server:literal) => {{
                let mut connection = <$connection>::connect($url).await.map_err(failed)?;
                let rows = sqlx::query(sql($server)).fetch_all(&mut connection).await.map_err(failed)?;
                rows.iter()
                    .map(|row| {
                        let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
                        Ok([
                            text("app")?,
                            text("shard")?,
                            text("epoch")?,
                            text("server")?,
                            text("at_ms")?,
                            text("reason")?,
                        ])
                    })
                    .collect::<Result<Vec<_>, String>>()?
            }};
        }
        let rows = match self {
            Self::Sqlite(path) => read!(SqliteConnection, &sqlite(path), "lower(hex(server_id))"),
            Self::Postgres(url) => read!(PgConnection, url, "replace(server_id::text, '-', '')"),
            Self::MariaDb(url) => read!(MySqlConnection, url, "lower(hex(server_id))"),
        };
        let number = |text: &str| text.trim().parse::<i64>().map_err(|error| format!("{text:?}: {error}"));
        rows.iter()
            .map(|[of, shard, epoch, server, at_ms, reason]| {
                Ok(json!({
                    "kind": "owner", "app": format!("{app} {of}"), "shard": number(shard)?, "epoch": number(epoch)?,
                    "server": server, "at_ms": number(at_ms)?, "reason": reason,
                }))
            })
            .collect()
    }
}

fn sqlite(path: &std::path::Path) -> String {
    format!("sqlite:{}", path.display())
}
