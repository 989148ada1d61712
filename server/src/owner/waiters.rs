//! Who waits for the end of a run on this server. A wake-up carries nothing: the woken one reads the store.

use std::collections::HashMap;
use std::sync::Arc;

use fastjob_core::domain::{Refusal, RefusalKind};
use fastjob_core::id::RunId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The most calls that wait at a time.
pub const MAX_WAITERS: usize = 10_000;

/// Those who wait, by run.
#[derive(Clone, Debug, Default)]
pub struct Waiters(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    by_run: HashMap<RunId, (Arc<Notify>, usize)>,
    waiting: usize,
}

/// A place among the waiting; dropped, it is free again.
#[derive(Debug)]
pub struct Place {
    waiters: Waiters,
    run: RunId,
    notify: Arc<Notify>,
}

impl Waiters {
    /// Takes a place. Call [`Place::woken`], then look at the store, then await it: no end goes unseen.
    ///
    /// # Errors
    /// `Unavailable` if [`MAX_WAITERS`] wait already.
    pub fn place(&self, run: RunId) -> Result<Place, Refusal> {
        let mut inner = self.0.lock();
        if inner.waiting >= MAX_WAITERS {
            return Err(Refusal::new(
                RefusalKind::Unavailable,
                "too_many_waiters",
                "too many calls wait for runs",
            )
            .remedy("ask for the run from time to time instead"));
        }
        inner.waiting += 1;
        let (notify, places) = inner.by_run.entry(run).or_default();
        *places += 1;
        let notify = Arc::clone(notify);
        Ok(Place { waiters: self.clone(), run, notify })
    }

    /// Wakes those who wait for these runs. Called once their end is committed.
    pub fn ended(&self, runs: &[RunId]) {
        let inner = self.0.lock();
        for (notify, _) in runs.iter().filter_map(|run| inner.by_run.get(run)) {
            notify.notify_waiters();
        }
    }
}

impl Place {
    /// Ends at the next wake-up after the call; hold it across the look at the store.
    pub fn woken(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.waiters.0.lock();
        inner.waiting -= 1;
        if let Some((_, places)) = inner.by_run.get_mut(&self.run) {
            *places -= 1;
            if *places == 0 {
                inner.by_run.remove(&self.run);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn run(byte: u8) -> RunId {
        RunId::from_bytes([byte; 16])
    }

    #[test]
    fn an_end_between_the_look_and_the_wait_is_not_missed() {
        let waiters = Waiters::default();
        let place = waiters.place(run(1)).expect("there is room");
        let woken = place.woken();
        waiters.ended(&[run(2), run(1)]);
        assert!(woken.now_or_never().is_some());
    }

    #[test]
    fn the_end_of_one_run_wakes_all_who_wait_for_it_and_nobody_else() {
        let waiters = Waiters::default();
        let places = [run(1), run(1), run(2)].map(|run| waiters.place(run).expect("there is room"));
        let woken = places.each_ref().map(Place::woken);
        waiters.ended(&[run(1)]);
        assert_eq!(woken.map(|woken| woken.now_or_never().is_some()), [true, true, false]);
    }

    #[test]
    fn the_waiting_are_bounded_and_a_dropped_place_is_free_again() {
        let waiters = Waiters::default();
        let mut places: Vec<_> =
            (0..MAX_WAITERS).map(|_| waiters.place(run(1)).expect("there is room")).collect();
        let refusal = waiters.place(run(2)).expect_err("there is no room");
        assert_eq!((refusal.kind, refusal.code), (RefusalKind::Unavailable, "too_many_waiters"));
        places.pop();
        assert!(waiters.place(run(2)).is_ok());
        drop(places);
        assert!(waiters.0.lock().by_run.is_empty());
    }
}
