//! Proof of life, and what time it is for the server.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::clock::{Clock, Millis, SystemClock};

/// A counter that the side which runs the handlers raises.
#[derive(Default)]
pub(super) struct Life {
    count: AtomicU64,
    /// As of the last [`Life::risen`].
    seen: AtomicU64,
}

impl Life {
    pub(super) fn raise(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The count, if it has risen since this was asked last.
    pub(super) fn risen(&self) -> Option<u64> {
        let count = self.count();
        (self.seen.swap(count, Ordering::Relaxed) < count).then_some(count)
    }
}

/// An estimate of the server's clock. Every instant that arrives is late by its way here, so the sample that is furthest
/// ahead is the nearest to the truth; only the last ones count, so that it follows a clock that was set.
#[derive(Default)]
pub(super) struct ServerClock(Mutex<Samples>);

#[derive(Default)]
struct Samples {
    /// Server's time less our own elapsed time.
    offsets: [i64; Self::KEPT],
    taken: usize,
}

impl Samples {
    const KEPT: usize = 16;

    fn best(&self) -> Option<i64> {
        self.offsets[..self.taken.min(Self::KEPT)].iter().copied().max()
    }
}

impl ServerClock {
    pub(super) fn learn(&self, server_time: i64, elapsed: std::time::Duration) {
        let mut samples = self.0.lock();
        let at = samples.taken % Samples::KEPT;
        samples.offsets[at] = server_time.saturating_sub(millis(elapsed));
        samples.taken += 1;
    }

    /// The wall clock until a server has said what time it is.
    pub(super) fn now(&self) -> Millis {
        match self.0.lock().best() {
            Some(offset) => Millis::new(millis(SystemClock.elapsed())).plus(offset),
            None => SystemClock.now(),
        }
    }
}

fn millis(elapsed: std::time::Duration) -> i64 {
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_sample_with_the_least_delay_gives_the_offset_until_sixteen_newer_ones_replace_it() {
        let clock = ServerClock::default();
        clock.learn(1_000_000, Duration::from_millis(1_000));
        clock.learn(1_000_900, Duration::from_millis(2_000));
        assert_eq!(clock.0.lock().best(), Some(999_000));
        for _ in 0..Samples::KEPT {
            clock.learn(500, Duration::from_millis(400));
        }
        assert_eq!(clock.0.lock().best(), Some(100));
    }
}
