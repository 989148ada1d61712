//! What SQLite's codes mean to a caller. Codes: <https://www.sqlite.org/rescode.html>.

use sqlx::error::DatabaseError;

use crate::store::error::{ErrorKind, StoreError};

/// The error of a statement, or of a transaction's begin, that was to do `what`.
pub(super) fn fault(what: &str, error: sqlx::Error) -> StoreError {
    let kind = match &error {
        sqlx::Error::Database(error) => code_kind(&**error),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::Corrupt,
        sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::Encode(_) => ErrorKind::Defect,
        _ => ErrorKind::Unavailable,
    };
    let again = matches!(&error, sqlx::Error::Database(error) if is_contention(&**error));
    let fault = StoreError::new(kind, what).because(error);
    if again { fault.worth_another_try() } else { fault }
}

fn code_kind(error: &dyn DatabaseError) -> ErrorKind {
    match primary_code(error) {
        Some(5 | 6 | 7 | 9 | 10 | 13 | 14 | 15) => ErrorKind::Unavailable,
        Some(8) => ErrorKind::ReadOnly,
        Some(11 | 26) => ErrorKind::Corrupt,
        Some(18..=20) => ErrorKind::Data,
        _ => ErrorKind::Defect,
    }
}

/// Another program writes to the file.
fn is_contention(error: &dyn DatabaseError) -> bool {
    matches!(primary_code(error), Some(5 | 6))
}

fn primary_code(error: &dyn DatabaseError) -> Option<i32> {
    error.code()?.parse::<i32>().ok().map(|extended| extended & 0xff)
}
