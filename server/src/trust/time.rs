//! The database's time, as this server estimates it: its own clock, and the offset measured at each renewal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use fastjob_core::clock::{Clock, Millis};

/// A [`Clock`] that shows the database's time.
#[derive(Clone)]
pub struct DatabaseTime {
    clock: Arc<dyn Clock>,
    offset_ms: Arc<AtomicI64>,
    is_measured: Arc<AtomicBool>,
}

impl DatabaseTime {
    /// The database's time, taken to be the clock's until the first [`DatabaseTime::measured`].
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, offset_ms: Arc::default(), is_measured: Arc::default() }
    }

    /// The database said that it was `database` at some moment between the clock's `sent` and now. An answer that was long
    /// under way, and does not contradict what is known, tells nothing new: its middle may be wrong by half its time.
    pub fn measured(&self, sent: Millis, database: Millis) {
        let now = self.clock.now();
        let least = database.since(now.max(sent));
        let most = database.since(sent.min(now));
        let known = self.offset_ms.load(Ordering::Relaxed);
        let first = !self.is_measured.swap(true, Ordering::Relaxed);
        if first || known < least || known > most {
            self.offset_ms.store(least + (most - least) / 2, Ordering::Relaxed);
        }
    }
}

impl Clock for DatabaseTime {
    fn now(&self) -> Millis {
        self.clock.now().plus(self.offset_ms.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn until(&self, at: Millis) -> Duration {
        self.clock.until(at.plus(-self.offset_ms.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastjob_core::clock::ManualClock;

    #[test]
    fn the_offset_is_taken_at_the_middle_of_the_round_trip() {
        let clock = Arc::new(ManualClock::at(Millis::new(1_000)));
        let time = DatabaseTime::new(clock.clone());
        clock.advance(100);
        time.measured(Millis::new(1_000), Millis::new(5_050));
        assert_eq!(time.now(), Millis::new(5_100));
    }
    #[test]
    fn a_slow_answer_moves_nothing_unless_it_contradicts_what_is_known() {
        let clock = Arc::new(ManualClock::at(Millis::new(1_000)));
        let time = DatabaseTime::new(clock.clone());
        time.measured(Millis::new(1_000), Millis::new(5_000));
        clock.advance(1_500);
        time.measured(Millis::new(1_000), Millis::new(6_490));
        assert_eq!(time.now(), Millis::new(6_500));
        clock.advance(10);
        time.measured(Millis::new(2_500), Millis::new(6_905));
        assert_eq!(time.now(), Millis::new(6_910));
    }
}
