//! The servers that own shards of the app: their streams, and when the next one may be opened.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::outbox::StreamId;

/// One of the servers that were named as owners.
#[derive(Default)]
pub(super) struct Server {
    pub(super) open: Option<Open>,
    /// No new stream is opened earlier.
    pub(super) not_before: Duration,
    wait: Duration,
}

pub(super) struct Open {
    pub(super) id: StreamId,
    pub(super) close: CancellationToken,
    /// Its server said that it owns nothing any more.
    pub(super) leaving: bool,
    /// When the shards were last named in a Hello on it.
    pub(super) greeted: BTreeMap<u32, Duration>,
}

/// Before the second try, also of Locate.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Between two streams to the same server.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// Between two Hellos for a shard that a server is said to own and does not welcome.
const GREET_AGAIN: Duration = Duration::from_secs(1);

impl Server {
    pub(super) fn rest(&mut self, until: Duration) {
        self.not_before = until;
        self.wait = FIRST_WAIT;
    }

    /// `first` is the jittered first wait: the others keep its proportion.
    pub(super) fn back_off(&mut self, now: Duration, first: Duration) {
        self.wait = self.wait.max(FIRST_WAIT);
        self.not_before = now + first.mul_f64(self.wait.as_secs_f64() / FIRST_WAIT.as_secs_f64());
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
    }
}

impl Open {
    /// Those of the shards that Hello may be said for.
    pub(super) fn to_greet(&self, shards: &[u32], now: Duration) -> Vec<u32> {
        let may = |shard: &&u32| self.greeted.get(shard).is_none_or(|at| *at + GREET_AGAIN <= now);
        shards.iter().filter(may).copied().collect()
    }

    pub(super) fn next_greeting(&self, shards: &[u32]) -> Duration {
        let at =
            shards.iter().map(|shard| self.greeted.get(shard).map_or(Duration::ZERO, |at| *at + GREET_AGAIN));
        at.min().unwrap_or(Duration::MAX)
    }
}
