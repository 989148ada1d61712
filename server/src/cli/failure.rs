//! How a command ends: its exit code, and for people a line that says what was wrong and one that says what to do.

use std::fmt;

use fastjob_core::client::{Error, ErrorKind};
use fastjob_core::protocol::v1::{Run, RunState};

/// The exit codes of every command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage or input.
    Usage = 2,
    /// Not found.
    NotFound = 3,
    /// It contradicts what is there.
    Conflict = 4,
    /// No server reachable, or not ready.
    Unreachable = 5,
    /// Not permitted.
    NotPermitted = 6,
    /// With `--wait`: the run failed.
    RunFailed = 10,
    /// With `--wait`: the run was cancelled.
    RunCancelled = 11,
    /// With `--wait`: the run was skipped.
    RunSkipped = 12,
    /// With `--wait`: the run has not ended at `--timeout`.
    StillWaiting = 13,
}

impl Exit {
    /// The number that the process exits with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What the wait for a run found.
    pub(super) fn of_run(run: &Run) -> Self {
        match run.state() {
            RunState::Succeeded => Self::Done,
            RunState::Failed => Self::RunFailed,
            RunState::Cancelled => Self::RunCancelled,
            RunState::Skipped => Self::RunSkipped,
            RunState::Unspecified | RunState::Scheduled | RunState::Dispatched => Self::StillWaiting,
        }
    }

    fn of_error(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Unavailable | ErrorKind::Timeout => Self::Unreachable,
            ErrorKind::Unauthenticated | ErrorKind::NotPermitted => Self::NotPermitted,
            ErrorKind::Internal => Self::Failed,
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What the process exits with.
    pub exit: Exit,
    /// The field or flag at fault; empty if none.
    pub field: String,
    /// What is wrong, as a sentence fragment; may have lines.
    pub message: String,
    /// What to do about it; empty if nothing is known.
    pub remedy: String,
}

impl Failure {
    /// A failure of this sort.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, field: String::new(), message: message.into(), remedy: String::new() }
    }

    /// A wrong argument.
    pub(super) fn usage(field: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, field: field.to_owned(), message: message.into(), remedy: remedy.into() }
    }

    /// A reply lacks what the protocol promises.
    pub(super) fn incomplete(what: &str) -> Self {
        let message = format!("the server's reply has no {what}");
        Self {
            remedy: "use a server of this command's version".to_owned(),
            ..Self::new(Exit::Failed, message)
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let Error { kind, message, field, remedy, .. } = error;
        Self { exit: Exit::of_error(kind), field, message, remedy }
    }
}

/// `error: <field>: <message>`, and `remedy: …` below it. Control characters, which may come from elsewhere, are
/// escaped, so that no text plays with the terminal.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field.is_empty() { String::new() } else { format!("{}: ", self.field) };
        let remedy =
            if self.remedy.is_empty() { String::new() } else { format!("\nremedy: {}", self.remedy) };
        f.write_str(&escaped(&format!("error: {field}{}{remedy}", self.message), Lines::Kept))
    }
}

impl std::error::Error for Failure {}

/// What becomes of line ends in [`escaped`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    Kept,
    Escaped,
}

/// The text with its control characters escaped.
pub(super) fn escaped(text: &str, lines: Lines) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() && !(char == '\n' && lines == Lines::Kept) {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}
