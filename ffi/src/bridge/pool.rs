//! The threads that run a worker's callbacks. They are plain threads, one per slot, so that a handler may block; none of
//! them belongs to the async runtime.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::worker::{Event, Taker};
use parking_lot::{Condvar, Mutex};

use super::attempt::{Attempt, CompletedBy};
use crate::status::Status;

/// Runs one attempt and answers the status it ended with.
pub type Callback = Box<dyn Fn(Arc<Attempt>) -> i32 + Send + Sync>;

/// What runs the attempts of each handler.
pub(super) type Callbacks = HashMap<String, Callback>;

/// The threads of one worker.
pub(super) struct Pool {
    threads: Mutex<Vec<JoinHandle<()>>>,
    running: Arc<Running>,
}

/// Which worker and client the calling thread runs a handler of, if it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Owner {
    pub(super) worker: Serial,
    pub(super) client: Serial,
}

/// Names a worker or client for as long as the process lives: a thread may outlive both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Serial(u64);

/// How many threads have not ended.
#[derive(Default)]
struct Running {
    count: Mutex<usize>,
    ended: Condvar,
}

/// Ends the count of a thread also when it unwinds.
struct Counted(Arc<Running>);

/// Room for a handler: as much as the main thread of a C program usually has. Only what is touched costs memory.
const STACK_BYTES: usize = 8 * 1024 * 1024;

thread_local! {
    static OWNER: Cell<Option<Owner>> = const { Cell::new(None) };
}

impl Serial {
    pub(super) fn next() -> Self {
        static DRAWN: AtomicU64 = AtomicU64::new(0);
        Self(DRAWN.fetch_add(1, Ordering::Relaxed))
    }
}

impl Owner {
    /// The owner of the handler that the calling thread runs.
    pub(super) fn of_this_thread() -> Option<Self> {
        OWNER.get()
    }
}

impl Pool {
    /// Starts `size` threads that take attempts until the worker has stopped.
    pub(super) fn start(
        size: usize,
        owner: Owner,
        taker: &Arc<Taker>,
        callbacks: Callbacks,
    ) -> io::Result<Self> {
        let callbacks = Arc::new(callbacks);
        let pool = Self { threads: Mutex::default(), running: Arc::default() };
        for number in 1..=size {
            match pool.thread(number, owner, taker.clone(), callbacks.clone()) {
                Ok(thread) => pool.threads.lock().push(thread),
                Err(error) => {
                    taker.abandon();
                    pool.join(Duration::MAX);
                    return Err(error);
                }
            }
        }
        Ok(pool)
    }

    /// Waits until all threads have ended, which they do once their worker has stopped and their handlers have returned.
    /// Answers how many have not within `timeout`: they go on alone.
    pub(super) fn join(&self, timeout: Duration) -> usize {
        let until = SystemClock.elapsed().saturating_add(timeout);
        let mut count = self.running.count.lock();
        while *count > 0 {
            let left = until.saturating_sub(SystemClock.elapsed());
            if left.is_zero() {
                return *count;
            }
            self.running.ended.wait_for(&mut count, left);
        }
        drop(count);
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // Its body catches panics; there is nothing to learn from its end.
            let _ = thread.join();
        }
        0
    }

    fn thread(
        &self,
        number: usize,
        owner: Owner,
        taker: Arc<Taker>,
        callbacks: Arc<Callbacks>,
    ) -> io::Result<JoinHandle<()>> {
        let counted = Counted::new(self.running.clone());
        thread::Builder::new().name(format!("fastjob-{number}")).stack_size(STACK_BYTES).spawn(move || {
            OWNER.set(Some(owner));
            serve(&taker, &callbacks);
            // Before the count: when a join comes back, what the callbacks own is gone.
            drop(callbacks);
            drop(counted);
        })
    }
}

impl Counted {
    fn new(running: Arc<Running>) -> Self {
        *running.count.lock() += 1;
        Self(running)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.count.lock() -= 1;
        self.0.ended.notify_all();
    }
}

/// Runs attempts one after the other until the worker has stopped.
fn serve(taker: &Arc<Taker>, callbacks: &Callbacks) {
    loop {
        for event in taker.take(1, Duration::MAX) {
            match event {
                Event::Dispatch(attempt) => {
                    taker.entered(&attempt.key);
                    run(callbacks, &Attempt::new(attempt, taker.clone(), CompletedBy::Pool));
                }
                Event::Closed => return,
                // A handler asks its attempt whether it is cancelled.
                _ => {}
            }
        }
    }
}

fn run(callbacks: &Callbacks, attempt: &Arc<Attempt>) {
    let status = match callbacks.get(attempt.handler()) {
        Some(callback) => catch_unwind(AssertUnwindSafe(|| callback(attempt.clone()))),
        // The worker offered no such handler.
        None => Ok(Status::NOT_FOUND.0),
    };
    attempt.complete(status.unwrap_or(Status::INTERNAL.0));
}
