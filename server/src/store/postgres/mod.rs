//! PostgreSQL: several servers, one database. SQL only: what the sentences mean is in [`super::backend`].
//!
//! Every sentence takes a connection of the pool, and gives it back only when it has ended well: one that failed, or whose
//! caller has gone, is closed, and the database ends its transaction. What writes is a transaction of its own, READ
//! COMMITTED; its lock order is server, app_owner, job, run, inbox, change.

mod apps;
mod bulk;
mod commit;
mod connect;
mod fault;
mod inbox;
mod inspect;
mod migrate;
mod ownership;
mod queries;
mod row;
mod shards;
mod statements;

use std::ops::{Deref, DerefMut};

use parking_lot::Mutex;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};

use super::StoreOptions;
use super::error::StoreError;
use fault::{commit_fault, fault};

/// An open database.
pub(super) struct PostgresStore {
    connect: Box<PgConnectOptions>,
    max_connections: u32,
    pool: Mutex<PgPool>,
    /// The connection of the lease, while nobody renews: no pool that is exhausted or made anew keeps a renewal back.
    /// Whoever renews first makes it, in the runtime of the lease's thread.
    lease: Mutex<Option<PgConnection>>,
}

impl PostgresStore {
    /// Connects, checks that the database is one that a server can trust, and brings its schema up to date.
    pub(super) async fn open(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let connect = connect::options(url)?;
        let connect = Box::new(connect::prepare(connect).await?);
        let max_connections = options.max_connections.max(2);
        let pool = Mutex::new(connect::pool(&connect, max_connections));
        Ok(Self { connect, max_connections, pool, lease: Mutex::new(None) })
    }

    /// Connects to look: nothing is checked or migrated, and sessions may not write.
    pub(super) async fn inspect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let connect = Box::new(connect::options_to_look(url)?);
        connect::try_out(&connect).await?;
        let max_connections = options.max_connections.max(2);
        let pool = Mutex::new(connect::pool(&connect, max_connections));
        Ok(Self { connect, max_connections, pool, lease: Mutex::new(None) })
    }

    /// Ends the connections.
    pub(super) async fn close(&self) {
        drop(self.lease.lock().take());
        let pool = self.pool.lock().clone();
        pool.close().await;
    }

    /// Passes an answer on. If its error says so, all connections are made anew: their server stops, or another one is the
    /// writer now.
    pub(super) fn settle<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if answer.as_ref().is_err_and(StoreError::is_by_a_lost_connection) {
            self.leave_connections();
        }
        answer
    }

    /// No sentence is given a connection of now any more.
    pub(super) fn leave_connections(&self) {
        let mut pool = self.pool.lock();
        if !pool.is_closed() {
            let old = std::mem::replace(&mut *pool, connect::pool(&self.connect, self.max_connections));
            // Marked as closed at once: its idle connections end, those in use end with their sentences.
            drop(old.close());
        }
    }

    /// A connection without a transaction: for one statement that reads.
    async fn one(&self, what: &'static str) -> Result<Lent, StoreError> {
        let pool = self.pool.lock().clone();
        let connection = pool.acquire().await.map_err(|error| fault(what, error))?;
        Ok(Lent { connection, what, phase: Phase::Bare })
    }

    /// A transaction that reads one state of the database.
    async fn read(&self, what: &'static str) -> Result<Lent, StoreError> {
        self.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", what).await
    }

    /// A transaction that may write.
    async fn write(&self, what: &'static str) -> Result<Lent, StoreError> {
        self.begin("BEGIN", what).await
    }

    async fn begin(&self, how: &'static str, what: &'static str) -> Result<Lent, StoreError> {
        let mut lent = self.one(what).await?;
        sqlx::raw_sql(how).execute(&mut *lent).await.map_err(|error| fault(what, error))?;
        lent.phase = Phase::Begun;
        Ok(lent)
    }
}

/// A connection of the pool, closed unless its sentence ends well.
struct Lent {
    connection: PoolConnection<Postgres>,
    what: &'static str,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Without a transaction.
    Bare,
    /// In a transaction.
    Begun,
    /// Fit for the next sentence.
    Ended,
}

impl Lent {
    /// Gives it back after what only read, or of which nothing is to stay.
    async fn done(mut self) -> Result<(), StoreError> {
        if self.phase == Phase::Begun {
            let ended = sqlx::raw_sql("ROLLBACK").execute(&mut *self.connection).await;
            ended.map_err(|error| fault(self.what, error))?;
        }
        self.phase = Phase::Ended;
        Ok(())
    }

    /// Commits what was written. An error leaves it unknown whether the rows are there, unless the database says that not.
    async fn commit(mut self) -> Result<(), StoreError> {
        let committed = sqlx::raw_sql("COMMIT").execute(&mut *self.connection).await;
        committed.map_err(|error| commit_fault(self.what, error))?;
        self.phase = Phase::Ended;
        Ok(())
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.phase != Phase::Ended {
            self.connection.close_on_drop();
        }
    }
}
