//! The safe half of the native library, shared by C and Java: clients, workers and attempts for threads that may block,
//! over core's async client and worker. Knows neither C's pointers nor Java's objects, and decides nothing about jobs and
//! runs.

mod attempt;
mod client;
pub mod encoding;
mod job;
mod link;
mod pool;
mod run;
mod runtime;
mod tap;
mod worker;

pub use attempt::Attempt;
pub use client::{Client, ClientOptions};
pub use job::{JobOptions, JobTrigger, Put, TriggerOptions, TriggerWhen};
pub use pool::Callback;
pub use run::Run;
pub use tap::Sink;
pub use worker::{Polled, Worker, WorkerOptions};

use crate::handle::{Kind, Registry};

/// The clients that have a handle.
pub static CLIENTS: Registry<Client> = Registry::new(Kind::Client);
/// The workers that have a handle.
pub static WORKERS: Registry<Worker> = Registry::new(Kind::Worker);
/// The attempts that have a handle.
pub static ATTEMPTS: Registry<Attempt> = Registry::new(Kind::Attempt);
/// The runs that have a handle.
pub static RUNS: Registry<Run> = Registry::new(Kind::Run);
