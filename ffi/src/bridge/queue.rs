//! Where a worker's attempts wait for the thread that takes them: one of the pool's, or one of the caller's that polls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fastjob_core::clock::{Clock, SystemClock};
use parking_lot::{Condvar, Mutex};

use super::attempt::Attempt;

/// A queue of attempts. It holds at most one per slot of its worker, since the owner sends no more than there are slots.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
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
    /// The worker has stopped, and all that it took was polled.
    Closed,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<Attempt>>,
    woken: bool,
    closed: bool,
}

impl Queue {
    /// Adds an attempt. Once the queue is closed it is dropped, and fails.
    pub(super) fn push(&self, attempt: Arc<Attempt>) {
        let mut state = self.state.lock();
        if !state.closed {
            state.waiting.push_back(attempt);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Makes one poll, the present or the next, come back with [`Polled::Woken`].
    pub(super) fn wake(&self) {
        self.state.lock().woken = true;
        self.changed.notify_all();
    }

    /// No more comes in, and every poll ends once what waits was taken.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }

    /// Forgets what waits: those attempts fail.
    pub(super) fn clear(&self) {
        let forgotten = std::mem::take(&mut self.state.lock().waiting);
        drop(forgotten);
    }

    /// The next, waiting for it at most `timeout`; `None` waits until there is one or the queue is closed.
    pub(super) fn poll(&self, timeout: Option<Duration>) -> Polled {
        let until = timeout.map(|timeout| SystemClock.elapsed().saturating_add(timeout));
        let mut state = self.state.lock();
        loop {
            // Those that are over already, since their grace has passed, are nobody's work any more.
            while let Some(attempt) = state.waiting.pop_front() {
                if !attempt.is_over() {
                    return Polled::Attempt(attempt);
                }
            }
            if std::mem::take(&mut state.woken) {
                return Polled::Woken;
            }
            if state.closed {
                return Polled::Closed;
            }
            let Some(until) = until else {
                self.changed.wait(&mut state);
                continue;
            };
            let left = until.saturating_sub(SystemClock.elapsed());
            if left.is_zero() {
                return Polled::Nothing;
            }
            self.changed.wait_for(&mut state, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_without_time_comes_back_at_once_with_nothing() {
        assert!(matches!(Queue::default().poll(Some(Duration::ZERO)), Polled::Nothing));
    }

    #[test]
    fn a_wake_that_comes_before_the_poll_is_not_lost_and_counts_once() {
        let queue = Queue::default();
        queue.wake();
        assert!(matches!(queue.poll(None), Polled::Woken));
        assert!(matches!(queue.poll(Some(Duration::ZERO)), Polled::Nothing));
    }

    #[test]
    fn closing_ends_a_poll_that_waits_in_another_thread() {
        let queue = Queue::default();
        std::thread::scope(|scope| {
            let poll = scope.spawn(|| queue.poll(None));
            queue.close();
            assert!(matches!(poll.join().unwrap(), Polled::Closed));
        });
    }
}
