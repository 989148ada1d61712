//! What becomes of ticks that came due while no trusted owner watched.

use super::Schedule;
use crate::clock::Millis;
use crate::domain::{CatchUp, CatchUpPolicy, Gap};

/// A stretch of time in which no trusted owner saw what came due: after `from`, up to and with `until`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// The last instant that was watched.
    pub from: Millis,
    /// When trust was regained: the now of the judgement.
    pub until: Millis,
}

/// What is known of a job whose ticks may have been missed.
#[derive(Clone, Copy, Debug)]
pub struct Missed<'a> {
    /// Its policy.
    pub catch_up: &'a CatchUp,
    /// The first tick that is neither a run nor in a gap; `None`: all are accounted for.
    pub next_at: Option<Millis>,
    /// Ticks of its scheduled runs that came due in the outage and have had no attempt, in any order. A run that was due
    /// before it had been waiting for a worker, and is not among them.
    pub written: &'a [Millis],
}

/// The judgement: every tick of the outage is a run, in the gap, or skipped, exactly once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Judged {
    /// Unwritten ticks that become runs, rising; at most [`Schedule::MAX_FIRE_LATE`].
    pub fire_late: Vec<Millis>,
    /// The unwritten ticks that make no run: all from the first to the last.
    pub gap: Option<MissedTicks>,
    /// Written ticks whose runs are skipped, rising; the other written ones run late.
    pub skip_written: Vec<Millis>,
    /// The first tick after the outage that is neither a run nor in the gap.
    pub next_at: Option<Millis>,
}

/// Neighbouring ticks without a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MissedTicks {
    /// The first of them.
    pub from: Millis,
    /// The last of them.
    pub to: Millis,
    /// How many; `None` above [`Gap::MAX_COUNTED`].
    pub count: Option<u64>,
}

/// Default window of jobs that fire several times a day.
const SUBDAILY_WINDOW_MS: i64 = 3_600_000;
/// Default window of all others.
const WINDOW_MS: i64 = 86_400_000;

impl Schedule {
    /// The most unwritten ticks of one outage that fire late; older ones go into the gap.
    pub const MAX_FIRE_LATE: usize = 1_000;

    /// Judges the ticks that `outage` left behind. Those no later than the threshold fire late; of the others, as far as
    /// they lie within the window, policy `latest` lets the newest fire if no newer one fires anyway, and policy `all` as
    /// many of the newest as it says. How late a tick is, is counted from when its run is due.
    pub fn judge(&self, missed: Missed<'_>, outage: Outage) -> Judged {
        let late = self.late(&missed, outage);
        let Some(first) = missed.next_at.filter(|next_at| *next_at <= outage.until) else {
            return Judged { skip_written: late.skip_written, next_at: missed.next_at, ..Judged::default() };
        };
        let fire_late = self.newest(first, late.fire_from, outage.until);
        let last_lost = match fire_late.first() {
            Some(oldest) => self.previous(*oldest),
            None => self.previous(outage.until.plus(1)),
        };
        let gap = last_lost.filter(|last| *last >= first).map(|to| MissedTicks {
            from: first,
            to,
            count: self.count(first, to, Gap::MAX_COUNTED),
        });
        Judged { fire_late, gap, skip_written: late.skip_written, next_at: self.next(outage.until) }
    }

    fn late(&self, missed: &Missed<'_>, outage: Outage) -> Late {
        let unwritten = missed
            .next_at
            .and_then(|first| self.previous(outage.until.plus(1)).filter(|newest| *newest >= first));
        let newest = missed.written.iter().max().copied().max(unwritten);
        let on_time_from = self.due_from(outage.until.plus(-missed.catch_up.threshold_ms.max(0)));
        let fire_from = match (missed.catch_up.policy, newest) {
            (CatchUpPolicy::Latest, Some(newest)) if newest >= self.window_from(missed.catch_up, outage) => {
                newest.min(on_time_from)
            }
            (CatchUpPolicy::All(most), _) => self.newest_from(most, missed, on_time_from, outage),
            _ => on_time_from,
        };
        let mut skip_written: Vec<Millis> =
            missed.written.iter().filter(|tick| **tick < fire_from).copied().collect();
        skip_written.sort_unstable();
        Late { fire_from, skip_written }
    }

    /// The first of the `most` newest ticks before `on_time_from` and within the window; else `on_time_from`.
    fn newest_from(&self, most: u32, missed: &Missed<'_>, on_time_from: Millis, outage: Outage) -> Millis {
        let window_from = self.window_from(missed.catch_up, outage);
        let first = missed.next_at.map(|first| first.max(window_from));
        let before = on_time_from.min(outage.until.plus(1));
        let earlier =
            |before: Millis| self.previous(before).filter(|tick| first.is_some_and(|first| *tick >= first));
        let unwritten = std::iter::successors(earlier(before), |tick| earlier(*tick));
        let mut written: Vec<Millis> = missed.written.to_vec();
        written.retain(|tick| window_from <= *tick && *tick < on_time_from);
        written.sort_unstable_by(|a, b| b.cmp(a));
        unwritten.chain(written).take(most as usize).min().unwrap_or(on_time_from)
    }

    fn window_from(&self, catch_up: &CatchUp, outage: Outage) -> Millis {
        let default_ms = if self.is_subdaily() { SUBDAILY_WINDOW_MS } else { WINDOW_MS };
        self.due_from(outage.until.plus(-catch_up.window_ms.unwrap_or(default_ms).max(0)))
    }

    /// The newest ticks in `first.max(from)..=until`, rising.
    fn newest(&self, first: Millis, from: Millis, until: Millis) -> Vec<Millis> {
        let from = from.max(first);
        let mut ticks = Vec::new();
        let mut before = until.plus(1);
        while ticks.len() < Self::MAX_FIRE_LATE {
            match self.previous(before).filter(|tick| *tick >= from) {
                Some(tick) => ticks.push(tick),
                None => break,
            }
            before = ticks.last().copied().unwrap_or(before);
        }
        ticks.reverse();
        ticks
    }
}

/// The outcome for a job's late ticks, written or not.
struct Late {
    /// Ticks from here on fire.
    fire_from: Millis,
    skip_written: Vec<Millis>,
}
