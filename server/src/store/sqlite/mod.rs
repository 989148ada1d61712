//! SQLite: one file, one server. One connection writes, its transactions one after the other; a few others read and
//! never wait for it. SQL only: what the sentences mean is in [`super::backend`].

mod apps;
mod bulk;
mod commit;
mod fault;
mod inbox;
mod inspect;
mod lock;
mod migrate;
mod ownership;
mod queries;
mod row;
mod shards;
mod statements;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastjob_core::clock::{Clock, Millis};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, SqlitePool, Transaction};

use super::StoreOptions;
use super::error::{ErrorKind, StoreError};
use fault::fault;
use lock::FileLock;

/// How long a statement waits for another program that writes to the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a sentence waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 512;
/// Pages of 4 KiB that the log gathers before they are copied into the file.
const CHECKPOINT_PAGES: u32 = 4_000;

/// An open database file.
pub(super) struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    // Last, so that it is held until the connections are gone. None: this one only looks.
    _lock: Option<FileLock>,
}

impl SqliteStore {
    /// Takes the file for this process, creates it if it is not there, and brings its schema up to date.
    pub(super) async fn open(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        let lock = FileLock::take(path)?;
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(false)
            .busy_timeout(BUSY_TIMEOUT)
            .statement_cache_capacity(STATEMENTS)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
            .pragma("temp_store", "memory")
            .disable_statement_logging();
        let place = path.display().to_string();
        let open = |error| fault("open the database", error).within(&place);
        let writer = pool(1).connect_with(connect.clone()).await.map_err(open)?;
        check_durability(&writer).await.map_err(|error| error.within(&place))?;
        migrate::migrate(&writer, options.clock.now()).await.map_err(|error| error.within(&place))?;
        let readers = pool(options.max_connections.saturating_sub(1).max(1))
            .connect_with(connect.pragma("query_only", "on"))
            .await
            .map_err(open)?;
        Ok(Self { writer, readers, clock: options.clock, path: path.to_owned(), _lock: Some(lock) })
    }

    /// Ends the connections; what is committed is in the file.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// A transaction that may write, alone from its first statement on.
    async fn write(&self, what: &'static str) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| fault(what, error))
    }

    /// A transaction that reads one state of the database.
    async fn read(&self, what: &'static str) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.readers.begin().await.map_err(|error| fault(what, error))
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// A commit must be on the disk when it returns; a file system that cannot do that is refused.
async fn check_durability(writer: &SqlitePool) -> Result<(), StoreError> {
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(writer)
        .await
        .map_err(|error| fault("read the journal mode", error))?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
        .fetch_one(writer)
        .await
        .map_err(|error| fault("read the synchronous mode", error))?;
    if journal == "wal" && synchronous == 2 {
        return Ok(());
    }
    let message = format!(
        "database runs with journal {journal} and synchronous {synchronous}, not with wal and 2: put it on a local file system"
    );
    Err(StoreError::new(ErrorKind::Unavailable, message))
}

/// Ends a writing transaction. An error here leaves it unknown whether the rows are there.
async fn commit(transaction: Transaction<'_, Sqlite>, what: &'static str) -> Result<(), StoreError> {
    transaction.commit().await.map_err(|error| {
        StoreError::new(ErrorKind::Unknown, format!("{what}: its commit was not confirmed")).because(error)
    })
}
