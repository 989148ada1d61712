//! Where the bridge meets core's worker: it is started here, and here its events become news for a listener.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fastjob_core::worker::{AttemptKey, Event, Taker, Worker};

use super::attempt::{Attempt, CompletedBy};
use super::client::Client;
use super::worker::{Listener, News, WorkerOptions};
use crate::status::Result;

/// How often a worker whose handlers run on threads of their own, or of the caller's, says that its process lives.
const ALIVE_EVERY: Duration = Duration::from_millis(500);
/// Attempts that a listener may have let go, for each slot, before they are forgotten here.
const FORGET_PER_SLOT: usize = 2;

/// Starts a worker for these handlers. It waits for no server.
pub(super) fn start(client: &Client, options: &WorkerOptions, handlers: Vec<String>) -> Result<Arc<Taker>> {
    let sdk = options.sdk.as_deref().unwrap_or(concat!("c/", env!("CARGO_PKG_VERSION")));
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

/// Tells the listener of each attempt and cancel, until the worker stops.
pub(super) fn tell(client: &Client, taker: Arc<Taker>, slots: usize, listener: Arc<Listener>) {
    let telling = async move {
        let mut told = Told { slots, by_key: HashMap::new() };
        while let Some(event) = taker.next().await {
            match event {
                Event::Dispatch(attempt) => {
                    taker.entered(&attempt.key);
                    let key = attempt.key;
                    let attempt = Attempt::new(attempt, taker.clone(), CompletedBy::Caller);
                    told.insert(key, &attempt);
                    listener(News::Taken(attempt));
                }
                Event::Cancel { key, .. } => {
                    if let Some(attempt) = told.get(&key) {
                        listener(News::Cancelled(attempt));
                    }
                }
                _ => break,
            }
        }
        Ok(())
    };
    client.submit(telling, |_| {});
}

/// The attempts that a listener was told of and still holds.
struct Told {
    slots: usize,
    by_key: HashMap<AttemptKey, Weak<Attempt>>,
}

impl Told {
    fn insert(&mut self, key: AttemptKey, attempt: &Arc<Attempt>) {
        if self.by_key.len() >= self.slots * FORGET_PER_SLOT {
            self.by_key.retain(|_, attempt| attempt.strong_count() > 0);
        }
        self.by_key.insert(key, Arc::downgrade(attempt));
    }

    fn get(&self, key: &AttemptKey) -> Option<Arc<Attempt>> {
        self.by_key.get(key).and_then(Weak::upgrade)
    }
}
