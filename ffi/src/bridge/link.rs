//! Where the bridge meets core's worker: here it is started and kept alive.

use std::sync::{Arc, Weak};
use std::time::Duration;

use fastjob_core::worker::{Taker, Worker};

use super::client::Client;
use super::worker::WorkerOptions;
use crate::status::Result;

/// How often a worker whose handlers run on threads of their own, or of the caller's, says that its process lives.
const ALIVE_EVERY: Duration = Duration::from_millis(500);

/// Starts a worker for these handlers. It waits for no server.
pub(super) fn start(client: &Client, options: &WorkerOptions, handlers: Vec<String>) -> Result<Arc<Taker>> {
    let sdk = concat!("c/", env!("CARGO_PKG_VERSION"));
    let mut builder =
        Worker::builder(client.core()).slots(options.slots).sdk(sdk).start_within(Duration::ZERO);
    if let Some(name) = &options.name {
        builder = builder.name(name);
    }
    Ok(Arc::new(client.wait(builder.start_pull(handlers))?))
}

/// Proves that the process lives, until the worker is gone or its client closed.
pub(super) fn keep_alive(client: &Client, taker: &Arc<Taker>) {
    let taker = Arc::downgrade(taker);
    let beats = async move {
        while let Some(taker) = Weak::upgrade(&taker) {
            taker.alive();
            drop(taker);
            tokio::time::sleep(ALIVE_EVERY).await;
        }
        Ok(())
    };
    client.submit(beats, |_| {});
}
