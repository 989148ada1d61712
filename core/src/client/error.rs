//! Why a call did not succeed: what the server said, or that none could be asked.

use std::borrow::Cow;
use std::fmt;

use prost::Message;
use tonic::{Code, Status};

use crate::protocol::v1;

/// A call that did not succeed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Error {
    /// What sort of refusal it is.
    pub kind: ErrorKind,
    /// A stable word in snake_case, as `job_not_found`.
    pub code: Cow<'static, str>,
    /// What is wrong, as a sentence fragment.
    pub message: String,
    /// The field at fault, as `jobs[3].trigger.cron.expression`; empty if none.
    pub field: String,
    /// What to do about it; may be empty.
    pub remedy: String,
}

/// Sorts of error.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// The request is wrong and stays so.
    Invalid,
    /// What it names does not exist.
    NotFound,
    /// It contradicts what is there.
    Conflict,
    /// The token is not known.
    Unauthenticated,
    /// The token does not allow it.
    NotPermitted,
    /// No server answered, or none was ready: the same call may succeed later.
    Unavailable,
    /// A server was reached but did not answer in time. Whether it did what was asked is not known.
    Timeout,
    /// A defect of the server or of this client.
    Internal,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, code: code.into(), message, field: String::new(), remedy: String::new() }
    }

    pub(crate) fn invalid(code: &'static str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), ..Self::new(ErrorKind::Invalid, code, message) }
    }

    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// The error that stands in one result of a batch; its kind follows from its code.
    pub(super) fn from_detail(detail: v1::ErrorDetail) -> Self {
        let kind = match detail.code.as_str() {
            code if code.ends_with("not_found") => ErrorKind::NotFound,
            code if code.ends_with("conflict") => ErrorKind::Conflict,
            "unavailable" => ErrorKind::Unavailable,
            "internal" => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        };
        Self::from_parts(kind, detail)
    }

    fn from_parts(kind: ErrorKind, detail: v1::ErrorDetail) -> Self {
        let v1::ErrorDetail { code, message, field, remedy } = detail;
        Self { kind, code: code.into(), message, field, remedy }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let kind = match local(&status) {
            Some(kind) => kind,
            None => ErrorKind::of(status.code()),
        };
        match v1::ErrorDetail::decode(status.details()) {
            Ok(detail) if !detail.code.is_empty() => Self::from_parts(kind, detail),
            _ => Self::new(kind, kind.code(), reason(&status)),
        }
    }
}

impl ErrorKind {
    /// The code of an error that has no finer one.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unauthenticated => "unauthenticated",
            Self::NotPermitted => "not_permitted",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        }
    }

    const fn of(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => Self::Invalid,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => Self::Conflict,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::NotPermitted,
            Code::Unavailable | Code::ResourceExhausted => Self::Unavailable,
            Code::DeadlineExceeded | Code::Cancelled => Self::Timeout,
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Self::Internal,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// What a status is that no server sent: it has a cause on this side.
fn local(status: &Status) -> Option<ErrorKind> {
    let mut cause = std::error::Error::source(status);
    cause?;
    while let Some(below) = cause {
        if below.is::<tonic::TimeoutExpired>() {
            return Some(ErrorKind::Timeout);
        }
        cause = below.source();
    }
    Some(ErrorKind::Unavailable)
}

/// The status's message with the causes below it, which hold what the operating system said.
fn reason(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(below) = cause {
        let more = below.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = below.source();
    }
    if text.is_empty() { status.code().description().to_owned() } else { text }
}
