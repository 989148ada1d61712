//! Which time it was: the database's clock may have been set, and the machine may have stood still.

use super::history::{ClockSet, History, Stall};

impl History {
    /// By how much the database's clock was ahead of the others' at this instant.
    pub(crate) fn offset_ms(&self, at_ms: i64) -> i64 {
        self.clocks.iter().rfind(|set| set.at_ms <= at_ms).map_or(0, |set| set.offset_ms)
    }

    /// The most that anybody may have taken it to be ahead by: a server measures it when it renews its lease.
    pub(crate) fn believed_offset_ms(&self, at_ms: i64) -> i64 {
        let since = at_ms - self.config.lease_ms;
        let set = self.clocks.iter().filter(|set| since < set.at_ms && set.at_ms <= at_ms);
        set.map(|set| set.offset_ms).fold(self.offset_ms(since), i64::max)
    }

    /// The latest time that the database's clock has shown to anybody by this instant: what was due then may start, also
    /// if the clock was set back since.
    pub(crate) fn shown_ms(&self, at_ms: i64) -> i64 {
        let sets = self.clocks.iter().filter(|set| set.at_ms <= at_ms);
        let ends = sets.map(|set| at_ms.min(set.at_ms + self.config.lease_ms - 1));
        ends.chain([at_ms]).map(|at| at + self.believed_offset_ms(at)).fold(i64::MIN, i64::max)
    }

    /// The least that anybody may have taken the database's clock to show.
    pub(crate) fn shown_least_ms(&self, at_ms: i64) -> i64 {
        let since = at_ms - self.config.lease_ms;
        let set = self.clocks.iter().filter(|set| since < set.at_ms && set.at_ms <= at_ms);
        at_ms + set.map(|set| set.offset_ms).fold(self.offset_ms(since), i64::min)
    }

    /// What the database's clock left out when it was set ahead: its ticks were seen by nobody.
    pub(crate) fn left_out(&self) -> Vec<(i64, i64)> {
        let before = |set: &ClockSet| self.offset_ms(set.at_ms - 1);
        let ahead = self.clocks.iter().filter(|set| set.offset_ms > before(set));
        ahead.map(|set| (set.at_ms + before(set), set.at_ms + set.offset_ms)).collect()
    }

    /// The instants at which the database's clock may have shown this, by everybody else's.
    pub(crate) fn observed_ms(&self, shown_ms: i64) -> Vec<i64> {
        let begins = [i64::MIN].into_iter().chain(self.clocks.iter().map(|set| set.at_ms));
        let ends = self.clocks.iter().map(|set| set.at_ms + self.config.lease_ms).chain([i64::MAX]);
        let spans = begins.zip(ends);
        spans
            .map(|(begin, end)| (begin, shown_ms - self.offset_ms(begin), end))
            .filter(|(begin, at, end)| begin <= at && at < end)
            .map(|(_, at, _)| at)
            .collect()
    }

    /// From here on nothing new was asked for, by the database's clock.
    pub(crate) fn quiet_ms(&self) -> i64 {
        self.config.quiet_ms + self.offset_ms(self.config.quiet_ms)
    }

    /// For how long the machine was behind between these instants.
    pub(crate) fn stalled_ms(&self, from_ms: i64, to_ms: i64) -> i64 {
        let part = |stall: &Stall| {
            let within = stall.end_ms.min(to_ms) - stall.begin_ms.max(from_ms);
            stall.late_ms.min(within.max(0))
        };
        self.stalls.iter().map(part).sum()
    }

    /// Whether the database's clock was moved at all: then its instants do not compare with the observer's.
    pub(crate) fn clock_moved(&self) -> bool {
        self.clocks.iter().any(|set| set.offset_ms != 0)
    }
}
