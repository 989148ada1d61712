//! The base of every worker: attempts are taken, run by whoever took them, and completed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::attempt::AttemptKey;
use super::handler::Completion;
use super::hub::{Contact, Hub};
use super::locate::keep_streams;
use super::queue::Event;
use super::serve::{self, Handler, LateHandlers};
use crate::client::{Client, Error, ErrorKind};

/// A started worker whose attempts are pulled. Made by [`super::WorkerBuilder::start_pull`].
///
/// Every method but the `async` ones may be called from any thread. Dropped without a stop, it ends its tasks and streams
/// at once; what it held is given to other workers once it counts as lost.
pub struct Taker {
    hub: Arc<Hub>,
    tasks: TaskTracker,
    stopped: CancellationToken,
    start_within: Duration,
    _close: DropGuard,
}

/// How long a cancelled handler has to give way when its worker stops; less if its job says less.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How long a stop waits for the last acknowledgements.
const ACKS_WITHIN: Duration = Duration::from_secs(5);
/// How long a stop waits for its tasks, none of which waits for anything by then.
const TASKS_WITHIN: Duration = Duration::from_secs(5);

impl Taker {
    pub(super) fn open(hub: Arc<Hub>, client: Client, start_within: Duration) -> Self {
        let tasks = TaskTracker::new();
        tasks.spawn(keep_streams(hub.clone(), client));
        let keeper = hub.clone();
        tasks.spawn(async move {
            keeper.keep_deadlines().await;
            keeper.end();
        });
        let close = hub.closing.clone().drop_guard();
        Self { hub, tasks, stopped: CancellationToken::new(), start_within, _close: close }
    }

    /// The next event; `None` once the worker has stopped.
    pub async fn next(&self) -> Option<Event> {
        self.alive();
        self.hub.queue.next().await
    }

    /// The next event, if one waits.
    pub fn try_next(&self) -> Option<Event> {
        self.alive();
        self.hub.queue.try_next()
    }

    /// At most `max` events, once there is one. Blocks the thread: nothing comes after `timeout` or a
    /// [`Taker::wake`], [`Event::Closed`] alone once the worker has stopped.
    pub fn take(&self, max: usize, timeout: Duration) -> Vec<Event> {
        self.alive();
        self.hub.queue.take(max, timeout)
    }

    /// Makes one [`Taker::take`] come back.
    pub fn wake(&self) {
        self.hub.queue.wake();
    }

    /// The handler is called now.
    pub fn entered(&self, key: &AttemptKey) {
        self.hub.entered(key);
    }

    /// The handler has returned. Must be called for each attempt taken, also when it was cancelled: its slot is free only
    /// then. A second call does nothing.
    pub fn complete(&self, key: &AttemptKey, completion: Completion) {
        self.hub.complete(key, completion);
    }

    /// How far the handler is: 0 to 100, and a note of at most 1,024 characters.
    pub fn progress(&self, key: &AttemptKey, percent: u32, note: &str) {
        self.hub.progress(key, percent, note);
    }

    /// Proves that the side which runs the handlers is alive; taking proves it, too. Do either at least once a second.
    pub fn alive(&self) {
        self.hub.life.raise();
    }

    /// Takes nothing more and lets what runs end within `grace`; cancels the rest and gives it at most 10 s to give way;
    /// waits at most 5 s until the outcomes are acknowledged; ends. May be called again, and goes on then.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if outcomes were not acknowledged, [`ErrorKind::Timeout`] if handlers have not returned.
    /// The worker has stopped all the same.
    pub async fn stop(&self, grace: Duration) -> Result<(), Error> {
        self.hub.change(|outbox, _, _| outbox.leave());
        if !self.hub.until(grace, |outbox| outbox.running() == 0).await {
            self.hub.change(|outbox, now, events| outbox.cancel_all(STOP_GRACE, now, events));
            let cancelled = STOP_GRACE + Duration::from_secs(1);
            self.hub.until(cancelled, |outbox| outbox.running() == 0 || outbox.is_overdue()).await;
        }
        self.hub.until(ACKS_WITHIN, |outbox| outbox.unacked() == 0).await;
        let (running, unacked) = self.hub.look(|outbox| (outbox.running(), outbox.unacked()));
        self.hub.closing.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(TASKS_WITHIN, self.tasks.wait()).await;
        self.stopped.cancel();
        if unacked > 0 {
            let message = format!("{unacked} outcomes were not acknowledged before the stop");
            return Err(Error::new(ErrorKind::Unavailable, "unacknowledged", message));
        }
        if running > 0 {
            let message = format!("{running} handlers have not returned");
            return Err(Error::new(ErrorKind::Timeout, "handlers_running", message));
        }
        Ok(())
    }

    /// Ends at once, without waiting for anything: streams are cut, what is not reported stays so, and whoever takes is told
    /// that it is closed.
    pub fn abandon(&self) {
        self.hub.closing.cancel();
        self.hub.end();
        self.stopped.cancel();
    }

    /// Returns once the worker has stopped.
    pub async fn stopped(&self) {
        self.stopped.cancelled().await;
    }

    /// Blocks the thread until the worker has stopped. Not for a thread of an async runtime.
    pub fn join_blocking(&self) {
        self.hub.join_blocking();
    }

    /// Whether the worker has been welcomed by a server at least once.
    pub fn is_connected(&self) -> bool {
        matches!(*self.hub.contact.borrow(), Contact::Made)
    }

    pub(super) fn serve(&self, handlers: HashMap<String, Handler>, late: LateHandlers) {
        self.tasks.spawn(serve::serve(self.hub.clone(), handlers, late));
        let hub = self.hub.clone();
        self.tasks.spawn(async move { hub.keep_alive().await });
    }

    /// Waits for the first Welcome as long as the builder said.
    pub(super) async fn made_contact(self) -> Result<Self, Error> {
        if self.start_within.is_zero() {
            return Ok(self);
        }
        let mut contact = self.hub.contact.subscribe();
        let known = contact.wait_for(|contact| !matches!(contact, Contact::Waiting(_)));
        let contact = match tokio::time::timeout(self.start_within, known).await {
            Ok(Ok(contact)) => contact.clone(),
            Ok(Err(_)) | Err(_) => self.hub.contact.borrow().clone(),
        };
        let error = match contact {
            Contact::Made => return Ok(self),
            Contact::Refused(error) => error,
            Contact::Waiting(error) => {
                let cause = error.map_or_else(String::new, |error| format!(": {error}"));
                let message = format!("no server took the worker within {:?}{cause}", self.start_within);
                Error::new(ErrorKind::Unavailable, "unavailable", message)
            }
        };
        self.hub.closing.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(TASKS_WITHIN, self.tasks.wait()).await;
        Err(error)
    }
}

impl std::fmt::Debug for Taker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taker").field("worker", &self.hub.profile.worker).finish_non_exhaustive()
    }
}
