//! The database's time, as this server estimates it: its clock that only moves forward, and the offset measured at each
//! renewal. The wall clock counts only until the first measurement, so that neither of the two can be set unnoticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use fastjob_core::clock::{Clock, Millis};

use super::Lapse;

/// The database's clock was set ahead if it has gone by so much more than this server's.
const AHEAD_MS: i64 = 1_000;

/// A [`Clock`] that shows the database's time.
#[derive(Clone)]
pub struct DatabaseTime {
    clock: Arc<dyn Clock>,
    /// The database's time less [`Clock::elapsed`].
    offset_ms: Arc<AtomicI64>,
    is_measured: Arc<AtomicBool>,
}

impl DatabaseTime {
    /// The database's time, taken to be the clock's until the first [`DatabaseTime::measured`].
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, offset_ms: Arc::default(), is_measured: Arc::default() }
    }

    /// The database said that it was `database` at some moment between `sent` (of [`Clock::elapsed`]) and now. An answer
    /// that was long under way, and does not contradict what is known, tells nothing new: its middle may be wrong by half
    /// its time. If the clock was set ahead, `left_out` hears of the time whose ticks nobody saw before anybody can see
    /// that it is over.
    pub fn measured(&self, sent: Duration, database: Millis, left_out: impl FnOnce(Lapse)) {
        let elapsed = millis(self.clock.elapsed());
        let (least, most) = (database.since(elapsed), database.since(millis(sent)));
        let known = self.offset_ms.load(Ordering::Relaxed);
        let first = !self.is_measured.load(Ordering::Relaxed);
        if !first && least <= known && known <= most {
            return;
        }
        let offset_ms = least + (most - least) / 2;
        if !first && offset_ms - known > AHEAD_MS {
            left_out(Lapse { from: elapsed.plus(known), until: elapsed.plus(offset_ms) });
        }
        self.offset_ms.store(offset_ms, Ordering::Release);
        self.is_measured.store(true, Ordering::Release);
    }

    /// As [`DatabaseTime::measured`], of a database that has no clock but this machine's.
    pub fn measured_here(&self, left_out: impl FnOnce(Lapse)) {
        self.measured(self.clock.elapsed(), self.clock.now(), left_out);
    }
}

impl Clock for DatabaseTime {
    fn now(&self) -> Millis {
        if !self.is_measured.load(Ordering::Acquire) {
            return self.clock.now();
        }
        millis(self.clock.elapsed()).plus(self.offset_ms.load(Ordering::Acquire))
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn until(&self, at: Millis) -> Duration {
        self.clock.until(at.plus(-self.offset_ms.load(Ordering::Relaxed)))
    }
}

fn millis(elapsed: Duration) -> Millis {
    Millis::new(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
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
        time.measured(Duration::from_millis(1_000), Millis::new(5_050), |_| panic!("it is the first"));
        assert_eq!(time.now(), Millis::new(5_100));
    }

    #[test]
    fn a_slow_answer_moves_nothing_unless_it_contradicts_what_is_known() {
        let clock = Arc::new(ManualClock::at(Millis::new(1_000)));
        let time = DatabaseTime::new(clock.clone());
        time.measured(Duration::from_millis(1_000), Millis::new(5_000), drop);
        clock.advance(1_500);
        time.measured(Duration::from_millis(1_000), Millis::new(6_490), drop);
        assert_eq!(time.now(), Millis::new(6_500));
        clock.advance(10);
        time.measured(Duration::from_millis(2_500), Millis::new(6_905), drop);
        assert_eq!(time.now(), Millis::new(6_910));
    }

    #[test]
    fn a_clock_of_the_database_that_was_set_is_followed_at_once_and_time_that_was_left_out_is_told() {
        let clock = Arc::new(ManualClock::at(Millis::new(10_000_000)));
        let time = DatabaseTime::new(clock.clone());
        let mut before_ms = 0;
        for offset_ms in [-3_600_000, 0, 600_000, 599_990, 0] {
            let sent = time.elapsed();
            clock.advance(4);
            let database = clock.now().plus(offset_ms);
            let mut left_out = None;
            time.measured(sent, database, |lapse| left_out = Some(lapse));
            assert_eq!(left_out.is_some(), before_ms < offset_ms);
            before_ms = offset_ms;
            let wrong_by = time.now().since(database);
            assert!(wrong_by.abs() <= 4, "at {offset_ms} ms it is wrong by {wrong_by} ms");
        }
    }

    #[test]
    fn a_wall_clock_of_this_machine_that_was_set_is_not_followed() {
        /// Its wall clock is ahead by the number, in ms.
        #[derive(Default)]
        struct Set(AtomicI64);
        impl Clock for Set {
            fn now(&self) -> Millis {
                Millis::new(5_000 + self.0.load(Ordering::Relaxed))
            }

            fn elapsed(&self) -> Duration {
                Duration::from_secs(3)
            }
        }
        let clock = Arc::new(Set::default());
        let time = DatabaseTime::new(clock.clone());
        assert_eq!(time.now(), Millis::new(5_000));
        time.measured(time.elapsed(), Millis::new(7_000), drop);
        clock.0.store(3_600_000, Ordering::Relaxed);
        assert_eq!(time.now(), Millis::new(7_000));
    }
}
