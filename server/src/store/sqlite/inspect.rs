//! Looking at the file beside its server: see [`crate::store::inspect`].

use std::path::Path;

use fastjob_core::clock::Millis;
use fastjob_core::id::RunId;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::fault::fault;
use super::row::Reader;
use super::{BUSY_TIMEOUT, SqliteStore, migrate, pool};
use crate::store::StoreOptions;
use crate::store::error::StoreError;
use crate::store::inspect::{Inspect, KeyedRun, Rights, Schema, Setting, Sizes, Violations};
use crate::store::scans::{Dialect, Scan};

/// Connections that look.
const LOOKERS: u32 = 2;
const DIALECT: Dialect = Dialect { id: Dialect::uuid_of_bytes, integer: "INTEGER" };

impl SqliteStore {
    /// Opens the file to look at it: it must be there, its lock is not taken, nothing is migrated and no statement may
    /// write.
    pub(in crate::store) async fn inspect(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .foreign_keys(false)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("query_only", "on")
            .disable_statement_logging();
        let place = path.display().to_string();
        let readers = pool(LOOKERS)
            .connect_with(connect)
            .await
            .map_err(|error| fault("open the database", error).within(&place))?;
        let writer = readers.clone();
        Ok(Self { writer, readers, clock: options.clock, path: path.to_owned(), _lock: None })
    }
}

impl Inspect for SqliteStore {
    async fn inspect_settings(&self) -> Result<Vec<Setting>, StoreError> {
        let journal: String = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(&self.readers)
            .await
            .map_err(|error| fault("read the journal mode", error))?;
        Ok(vec![Setting { name: "journal_mode".into(), value: journal }])
    }

    async fn inspect_time(&self) -> Result<Option<Millis>, StoreError> {
        Ok(None)
    }

    async fn inspect_rights(&self) -> Result<Rights, StoreError> {
        let user = format!("uid {}", rustix::process::geteuid().as_raw());
        let writable = std::fs::OpenOptions::new().write(true).open(&self.path).is_ok();
        let missing = if writable { Vec::new() } else { vec![format!("write to {}", self.path.display())] };
        Ok(Rights { user, missing, powers: Vec::new() })
    }

    async fn inspect_schema(&self) -> Result<Schema, StoreError> {
        Ok(Schema { found: migrate::version(&self.readers).await?, known: migrate::NEWEST })
    }

    async fn inspect_sizes(&self) -> Result<Sizes, StoreError> {
        const WHAT: &str = "count the rows";
        let row = sqlx::query(crate::store::scans::SIZES)
            .fetch_one(&self.readers)
            .await
            .map_err(|error| fault(WHAT, error))?;
        let failed = sqlx::query(AssertSqlSafe(crate::store::scans::failed_by_reason()))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault(WHAT, error))?;
        let reason = |row: &SqliteRow| {
            let row = Reader::new(row, "fastjob_inbox", "reason");
            Ok((row.get::<Option<String>>("reason")?.unwrap_or_default(), row.bits("total")?))
        };
        let inbox_failed = failed.iter().map(reason).collect::<Result<_, StoreError>>()?;
        let row = Reader::new(&row, "fastjob_run", "runs");
        Ok(Sizes {
            jobs: row.bits("jobs")?,
            runs: row.bits("runs")?,
            open_runs: row.bits("open_runs")?,
            oldest_ended: row.maybe_at("oldest_ended")?,
            inbox_waiting: row.bits("inbox_waiting")?,
            inbox_oldest: row.maybe_at("inbox_oldest")?,
            inbox_failed,
        })
    }

    async fn inspect_scan(&self, scan: &Scan) -> Result<Violations, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(scan.sql(DIALECT)))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault(scan.name, error))?;
        let mut violations = Violations::default();
        for row in &rows {
            let row = Reader::new(row, "violation", "example");
            violations.count = row.bits("total")?;
            violations.examples.push(row.get("example")?);
        }
        Ok(violations)
    }

    async fn inspect_keys(&self, after: Option<RunId>, limit: u32) -> Result<Vec<KeyedRun>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, fire_key, idempotency_key FROM fastjob_run
             WHERE idempotency_key IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
        )
        .bind(after.as_ref().map_or(&[][..], |after| &after.as_bytes()[..]))
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(|error| fault("read the idempotency keys", error))?;
        let keyed = |row: &SqliteRow| {
            let row = Reader::new(row, "fastjob_run", "id");
            Ok(KeyedRun {
                id: row.id("id")?,
                fire_key: row.get("fire_key")?,
                idempotency_key: row.get("idempotency_key")?,
            })
        };
        rows.iter().map(keyed).collect()
    }
}
