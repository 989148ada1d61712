//! The messages of `fastjob.proto`, and their mapping to the domain.

pub mod field;
pub mod job;
pub mod peer;
pub mod refusal;
pub mod run;
pub mod session;
#[cfg(test)]
mod tests;

/// The generated messages, clients and servers of package `fastjob.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes,
    reason = "generated; the .proto documents every field"
)]
pub mod v1 {
    tonic::include_proto!("fastjob.v1");
}
