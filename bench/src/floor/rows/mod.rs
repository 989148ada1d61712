//! The floor's rows: those of an API run from its trigger to its end, in the server's own table, with the fewest
//! statements that write them. No fence, no state, no judgement.

mod mysql;
mod postgres;
mod sqlite;

use fastjob_core::id::RunId;

pub(crate) use self::mysql::MysqlRows;
pub(crate) use self::postgres::PostgresRows;
pub(crate) use self::sqlite::SqliteRows;

/// Rows of one statement where its text depends on their number; the sizes of turns are multiples of it.
pub(crate) const CHUNK: usize = 100;

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

impl NewRun {
    /// As it comes back.
    pub(crate) fn ended(&self, now: i64) -> EndedRun {
        EndedRun { id: self.id, token: self.token, started_at: now, ended_at: now }
    }
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

/// The one writer, in some database.
pub(crate) enum Rows {
    /// A file of its own.
    Sqlite(Box<SqliteRows>),
    /// One connection.
    Postgres(Box<PostgresRows>),
    /// One connection.
    Mysql(Box<MysqlRows>),
}

impl Rows {
    /// One transaction.
    pub(crate) async fn commit(&mut self, turn: Turn<'_>, now: i64) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(rows) => rows.commit(turn, now).await,
            Self::Postgres(rows) => rows.commit(turn, now).await,
            Self::Mysql(rows) => rows.commit(turn, now).await,
        }
    }
}
