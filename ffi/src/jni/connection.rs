//! One connection of Java: its calls, and workers whose attempts it pulls. All news become frames of one outbox.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use fastjob_core::client;
use fastjob_core::protocol::v1;
use fastjob_core::worker::{Taker, Worker};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::messages::{OpenOptions, WorkerOptions};
use super::newsroom::Newsroom;
use super::outbox::Polled;
use crate::bridge::{Client, ClientOptions};
use crate::status::{Error, Result, Status};

/// What a handle of Java names.
pub(super) struct Connection {
    client: Arc<Client>,
    news: Arc<Newsroom>,
    workers: Mutex<HashMap<u16, Arc<Taker>>>,
    last_worker: AtomicU16,
}

/// How long a poll waits for frames. Java polls again at once: each poll proves that it is alive.
const POLL_WAIT: Duration = Duration::from_secs(1);

impl Connection {
    /// The longest time for a call: a wait for a run, with what a call takes beside it.
    const MAX_CALL_MS: i64 = 4_000_000;
    /// The longest grace: 24 h.
    const MAX_GRACE_MS: i64 = 86_400_000;

    /// Opens a connection to the servers of an app.
    pub(super) fn open(options: OpenOptions) -> Result<Self> {
        let options = ClientOptions {
            servers: Some(options.servers.join(",")),
            app: Some(options.app),
            token: Some(options.token),
            // Each call says its own.
            call_timeout_ms: 0,
        };
        let news = Arc::<Newsroom>::default();
        let log = Arc::downgrade(&news);
        let log = move |level, line: &str| {
            if let Some(news) = Weak::upgrade(&log) {
                news.logged(level, line);
            }
        };
        let client = Client::open_with_log(&options, Box::new(log))?;
        Ok(Self { client, news, workers: Mutex::default(), last_worker: AtomicU16::new(0) })
    }

    /// Calls a method of the service `Client`; the answer is a frame with this id.
    pub(super) fn call(&self, id: u64, method: &str, request: Bytes, timeout_ms: i64) -> Result<()> {
        if !(1..=Self::MAX_CALL_MS).contains(&timeout_ms) {
            let most = Self::MAX_CALL_MS;
            return Err(Error::argument("timeout_ms", format_args!("is {timeout_ms}: give 1 to {most}")));
        }
        let timeout = Duration::from_millis(timeout_ms.unsigned_abs());
        let (core, method, news) = (self.client.core().clone(), method.to_owned(), self.news.clone());
        let call = async move { Ok(core.call_raw(&method, request, timeout).await) };
        self.client.submit(call, move |answer| news.answered(id, answer));
        Ok(())
    }

    /// Starts a worker, which finds its servers by itself, and answers its number, which is never 0.
    pub(super) fn worker_start(&self, options: WorkerOptions) -> Result<u16> {
        let number = self.draw_number()?;
        let taker = Arc::new(self.client.wait(pull(self.client.core(), options))?);
        self.workers.lock().insert(number, taker.clone());
        let news = self.news.clone();
        let pump = news.clone().pump(number, taker);
        // However the pump ended, nothing more is said of this worker.
        self.client.submit(pump, move |_| news.stopped(number));
        Ok(number)
    }

    /// Stops a worker and waits for it. One that is unknown has stopped.
    pub(super) fn worker_stop(&self, number: i32, grace_ms: i64) -> Result<()> {
        let worker = u16::try_from(number).ok().and_then(|number| self.workers.lock().get(&number).cloned());
        let stopped = worker.map_or(Ok(()), |worker| self.client.wait(worker.stop(grace(grace_ms))));
        self.workers.lock().retain(|&known, _| i32::from(known) != number);
        stopped
    }

    /// Writes waiting frames into `buffer`. The polling thread is the side that runs the handlers: it is alive.
    pub(super) fn poll(&self, buffer: &mut [u8]) -> Polled {
        for worker in self.workers.lock().values() {
            worker.alive();
        }
        self.news.poll(buffer, POLL_WAIT)
    }

    /// A handler is about to be called.
    pub(super) fn entered(&self, ticket: u64) {
        if let Some(held) = self.news.held(ticket) {
            held.taker.entered(&held.key);
        }
    }

    /// Says how far an attempt is; one that has ended does not care.
    pub(super) fn progress(&self, ticket: u64, percent: i32, note: &str) {
        if let Some(held) = self.news.held(ticket) {
            held.taker.progress(&held.key, u32::try_from(percent).unwrap_or(0), note);
        }
    }

    /// The handler has returned with this outcome.
    pub(super) fn complete(&self, ticket: u64, outcome: v1::Outcome) -> Result<()> {
        let held = self.news.let_go(ticket);
        let held = held.ok_or_else(|| Error::new(Status::CLOSED, "the attempt was completed before"))?;
        held.taker.complete(&held.key, super::mapping::completion(outcome));
        Ok(())
    }

    /// Stops all workers, waits for them, and says that this is all.
    pub(super) fn close(&self, grace_ms: i64) {
        let workers: Vec<_> = self.workers.lock().drain().map(|(_, worker)| worker).collect();
        // Closed before: its workers have ended.
        let _ = self.client.wait(async {
            let mut stops = JoinSet::new();
            for worker in workers {
                stops.spawn(async move { worker.stop(grace(grace_ms)).await });
            }
            while let Some(stopped) = stops.join_next().await {
                if let Ok(Err(error)) = stopped {
                    tracing::warn!("a worker stopped, but {error}");
                }
            }
            Ok::<(), client::Error>(())
        });
        self.end();
        self.news.closed();
    }

    /// Ends whatever is left, without waiting for handlers.
    pub(super) fn end(&self) {
        self.workers.lock().clear();
        // No thread of Java's is one of a callback's, so it cannot be refused.
        let _ = self.client.close();
        self.news.forget();
    }

    fn draw_number(&self) -> Result<u16> {
        let drawn =
            self.last_worker.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| last.checked_add(1));
        let full = || Error::new(Status::STATE, "this connection had 65,535 workers: open another");
        drawn.map(|last| last + 1).map_err(|_| full())
    }
}

async fn pull(core: &client::Client, options: WorkerOptions) -> std::result::Result<Taker, client::Error> {
    let mut builder =
        Worker::builder(core).sdk(options.sdk).slots(options.slots).start_within(Duration::ZERO);
    if !options.name.is_empty() {
        builder = builder.name(options.name);
    }
    for tag in options.tags {
        builder = builder.tag(tag);
    }
    for label in options.labels {
        builder = builder.label(label.key, label.value);
    }
    let mut names = Vec::with_capacity(options.handlers.len());
    for handler in options.handlers {
        builder = builder.handler_version(handler.name.clone(), handler.version);
        names.push(handler.name);
    }
    builder.start_pull(names).await
}

fn grace(grace_ms: i64) -> Duration {
    Duration::from_millis(grace_ms.clamp(0, Connection::MAX_GRACE_MS).unsigned_abs())
}
