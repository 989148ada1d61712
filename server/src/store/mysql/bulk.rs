//! Many rows in one statement. Rows go in chunks of a few fixed sizes, so that the statements are prepared once.
//!
//! Updates join a list that is spelled as a union: the one form that MariaDB and MySQL 8 both read, and both answer by
//! walking the list and searching the table by its key. `STRAIGHT_JOIN` holds them to it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::{Arguments, AssertSqlSafe};

use super::link::Link;
use crate::store::error::{ErrorKind, StoreError};
use crate::store::values::Values;

/// Rows of one statement: this many, or a smaller power of two. Times the columns of a run, it stays below the 65,535
/// parameters of a statement.
pub(super) const MAX_ROWS: usize = 256;
/// Bytes of one statement, but for its last row: half of what the server must accept.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Bytes of a number or an id, about.
const SMALL: usize = 9;

/// A statement over a list of rows: its text is `head list tail`.
pub(super) struct Bulk {
    /// For errors: what it writes.
    pub(super) what: &'static str,
    /// Up to the list, in pieces.
    pub(super) head: &'static [&'static str],
    /// How the list is spelled.
    pub(super) list: List,
    /// After the list.
    pub(super) tail: &'static str,
}

/// How a list of rows is spelled.
#[derive(Clone, Copy)]
pub(super) enum List {
    /// `(?, …), (?, …)`, with so many values in a row.
    Values(usize),
    /// A table with columns `c1`, `c2`, … of these kinds, a letter each: id, number, text, bytes.
    Table(&'static str),
}

impl Bulk {
    /// Runs it for all of `items`. Each item must touch exactly one row.
    pub(super) async fn write<T>(
        &self,
        to: &mut Link,
        items: &[T],
        bind: impl FnMut(&mut Row, &T) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let touched = self.write_at_most(to, items, bind).await?;
        if touched == items.len() as u64 {
            return Ok(());
        }
        let message = format!("write {}: {touched} of {} rows are as they should be", self.what, items.len());
        Err(StoreError::new(ErrorKind::Defect, message))
    }

    /// Runs it for all of `items`, each of which touches one row or none. Answers how many rows were touched.
    pub(super) async fn write_at_most<T>(
        &self,
        to: &mut Link,
        items: &[T],
        mut bind: impl FnMut(&mut Row, &T) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let what = format!("write {}", self.what);
        let mut touched = 0;
        let mut rest = items;
        while !rest.is_empty() {
            let most = largest_chunk(rest.len());
            let (query, after) = self.chunk(rest, most, |_| {}, &mut bind)?;
            touched += to.execute(&what, query).await?;
            rest = after;
        }
        Ok(touched)
    }

    /// Runs it as a query for all of `items`, with the values of `first` before each chunk. The last item may be asked for
    /// several times: a row may be answered more than once.
    pub(super) async fn read<T>(
        &self,
        from: &mut Link,
        first: impl Fn(&mut Row),
        items: &[T],
        mut bind: impl FnMut(&mut Row, &T) -> Result<(), StoreError>,
    ) -> Result<Vec<MySqlRow>, StoreError> {
        let what = format!("read {}", self.what);
        let mut found = Vec::with_capacity(items.len());
        let mut rest = items;
        while !rest.is_empty() {
            let most = rest.len().next_power_of_two().min(MAX_ROWS);
            let (query, after) = self.chunk(rest, most, &first, &mut bind)?;
            found.extend(from.all(&what, query).await?);
            rest = after;
        }
        Ok(found)
    }

    /// The statement for the first of `items`, `most` at most, and the others. Where they are fewer, the last is repeated.
    fn chunk<'t, T>(
        &self,
        items: &'t [T],
        most: usize,
        first: impl Fn(&mut Row),
        bind: &mut impl FnMut(&mut Row, &T) -> Result<(), StoreError>,
    ) -> Result<(super::link::Asked<'static>, &'t [T]), StoreError> {
        let mut row = Row::default();
        first(&mut row);
        let before = row.arguments.len();
        row.arguments.reserve(most * self.columns(), most * self.columns() * SMALL);
        let mut rows = 0;
        while rows < most && row.bytes < MAX_BYTES {
            bind(&mut row, &items[rows.min(items.len() - 1)])?;
            rows += 1;
        }
        assert_eq!(
            row.arguments.len() - before,
            rows * self.columns(),
            "every column of {} is bound once",
            self.what
        );
        // A chunk that was cut by its bytes is like no other: the server need not keep its statement.
        let usual = rows == most;
        let text = if usual { self.text(rows) } else { self.spell(rows).into() };
        let query = sqlx::query_with(AssertSqlSafe(text), row.arguments).persistent(usual);
        Ok((query, &items[rows.min(items.len())..]))
    }

    fn columns(&self) -> usize {
        match self.list {
            List::Values(columns) => columns,
            List::Table(kinds) => kinds.len(),
        }
    }

    pub(super) fn text(&self, rows: usize) -> Arc<str> {
        static TEXTS: LazyLock<Mutex<Texts>> = LazyLock::new(Mutex::default);
        let mut texts = TEXTS.lock();
        texts.entry((self.head, self.tail, rows)).or_insert_with(|| self.spell(rows).into()).clone()
    }

    fn spell(&self, rows: usize) -> String {
        let list = match self.list {
            List::Values(columns) => {
                let row = format!("({})", vec!["?"; columns].join(", "));
                vec![row; rows].join(", ")
            }
            List::Table(kinds) => {
                let cells = kinds.chars().enumerate().map(|(at, kind)| format!("{} c{}", cell(kind), at + 1));
                let row = format!("SELECT {}", cells.collect::<Vec<_>>().join(", "));
                format!("({}) v", vec![row; rows].join(" UNION ALL "))
            }
        };
        format!("{} {list} {}", self.head.join(" "), self.tail)
    }
}

/// The kind is said, since a server that guesses it from the first value asked for may guess wrong.
fn cell(kind: char) -> &'static str {
    match kind {
        'i' => "CAST(? AS BINARY(16))",
        'n' => "CAST(? AS SIGNED)",
        't' => "CAST(? AS CHAR)",
        _ => "CAST(? AS BINARY)",
    }
}

/// Texts by head, tail and number of rows.
type Texts = HashMap<(&'static [&'static str], &'static str, usize), Arc<str>>;

/// The largest number of rows of a statement that is not above this one.
fn largest_chunk(rows: usize) -> usize {
    1 << rows.min(MAX_ROWS).ilog2()
}

/// The values of rows, one after the other.
#[derive(Default)]
pub(super) struct Row {
    arguments: MySqlArguments,
    bytes: usize,
}

impl Row {
    fn put<'q, T>(&mut self, value: T, bytes: usize)
    where
        T: sqlx::Encode<'q, sqlx::MySql> + sqlx::Type<sqlx::MySql>,
    {
        self.arguments.add(value).expect("numbers, text and bytes always encode");
        self.bytes += bytes;
    }
}

impl Values for Row {
    fn uuid(&mut self, id: Option<&[u8; 16]>) {
        self.put(id.map(|id| &id[..]), 16);
    }

    fn whole(&mut self, number: Option<i64>) {
        self.put(number, SMALL);
    }

    fn text(&mut self, text: Option<&str>) {
        self.put(text, text.map_or(0, str::len));
    }

    fn bytes(&mut self, bytes: Option<&[u8]>) {
        self.put(bytes, bytes.map_or(0, <[u8]>::len));
    }

    fn flag(&mut self, flag: bool) {
        self.put(flag, 1);
    }
}
