//! All that is durable. Its sentences are in [`front`]; what each must mean, in [`backend`]. What a database does for a sentence is in its own module; nothing outside of this one
//! knows which database it is.

mod backend;
mod error;
mod front;
mod inspect;
mod keys;
mod mysql;
mod postgres;
mod row;
mod scans;
mod shape;
mod sqlite;
mod values;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::id::Chance;
use tracing::Instrument;

pub use backend::{
    App, Changes, Claimed, Desired, InboxRow, JobFilter, LedgerEntry, LedgerFilter, NewApp, NewServer,
    NewToken, Owned, Release, Renewal, RunFilter, Server, ServerPhase, Token, Turn, TurnEnd,
};
pub use error::{ErrorKind, StoreError};
pub use inspect::{KeyedRun, Rights, Schema, Setting, Sizes, Violations};
pub use scans::{SCANS, Scan};

use mysql::MySqlStore;
use postgres::PostgresStore;
use sqlite::SqliteStore;

/// How long one sentence may take, with all its tries.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long a look at whole tables may take.
const SCAN_DEADLINE: Duration = Duration::from_secs(600);
/// Tries of one sentence.
const MAX_TRIES: u32 = 5;
/// The wait before the second try, give or take a half; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Arc<Backend>,
}

/// How to open a [`Store`].
#[derive(Clone)]
pub struct StoreOptions {
    /// The most connections that are open at a time; at least 2 are used.
    pub max_connections: u32,
    /// The database's time, where a database has no clock of its own: SQLite.
    pub clock: Arc<dyn Clock>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { max_connections: 8, clock: Arc::new(SystemClock) }
    }
}

enum Backend {
    Sqlite(SqliteStore),
    MySql(MySqlStore),
    Postgres(PostgresStore),
}

/// What a deadline that ran out says of the sentence.
#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
    Scan,
}

impl Access {
    fn deadline(self) -> Duration {
        match self {
            Self::Read | Self::Write => DEADLINE,
            Self::Scan => SCAN_DEADLINE,
        }
    }
}

impl Store {
    /// Opens the database at `url`, as `sqlite:fastjob.db` or `postgres://fastjob@localhost/fastjob`, and brings its schema
    /// up to date; a file is created if it is not there. Errors: [`ErrorKind::Busy`] if another server holds or migrates
    /// it, [`ErrorKind::Newer`] if a newer program migrated it, [`ErrorKind::ReadOnly`], [`ErrorKind::Corrupt`] if it is no
    /// database, [`ErrorKind::Unavailable`].
    pub async fn open(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let (scheme, rest) = url.split_once(':').unwrap_or_default();
        let backend = match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => Backend::Sqlite(SqliteStore::open(file(rest), options).await?),
            "mysql" | "mariadb" => Backend::MySql(MySqlStore::open(url, options).await?),
            "postgres" | "postgresql" => Backend::Postgres(PostgresStore::open(url, options).await?),
            _ => return Err(StoreError::new(ErrorKind::Unavailable, UNKNOWN_SCHEME)),
        };
        Ok(Self { backend: Arc::new(backend) })
    }

    /// Opens the database at `url` to look at it, beside its servers: nothing is created or migrated, no lock is taken,
    /// and sentences that write fail. Tables may be missing, or of another schema: ask [`Store::inspect_schema`] first.
    pub async fn inspect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let (scheme, rest) = url.split_once(':').unwrap_or_default();
        let backend = match scheme {
            "sqlite" => Backend::Sqlite(SqliteStore::inspect(file(rest), options).await?),
            "postgres" | "postgresql" => Backend::Postgres(PostgresStore::inspect(url, options).await?),
            "mysql" | "mariadb" => Backend::MySql(MySqlStore::inspect(url, options).await?),
            _ => return Err(StoreError::new(ErrorKind::Unavailable, UNKNOWN_SCHEME)),
        };
        Ok(Self { backend: Arc::new(backend) })
    }

    /// Ends all connections. Sentences that come later fail with [`ErrorKind::Unavailable`].
    pub async fn close(&self) {
        match &*self.backend {
            Backend::Sqlite(store) => store.close().await,
            Backend::MySql(store) => store.close().await,
            Backend::Postgres(store) => store.close().await,
        }
    }

    /// Only one server has this database at a time: the store holds the proof, and whoever was here before is gone.
    pub fn is_exclusive(&self) -> bool {
        match &*self.backend {
            Backend::Sqlite(_) => true,
            Backend::MySql(_) | Backend::Postgres(_) => false,
        }
    }

    async fn ask<T, Answer>(
        &self,
        sentence: &'static str,
        access: Access,
        once: impl Fn() -> Answer,
    ) -> Result<T, StoreError>
    where
        Answer: Future<Output = Result<T, StoreError>>,
    {
        let tries = async {
            let mut wait = FIRST_WAIT;
            let mut chance = Chance::from_seed(rand::random());
            for _ in 1..MAX_TRIES {
                match once().await {
                    Err(error) if error.is_worth_another_try() => {
                        tracing::debug!(%error, "trying again");
                        // Two that were in each other's way must not meet again.
                        tokio::time::sleep(wait.mul_f64(0.5 + chance.next_fraction())).await;
                        wait *= 2;
                    }
                    answer => return answer,
                }
            }
            once().await
        };
        let span = tracing::debug_span!("store", sentence);
        let answer = tokio::time::timeout(access.deadline(), tries.instrument(span)).await;
        answer.unwrap_or_else(|_| {
            if !matches!(access, Access::Scan) {
                self.leave_connections();
            }
            Err(late(sentence, access))
        })
    }

    /// A connection that went silent tells of the others that they may have: each would be waited for as long.
    fn leave_connections(&self) {
        match &*self.backend {
            Backend::Sqlite(_) => {}
            Backend::MySql(store) => store.leave_connections(),
            Backend::Postgres(store) => store.leave_connections(),
        }
    }
}

const UNKNOWN_SCHEME: &str = "the database's url has no scheme that is known: give a file, as sqlite:fastjob.db, or a \
     server, as postgres://fastjob@localhost/fastjob or mysql://fastjob@localhost/fastjob";

fn file(rest: &str) -> &Path {
    Path::new(rest.strip_prefix("//").unwrap_or(rest))
}

fn late(sentence: &str, access: Access) -> StoreError {
    let kind = match access {
        Access::Read | Access::Scan => ErrorKind::Unavailable,
        Access::Write => ErrorKind::Unknown,
    };
    StoreError::new(
        kind,
        format!("{sentence}: no answer from the database for {} s", access.deadline().as_secs()),
    )
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions").field("max_connections", &self.max_connections).finish_non_exhaustive()
    }
}
