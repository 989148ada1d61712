//! Many rows in one statement. Rows go in chunks of a few fixed sizes, so that the statements are prepared once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, AssertSqlSafe};

use super::fault::fault;
use crate::store::error::{ErrorKind, StoreError};
use crate::store::values::Values;

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
        bind: impl FnMut(&mut Row, &T) -> Result<(), StoreError>,
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
        mut bind: impl FnMut(&mut Row, &T) -> Result<(), StoreError>,
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
        mut bind: impl FnMut(&mut Row, &T) -> Result<(), StoreError>,
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
        bind: &mut impl FnMut(&mut Row, &T) -> Result<(), StoreError>,
    ) -> Result<SqliteArguments, StoreError> {
        let mut row = Row(SqliteArguments::default());
        row.0.reserve(chunk.len() * self.columns, 0);
        for item in chunk {
            bind(&mut row, item)?;
        }
        assert_eq!(row.0.len(), chunk.len() * self.columns, "every column of {} is bound once", self.what);
        Ok(row.0)
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

/// The values of rows, one after the other.
pub(super) struct Row(SqliteArguments);

impl Row {
    fn put<'q, T>(&mut self, value: T)
    where
        T: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.0.add(value).expect("numbers, text and bytes always encode");
    }
}

impl Values for Row {
    fn uuid(&mut self, id: Option<&[u8; 16]>) {
        self.put(id.map(|id| &id[..]));
    }

    fn whole(&mut self, number: Option<i64>) {
        self.put(number);
    }

    fn text(&mut self, text: Option<&str>) {
        self.put(text);
    }

    fn bytes(&mut self, bytes: Option<&[u8]>) {
        self.put(bytes);
    }

    fn flag(&mut self, flag: bool) {
        self.put(flag);
    }
}
