//! Where a worker's attempts wait for the thread that takes them: one of the pool's, or one of the caller's that polls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fastjob_core::clock::{Clock, SystemClock};
use parking_lot::{Condvar, Mutex};

use super::attempt::Attempt;

/// A queue of attempts and cancels. It holds at most one of each per slot of its worker, since the owner sends no more
/// attempts than there are slots.
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
    /// An attempt that was taken before should end: its cancel or timeout came. Only if the worker's options ask for it.
    Cancel(Arc<Attempt>),
    /// The time passed.
    Nothing,
    /// Somebody called wake.
    Woken,
    /// The worker has stopped, and all that it took was polled.
    Closed,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Polled>,
    woken: bool,
    closed: bool,
}

impl Queue {
    /// Adds an attempt or a cancel. Once the queue is closed it is dropped, which fails the attempt.
    pub(super) fn push(&self, polled: Polled) {
        let mut state = self.state.lock();
        if !state.closed {
            state.waiting.push_back(polled);
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
        let mut one = self.poll_many(1, timeout);
        one.pop().unwrap_or(Polled::Nothing)
    }

    /// As [`Queue::poll`], with all that waits, up to `most`. Never empty.
    pub(super) fn poll_many(&self, most: usize, timeout: Option<Duration>) -> Vec<Polled> {
        let until = timeout.map(|timeout| SystemClock.elapsed().saturating_add(timeout));
        let mut state = self.state.lock();
        loop {
            if !state.waiting.is_empty() {
                let count = most.clamp(1, state.waiting.len());
                return state.waiting.drain(..count).collect();
            }
            if std::mem::take(&mut state.woken) {
                return vec![Polled::Woken];
            }
            if state.closed {
                return vec![Polled::Closed];
            }
            let Some(until) = until else {
                self.changed.wait(&mut state);
                continue;
            };
            let left = until.saturating_sub(SystemClock.elapsed());
            if left.is_zero() {
                return vec![Polled::Nothing];
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
