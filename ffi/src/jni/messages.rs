//! What Java says when it opens a connection and starts a worker: messages of this border alone, written by
//! `io.fastjob.WorkerWire`.

use fastjob_core::protocol::v1;
use prost::Message;

/// Where to connect, and as whom.
#[derive(Clone, PartialEq, Message)]
pub(super) struct OpenOptions {
    /// gRPC addresses, host:port.
    #[prost(string, repeated, tag = "1")]
    pub(super) servers: Vec<String>,
    /// The app's name.
    #[prost(string, tag = "2")]
    pub(super) app: String,
    /// The app's token.
    #[prost(string, tag = "3")]
    pub(super) token: String,
}

/// How a worker is.
#[derive(Clone, PartialEq, Message)]
pub(super) struct WorkerOptions {
    /// For people; empty: host and process id.
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// How many attempts at a time.
    #[prost(uint32, tag = "2")]
    pub(super) slots: u32,
    /// What it can run.
    #[prost(message, repeated, tag = "3")]
    pub(super) handlers: Vec<v1::Handler>,
    /// For selection.
    #[prost(string, repeated, tag = "4")]
    pub(super) tags: Vec<String>,
    /// For people and selection.
    #[prost(message, repeated, tag = "5")]
    pub(super) labels: Vec<v1::Label>,
    /// Name and version of the client, as `java/0.1.0`.
    #[prost(string, tag = "6")]
    pub(super) sdk: String,
}
