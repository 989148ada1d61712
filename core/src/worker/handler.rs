//! What a handler answers: a result, or an error that says what to do about it.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;

use crate::domain::{Encoding, Failure, Payload};

/// How a handler failed. Any error becomes one by `?`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct HandlerError {
    /// What is kept with the run.
    pub failure: Failure,
    /// Another attempt is useless.
    pub give_up: bool,
    /// The next attempt no earlier than this many milliseconds from now.
    pub retry_after_ms: Option<i64>,
}

/// How an attempt ended, by the handler's side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Completion {
    /// With this result of at most [`Payload::MAX_BYTES`]; a larger one is a failure.
    Succeeded(Payload),
    /// With this error. If the attempt was cancelled it counts as having given way.
    Failed(HandlerError),
}

/// What a handler may answer.
pub trait IntoResult {
    /// The run's result.
    fn into_result(self) -> Payload;
}

impl HandlerError {
    /// A failure with a message of its own.
    pub fn message(message: impl AsRef<str>) -> Self {
        Self::new("error", message)
    }

    /// A failure of this class, which is the name by which people sort errors.
    pub fn new(class: impl AsRef<str>, message: impl AsRef<str>) -> Self {
        Self::from(Failure::new(class.as_ref(), message.as_ref(), ""))
    }

    /// From a boxed error.
    pub fn boxed(error: Box<dyn StdError + Send + Sync>) -> Self {
        Self::from(Failure::new("error", &error.to_string(), &causes(&*error)))
    }

    /// No further attempt, however many the job has left.
    #[must_use]
    pub fn give_up(mut self) -> Self {
        self.give_up = true;
        self
    }

    /// The next attempt no earlier than this much from now.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after_ms = Some(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        self
    }
}

impl From<Failure> for HandlerError {
    fn from(failure: Failure) -> Self {
        Self { failure, give_up: false, retry_after_ms: None }
    }
}

impl<E: StdError + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::from(Failure::new(std::any::type_name::<E>(), &error.to_string(), &causes(&error)))
    }
}

impl IntoResult for () {
    fn into_result(self) -> Payload {
        Payload::default()
    }
}

impl IntoResult for String {
    fn into_result(self) -> Payload {
        Payload::text(self)
    }
}

impl IntoResult for &str {
    fn into_result(self) -> Payload {
        Payload::text(self)
    }
}

impl IntoResult for Payload {
    fn into_result(self) -> Payload {
        self
    }
}

impl IntoResult for Bytes {
    fn into_result(self) -> Payload {
        Payload { encoding: Encoding::Binary, data: self }
    }
}

impl IntoResult for Vec<u8> {
    fn into_result(self) -> Payload {
        Bytes::from(self).into_result()
    }
}

/// The chain of causes, one a line.
fn causes(error: &dyn StdError) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(below) = cause {
        if text.len() >= Failure::MAX_TRACE {
            break;
        }
        text.push_str("caused by: ");
        text.push_str(&below.to_string());
        text.push('\n');
        cause = below.source();
    }
    text
}
