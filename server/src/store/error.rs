//! Why the store did not do as asked: a kind for the caller, words for the operator, a source for the debugger.

use std::error::Error;
use std::fmt;

/// A sentence that the store could not carry out.
#[derive(Debug)]
pub struct StoreError {
    kind: ErrorKind,
    message: String,
    again: bool,
    lost: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What the caller can do about a [`StoreError`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// The database does not answer, or not in time, or its disk is full. Nothing was written; later may be better.
    Unavailable,
    /// The database refuses this very data: a constraint. Nothing was written; the same will be refused again.
    Data,
    /// The commit was asked for and not answered: it may or may not have happened.
    Unknown,
    /// A row, or the database itself, is not what a server has written.
    Corrupt,
    /// The database was migrated by a newer program.
    Newer,
    /// Another server holds the database.
    Busy,
    /// The database or its directory cannot be written.
    ReadOnly,
    /// A fault of the program: a statement is wrong, or the rows are not as its caller must have known them. Nothing
    /// was written.
    Defect,
}

impl StoreError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), again: false, lost: false, source: None }
    }

    pub(super) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Nothing was written, and the same sentence may well succeed in a moment.
    pub(super) fn worth_another_try(mut self) -> Self {
        self.again = true;
        self
    }

    pub(super) fn is_worth_another_try(&self) -> bool {
        self.again
    }

    /// The server that the connection led to stops, or cannot write: the other connections are no better.
    pub(super) fn by_a_lost_connection(mut self) -> Self {
        self.lost = true;
        self
    }

    pub(super) fn is_by_a_lost_connection(&self) -> bool {
        self.lost
    }

    /// With the place where it happened in front.
    pub(super) fn within(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// A value of a row that no server has written.
    pub(super) fn corrupt(table: &str, column: &str, id: &str, what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Corrupt, format!("read {table}.{column} of row {id}: {what}"))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
