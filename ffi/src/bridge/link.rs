//! Where core's worker and the threads that block meet: each attempt becomes a future that hands it over and waits for its
//! verdict.

use std::sync::{Arc, Weak};
use std::time::Duration;

use fastjob_core::domain::{Failure, Name, Payload};
use fastjob_core::worker::{self as core, Context, HandlerError};

use super::attempt::{Attempt, Taker, Verdict};
use super::client::Client;
use super::worker::Worker;
use crate::status::{Error, Result};

/// A running worker of core.
pub(super) struct Link {
    core: Arc<core::Worker>,
}

/// Starts a worker of core whose attempts go to `worker`.
pub(super) fn start(client: &Client, worker: &Arc<Worker>, takers: Vec<(Name, Taker)>) -> Result<Link> {
    let options = worker.options();
    let mut builder = core::Worker::builder(client.core()).slots(options.slots);
    builder = builder.sdk(options.sdk.as_deref().unwrap_or(concat!("c/", env!("CARGO_PKG_VERSION"))));
    if let Some(name) = &options.name {
        builder = builder.name(name);
    }
    for (name, taker) in takers {
        let worker = Arc::downgrade(worker);
        builder = builder.handler(name.as_str(), move |context| run(worker.clone(), taker, context));
    }
    let core = Arc::new(client.wait(builder.start())?);
    watch(client, Arc::downgrade(worker), core.clone());
    Ok(Link { core })
}

impl Link {
    /// Stops it: nothing more is taken, what runs has `grace` to end and then `cancel_grace` to give way.
    pub(super) fn stop(&self, client: &Client, grace: Duration) -> Result<()> {
        client.wait(self.core.stop(grace))
    }

    /// As a stop without grace, for a caller that waits by itself.
    pub(super) async fn kill(&self) {
        // The worker ends all the same.
        let _ = self.core.stop(Duration::ZERO).await;
    }
}

/// Tells the worker when core's has ended by itself.
fn watch(client: &Client, worker: Weak<Worker>, core: Arc<core::Worker>) {
    let ended = async move { core.stopped().await.map_err(Error::from) };
    client.submit(ended, move |cause| {
        if let Some(worker) = worker.upgrade() {
            worker.ended(cause);
        }
    });
}

/// One attempt: handed over, told of its cancel, and settled by the verdict.
async fn run(
    worker: Weak<Worker>,
    taker: Taker,
    context: Context,
) -> std::result::Result<Payload, HandlerError> {
    let Some(worker) = worker.upgrade() else { return Err(abandoned("the worker is gone")) };
    let (attempt, mut verdict) = Attempt::new(context.clone(), taker);
    worker.take(attempt.clone(), taker);
    let verdict = tokio::select! {
        verdict = &mut verdict => verdict,
        () = context.cancelled() => {
            worker.cancel(attempt, taker);
            verdict.await
        }
    };
    match verdict {
        Ok(Verdict::Succeeded(result)) => Ok(result),
        Ok(Verdict::Failed { failure, give_up, retry_after_ms }) => {
            Err(HandlerError { failure, give_up, retry_after_ms })
        }
        Err(_) => Err(abandoned("the attempt was let go without an end")),
    }
}

fn abandoned(message: &str) -> HandlerError {
    HandlerError { failure: Failure::new("abandoned", message, ""), give_up: false, retry_after_ms: None }
}
