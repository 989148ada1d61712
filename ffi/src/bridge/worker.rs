//! Workers for C and Java. The Rust worker of core talks to the servers; here its attempts are handed to threads that may
//! block, and brought back.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use fastjob_core::domain::Name;
use parking_lot::{Condvar, Mutex};

use super::attempt::{Attempt, Taker};
use super::client::Client;
use super::link::{self, Link};
use super::pool::{Callback, Callbacks, Owner, Pool, Serial};
use super::queue::{Polled, Queue};
use crate::status::{Error, Result, Status};

/// A worker of a client, from its making over one start to one stop.
pub struct Worker {
    serial: Serial,
    client: Arc<Client>,
    options: WorkerOptions,
    /// For those who poll.
    polled: Arc<Queue>,
    /// For the threads of the pool.
    called: Arc<Queue>,
    pool: OnceLock<Pool>,
    listener: OnceLock<Listener>,
    phase: Mutex<Phase>,
    changed: Condvar,
}

/// How a worker is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WorkerOptions {
    /// For people, at most 128 characters. `None`: "host:pid".
    pub name: Option<String>,
    /// How many attempts at a time; 0 means [`Worker::DEFAULT_SLOTS`].
    pub slots: u32,
    /// The SDK's name and version, as "java/0.1.0". `None`: "c" and the library's version.
    pub sdk: Option<String>,
}

/// What a worker tells its [`Listener`].
#[derive(Debug)]
pub enum News {
    /// An attempt to run.
    Taken(Arc<Attempt>),
    /// An attempt that was taken before should end: its cancel or timeout came.
    Cancelled(Arc<Attempt>),
    /// The worker has stopped, as it was asked to or for this cause. The last news.
    Ended(Result<()>),
}

/// Hears of the attempts of the handlers without a callback, in place of polls. It is called on the runtime's threads, or
/// on that which stops the worker, and must not block.
pub type Listener = Box<dyn Fn(News) + Send + Sync>;

enum Phase {
    /// Not started: which handlers it has, and what runs them (`None`: polls do).
    New(HashMap<Name, Option<Callback>>),
    Running(Link),
    /// A thread is stopping it.
    Stopping,
    /// Over: as it was asked to, or the cause.
    Stopped(Result<()>),
}

impl Worker {
    /// The slots of a worker that names none.
    pub const DEFAULT_SLOTS: u32 = 8;
    /// The most slots: of a worker whose handlers are all polled.
    pub const MAX_SLOTS: u32 = fastjob_core::domain::WorkerProfile::MAX_SLOTS;
    /// The most slots of a worker with callbacks: each has a thread.
    pub const MAX_THREADS: u32 = 1_024;
    /// The longest grace of a stop: 24 h.
    pub const MAX_GRACE_MS: i64 = 86_400_000;
    /// How long a cancelled handler may take to return before a stop leaves it alone.
    pub const CANCEL_GRACE: Duration = Duration::from_secs(10);

    /// A worker without handlers.
    pub fn new(client: &Arc<Client>, options: WorkerOptions) -> Result<Arc<Self>> {
        let slots = if options.slots == 0 { Self::DEFAULT_SLOTS } else { options.slots };
        if slots > Self::MAX_SLOTS {
            let most = Self::MAX_SLOTS;
            return Err(Error::argument("config.slots", format_args!("is {slots}: give 1 to {most}")));
        }
        client.must_be_open()?;
        let worker = Arc::new(Self {
            serial: Serial::next(),
            client: client.clone(),
            options: WorkerOptions { slots, ..options },
            polled: Arc::default(),
            called: Arc::default(),
            pool: OnceLock::new(),
            listener: OnceLock::new(),
            phase: Mutex::new(Phase::New(HashMap::new())),
            changed: Condvar::new(),
        });
        client.adopt(&worker);
        Ok(worker)
    }

    /// Gives it a handler; without a callback its attempts are polled. [`Status::STATE`] once it was started, or if it has
    /// a handler of that name.
    pub fn handle(&self, name: &str, callback: Option<Callback>) -> Result<()> {
        let name = Name::parse(name).map_err(|error| Error::argument("name", error))?;
        let mut phase = self.phase.lock();
        let Phase::New(handlers) = &mut *phase else {
            return Err(Error::new(Status::STATE, "handlers are given before the worker is started"));
        };
        if handlers.contains_key(&name) {
            return Err(Error::new(Status::STATE, format!("the worker has a handler {name:?} already")));
        }
        handlers.insert(name, callback);
        Ok(())
    }

    /// Lets a listener hear what would else be polled; before the start, once.
    pub fn listen(&self, listener: Listener) -> Result<()> {
        self.listener
            .set(listener)
            .map_err(|_| Error::new(Status::STATE, "the worker has a listener already"))
    }

    /// Starts taking runs; does not wait for a server.
    pub fn start(self: &Arc<Self>) -> Result<()> {
        self.client.must_be_open()?;
        let mut phase = self.phase.lock();
        let Phase::New(handlers) = &mut *phase else {
            return Err(Error::new(Status::STATE, "the worker was started before"));
        };
        if handlers.is_empty() {
            return Err(Error::new(Status::STATE, "the worker has no handler: give it one first"));
        }
        let (called, polled): (Vec<_>, Vec<_>) =
            std::mem::take(handlers).into_iter().partition(|(_, callback)| callback.is_some());
        let takers = polled.iter().map(|(name, _)| (name.clone(), Taker::Poll));
        let takers = takers.chain(called.iter().map(|(name, _)| (name.clone(), Taker::Pool))).collect();
        let callbacks = called.into_iter().filter_map(|(name, callback)| Some((name, callback?))).collect();
        // From here on a failure leaves a worker that is over: its handlers are gone.
        *phase = Phase::Stopped(Err(Error::new(Status::CLOSED, "the worker failed to start")));
        self.start_pool(callbacks)?;
        *phase = Phase::Running(link::start(&self.client, self, takers)?);
        Ok(())
    }

    /// The next attempt of the handlers without a callback, waiting at most `timeout_ms`; negative: without end.
    pub fn poll(&self, timeout_ms: i64) -> Result<Polled> {
        self.must_be_started()?;
        Ok(self.polled.poll(timeout(timeout_ms)))
    }

    /// Makes one poll come back.
    pub fn wake(&self) -> Result<()> {
        self.polled.wake();
        Ok(())
    }

    /// Takes nothing more, lets what runs go on for `grace_ms`, cancels the rest, waits [`Worker::CANCEL_GRACE`] for it.
    /// [`Status::TIMEOUT`] if a callback still runs then.
    pub fn stop(&self, grace_ms: i64) -> Result<()> {
        if !(0..=Self::MAX_GRACE_MS).contains(&grace_ms) {
            let most = Self::MAX_GRACE_MS;
            return Err(Error::argument("grace_ms", format_args!("is {grace_ms}: give 0 to {most} (24 h)")));
        }
        self.must_not_be_own("fj_worker_stop")?;
        let grace = Duration::from_millis(grace_ms.unsigned_abs());
        match self.take_link()? {
            Some(link) => self.finish(&link, grace),
            None => self.await_stopped(),
        }
    }

    /// Waits until the worker has stopped, and says why.
    pub fn join(&self) -> Result<()> {
        self.must_not_be_own("fj_worker_join")?;
        let mut phase = self.phase.lock();
        loop {
            match &*phase {
                Phase::New(_) => return Err(not_started()),
                Phase::Stopped(cause) => return cause.clone(),
                Phase::Running(_) | Phase::Stopping => self.changed.wait(&mut phase),
            }
        }
    }

    /// Ends it in whatever phase it is; for the free of its handle.
    pub fn end(&self) -> Result<()> {
        self.must_not_be_own("fj_worker_free")?;
        self.forget_handlers();
        match self.stop(0) {
            Err(error) if error.status == Status::DEADLOCK => Err(error),
            // It ends here all the same, with its handlers left alone.
            Err(error) if error.status == Status::TIMEOUT => Ok(()),
            _ => {
                self.join_pool(Self::CANCEL_GRACE);
                Ok(())
            }
        }
    }

    /// Its link, if it runs, for its client to stop it by; then [`Worker::killed`] has to be told.
    pub(super) fn give_up_link(&self) -> Option<Link> {
        self.take_link().unwrap_or_default()
    }

    /// Its client has stopped it, and does not wait for its handlers.
    pub(super) fn killed(&self) {
        self.stopped(Err(Error::new(Status::CLOSED, "the client was closed")));
    }

    /// The worker ended by itself.
    pub(super) fn ended(&self, cause: Result<()>) {
        let link = self.take_link();
        if matches!(link, Ok(Some(_))) {
            self.stopped(cause);
        }
    }

    /// Hands an attempt to whoever takes it.
    pub(super) fn take(&self, attempt: Arc<Attempt>, taker: Taker) {
        match (taker, self.listener.get()) {
            (Taker::Poll, Some(listener)) => listener(News::Taken(attempt)),
            (Taker::Poll, None) => self.polled.push(attempt),
            (Taker::Pool, _) => self.called.push(attempt),
        }
    }

    /// Tells whoever took it that it should end; those without a listener ask the attempt.
    pub(super) fn cancel(&self, attempt: Arc<Attempt>, taker: Taker) {
        if let (Taker::Poll, Some(listener)) = (taker, self.listener.get()) {
            listener(News::Cancelled(attempt));
        }
    }

    pub(super) const fn options(&self) -> &WorkerOptions {
        &self.options
    }

    fn start_pool(&self, callbacks: Callbacks) -> Result<()> {
        if callbacks.is_empty() {
            return Ok(());
        }
        let slots = self.options.slots;
        if slots > Self::MAX_THREADS {
            let most = Self::MAX_THREADS;
            let fault = format!("is {slots}: a worker with callbacks has a thread for each, at most {most}");
            return Err(Error::argument("config.slots", fault));
        }
        let pool = Pool::start(slots as usize, self.owner(), &self.called, callbacks).map_err(|error| {
            Error::new(Status::INTERNAL, format!("failed to start {slots} threads: {error}"))
        })?;
        // Only one start comes so far.
        let _ = self.pool.set(pool);
        Ok(())
    }

    fn finish(&self, link: &Link, grace: Duration) -> Result<()> {
        let sent = link.stop(&self.client, grace);
        self.stopped(Ok(()));
        match self.join_pool(Self::CANCEL_GRACE) {
            0 => sent,
            left => Err(Error::new(Status::TIMEOUT, format!("{left} handlers have not returned"))),
        }
    }

    fn stopped(&self, cause: Result<()>) {
        for queue in [&self.called, &self.polled] {
            queue.close();
            queue.clear();
        }
        *self.phase.lock() = Phase::Stopped(cause.clone());
        self.changed.notify_all();
        if let Some(listener) = self.listener.get() {
            listener(News::Ended(cause));
        }
    }

    /// The threads that have not ended within `timeout`.
    fn join_pool(&self, timeout: Duration) -> usize {
        self.pool.get().map_or(0, |pool| pool.join(timeout))
    }

    /// The link of a running worker, for the one thread that stops it; `None` if another does or did.
    fn take_link(&self) -> Result<Option<Link>> {
        let mut phase = self.phase.lock();
        match std::mem::replace(&mut *phase, Phase::Stopping) {
            Phase::Running(link) => Ok(Some(link)),
            Phase::Stopping => Ok(None),
            before @ Phase::Stopped(_) => {
                *phase = before;
                Ok(None)
            }
            before @ Phase::New(_) => {
                *phase = before;
                Err(not_started())
            }
        }
    }

    /// Waits for the thread that stops it.
    fn await_stopped(&self) -> Result<()> {
        let mut phase = self.phase.lock();
        while !matches!(&*phase, Phase::Stopped(_)) {
            self.changed.wait(&mut phase);
        }
        Ok(())
    }

    fn forget_handlers(&self) {
        let mut phase = self.phase.lock();
        if matches!(&*phase, Phase::New(_)) {
            let over = Phase::Stopped(Err(Error::new(Status::CLOSED, "the worker was freed")));
            let handlers = std::mem::replace(&mut *phase, over);
            drop(phase);
            // What the callbacks own is given back without the lock: it may be the user's code.
            drop(handlers);
        }
    }

    fn must_be_started(&self) -> Result<()> {
        if matches!(&*self.phase.lock(), Phase::New(_)) { Err(not_started()) } else { Ok(()) }
    }

    fn must_not_be_own(&self, call: &str) -> Result<()> {
        if Owner::of_this_thread().is_some_and(|owner| owner.worker == self.owner().worker) {
            let text = format!("{call} in a handler of the same worker would wait for itself");
            return Err(Error::new(Status::DEADLOCK, text));
        }
        Ok(())
    }

    fn owner(&self) -> Owner {
        Owner { worker: self.serial, client: self.client.serial() }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.called.close();
        self.polled.close();
    }
}

/// A worker as its client knows it.
pub(super) type Adopted = Weak<Worker>;

fn not_started() -> Error {
    Error::new(Status::STATE, "the worker was not started")
}

fn timeout(timeout_ms: i64) -> Option<Duration> {
    u64::try_from(timeout_ms).ok().map(Duration::from_millis)
}
