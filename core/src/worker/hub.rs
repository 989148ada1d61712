//! What a worker's parts share: the outbox behind its lock, the queue of events, proof of life, and the signals by which
//! they wake each other. A wake-up carries no data; the woken part looks at the outbox.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::attempt::AttemptKey;
use super::beat::{Life, ServerClock};
use super::handler::Completion;
use super::outbox::{Outbox, StreamId};
use super::queue::{Event, Queue};
use crate::client::Error;
use crate::clock::{Clock, SystemClock};
use crate::protocol::v1;

pub(super) struct Hub {
    pub(super) profile: Profile,
    pub(super) queue: Queue,
    pub(super) life: Life,
    pub(super) server_clock: ServerClock,
    /// How the first connection went.
    pub(super) contact: watch::Sender<Contact>,
    /// Ends the streams and all tasks.
    pub(super) closing: CancellationToken,
    outbox: Mutex<Outbox>,
    ordinal: AtomicU64,
    streams: AtomicU64,
    /// Which stream carries which shard may have to change.
    pub(super) routes: Notify,
    /// The first deadline may have changed.
    deadlines: Notify,
    /// Fewer attempts are running or unacknowledged.
    settled: Notify,
    ended: Mutex<bool>,
    joined: Condvar,
}

/// What each Hello says of the worker.
pub(super) struct Profile {
    pub(super) app: String,
    pub(super) session: Bytes,
    pub(super) worker: String,
    pub(super) sdk: String,
    pub(super) handlers: Vec<v1::Handler>,
    pub(super) slots: u32,
    pub(super) tags: Vec<String>,
    pub(super) labels: Vec<v1::Label>,
}

/// How it stands with the first Welcome.
#[derive(Clone, Debug)]
pub(super) enum Contact {
    /// None yet; the last thing that went wrong.
    Waiting(Option<Error>),
    /// It came.
    Made,
    /// It will not come.
    Refused(Error),
}

impl Hub {
    pub(super) fn new(profile: Profile, turn: u32) -> Self {
        let outbox = Mutex::new(Outbox::new(profile.slots, turn));
        Self {
            profile,
            queue: Queue::default(),
            life: Life::default(),
            server_clock: ServerClock::default(),
            contact: watch::Sender::new(Contact::Waiting(None)),
            closing: CancellationToken::new(),
            outbox,
            ordinal: AtomicU64::new(0),
            streams: AtomicU64::new(0),
            routes: Notify::new(),
            deadlines: Notify::new(),
            settled: Notify::new(),
            ended: Mutex::new(false),
            joined: Condvar::new(),
        }
    }

    /// Changes the outbox and passes on what came of it.
    pub(super) fn change<A>(&self, change: impl FnOnce(&mut Outbox, Duration, &mut Vec<Event>) -> A) -> A {
        let mut events = Vec::new();
        let now = SystemClock.elapsed();
        let answer = change(&mut self.outbox.lock(), now, &mut events);
        if !events.is_empty() {
            self.queue.push(events);
            self.deadlines.notify_one();
        }
        answer
    }

    pub(super) fn look<A>(&self, look: impl FnOnce(&Outbox) -> A) -> A {
        look(&self.outbox.lock())
    }

    pub(super) fn next_stream(&self) -> StreamId {
        self.streams.fetch_add(1, Ordering::Relaxed)
    }

    /// A Hello on this stream, for these shards alone or (none) for all. It is composed here and now, so the stream before
    /// it must have ended, or its server have said that it moved.
    pub(super) fn hello(&self, stream: StreamId, shards: &[u32]) -> v1::Hello {
        let ordinal = self.ordinal.fetch_add(1, Ordering::Relaxed) + 1;
        let held = self.change(|outbox, now, _| outbox.hello(stream, shards, ordinal, now));
        let of = &self.profile;
        v1::Hello {
            app: of.app.clone(),
            session: of.session.clone(),
            ordinal,
            worker: of.worker.clone(),
            sdk: of.sdk.clone(),
            protocol: 1,
            handlers: of.handlers.clone(),
            slots: of.slots,
            tags: of.tags.clone(),
            labels: of.labels.clone(),
            floors: held.floors,
            running: held.running,
            unacked: held.unacked,
            shards: shards.to_vec(),
        }
    }

    pub(super) fn entered(&self, key: &AttemptKey) {
        let server_now = self.server_clock.now();
        self.change(|outbox, _, _| outbox.enter(key, server_now));
    }

    pub(super) fn complete(&self, key: &AttemptKey, completion: Completion) {
        let server_now = self.server_clock.now();
        self.change(|outbox, _, _| outbox.complete(key, completion, server_now));
        self.settled.notify_waiters();
    }

    pub(super) fn progress(&self, key: &AttemptKey, percent: u32, note: &str) {
        self.change(|outbox, _, _| outbox.progress(key, percent, note));
    }

    /// Some outcomes may be acknowledged.
    pub(super) fn has_settled(&self) {
        self.settled.notify_waiters();
    }

    /// Returns once the outbox is as wanted, or `within` has passed; answers whether it is.
    pub(super) async fn until(&self, within: Duration, wanted: impl Fn(&Outbox) -> bool) -> bool {
        let reached = async {
            loop {
                let settled = self.settled.notified();
                tokio::pin!(settled);
                settled.as_mut().enable();
                if self.look(&wanted) {
                    return;
                }
                settled.await;
            }
        };
        tokio::time::timeout(within, reached).await.is_ok()
    }

    /// Enforces timeouts, graces and the loss of contact, until the worker closes.
    pub(super) async fn keep_deadlines(&self) {
        loop {
            let server_now = self.server_clock.now();
            let (now, next) =
                self.change(|outbox, now, events| (now, outbox.expire(now, server_now, events)));
            self.settled.notify_waiters();
            let wait = next.map_or(LONGEST_SLEEP, |next| next.saturating_sub(now).min(LONGEST_SLEEP));
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = self.deadlines.notified() => {}
            }
        }
    }

    /// Raises the life counter from the runtime that runs the handlers, until the worker closes.
    pub(super) async fn keep_alive(&self) {
        loop {
            self.life.raise();
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = tokio::time::sleep(LIFE_EVERY) => {}
            }
        }
    }

    pub(super) fn end(&self) {
        self.queue.close();
        *self.ended.lock() = true;
        self.joined.notify_all();
    }

    pub(super) fn join_blocking(&self) {
        let mut ended = self.ended.lock();
        while !*ended {
            self.joined.wait(&mut ended);
        }
    }
}

/// Timers stand still while the machine sleeps and the deadlines do not: it looks again after this long.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
const LIFE_EVERY: Duration = Duration::from_millis(500);
