//! What a row of PostgreSQL says, and how its ids and texts are written.

use std::borrow::Cow;

use fastjob_core::id::Id;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgRow, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Row as _, Type};

use crate::store::row::{Cells, Unreadable};

impl Cells for PgRow {
    fn whole(&self, column: &str) -> Result<Option<i64>, Unreadable> {
        Ok(self.try_get::<Option<Whole>, _>(column)?.map(|Whole(number)| number))
    }

    fn text(&self, column: &str) -> Result<Option<&str>, Unreadable> {
        Ok(self.try_get(column)?)
    }

    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, Unreadable> {
        Ok(self.try_get(column)?)
    }

    fn uuid(&self, column: &str) -> Result<Option<[u8; 16]>, Unreadable> {
        Ok(self.try_get::<Option<Uuid>, _>(column)?.map(|Uuid(bytes)| bytes))
    }

    fn flag(&self, column: &str) -> Result<bool, Unreadable> {
        Ok(self.try_get(column)?)
    }
}

/// An integer of any width.
struct Whole(i64);

impl Type<Postgres> for Whole {
    fn type_info() -> PgTypeInfo {
        <i64 as Type<Postgres>>::type_info()
    }

    fn compatible(kind: &PgTypeInfo) -> bool {
        [<i64 as Type<Postgres>>::type_info(), <i32 as Type<Postgres>>::type_info()].contains(kind)
            || *kind == <i16 as Type<Postgres>>::type_info()
    }
}

impl Decode<'_, Postgres> for Whole {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Ok(Self(value.as_str()?.parse()?));
        }
        let bytes = value.as_bytes()?;
        if let Ok(bytes) = bytes.try_into() {
            return Ok(Self(i64::from_be_bytes(bytes)));
        }
        if let Ok(bytes) = bytes.try_into() {
            return Ok(Self(i32::from_be_bytes(bytes).into()));
        }
        Ok(Self(i16::from_be_bytes(bytes.try_into()?).into()))
    }
}

/// An id as a parameter and in an answer.
pub(super) struct Uuid([u8; 16]);

/// The type's number in every PostgreSQL, and its array's.
pub(super) const UUID_OID: Oid = Oid(2950);
pub(super) const UUID_ARRAY_OID: Oid = Oid(2951);

impl Uuid {
    pub(super) fn of<Kind>(id: &Id<Kind>) -> Self {
        Self(*id.as_bytes())
    }

    pub(super) fn all<'i, Kind: 'i>(ids: impl Iterator<Item = &'i Id<Kind>>) -> Vec<Self> {
        ids.map(Self::of).collect()
    }
}

impl Type<Postgres> for Uuid {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UUID_OID)
    }

    fn compatible(kind: &PgTypeInfo) -> bool {
        kind.oid() == Some(UUID_OID)
    }
}

impl PgHasArrayType for Uuid {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UUID_ARRAY_OID)
    }
}

impl Encode<'_, Postgres> for Uuid {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Uuid {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(value.as_bytes()?.try_into()?))
    }
}

/// Text as PostgreSQL can hold it: it knows none with a NUL, which becomes U+FFFD, the sign for what cannot be shown.
pub(super) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}
