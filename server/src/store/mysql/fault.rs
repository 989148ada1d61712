//! What MariaDB's and MySQL's codes mean to a caller. Codes: <https://mariadb.com/kb/en/mariadb-error-code-reference/>,
//! <https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>.

use sqlx::mysql::MySqlDatabaseError;

use crate::store::error::{ErrorKind, StoreError};

/// The error of a statement, or of a transaction's begin, that was to do `what`. Its connection is given up, so nothing of
/// its transaction is there.
pub(super) fn fault(what: &str, error: sqlx::Error) -> StoreError {
    let kind = match &error {
        sqlx::Error::Database(_) => code_kind(number(&error)),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::Corrupt,
        sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::Encode(_) => ErrorKind::Defect,
        _ => ErrorKind::Unavailable,
    };
    let again = is_contention(&error) || is_lost(&error);
    let fault = StoreError::new(kind, what).because(error);
    if again { fault.worth_another_try() } else { fault }
}

/// The error of a commit, or of a statement that commits by itself.
pub(super) fn commit_fault(what: &str, error: sqlx::Error) -> StoreError {
    // A deadlock is certain to have undone it all, on Galera also at the commit.
    if is_contention(&error) {
        return fault(what, error);
    }
    StoreError::new(ErrorKind::Unknown, format!("{what}: its commit was not confirmed")).because(error)
}

/// The error of a connection that could not be made.
pub(super) fn connect_fault(error: sqlx::Error) -> StoreError {
    let what = match number(&error) {
        Some(1045 | 1698) => "connect to the database; check user and password in database.url",
        Some(1044) => "connect to the database; the user has no rights on it: GRANT ALL ON it TO the user",
        Some(1049) => "connect to the database; create it first: CREATE DATABASE",
        Some(1040 | 1203) => {
            "connect to the database; it has no connection left: raise its max_connections or lower database.max_connections"
        }
        _ => "connect to the database",
    };
    StoreError::new(ErrorKind::Unavailable, what).because(error)
}

/// The server, or the way to it, is not what it was: no connection that is open can be relied on.
pub(super) fn ends_all_connections(error: &sqlx::Error) -> bool {
    is_lost(error) || number(error).is_some_and(is_elsewhere)
}

/// The name is taken.
pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    matches!(number(error), Some(1062))
}

fn code_kind(number: Option<u16>) -> ErrorKind {
    match number {
        // Null, out of range, too long, wrong for its column, duplicate, a constraint, more than a packet holds.
        Some(
            1048
            | 1062
            | 1138
            | 1153
            | 1169
            | 1216
            | 1217
            | 1263..=1265
            | 1292
            | 1364
            | 1366
            | 1406
            | 1451
            | 1452
            | 1557
            | 1586
            | 1690
            | 3819
            | 4025,
        ) => ErrorKind::Data,
        // The table is damaged, or is none.
        Some(1034 | 1035 | 1194 | 1195 | 1712) => ErrorKind::Corrupt,
        // The statement is wrong, or a table or column is not there.
        Some(1054 | 1064 | 1146 | 1210 | 1247 | 1267 | 1305 | 1318) => ErrorKind::Defect,
        _ => ErrorKind::Unavailable,
    }
}

/// Two transactions were in each other's way.
fn is_contention(error: &sqlx::Error) -> bool {
    matches!(number(error), Some(1205 | 1213))
}

/// Nobody answers any more on this connection.
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        // Killed, by a person, a limit, or a shutdown; "gone away" comes from proxies.
        _ => matches!(number(error), Some(1053 | 1077 | 1079 | 1080 | 1927 | 2006 | 2013 | 3169 | 4031)),
    }
}

/// Read-only, or not ready to serve: the writer is another server now, or none.
fn is_elsewhere(number: u16) -> bool {
    matches!(number, 1047 | 1290 | 1792 | 1836 | 3100 | 3101)
}

fn number(error: &sqlx::Error) -> Option<u16> {
    let sqlx::Error::Database(error) = error else { return None };
    Some(error.try_downcast_ref::<MySqlDatabaseError>()?.number())
}
