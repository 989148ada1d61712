//! The database's time, as this server estimates it: its own clock, and the offset measured at each renewal.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fastjob_core::clock::{Clock, Millis};

/// A [`Clock`] that shows the database's time.
#[derive(Clone)]
pub struct DatabaseTime {
    clock: Arc<dyn Clock>,
    offset_ms: Arc<AtomicI64>,
}

impl DatabaseTime {
    /// The database's time, taken to be the clock's until the first [`DatabaseTime::measured`].
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, offset_ms: Arc::new(AtomicI64::new(0)) }
    }

    /// The database said that it was `database` at some moment between the clock's `sent` and now.
    pub fn measured(&self, sent: Millis, database: Millis) {
        let middle = sent.plus(self.clock.now().since(sent) / 2);
        self.offset_ms.store(database.since(middle), Ordering::Relaxed);
    }
}

impl Clock for DatabaseTime {
    fn now(&self) -> Millis {
        self.clock.now().plus(self.offset_ms.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
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
}
