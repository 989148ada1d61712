//! Makes frames of what happens to a connection, and knows which attempts Java holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastjob_core::client;
use fastjob_core::worker::{Attempt, AttemptKey, CancelReason, Event, Taker};
use parking_lot::Mutex;
use prost::Message;
use tracing::Level;

use super::mapping;
use super::outbox::{Frame, Kind, Outbox, Polled};
use crate::status::Result;

/// Outlives its connection while one of its workers speaks.
#[derive(Default)]
pub(super) struct Newsroom {
    outbox: Outbox,
    desk: Mutex<Desk>,
}

/// An attempt that Java has.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) taker: Arc<Taker>,
    pub(super) key: AttemptKey,
}

/// The attempts that Java has, by the number under which it knows them. Bounded by the slots of the workers.
#[derive(Default)]
struct Desk {
    drawn: u64,
    held: HashMap<u64, Held>,
    tickets: HashMap<AttemptKey, u64>,
}

/// Code of a [`Kind::State`] frame: the worker has stopped.
const STOPPED: u8 = 3;

impl Newsroom {
    /// Says what a worker's taker says, until the worker has stopped.
    pub(super) async fn pump(self: Arc<Self>, worker: u16, taker: Arc<Taker>) -> Result<()> {
        while let Some(event) = taker.next().await {
            self.heard(worker, &taker, event);
        }
        Ok(())
    }

    /// The worker has stopped.
    pub(super) fn stopped(&self, worker: u16) {
        self.say(Kind::State, STOPPED, worker, 0, Bytes::new());
    }

    /// A call was answered; the outer error is that of a client closed meanwhile.
    pub(super) fn answered(&self, id: u64, answer: Result<std::result::Result<Bytes, client::Error>>) {
        let (code, body) = match answer {
            Ok(Ok(reply)) => (0, reply),
            Ok(Err(error)) => mapping::refused(error),
            Err(error) => mapping::failed(&error),
        };
        self.say(Kind::Completion, code, 0, id, body);
    }

    /// FastJob's own code logged a line.
    pub(super) fn logged(&self, level: Level, line: &str) {
        let code = match level {
            Level::ERROR => 1,
            Level::WARN => 2,
            Level::INFO => 3,
            _ => 4,
        };
        self.say(Kind::Log, code, 0, 0, Bytes::copy_from_slice(line.as_bytes()));
    }

    /// The connection is closed.
    pub(super) fn closed(&self) {
        self.say(Kind::Closed, 0, 0, 0, Bytes::new());
    }

    /// Writes waiting frames into `buffer`; waits at most `timeout` for the first.
    pub(super) fn poll(&self, buffer: &mut [u8], timeout: Duration) -> Polled {
        self.outbox.poll(buffer, timeout)
    }

    /// The attempt of this number, if Java has it still.
    pub(super) fn held(&self, ticket: u64) -> Option<Held> {
        self.desk.lock().held.get(&ticket).cloned()
    }

    /// Java has it no more.
    pub(super) fn let_go(&self, ticket: u64) -> Option<Held> {
        let mut desk = self.desk.lock();
        let held = desk.held.remove(&ticket)?;
        desk.tickets.remove(&held.key);
        Some(held)
    }

    /// Java has nothing more.
    pub(super) fn forget(&self) {
        let mut desk = self.desk.lock();
        let held = std::mem::take(&mut desk.held);
        desk.tickets.clear();
        drop(desk);
        drop(held);
    }

    fn heard(&self, worker: u16, taker: &Arc<Taker>, event: Event) {
        match event {
            Event::Dispatch(attempt) => self.dispatched(worker, taker, &attempt),
            Event::Cancel { key, reason } => self.cancelled(worker, &key, reason),
            // The end is said by whoever pumps.
            _ => {}
        }
    }

    fn dispatched(&self, worker: u16, taker: &Arc<Taker>, attempt: &Attempt) {
        let body = mapping::dispatch(attempt).encode_to_vec().into();
        let ticket = self.desk.lock().hold(Held { taker: taker.clone(), key: attempt.key });
        self.say(Kind::Dispatch, 0, worker, ticket, body);
    }

    fn cancelled(&self, worker: u16, key: &AttemptKey, reason: CancelReason) {
        // One that Java has completed meanwhile needs no cancel.
        let Some(ticket) = self.desk.lock().tickets.get(key).copied() else { return };
        let body = mapping::cancel(reason).encode_to_vec().into();
        self.say(Kind::Cancel, 0, worker, ticket, body);
    }

    fn say(&self, kind: Kind, code: u8, worker: u16, id: u64, body: Bytes) {
        self.outbox.say(Frame { kind, code, worker, id, body });
    }
}

impl Desk {
    fn hold(&mut self, held: Held) -> u64 {
        self.drawn += 1;
        self.tickets.insert(held.key, self.drawn);
        self.held.insert(self.drawn, held);
        self.drawn
    }
}
