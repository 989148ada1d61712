//! Bytes that users send and receive.

use std::sync::Arc;

use bytes::Bytes;

/// Parameters or a result: bytes and what they are.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Payload {
    /// What `data` is.
    pub encoding: Encoding,
    /// At most [`Payload::MAX_BYTES`].
    pub data: Bytes,
}

/// What the bytes of a payload are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Encoding {
    /// JSON text; no bytes mean `null`.
    #[default]
    Json,
    /// UTF-8 text.
    Text,
    /// Anything.
    Binary,
}

impl Payload {
    /// The largest payload: 64 KiB.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// A payload of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { encoding: Encoding::Text, data: Bytes::from(text.into()) }
    }

    /// A payload of JSON text; whether it is JSON is not checked here.
    pub fn json(text: impl Into<String>) -> Self {
        Self { encoding: Encoding::Json, data: Bytes::from(text.into()) }
    }
}

/// How a handler failed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Failure {
    /// Kind of the error, as a class name. At most [`Failure::MAX_CLASS`] bytes.
    pub class: Arc<str>,
    /// At most [`Failure::MAX_MESSAGE`] bytes.
    pub message: Arc<str>,
    /// Stack or chain of causes, at most [`Failure::MAX_TRACE`] bytes.
    pub trace: Arc<str>,
}

impl Failure {
    /// Bytes of a class.
    pub const MAX_CLASS: usize = 256;
    /// Bytes of a message.
    pub const MAX_MESSAGE: usize = 4 * 1024;
    /// Bytes of a trace.
    pub const MAX_TRACE: usize = 16 * 1024;

    /// A failure whose texts are cut to their bounds, at a character.
    pub fn new(class: &str, message: &str, trace: &str) -> Self {
        Self {
            class: cut(class, Self::MAX_CLASS),
            message: cut(message, Self::MAX_MESSAGE),
            trace: cut(trace, Self::MAX_TRACE),
        }
    }
}

fn cut(text: &str, max: usize) -> Arc<str> {
    text[..text.floor_char_boundary(max)].into()
}
