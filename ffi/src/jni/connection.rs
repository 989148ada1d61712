//! One connection of Java: calls, workers and attempts of the bridge, whose news all become frames of one outbox.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use fastjob_core::client;
use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::domain::{Encoding, Failure, Payload};
use fastjob_core::id::RunId;
use fastjob_core::protocol::v1;
use parking_lot::Mutex;
use prost::Message;
use tracing::Level;

use super::messages::{OpenOptions, WorkerOptions};
use super::outbox::{Frame, Kind, Outbox, Polled};
use crate::bridge::{self, Attempt, Client, News, Worker};
use crate::status::{Error, Result, Status};

/// What a handle of Java names.
pub(super) struct Connection {
    client: Arc<Client>,
    news: Arc<Newsroom>,
    workers: Mutex<HashMap<u16, Arc<Worker>>>,
    last_worker: AtomicU16,
}

/// Makes frames of what happens. Outlives the connection while one of its workers speaks.
#[derive(Default)]
struct Newsroom {
    outbox: Outbox,
    attempts: Mutex<Attempts>,
    last_ticket: AtomicU64,
}

/// The attempts that Java has, by the number under which it knows them.
#[derive(Default)]
struct Attempts {
    by_ticket: HashMap<u64, Arc<Attempt>>,
    /// By the attempt's address, which is its own as long as `by_ticket` holds it.
    tickets: HashMap<usize, u64>,
}

/// How long a poll waits for frames. Java polls again at once: each poll proves that it is alive.
const POLL_WAIT: Duration = Duration::from_secs(1);

impl Connection {
    /// The longest time for a call: a wait for a run, with what a call takes beside it.
    const MAX_CALL_MS: i64 = 4_000_000;

    /// Opens a connection to the servers of an app.
    pub(super) fn open(options: OpenOptions) -> Result<Self> {
        let options = bridge::ClientOptions {
            servers: Some(options.servers.join(",")),
            app: Some(options.app),
            token: Some(options.token),
            // Each call says its own.
            call_timeout_ms: 0,
        };
        let news = Arc::<Newsroom>::default();
        let log = Arc::downgrade(&news);
        let client = Client::open_with_log(
            &options,
            Box::new(move |level, line| {
                if let Some(news) = Weak::upgrade(&log) {
                    news.logged(level, line);
                }
            }),
        )?;
        Ok(Self { client, news, workers: Mutex::default(), last_worker: AtomicU16::new(0) })
    }

    /// Calls a method of the service `Client`; the answer is a frame with this id.
    pub(super) fn call(&self, id: u64, method: &str, request: Bytes, timeout_ms: i64) -> Result<()> {
        if !(1..=Self::MAX_CALL_MS).contains(&timeout_ms) {
            let most = Self::MAX_CALL_MS;
            return Err(Error::argument("timeout_ms", format_args!("is {timeout_ms}: give 1 to {most}")));
        }
        let timeout = Duration::from_millis(timeout_ms.unsigned_abs());
        let core = self.client.core().clone();
        let method = method.to_owned();
        let news = self.news.clone();
        self.client
            .submit(async move { Ok(core.call_raw(&method, request, timeout).await) }, move |answer| {
                news.answered(id, answer)
            });
        Ok(())
    }

    /// Starts a worker and answers its number, which is never 0.
    pub(super) fn worker_start(&self, options: WorkerOptions) -> Result<u16> {
        let number = self.draw_number()?;
        let worker = Worker::new(
            &self.client,
            bridge::WorkerOptions {
                name: Some(options.name).filter(|name| !name.is_empty()),
                slots: options.slots,
                sdk: Some(options.sdk),
            },
        )?;
        for handler in &options.handlers {
            worker.handle(&handler.name, None)?;
        }
        let news = Arc::downgrade(&self.news);
        worker.listen(Box::new(move |said| {
            if let Some(news) = Weak::upgrade(&news) {
                news.heard(number, said);
            }
        }))?;
        worker.start()?;
        self.workers.lock().insert(number, worker);
        Ok(number)
    }

    /// Stops a worker and waits for it. One that is unknown has stopped.
    pub(super) fn worker_stop(&self, number: i32, grace_ms: i64) -> Result<()> {
        let worker = u16::try_from(number).ok().and_then(|number| self.workers.lock().remove(&number));
        worker.map_or(Ok(()), |worker| worker.stop(grace_ms))
    }

    /// Writes waiting frames into `buffer`.
    pub(super) fn poll(&self, buffer: &mut [u8]) -> Polled {
        self.news.outbox.poll(buffer, POLL_WAIT)
    }

    /// Says how far an attempt is; one that has ended does not care.
    pub(super) fn progress(&self, ticket: u64, percent: i32, note: &str) -> Result<()> {
        let attempt = self.news.attempts.lock().by_ticket.get(&ticket).cloned();
        attempt.map_or(Ok(()), |attempt| attempt.progress(u32::try_from(percent).unwrap_or(0), note))
    }

    /// The handler has returned with this outcome.
    pub(super) fn complete(&self, ticket: u64, outcome: v1::Outcome) -> Result<()> {
        let Some(attempt) = self.news.attempts.lock().remove(ticket) else {
            return Err(Error::new(Status::CLOSED, "the attempt was completed before"));
        };
        if outcome.kind() == v1::OutcomeKind::Succeeded {
            attempt.set_result(payload(outcome.result.unwrap_or_default()))?;
            return attempt.complete_polled(Status::OK.0);
        }
        let error = outcome.error.unwrap_or_default();
        attempt.set_failure(Failure::new(&error.class, &error.message, &error.trace))?;
        if outcome.give_up {
            attempt.give_up()?;
        }
        if let Some(delay_ms) = outcome.retry_after_ms {
            attempt.retry_after(delay_ms.clamp(0, Attempt::MAX_RETRY_AFTER_MS))?;
        }
        attempt.complete_polled(Status::FAILED.0)
    }

    /// Stops all workers, waits for them, and says that this is all.
    pub(super) fn close(&self, grace_ms: i64) {
        let workers: Vec<_> = self.workers.lock().drain().map(|(_, worker)| worker).collect();
        let grace = Duration::from_millis(grace_ms.clamp(0, Worker::MAX_GRACE_MS).unsigned_abs());
        let until = SystemClock.elapsed().saturating_add(grace);
        for worker in workers {
            let left = until.saturating_sub(SystemClock.elapsed()).as_millis();
            // How it ended is in its own news.
            let _ = worker.stop(i64::try_from(left).unwrap_or(0));
        }
        self.end();
        self.news.say(Kind::Closed, 0, 0, 0, Bytes::new());
    }

    /// Ends whatever is left, without waiting for handlers.
    pub(super) fn end(&self) {
        // No thread of Java's is one of a callback's, so it cannot be refused.
        let _ = self.client.close();
        self.news.attempts.lock().clear();
    }

    fn draw_number(&self) -> Result<u16> {
        let drawn =
            self.last_worker.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| last.checked_add(1));
        drawn
            .map(|last| last + 1)
            .map_err(|_| Error::new(Status::STATE, "this connection had 65,535 workers: open another"))
    }
}

impl Newsroom {
    fn answered(&self, id: u64, answer: Result<std::result::Result<Bytes, client::Error>>) {
        let (code, body) = match answer {
            Ok(Ok(reply)) => (0, reply),
            Ok(Err(error)) => refused(error),
            Err(error) => (kind(error.status), detail(&error).encode_to_vec().into()),
        };
        self.say(Kind::Completion, code, 0, id, body);
    }

    fn heard(&self, worker: u16, news: News) {
        match news {
            News::Taken(attempt) => self.taken(worker, attempt),
            News::Cancelled(attempt) => self.cancelled(worker, &attempt),
            News::Ended(cause) => {
                let why = cause.err().map(|error| error_bytes(&error)).unwrap_or_default();
                self.say(Kind::State, STOPPED, worker, 0, why.into());
            }
        }
    }

    fn taken(&self, worker: u16, attempt: Arc<Attempt>) {
        let ticket = self.last_ticket.fetch_add(1, Ordering::Relaxed) + 1;
        let body = dispatch(&attempt).encode_to_vec();
        self.attempts.lock().insert(ticket, attempt);
        self.say(Kind::Dispatch, 0, worker, ticket, body.into());
    }

    fn cancelled(&self, worker: u16, attempt: &Arc<Attempt>) {
        let ticket = self.attempts.lock().tickets.get(&Arc::as_ptr(attempt).addr()).copied();
        if let Some(ticket) = ticket {
            let cancel = v1::Cancel::default();
            self.say(Kind::Cancel, 0, worker, ticket, cancel.encode_to_vec().into());
        }
    }

    fn logged(&self, level: Level, line: &str) {
        let code = match level {
            Level::ERROR => 1,
            Level::WARN => 2,
            Level::INFO => 3,
            _ => 4,
        };
        self.say(Kind::Log, code, 0, 0, Bytes::copy_from_slice(line.as_bytes()));
    }

    fn say(&self, kind: Kind, code: u8, worker: u16, id: u64, body: Bytes) {
        self.outbox.say(Frame { kind, code, worker, id, body });
    }
}

impl Attempts {
    fn insert(&mut self, ticket: u64, attempt: Arc<Attempt>) {
        self.tickets.insert(Arc::as_ptr(&attempt).addr(), ticket);
        self.by_ticket.insert(ticket, attempt);
    }

    fn remove(&mut self, ticket: u64) -> Option<Arc<Attempt>> {
        let attempt = self.by_ticket.remove(&ticket)?;
        self.tickets.remove(&Arc::as_ptr(&attempt).addr());
        Some(attempt)
    }

    fn clear(&mut self) {
        self.tickets.clear();
        self.by_ticket.clear();
    }
}

/// Code of a [`Kind::State`] frame: the worker has stopped.
const STOPPED: u8 = 3;

fn dispatch(attempt: &Attempt) -> v1::Dispatch {
    let run: Option<RunId> = attempt.run_id().parse().ok();
    let run = run.map(|id| Bytes::copy_from_slice(id.as_bytes())).unwrap_or_default();
    v1::Dispatch {
        key: Some(v1::AttemptKey { run, attempt: attempt.number(), ..v1::AttemptKey::default() }),
        epoch: attempt.epoch(),
        job: attempt.job().to_owned(),
        handler: attempt.handler().to_owned(),
        params: Some(wire(attempt.params())),
        tick: attempt.tick_ms(),
        due: attempt.due_ms(),
        previous_tick: attempt.previous_tick_ms(),
        max_attempts: attempt.max_attempts(),
        idempotency_key: attempt.idempotency_key().to_owned(),
        ..v1::Dispatch::default()
    }
}

fn wire(payload: &Payload) -> v1::Payload {
    let encoding = match payload.encoding {
        Encoding::Json => v1::Encoding::Json,
        Encoding::Text => v1::Encoding::Text,
        Encoding::Binary => v1::Encoding::Binary,
    };
    v1::Payload { encoding: encoding.into(), data: payload.data.clone() }
}

fn payload(wire: v1::Payload) -> Payload {
    let encoding = match wire.encoding() {
        v1::Encoding::Json => Encoding::Json,
        v1::Encoding::Text => Encoding::Text,
        v1::Encoding::Binary => Encoding::Binary,
    };
    Payload { encoding, data: wire.data }
}

/// An error as Java reads it: one byte of kind, then an `ErrorDetail`.
pub(super) fn error_bytes(error: &Error) -> Vec<u8> {
    let mut bytes = vec![kind(error.status)];
    bytes.extend(detail(error).encode_to_vec());
    bytes
}

fn detail(error: &Error) -> v1::ErrorDetail {
    v1::ErrorDetail {
        code: error.code.to_string(),
        message: error.text.clone(),
        ..v1::ErrorDetail::default()
    }
}

/// What a server said keeps its field and remedy apart.
fn refused(error: client::Error) -> (u8, Bytes) {
    let detail = v1::ErrorDetail {
        code: error.code.to_string(),
        message: error.message.clone(),
        field: error.field.clone(),
        remedy: error.remedy.clone(),
    };
    (kind(Error::from(error).status), detail.encode_to_vec().into())
}

/// The numbers of `io.fastjob.internal.Link`.
fn kind(status: Status) -> u8 {
    match status {
        Status::ARGUMENT | Status::INVALID | Status::STATE => 1,
        Status::NOT_FOUND => 2,
        Status::CONFLICT => 3,
        Status::UNAUTHENTICATED => 4,
        Status::NOT_PERMITTED => 5,
        Status::UNAVAILABLE | Status::CLOSED => 6,
        Status::TIMEOUT => 8,
        _ => 7,
    }
}
