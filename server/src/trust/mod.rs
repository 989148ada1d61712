//! How long this server may act, and when it could not. Judged by the clock that only moves forward; the database's
//! clock decides nothing here.

pub mod time;

use std::sync::Arc;
use std::time::Duration;

use fastjob_core::clock::{Clock, Millis};
use parking_lot::Mutex;
use tokio::sync::watch;

use self::time::DatabaseTime;

/// This server's right to act, extended by each renewal of its lease.
#[derive(Clone)]
pub struct Trust {
    inner: Arc<Inner>,
}

struct Inner {
    time: DatabaseTime,
    held: Mutex<Held>,
    renewed: watch::Sender<()>,
    missed: watch::Sender<()>,
}

struct Held {
    until: Duration,
    lapses: u64,
    recent: Vec<Lapse>,
}

/// A time in which nobody acted for this server's shards: (from, until].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lapse {
    /// The last moment of trust.
    pub from: Millis,
    /// Trust regained.
    pub until: Millis,
}

/// How many lapses have been seen: one owner's memory of [`Trust`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LapsesSeen(u64);

/// What a look at the trust shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// Go on.
    Trusted,
    /// Go on, but this time was missed since the last look.
    Regained(Lapse),
    /// Commit nothing, send nothing; [`Trust::renewal`] tells when to look again.
    Lapsed,
}

/// More lapses than this between two looks are merged into one.
const RECENT_LAPSES: usize = 16;

impl Held {
    fn note(&mut self, lapse: Lapse) {
        self.lapses += 1;
        if self.recent.len() == RECENT_LAPSES {
            let second = self.recent.remove(1);
            self.recent[0].until = second.until;
        }
        self.recent.push(lapse);
    }
}

impl Trust {
    /// No trust yet.
    pub fn new(time: DatabaseTime) -> Self {
        let held = Mutex::new(Held { until: Duration::ZERO, lapses: 0, recent: Vec::new() });
        Self {
            inner: Arc::new(Inner {
                time,
                held,
                renewed: watch::Sender::new(()),
                missed: watch::Sender::new(()),
            }),
        }
    }

    /// A renewal that was sent at `sent` (of [`Clock::elapsed`]) succeeded: trust lasts `lasting` from then.
    pub fn extend(&self, sent: Duration, lasting: Duration) {
        let (now, elapsed) = (self.inner.time.now(), self.inner.time.elapsed());
        let mut held = self.inner.held.lock();
        // An answer that took longer than the lease gives nothing back.
        if sent + lasting <= elapsed {
            return;
        }
        if held.until < elapsed && held.until > Duration::ZERO {
            let missed_ms = i64::try_from((elapsed - held.until).as_millis()).unwrap_or(i64::MAX);
            held.note(Lapse { from: now.plus(-missed_ms), until: now });
        }
        held.until = held.until.max(sent + lasting);
        drop(held);
        self.inner.renewed.send_replace(());
    }

    /// Time that the database's clock has left out counts as one in which nobody acted.
    pub fn left_out(&self, lapse: Lapse) {
        self.inner.held.lock().note(lapse);
        self.inner.missed.send_replace(());
    }

    /// Ends the trust at once: this server was declared dead.
    pub fn end(&self) {
        self.inner.held.lock().until = Duration::ZERO;
    }

    /// For an owner that begins now: later lapses concern it.
    pub fn lapses_seen(&self) -> LapsesSeen {
        LapsesSeen(self.inner.held.lock().lapses)
    }

    /// Whether to act now, and what was missed since the last look.
    pub fn look(&self, seen: &mut LapsesSeen) -> Look {
        let elapsed = self.inner.time.elapsed();
        let held = self.inner.held.lock();
        if elapsed >= held.until {
            return Look::Lapsed;
        }
        let missed = usize::try_from(held.lapses - seen.0).unwrap_or(usize::MAX).min(held.recent.len());
        seen.0 = held.lapses;
        match held.recent[held.recent.len() - missed..] {
            [] => Look::Trusted,
            [first, .., last] => Look::Regained(Lapse { from: first.from, until: last.until }),
            [only] => Look::Regained(only),
        }
    }

    /// Whether to act now.
    pub fn holds(&self) -> bool {
        self.inner.time.elapsed() < self.inner.held.lock().until
    }

    /// Wakes when time was left out.
    pub fn missed(&self) -> watch::Receiver<()> {
        self.inner.missed.subscribe()
    }

    /// Wakes at each renewal.
    pub fn renewal(&self) -> watch::Receiver<()> {
        self.inner.renewed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastjob_core::clock::ManualClock;

    fn at(ms: i64) -> (Arc<ManualClock>, Trust) {
        let clock = Arc::new(ManualClock::at(Millis::new(ms)));
        (clock.clone(), Trust::new(DatabaseTime::new(clock)))
    }

    #[test]
    fn trust_ends_a_lease_after_the_renewal_was_sent_and_the_lapse_is_told_once_to_each_owner() {
        let (clock, trust) = at(10_000);
        let mut seen = trust.lapses_seen();
        assert_eq!(trust.look(&mut seen), Look::Lapsed);
        trust.extend(Duration::from_millis(10_000), Duration::from_millis(3_000));
        assert_eq!(trust.look(&mut seen), Look::Trusted);
        clock.advance(3_000);
        assert_eq!(trust.look(&mut seen), Look::Lapsed);
        assert!(!trust.holds());
        clock.advance(7_000);
        trust.extend(Duration::from_millis(20_000), Duration::from_millis(3_000));
        let lapse = Lapse { from: Millis::new(13_000), until: Millis::new(20_000) };
        assert_eq!(trust.look(&mut seen), Look::Regained(lapse));
        assert_eq!(trust.look(&mut seen), Look::Trusted);
    }

    #[test]
    fn many_lapses_between_two_looks_are_one_from_the_first_to_the_last() {
        let (clock, trust) = at(1_000);
        let mut seen = trust.lapses_seen();
        for _ in 0..40 {
            trust.extend(trust.inner.time.elapsed(), Duration::from_millis(100));
            clock.advance(200);
        }
        trust.extend(trust.inner.time.elapsed(), Duration::from_millis(100));
        let lapse = Lapse { from: Millis::new(1_100), until: Millis::new(9_000) };
        assert_eq!(trust.look(&mut seen), Look::Regained(lapse));
    }

    #[test]
    fn a_renewal_that_is_answered_after_its_own_lease_regains_nothing() {
        let (clock, trust) = at(10_000);
        let mut seen = trust.lapses_seen();
        trust.extend(Duration::from_millis(10_000), Duration::from_millis(3_000));
        clock.advance(8_000);
        trust.extend(Duration::from_millis(11_000), Duration::from_millis(3_000));
        assert_eq!(trust.look(&mut seen), Look::Lapsed);
        trust.extend(Duration::from_millis(18_000), Duration::from_millis(3_000));
        let lapse = Lapse { from: Millis::new(13_000), until: Millis::new(18_000) };
        assert_eq!(trust.look(&mut seen), Look::Regained(lapse));
        clock.advance(1_000);
        trust.extend(Duration::from_millis(19_000), Duration::from_millis(3_000));
        assert_eq!(trust.look(&mut seen), Look::Trusted);
    }

    #[test]
    fn time_that_was_left_out_is_told_to_each_owner_like_a_lapse_and_trust_goes_on() {
        let (_, trust) = at(1_000);
        let mut seen = trust.lapses_seen();
        trust.extend(Duration::from_millis(1_000), Duration::from_millis(3_000));
        let lapse = Lapse { from: Millis::new(1_000), until: Millis::new(601_000) };
        trust.left_out(lapse);
        assert_eq!(trust.look(&mut seen), Look::Regained(lapse));
        assert_eq!(trust.look(&mut seen), Look::Trusted);
    }

    #[test]
    fn a_server_declared_dead_has_no_trust() {
        let (_, trust) = at(1_000);
        trust.extend(Duration::from_millis(1_000), Duration::from_millis(3_000));
        trust.end();
        assert!(!trust.holds());
    }
}
