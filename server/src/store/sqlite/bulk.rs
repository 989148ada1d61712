//! Many rows in one statement. Rows go in chunks of a few fixed sizes, so that the statements are prepared once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Failure, Payload};
use fastjob_core::id::Id;
use parking_lot::Mutex;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, AssertSqlSafe};

use super::fault::fault;
use super::row::encoding_word;
use crate::store::error::{ErrorKind, StoreError};

/// Rows of one statement, largest first: powers of two, so that few statements make up any number of rows. Times the
/// columns of a run, the first stays below SQLite's 32,766 parameters.
pub(super) const CHUNKS: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// A statement over a list of rows: its text is `head (?, …), (?, …) tail`.
pub(super) struct Bulk {
    /// For errors: what it writes.
    pub(super) what: &'static str,
    /// Up to the list.
    pub(super) head: &'static str,
    /// Values of a row.
    pub(super) columns: usize,
    /// After the list.
    pub(super) tail: &'static str,
}

impl Bulk {
    /// Runs it for all of `items`. Each item must touch exactly one row.
    pub(super) async fn write<T>(
        &self,
        connection: &mut SqliteConnection,
        items: &[T],
        bind: impl FnMut(&mut Row<'_>, &T) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let touched = self.write_at_most(connection, items, bind).await?;
        if touched == items.len() as u64 {
            return Ok(());
        }
        let message = format!("write {}: {touched} of {} rows are as they should be", self.what, items.len());
        Err(StoreError::new(ErrorKind::Defect, message))
    }

    /// Runs it for all of `items`, each of which touches one row or none. Answers how many rows were touched.
    pub(super) async fn write_at_most<T>(
        &self,
        connection: &mut SqliteConnection,
        items: &[T],
        mut bind: impl FnMut(&mut Row<'_>, &T) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let mut touched = 0;
        let mut rest = items;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(chunk_size(rest.len()));
            let arguments = self.bind_chunk(chunk, &mut bind)?;
            let done = sqlx::query_with(AssertSqlSafe(self.text(chunk.len())), arguments)
                .execute(&mut *connection)
                .await
                .map_err(|error| fault(&format!("write {}", self.what), error))?;
            touched += done.rows_affected();
            rest = after;
        }
        Ok(touched)
    }

    /// Runs it as a query for all of `items`.
    pub(super) async fn read<T>(
        &self,
        connection: &mut SqliteConnection,
        items: &[T],
        mut bind: impl FnMut(&mut Row<'_>, &T) -> Result<(), StoreError>,
    ) -> Result<Vec<sqlx::sqlite::SqliteRow>, StoreError> {
        let mut found = Vec::with_capacity(items.len());
        let mut rest = items;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(chunk_size(rest.len()));
            let arguments = self.bind_chunk(chunk, &mut bind)?;
            let rows = sqlx::query_with(AssertSqlSafe(self.text(chunk.len())), arguments)
                .fetch_all(&mut *connection)
                .await
                .map_err(|error| fault(&format!("read {}", self.what), error))?;
            found.extend(rows);
            rest = after;
        }
        Ok(found)
    }

    fn bind_chunk<T>(
        &self,
        chunk: &[T],
        bind: &mut impl FnMut(&mut Row<'_>, &T) -> Result<(), StoreError>,
    ) -> Result<SqliteArguments, StoreError> {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(chunk.len() * self.columns, 0);
        for item in chunk {
            bind(&mut Row { arguments: &mut arguments }, item)?;
        }
        assert_eq!(
            arguments.len(),
            chunk.len() * self.columns,
            "every column of {} is bound once",
            self.what
        );
        Ok(arguments)
    }

    pub(super) fn text(&self, rows: usize) -> Arc<str> {
        static TEXTS: LazyLock<Mutex<Texts>> = LazyLock::new(Mutex::default);
        let mut texts = TEXTS.lock();
        let text = texts.entry((self.head, rows)).or_insert_with(|| {
            let row = format!("({})", vec!["?"; self.columns].join(", "));
            format!("{} {} {}", self.head, vec![row; rows].join(", "), self.tail).into()
        });
        text.clone()
    }
}

/// Texts by head and number of rows.
type Texts = HashMap<(&'static str, usize), Arc<str>>;

fn chunk_size(rows: usize) -> usize {
    CHUNKS.into_iter().find(|size| *size <= rows).unwrap_or(1)
}

/// The values of one row, given in the order of its columns.
pub(super) struct Row<'a> {
    arguments: &'a mut SqliteArguments,
}

impl Row<'_> {
    pub(super) fn put<'q, T>(&mut self, value: T) -> &mut Self
    where
        T: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.arguments.add(value).expect("numbers, text and bytes always encode");
        self
    }

    pub(super) fn id<Kind>(&mut self, id: &Id<Kind>) -> &mut Self {
        self.put(&id.as_bytes()[..])
    }

    pub(super) fn maybe_id<Kind>(&mut self, id: Option<&Id<Kind>>) -> &mut Self {
        self.put(id.map(|id| &id.as_bytes()[..]))
    }

    pub(super) fn at(&mut self, at: Millis) -> &mut Self {
        self.put(at.get())
    }

    pub(super) fn maybe_at(&mut self, at: Option<Millis>) -> &mut Self {
        self.put(at.map(Millis::get))
    }

    pub(super) fn bits(&mut self, number: u64) -> &mut Self {
        self.put(number.cast_signed())
    }

    /// An encoding and its bytes.
    pub(super) fn payload(&mut self, payload: &Payload) -> &mut Self {
        self.put(encoding_word(payload.encoding)).put(&payload.data[..])
    }

    pub(super) fn maybe_payload(&mut self, payload: Option<&Payload>) -> &mut Self {
        match payload {
            Some(payload) => self.payload(payload),
            None => self.put(None::<&str>).put(None::<&[u8]>),
        }
    }

    /// Class, message and trace.
    pub(super) fn failure(&mut self, failure: Option<&Failure>) -> &mut Self {
        self.put(failure.map(|failure| &*failure.class))
            .put(failure.map(|failure| &*failure.message))
            .put(failure.map(|failure| &*failure.trace))
    }
}
