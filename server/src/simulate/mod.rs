//! What a fleet of jobs would do over some days, with durations as given: a simulation by events, without a clock, a
//! database or chance. Equal questions have equal answers; time and memory are bounded by [`MAX_EVENTS`] and
//! [`MAX_DAYS`].

mod fleet;
mod page;
mod picture;
mod pool;
#[cfg(test)]
mod tests;
mod text;

pub use fleet::{Crowd, JobOutcome, Minute, Outcome, simulate};
pub use page::html;
pub use picture::svg;
pub use text::heat_map;

use std::cmp::Reverse;

use fastjob_core::clock::Millis;
use fastjob_core::domain::Overlap;
use fastjob_core::schedule::Schedule;

/// The longest time that is simulated.
pub const MAX_DAYS: u32 = 366;
/// The most ticks and ends of runs of one simulation; then it is cut off.
pub const MAX_EVENTS: u64 = 20_000_000;

/// A job to simulate.
#[derive(Clone, Debug)]
pub struct Player {
    /// Its name.
    pub name: String,
    /// Its ticks.
    pub schedule: Schedule,
    /// From the end of a run to the next one, of a fixed-delay chain.
    pub delay_ms: Option<i64>,
    /// What becomes of a tick while an earlier run is alive.
    pub overlap: Overlap,
    /// Higher first among the waiting.
    pub priority: i32,
    /// How long its runs take.
    pub usual_ms: i64,
}

impl Player {
    /// When the run of a tick is due: later by its jitter.
    fn due(&self, tick: Millis) -> Millis {
        self.schedule.due(tick)
    }
}

/// What is simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// From here.
    pub from: Millis,
    /// This many days; at most [`MAX_DAYS`].
    pub days: u32,
    /// Runs at a time of all workers together; `None`: as many as wanted.
    pub slots: Option<u32>,
}

/// What a heat map shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Measure {
    /// Runs at a time.
    #[default]
    Running,
    /// Ticks of the minute.
    Ticks,
}

impl Measure {
    /// Of one minute.
    pub const fn of(self, minute: &Minute) -> u32 {
        match self {
            Self::Running => minute.running,
            Self::Ticks => minute.ticks,
        }
    }

    /// What it counts, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Running => "runs at a time",
            Self::Ticks => "ticks a minute",
        }
    }
}

impl Outcome {
    /// What counts as full: all slots, or the most that there was.
    pub fn full(&self, measure: Measure) -> u32 {
        let most = self.minutes.iter().map(|minute| measure.of(minute)).max().unwrap_or(0);
        match measure {
            Measure::Running => self.span.slots.unwrap_or(most),
            Measure::Ticks => most,
        }
    }

    /// The jobs: most skipped first, then those that waited longest, then those with most to do.
    pub fn worst_first(&self) -> impl Iterator<Item = &JobOutcome> {
        let mut jobs: Vec<&JobOutcome> = self.jobs.iter().collect();
        jobs.sort_by_key(|job| Reverse((job.skipped, job.longest_wait_ms, job.busy_ms)));
        jobs.into_iter()
    }

    /// All of it in a few lines for people.
    pub fn words(&self) -> Vec<String> {
        let sum = |of: fn(&JobOutcome) -> u64| self.jobs.iter().map(of).sum::<u64>();
        let most = |of: fn(&Minute) -> u32| self.minutes.iter().map(of).max().unwrap_or(0);
        let longest = self.jobs.iter().map(|job| job.longest_wait_ms).max().unwrap_or(0);
        let (ticks, skipped) = (sum(|job| job.ticks), sum(|job| job.skipped));
        let mut lines = vec![
            format!("{} jobs, {ticks} ticks, {skipped} of them skipped for overlap", self.jobs.len()),
            format!("{} instants at which two jobs or more fire", self.collisions),
            format!("at most {} runs at a time", most(|minute| minute.running)),
        ];
        if let Some(slots) = self.span.slots {
            lines.push(format!(
                "{slots} slots were too few for {} s; at most {} runs waited, {longest} ms at the longest",
                self.saturated_ms / 1_000,
                most(|minute| minute.waiting)
            ));
        }
        if let Some(cut) = self.cut_at {
            let at = jiff::Timestamp::from_millisecond(cut.get()).map(|at| format!("{at:.0}"));
            let at = at.unwrap_or_default();
            lines
                .push(format!("cut off at {at}: more than {MAX_EVENTS} events, or a million runs that wait"));
        }
        lines
    }
}
