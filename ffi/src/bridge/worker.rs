//! Workers for C and Java. The Rust worker of core talks to the servers; here its attempts are handed to threads that may
//! block, and brought back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::domain::{Name, WorkerProfile};
use fastjob_core::worker::{Event, Taker};
use parking_lot::{Condvar, Mutex};

use super::attempt::{Attempt, CompletedBy};
use super::client::Client;
use super::link;
use super::pool::{Callback, Callbacks, Owner, Pool, Serial};
use crate::status::{Error, Result, Status};

/// A worker of a client, from its making over one start to one stop.
pub struct Worker {
    serial: Serial,
    client: Arc<Client>,
    options: WorkerOptions,
    /// Core's worker, from the start on.
    taker: OnceLock<Arc<Taker>>,
    pool: OnceLock<Pool>,
    /// A wake that no poll has seen yet.
    woken: AtomicBool,
    phase: Mutex<Phase>,
    changed: Condvar,
}

/// What a poll comes back with.
#[derive(Debug)]
pub enum Polled {
    /// An attempt to run.
    Attempt(Arc<Attempt>),
    /// The time passed.
    Nothing,
    /// Somebody called wake.
    Woken,
    /// The worker has stopped.
    Closed,
}

/// How a worker is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WorkerOptions {
    /// For people, at most 128 characters. `None`: "host:pid".
    pub name: Option<String>,
    /// How many attempts at a time; 0 means [`Worker::DEFAULT_SLOTS`].
    pub slots: u32,
}

enum Phase {
    /// Not started: which handlers it has, and what runs them.
    New(Handlers),
    Running,
    /// A thread is stopping it.
    Stopping,
    /// Over: as it was asked to, or the cause.
    Stopped(Result<()>),
}

/// The handlers of a worker are all of one sort, so that its threads and its polls do not take each other's attempts.
enum Handlers {
    None,
    Polled(Vec<String>),
    Called(Callbacks),
}

impl Worker {
    /// The slots of a worker that names none.
    pub const DEFAULT_SLOTS: u32 = 8;
    /// The most slots: of a worker whose handlers are polled.
    pub const MAX_SLOTS: u32 = WorkerProfile::MAX_SLOTS;
    /// The most slots of a worker with callbacks: each has a thread.
    pub const MAX_THREADS: u32 = 1_024;
    /// The longest grace of a stop: 24 h.
    pub const MAX_GRACE_MS: i64 = 86_400_000;
    /// How long a stop waits for the threads whose handlers have returned.
    const JOIN_WITHIN: Duration = Duration::from_secs(1);

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
            taker: OnceLock::new(),
            pool: OnceLock::new(),
            woken: AtomicBool::new(false),
            phase: Mutex::new(Phase::New(Handlers::None)),
            changed: Condvar::new(),
        });
        client.adopt(&worker);
        Ok(worker)
    }

    /// Gives it a handler; without a callback its attempts are polled, which holds for all handlers of a worker or for
    /// none. [`Status::STATE`] if it does not fit those that it has, or the worker was started.
    pub fn handle(&self, name: &str, callback: Option<Callback>) -> Result<()> {
        let name = Name::parse(name).map_err(|error| Error::argument("name", error))?;
        let mut phase = self.phase.lock();
        let Phase::New(handlers) = &mut *phase else {
            return Err(Error::new(Status::STATE, "handlers are given before the worker is started"));
        };
        handlers.add(name.as_str(), callback)
    }

    /// Starts taking runs; does not wait for a server.
    pub fn start(&self) -> Result<()> {
        self.client.must_be_open()?;
        let mut phase = self.phase.lock();
        let Phase::New(handlers) = &mut *phase else {
            return Err(Error::new(Status::STATE, "the worker was started before"));
        };
        handlers.must_fit(self.options.slots)?;
        let handlers = std::mem::replace(handlers, Handlers::None);
        // From here on a failure leaves a worker that is over: its handlers are gone.
        *phase = Phase::Stopped(Err(Error::new(Status::CLOSED, "the worker failed to start")));
        let taker = link::start(&self.client, &self.options, handlers.names())?;
        self.serve(handlers, &taker)?;
        // Only one start comes so far.
        let _ = self.taker.set(taker);
        *phase = Phase::Running;
        Ok(())
    }

    /// The next attempt of the handlers without a callback, waiting at most `timeout_ms`; negative: without end.
    pub fn poll(&self, timeout_ms: i64) -> Result<Polled> {
        let taker = self.taker.get().ok_or_else(not_started)?;
        if self.pool.get().is_some() {
            return Err(Error::new(
                Status::STATE,
                "the worker's handlers are functions: nothing is left to poll",
            ));
        }
        let timeout = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
        let until = SystemClock.elapsed().saturating_add(timeout);
        loop {
            if self.woken.swap(false, Ordering::AcqRel) {
                return Ok(Polled::Woken);
            }
            let left = until.saturating_sub(SystemClock.elapsed());
            match taker.take(1, left).pop() {
                Some(Event::Dispatch(attempt)) => {
                    taker.entered(&attempt.key);
                    return Ok(Polled::Attempt(Attempt::new(attempt, taker.clone(), CompletedBy::Caller)));
                }
                Some(Event::Closed) => return Ok(Polled::Closed),
                // Those who poll ask the attempt whether it is cancelled.
                Some(_) => {}
                None if left.is_zero() => return Ok(Polled::Nothing),
                None => {}
            }
        }
    }

    /// Makes one poll come back.
    pub fn wake(&self) -> Result<()> {
        self.woken.store(true, Ordering::Release);
        if let Some(taker) = self.taker.get() {
            taker.wake();
        }
        Ok(())
    }

    /// Takes nothing more, lets what runs go on for `grace_ms`, cancels the rest and gives it up to 10 s, sends what is
    /// unsent. [`Status::TIMEOUT`] if a handler still runs then, [`Status::UNAVAILABLE`] if something could not be sent.
    pub fn stop(&self, grace_ms: i64) -> Result<()> {
        if !(0..=Self::MAX_GRACE_MS).contains(&grace_ms) {
            let most = Self::MAX_GRACE_MS;
            return Err(Error::argument("grace_ms", format_args!("is {grace_ms}: give 0 to {most} (24 h)")));
        }
        self.must_not_be_own("fj_worker_stop")?;
        match self.begin_stop()? {
            Some(taker) => self.finish(&taker, Duration::from_millis(grace_ms.unsigned_abs())),
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
                Phase::Running | Phase::Stopping => self.changed.wait(&mut phase),
            }
        }
    }

    /// Ends it in whatever phase it is; for the free of its handle. A handler that does not return is left alone.
    pub fn end(&self) -> Result<()> {
        self.must_not_be_own("fj_worker_free")?;
        self.forget_handlers();
        // What it ended with is for whoever stops or joins it.
        let _ = self.stop(0);
        self.join_pool();
        Ok(())
    }

    /// What stops it, if it runs, for its client; then [`Worker::killed`] has to be told.
    pub(super) fn give_up(&self) -> Option<Arc<Taker>> {
        self.begin_stop().unwrap_or_default()
    }

    /// Its client has stopped it, and does not wait for its handlers.
    pub(super) fn killed(&self) {
        self.stopped(Err(Error::new(Status::CLOSED, "the client was closed")));
    }

    fn serve(&self, handlers: Handlers, taker: &Arc<Taker>) -> Result<()> {
        let slots = self.options.slots as usize;
        if let Handlers::Called(callbacks) = handlers {
            let pool = Pool::start(slots, self.owner(), taker, callbacks).map_err(|error| {
                Error::new(Status::INTERNAL, format!("failed to start {slots} threads: {error}"))
            })?;
            // Only one start comes so far.
            let _ = self.pool.set(pool);
        }
        link::keep_alive(&self.client, taker);
        Ok(())
    }

    fn finish(&self, taker: &Taker, grace: Duration) -> Result<()> {
        let sent = self.client.wait(taker.stop(grace));
        // Also if the client was closed in the meantime: the threads and polls have to end.
        taker.abandon();
        let left = self.join_pool();
        self.stopped(Ok(()));
        match left {
            0 => sent,
            left => Err(Error::new(Status::TIMEOUT, format!("{left} handlers have not returned"))),
        }
    }

    fn stopped(&self, cause: Result<()>) {
        *self.phase.lock() = Phase::Stopped(cause);
        self.changed.notify_all();
    }

    /// How many threads have not ended.
    fn join_pool(&self) -> usize {
        self.pool.get().map_or(0, |pool| pool.join(Self::JOIN_WITHIN))
    }

    /// What stops a running worker, for the one thread that does; `None` if another does or did.
    fn begin_stop(&self) -> Result<Option<Arc<Taker>>> {
        let mut phase = self.phase.lock();
        match &*phase {
            Phase::New(_) => Err(not_started()),
            Phase::Stopping | Phase::Stopped(_) => Ok(None),
            Phase::Running => {
                *phase = Phase::Stopping;
                Ok(self.taker.get().cloned())
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

impl Handlers {
    fn add(&mut self, name: &str, callback: Option<Callback>) -> Result<()> {
        let known = match self {
            Self::None => false,
            Self::Polled(names) => names.iter().any(|known| known == name),
            Self::Called(callbacks) => callbacks.contains_key(name),
        };
        if known {
            return Err(Error::new(Status::STATE, format!("the worker has a handler {name:?} already")));
        }
        match (&mut *self, callback) {
            (Self::None, None) => *self = Self::Polled(vec![name.to_owned()]),
            (Self::None, Some(callback)) => {
                *self = Self::Called(HashMap::from([(name.to_owned(), callback)]))
            }
            (Self::Polled(names), None) => names.push(name.to_owned()),
            (Self::Called(callbacks), Some(callback)) => {
                callbacks.insert(name.to_owned(), callback);
            }
            (Self::Polled(_), Some(_)) | (Self::Called(_), None) => {
                let text = "the handlers of a worker are either all functions or all polled: use two workers";
                return Err(Error::new(Status::STATE, text));
            }
        }
        Ok(())
    }

    fn must_fit(&self, slots: u32) -> Result<()> {
        match self {
            Self::None => Err(Error::new(Status::STATE, "the worker has no handler: give it one first")),
            Self::Called(_) if slots > Worker::MAX_THREADS => {
                let most = Worker::MAX_THREADS;
                let fault =
                    format!("is {slots}: a worker with functions has a thread for each, at most {most}");
                Err(Error::argument("config.slots", fault))
            }
            Self::Called(_) | Self::Polled(_) => Ok(()),
        }
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Polled(names) => names.clone(),
            Self::Called(callbacks) => callbacks.keys().cloned().collect(),
        }
    }
}

/// A worker as its client knows it.
pub(super) type Adopted = Weak<Worker>;

fn not_started() -> Error {
    Error::new(Status::STATE, "the worker was not started")
}
