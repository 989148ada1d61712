//! FastJob's core: what jobs and runs are, when they fire, who runs them, and what an owner decides, as pure code;
//! and, behind features, the protocol, the Rust client and the Rust worker.
//!
//! The default build reads no clock but in [`clock::SystemClock`], does no I/O, and knows neither tokio, tonic nor a
//! database.

pub mod clock;
pub mod cluster;
pub mod domain;
pub mod id;
pub mod mutant;
pub mod routing;
pub mod schedule;
pub mod shard;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "protocol")]
pub mod protocol;
#[cfg(feature = "worker")]
pub mod worker;
