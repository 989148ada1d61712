//! What waits to be taken by the side that runs the handlers, which may be a task or a plain thread. Bounded by the slots:
//! an attempt is in it at most once as itself and once as its cancel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::attempt::{Attempt, AttemptKey, CancelReason};
use crate::clock::{Clock, SystemClock};

/// What the side that runs the handlers has to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Run this, then complete it.
    Dispatch(Arc<Attempt>),
    /// Let this one end. It has to be completed all the same.
    Cancel {
        /// Which.
        key: AttemptKey,
        /// Why.
        reason: CancelReason,
    },
    /// Nothing more will come.
    Closed,
}

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    blocked: Condvar,
    awaited: Notify,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    woken: bool,
    closed: bool,
}

impl Queue {
    pub(super) fn push(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        self.waiting.lock().events.extend(events);
        self.notify();
    }

    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.notify();
    }

    pub(super) fn wake(&self) {
        self.waiting.lock().woken = true;
        self.blocked.notify_all();
    }

    /// `None` once it is closed and empty.
    pub(super) async fn next(&self) -> Option<Event> {
        loop {
            let awaited = self.awaited.notified();
            {
                let mut waiting = self.waiting.lock();
                if let Some(event) = waiting.events.pop_front() {
                    // Another one may wait beside this one: it is woken in turn.
                    if !waiting.events.is_empty() {
                        self.awaited.notify_one();
                    }
                    return Some(event);
                }
                if waiting.closed {
                    self.awaited.notify_one();
                    return None;
                }
            }
            awaited.await;
        }
    }

    pub(super) fn try_next(&self) -> Option<Event> {
        let mut waiting = self.waiting.lock();
        let closed = waiting.closed;
        waiting.events.pop_front().or(closed.then_some(Event::Closed))
    }

    /// Blocks the thread. Nothing after `timeout` or a wake; [`Event::Closed`] alone once it is closed and empty.
    pub(super) fn take(&self, max: usize, timeout: Duration) -> Vec<Event> {
        let until = SystemClock.elapsed().saturating_add(timeout);
        let mut waiting = self.waiting.lock();
        loop {
            if !waiting.events.is_empty() {
                let count = waiting.events.len().min(max.max(1));
                return waiting.events.drain(..count).collect();
            }
            if waiting.closed {
                return vec![Event::Closed];
            }
            if std::mem::take(&mut waiting.woken) {
                return Vec::new();
            }
            let left = until.saturating_sub(SystemClock.elapsed());
            if left.is_zero() {
                return Vec::new();
            }
            self.blocked.wait_for(&mut waiting, left.min(LONGEST_WAIT));
        }
    }

    fn notify(&self) {
        self.blocked.notify_all();
        self.awaited.notify_one();
    }
}

/// Of one wait on the condition: a longer one is made of several.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
