//! The Rust worker, and the base that the bindings for C and Java wrap: it takes attempts from the owners of an app's
//! shards, has them run, and reports how they ended until that is acknowledged. It decides nothing about jobs and runs.
//!
//! ```no_run
//! # async fn example() -> Result<(), fastjob_core::client::Error> {
//! use fastjob_core::client::{Client, Job, Options};
//! use fastjob_core::worker::{Context, Worker};
//!
//! let client = Client::connect(Options::from_env()?).await?;
//! let worker = Worker::builder(&client)
//!     .slots(8)
//!     .handler("greet", async |ctx: Context| Ok(format!("hello {}", ctx.params().text()?)))
//!     .start()
//!     .await?;
//! client.job_put(Job::named("greet-every-second").handler("greet").cron("* * * * * ?")).await?;
//! worker.stopped().await;
//! # Ok(())
//! # }
//! ```

mod attempt;
mod beat;
mod builder;
mod context;
mod handler;
mod hub;
mod locate;
mod outbox;
mod places;
mod queue;
mod report;
mod serve;
mod servers;
mod session;
mod taker;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::client::{Client, Error};

pub use self::attempt::{Attempt, AttemptKey, CancelReason};
pub use self::builder::WorkerBuilder;
pub use self::context::{Context, Params};
pub use self::handler::{Completion, HandlerError, IntoResult};
pub use self::queue::Event;
pub use self::serve::LateHandlers;
pub use self::taker::Taker;

/// A started worker that runs Rust handlers, each on a task of the runtime it was started on.
///
/// Dropped without a [`Worker::stop`], it ends at once, its handlers with it; the runs are given to other workers once it
/// counts as lost.
#[derive(Debug)]
pub struct Worker {
    taker: Taker,
}

impl Worker {
    /// A worker of this client's app, to be given handlers.
    pub fn builder(client: &Client) -> WorkerBuilder {
        WorkerBuilder::new(client)
    }

    fn new(taker: Taker) -> Self {
        Self { taker }
    }

    /// Takes nothing more and lets what runs end within `grace`; cancels the rest and gives it at most 10 s to give way;
    /// waits at most 5 s until the outcomes are acknowledged; ends.
    ///
    /// # Errors
    /// As [`Taker::stop`].
    pub async fn stop(&self, grace: Duration) -> Result<(), Error> {
        self.taker.stop(grace).await
    }

    /// Returns once the worker was stopped.
    pub async fn stopped(&self) {
        self.taker.stopped().await;
    }

    /// Whether the worker has been welcomed by a server at least once.
    pub fn is_connected(&self) -> bool {
        self.taker.is_connected()
    }
}
