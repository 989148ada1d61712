//! Many rows in one statement: each column goes as one array, and `unnest` makes rows of them again. So the text of a
//! statement is the same for any number of rows, and it is prepared once.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgConnection, PgRow, PgTypeInfo};
use sqlx::query::Query;
use sqlx::{Encode, Postgres, Type};

use super::fault::fault;
use super::row::{UUID_ARRAY_OID, UUID_OID, without_nul};
use crate::store::error::{ErrorKind, StoreError};
use crate::store::values::Values;

/// Bytes that one statement is given at the most, one row aside: arrays and messages end at 1 GB.
const MAX_BYTES: usize = 16 << 20;

/// A statement over a list of rows.
pub(super) struct Bulk {
    /// For errors: what it writes.
    pub(super) what: &'static str,
    /// Its parameters are arrays, one for each value of a row, in their order.
    pub(super) sql: &'static str,
}

impl Bulk {
    /// Runs it for all of `items`. Each item must touch exactly one row.
    pub(super) async fn write<T>(
        &self,
        connection: &mut PgConnection,
        items: &[T],
        put: impl FnMut(&mut Columns, &T) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let touched = self.write_at_most(connection, items, put).await?;
        if touched == items.len() as u64 {
            return Ok(());
        }
        let message = format!("write {}: {touched} of {} rows are as they should be", self.what, items.len());
        Err(StoreError::new(ErrorKind::Defect, message))
    }

    /// Runs it for all of `items`, each of which touches one row or none. Answers how many rows were touched.
    pub(super) async fn write_at_most<T>(
        &self,
        connection: &mut PgConnection,
        items: &[T],
        mut put: impl FnMut(&mut Columns, &T) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let (mut touched, mut rest) = (0, items.iter());
        while !rest.as_slice().is_empty() {
            let columns = Columns::fill(&mut rest, &mut put)?;
            let done = columns
                .query(self.sql)
                .execute(&mut *connection)
                .await
                .map_err(|error| fault(&format!("write {}", self.what), error))?;
            touched += done.rows_affected();
        }
        Ok(touched)
    }

    /// Runs it as a query for all of `items`.
    pub(super) async fn read<T>(
        &self,
        connection: &mut PgConnection,
        items: &[T],
        mut put: impl FnMut(&mut Columns, &T) -> Result<(), StoreError>,
    ) -> Result<Vec<PgRow>, StoreError> {
        let (mut found, mut rest) = (Vec::with_capacity(items.len()), items.iter());
        while !rest.as_slice().is_empty() {
            let columns = Columns::fill(&mut rest, &mut put)?;
            let rows = columns
                .query(self.sql)
                .fetch_all(&mut *connection)
                .await
                .map_err(|error| fault(&format!("read {}", self.what), error))?;
            found.extend(rows);
        }
        Ok(found)
    }
}

/// The values of rows, column by column.
#[derive(Default)]
pub(super) struct Columns {
    columns: Vec<Array>,
    /// Where the row's next value goes.
    next: usize,
    bytes: usize,
}

impl Columns {
    /// One row of each item, up to [`MAX_BYTES`].
    fn fill<'i, T: 'i>(
        items: &mut impl Iterator<Item = &'i T>,
        mut put: impl FnMut(&mut Self, &T) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        while columns.bytes < MAX_BYTES {
            let Some(item) = items.next() else { break };
            columns.next = 0;
            put(&mut columns, item)?;
            assert_eq!(columns.next, columns.columns.len(), "every row has the same columns");
        }
        Ok(columns)
    }

    /// The statement with these arrays.
    fn query(self, sql: &'static str) -> Query<'static, Postgres, <Postgres as sqlx::Database>::Arguments> {
        self.columns.into_iter().fold(sqlx::query(sql), Query::bind)
    }

    fn put(&mut self, kind: Kind, value: Option<&[u8]>) {
        if self.next == self.columns.len() {
            self.columns.push(Array::new(kind));
        }
        let array = &mut self.columns[self.next];
        assert!(array.kind == kind, "a column has values of one kind");
        array.push(value);
        self.next += 1;
        self.bytes += value.map_or(4, |value| value.len() + 4);
    }
}

impl Values for Columns {
    fn uuid(&mut self, id: Option<&[u8; 16]>) {
        self.put(Kind::Uuid, id.map(|id| &id[..]));
    }

    fn whole(&mut self, number: Option<i64>) {
        self.put(Kind::Bigint, number.map(i64::to_be_bytes).as_ref().map(|bytes| &bytes[..]));
    }

    fn text(&mut self, text: Option<&str>) {
        let text = text.map(without_nul);
        self.put(Kind::Text, text.as_deref().map(str::as_bytes));
    }

    fn bytes(&mut self, bytes: Option<&[u8]>) {
        self.put(Kind::Bytea, bytes);
    }

    fn flag(&mut self, flag: bool) {
        self.put(Kind::Boolean, Some(&[u8::from(flag)]));
    }
}

/// What a column holds: its type's number, and that of its array's, in every PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Uuid,
    Bigint,
    Text,
    Bytea,
    Boolean,
}

impl Kind {
    const fn oid(self) -> Oid {
        match self {
            Self::Uuid => UUID_OID,
            Self::Bigint => Oid(20),
            Self::Text => Oid(25),
            Self::Bytea => Oid(17),
            Self::Boolean => Oid(16),
        }
    }

    const fn array_oid(self) -> Oid {
        match self {
            Self::Uuid => UUID_ARRAY_OID,
            Self::Bigint => Oid(1016),
            Self::Text => Oid(1009),
            Self::Bytea => Oid(1001),
            Self::Boolean => Oid(1000),
        }
    }
}

/// An array in the form that goes over the wire: one dimension, whose elements each have their length in front.
struct Array {
    kind: Kind,
    count: i32,
    elements: Vec<u8>,
}

impl Array {
    const fn new(kind: Kind) -> Self {
        Self { kind, count: 0, elements: Vec::new() }
    }

    fn push(&mut self, value: Option<&[u8]>) {
        let length = value.map_or(-1, |value| i32::try_from(value.len()).expect("a value is below 2 GB"));
        self.count += 1;
        self.elements.extend_from_slice(&length.to_be_bytes());
        self.elements.extend_from_slice(value.unwrap_or_default());
    }
}

impl Type<Postgres> for Array {
    /// Each value says its own, see [`Encode::produces`].
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Kind::Text.array_oid())
    }
}

impl Encode<'_, Postgres> for Array {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        const DIMENSIONS: i32 = 1;
        const HAS_NULLS: i32 = 1;
        const FIRST_INDEX: i32 = 1;
        out.extend_from_slice(&DIMENSIONS.to_be_bytes());
        out.extend_from_slice(&HAS_NULLS.to_be_bytes());
        out.extend_from_slice(&self.kind.oid().0.to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&FIRST_INDEX.to_be_bytes());
        out.extend_from_slice(&self.elements);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(self.kind.array_oid()))
    }

    fn size_hint(&self) -> usize {
        20 + self.elements.len()
    }
}
