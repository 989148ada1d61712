//! Connections. Whoever asks for something holds one, gives it back when all went well, and loses it otherwise: what was
//! begun on it is undone, and nobody meets the rest of an answer. No transaction outlives its sentence.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastjob_core::clock::Clock;
use parking_lot::Mutex;
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, MySql};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::fault::{commit_fault, connect_fault, ends_all_connections, fault};
use crate::store::error::{ErrorKind, StoreError};

/// How long a sentence waits for a connection that others hold, and then for a new one.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a farewell may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The connections that are open or may be opened.
pub(super) struct Pool {
    options: MySqlConnectOptions,
    /// Statements that each new connection begins with.
    session: String,
    /// A connection that nobody has used for this long may be closed by the server.
    idle_limit: Duration,
    clock: Arc<dyn Clock>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    /// Rises when all connections of before are to be dropped.
    generation: AtomicU64,
}

struct Idle {
    connection: MySqlConnection,
    since: Duration,
    generation: u64,
}

/// A connection that somebody keeps for the next time.
pub(super) struct Kept {
    link: Link,
    since: Duration,
}

/// A connection that is held.
pub(super) struct Link {
    pool: Arc<Pool>,
    connection: MySqlConnection,
    generation: u64,
    permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    pub(super) fn new(
        options: MySqlConnectOptions,
        session: String,
        idle_limit: Duration,
        connections: u32,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let permits = Arc::new(Semaphore::new(connections.max(2) as usize));
        let (idle, generation) = (Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { options, session, idle_limit, clock, permits, idle, generation })
    }

    /// Holds one of the pool's connections.
    pub(super) async fn link(self: &Arc<Self>, what: &str) -> Result<Link, StoreError> {
        let permit = match timeout(ACQUIRE_TIMEOUT, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(unavailable(what, "the store is closed")),
            Err(_) => return Err(unavailable(what, "no connection was free for 5 s")),
        };
        while let Some(idle) = self.take_idle() {
            if self.is_good(idle.generation, idle.since) {
                let Idle { connection, generation, .. } = idle;
                return Ok(Link { pool: self.clone(), connection, generation, permit: Some(permit) });
            }
            let _ = timeout(CLOSE_TIMEOUT, idle.connection.close()).await;
        }
        let link = self.own_link(what).await?;
        Ok(Link { permit: Some(permit), ..link })
    }

    /// A new connection, beside those that are counted.
    pub(super) async fn own_link(self: &Arc<Self>, what: &str) -> Result<Link, StoreError> {
        let generation = self.generation();
        let connect = async {
            let mut connection = self.options.connect().await?;
            connection.execute(AssertSqlSafe(self.session.clone())).await?;
            Ok(connection)
        };
        match timeout(ACQUIRE_TIMEOUT, connect).await {
            Ok(Ok(connection)) => Ok(Link { pool: self.clone(), connection, generation, permit: None }),
            Ok(Err(error)) => Err(connect_fault(error).within(what)),
            Err(_) => Err(unavailable(what, "the database did not accept a connection for 5 s")),
        }
    }

    /// Ends all connections; there will be no more.
    pub(super) async fn close(&self) {
        self.permits.close();
        self.drop_all();
        while let Some(idle) = self.take_idle() {
            let _ = timeout(CLOSE_TIMEOUT, idle.connection.close()).await;
        }
    }

    /// The connections of now are not given to anybody any more.
    pub(super) fn drop_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn take_idle(&self) -> Option<Idle> {
        self.idle.lock().pop()
    }

    /// Whether a connection of that generation, left alone since then, can be relied on.
    fn is_good(&self, generation: u64, since: Duration) -> bool {
        generation == self.generation() && self.clock.elapsed().saturating_sub(since) < self.idle_limit
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

impl Link {
    /// Begins a transaction that writes.
    pub(super) async fn begin(&mut self, what: &str) -> Result<(), StoreError> {
        self.say("START TRANSACTION READ WRITE", what).await
    }

    /// Begins a transaction that reads one state of the database.
    pub(super) async fn begin_read(&mut self, what: &str) -> Result<(), StoreError> {
        const BEGIN: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
                             START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        self.say(BEGIN, what).await
    }

    /// Ends a transaction that wrote, and gives the connection back.
    pub(super) async fn commit(mut self, what: &str) -> Result<(), StoreError> {
        match self.connection.execute("COMMIT").await {
            Ok(_) => {
                self.done();
                Ok(())
            }
            Err(error) => Err(self.judge(commit_fault, what, error)),
        }
    }

    /// Ends a transaction that wrote nothing, and gives the connection back.
    pub(super) async fn rollback(mut self) {
        if self.connection.execute("ROLLBACK").await.is_ok() {
            self.done();
        }
    }

    /// Gives the connection back; no transaction is open.
    pub(super) fn done(self) {
        let Self { pool, connection, generation, permit } = self;
        if permit.is_some() && generation == pool.generation() {
            let since = pool.clock.elapsed();
            pool.idle.lock().push(Idle { connection, since, generation });
        }
    }

    /// Keeps it for the next time.
    pub(super) fn keep(self) -> Kept {
        let since = self.pool.clock.elapsed();
        Kept { link: self, since }
    }

    /// Statements without parameters.
    pub(super) async fn say(&mut self, statements: &'static str, what: &str) -> Result<(), StoreError> {
        match self.connection.execute(statements).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.judge(fault, what, error)),
        }
    }

    /// Executes; answers how many rows were found to be changed, be their values new or not.
    pub(super) async fn execute(&mut self, what: &str, query: Asked<'_>) -> Result<u64, StoreError> {
        match query.execute(&mut self.connection).await {
            Ok(done) => Ok(done.rows_affected()),
            Err(error) => Err(self.judge(fault, what, error)),
        }
    }

    /// As [`execute`](Self::execute), of a statement outside of a transaction: it commits by itself.
    pub(super) async fn execute_and_commit(
        &mut self,
        what: &str,
        query: Asked<'_>,
    ) -> Result<u64, StoreError> {
        match query.execute(&mut self.connection).await {
            Ok(done) => Ok(done.rows_affected()),
            // Refused by a server that goes on: nothing was written.
            Err(error @ sqlx::Error::Database(_)) if !ends_all_connections(&error) => {
                Err(self.judge(fault, what, error))
            }
            Err(error) => Err(self.judge(commit_fault, what, error)),
        }
    }

    /// Queries, for all rows.
    pub(super) async fn all(&mut self, what: &str, query: Asked<'_>) -> Result<Vec<MySqlRow>, StoreError> {
        match query.fetch_all(&mut self.connection).await {
            Ok(rows) => Ok(rows),
            Err(error) => Err(self.judge(fault, what, error)),
        }
    }

    /// Queries, for the one row if there is one.
    pub(super) async fn one(&mut self, what: &str, query: Asked<'_>) -> Result<Option<MySqlRow>, StoreError> {
        self.all(what, query).await.map(|rows| rows.into_iter().next())
    }

    /// Makes the error of it, and lets the pool know if the server is gone.
    pub(super) fn judge(
        &self,
        judge: impl FnOnce(&str, sqlx::Error) -> StoreError,
        what: &str,
        error: sqlx::Error,
    ) -> StoreError {
        if ends_all_connections(&error) {
            self.pool.drop_all();
        }
        judge(what, error)
    }
}

impl Kept {
    /// The connection, unless it was left alone for too long, or the server was lost since.
    pub(super) fn still_good(self) -> Option<Link> {
        let Self { link, since } = self;
        let good = link.pool.is_good(link.generation, since);
        good.then_some(link)
    }
}

/// A statement with its parameters.
pub(super) type Asked<'q> = Query<'q, MySql, MySqlArguments>;

impl Deref for Link {
    type Target = MySqlConnection;

    fn deref(&self) -> &MySqlConnection {
        &self.connection
    }
}

impl DerefMut for Link {
    fn deref_mut(&mut self) -> &mut MySqlConnection {
        &mut self.connection
    }
}

fn unavailable(what: &str, why: &str) -> StoreError {
    StoreError::new(ErrorKind::Unavailable, format!("{what}: {why}"))
}
