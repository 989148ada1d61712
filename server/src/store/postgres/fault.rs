//! What PostgreSQL's codes mean to a caller. Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use sqlx::error::DatabaseError;

use crate::store::error::{ErrorKind, StoreError};

/// The error of a statement before its commit, or of a read, that was to do `what`: nothing was written.
pub(super) fn fault(what: &str, error: sqlx::Error) -> StoreError {
    let (kind, retry, connections) = judge(&error);
    let fault = StoreError::new(kind, what).because(error);
    let fault = if retry == Retry::Soon { fault.worth_another_try() } else { fault };
    if connections == Connections::Lost { fault.by_a_lost_connection() } else { fault }
}

/// The error of a commit that was to do `what`. Only an answer that the database gives before it commits is certain.
pub(super) fn commit_fault(what: &str, error: sqlx::Error) -> StoreError {
    if matches!(&error, sqlx::Error::Database(answer) if matches!(class(&**answer), "23" | "40")) {
        return fault(what, error);
    }
    let message = format!("{what}: its commit was not confirmed");
    StoreError::new(ErrorKind::Unknown, message).because(error).by_a_lost_connection()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Retry {
    Soon,
    Never,
}

/// What else the error says of the connections that are open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connections {
    /// Of the others nothing.
    Kept,
    /// The server that they lead to stops, or is not the one that can write.
    Lost,
}

fn judge(error: &sqlx::Error) -> (ErrorKind, Retry, Connections) {
    use Connections::{Kept, Lost};
    use ErrorKind::{Corrupt, Data, Defect, ReadOnly, Unavailable};
    use Retry::{Never, Soon};
    let answer = match error {
        sqlx::Error::Database(answer) => &**answer,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
            return (Unavailable, Soon, Lost);
        }
        // The pool was made anew meanwhile, or the store is closed: then it stays so.
        sqlx::Error::PoolClosed => return (Unavailable, Soon, Kept),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => return (Corrupt, Never, Kept),
        sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::Encode(_) => return (Defect, Never, Kept),
        _ => return (Unavailable, Never, Kept),
    };
    match (&*code(answer), class(answer)) {
        // Read only; admin shutdown, crash shutdown, cannot connect now, database dropped.
        ("25006" | "57P01" | "57P02" | "57P03" | "57P04", _) | (_, "08") => (Unavailable, Soon, Lost),
        // Serialization failure, deadlock; lock timeout, idle in a transaction, a plan that a migration made stale.
        (_, "40") | ("55P03" | "25P03" | "0A000", _) => (Unavailable, Soon, Kept),
        // Statement timeout, and every kind of resource that is exhausted.
        ("57014", _) | (_, "53" | "28" | "3D" | "58") => (Unavailable, Never, Kept),
        ("42501", _) => (ReadOnly, Never, Kept),
        (_, "22" | "23") => (Data, Never, Kept),
        ("XX001" | "XX002", _) => (Corrupt, Never, Kept),
        _ => (Defect, Never, Kept),
    }
}

/// The five characters, empty if the answer has none.
pub(super) fn code(answer: &dyn DatabaseError) -> String {
    answer.code().unwrap_or_default().into_owned()
}

fn class(answer: &dyn DatabaseError) -> &'static str {
    const CLASSES: [&str; 9] = ["08", "22", "23", "28", "3D", "40", "53", "58", "XX"];
    let code = code(answer);
    CLASSES.into_iter().find(|class| code.starts_with(class)).unwrap_or("")
}
