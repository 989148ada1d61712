//! Looking at the file beside its server: see [`crate::store::inspect`].

use std::path::Path;

use fastjob_core::clock::Millis;
use fastjob_core::id::RunId;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::fault::fault;
use super::{BUSY_TIMEOUT, SqliteStore, migrate, pool};
use crate::store::StoreOptions;
use crate::store::error::StoreError;
use crate::store::inspect::{Inspect, KeyedRun, Rights, Schema, Setting, Sizes, Violations};
use crate::store::row::{KEYED, keyed_run, sizes, violations};
use crate::store::scans::{Dialect, SIZES, Scan, failed_by_reason};

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
        let row = sqlx::query(SIZES).fetch_one(&self.readers).await.map_err(|error| fault(WHAT, error))?;
        let failed = sqlx::query(AssertSqlSafe(failed_by_reason()))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault(WHAT, error))?;
        sizes(&row, &failed)
    }

    async fn inspect_scan(&self, scan: &Scan) -> Result<Violations, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(scan.sql(DIALECT)))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault(scan.name, error))?;
        violations(&rows)
    }

    async fn inspect_keys(&self, after: Option<RunId>, limit: u32) -> Result<Vec<KeyedRun>, StoreError> {
        let sql = AssertSqlSafe(format!("{KEYED} AND id > ? ORDER BY id LIMIT ?"));
        let rows = sqlx::query(sql)
            .bind(after.as_ref().map_or(&[][..], |after| &after.as_bytes()[..]))
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault("read the idempotency keys", error))?;
        rows.iter().map(keyed_run).collect()
    }
}
