//! Pure time: at which instants a trigger fires. Nothing here reads a clock, does I/O, or remembers anything between
//! calls: equal questions have equal answers, however they were reached.

mod catch_up;
mod civil;
mod days;
mod explain;
mod expression;
mod frame;
mod interval;
mod timer;
mod times;
mod window;
mod zone;

use std::sync::Arc;

pub use catch_up::{Judged, Missed, MissedTicks, Outage};
pub use explain::{Explained, words};
pub use expression::Language;
pub use timer::Timer;

use crate::clock::Millis;
use crate::domain::Trigger;
use frame::Frame;
use interval::{Grid, Instants};
use zone::Zoned;

/// A trigger, compiled. Cheap to clone.
///
/// Cron expressions speak of the years 1970 to 2199; after them they have no tick. The work of each call is bounded
/// whatever the trigger, also for rules that fire once in a lifetime.
#[derive(Clone, Debug)]
pub struct Schedule(Arc<Rule>, Frame);

#[derive(Debug)]
enum Rule {
    Cron(Zoned),
    DailyWindow(Zoned),
    FixedRate(Grid),
    At(Instants),
    Untimed,
}

/// Why a trigger makes no schedule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ScheduleError {
    /// A stable word in snake_case.
    pub code: &'static str,
    /// The field of the trigger, as `cron.expression`.
    pub field: &'static str,
    /// What is wrong, with the position in the expression.
    pub message: String,
    /// Position in the expression in characters, from 0, if it is about one.
    pub position: Option<usize>,
    /// What to do about it.
    pub remedy: &'static str,
}

const HUNDRED_YEARS_MS: i64 = Trigger::MAX_PERIOD_MS;
const DAY_MS: i64 = 86_400_000;

impl Schedule {
    /// Compiles a trigger of a job created at `created_at`, which matters to a fixed rate alone: it is the phase where
    /// none is given, and no tick lies at or before it.
    ///
    /// # Errors
    /// For expressions, zones, periods, delays and instants out of the bounds that [`Trigger`] documents. Whether the
    /// schedule has a tick left is another question: [`Schedule::must_fire_after`].
    pub fn compile(trigger: &Trigger, created_at: Millis) -> Result<Self, ScheduleError> {
        let rule = match trigger {
            Trigger::Cron(cron) => Rule::Cron(Zoned::compile(cron)?),
            Trigger::DailyWindow(window) => Rule::DailyWindow(Zoned::window(window)?),
            Trigger::FixedRate { period_ms, phase } => {
                Rule::FixedRate(Grid::compile(*period_ms, *phase, created_at)?)
            }
            Trigger::FixedDelay { delay_ms } => {
                interval::check_delay(*delay_ms)?;
                Rule::Untimed
            }
            Trigger::At(instants) => Rule::At(Instants::compile(instants)?),
            Trigger::Api => Rule::Untimed,
        };
        Ok(Self(Arc::new(rule), Frame::default()))
    }

    /// Refuses a schedule without a tick within 100 years after `from`. Fixed delay and API, which have no ticks, pass.
    ///
    /// # Errors
    /// `never_fires`, also for an expression whose years or instants have passed.
    pub fn must_fire_after(&self, from: Millis) -> Result<(), ScheduleError> {
        if matches!(*self.0, Rule::Untimed) {
            return Ok(());
        }
        match self.next(from) {
            Some(tick) if tick.since(from) <= HUNDRED_YEARS_MS => Ok(()),
            _ => Err(self.never_fires()),
        }
    }

    fn next_of_rule(&self, after: Millis) -> Option<Millis> {
        match &*self.0 {
            Rule::Cron(zoned) | Rule::DailyWindow(zoned) => zoned.next(after),
            Rule::FixedRate(grid) => grid.next(after),
            Rule::At(instants) => instants.next(after),
            Rule::Untimed => None,
        }
    }

    fn previous_of_rule(&self, before: Millis) -> Option<Millis> {
        match &*self.0 {
            Rule::Cron(zoned) | Rule::DailyWindow(zoned) => zoned.previous(before),
            Rule::FixedRate(grid) => grid.previous(before),
            Rule::At(instants) => instants.previous(before),
            Rule::Untimed => None,
        }
    }

    /// The date that a calendar tests for a tick: the civil one that a cron tick stands for, also where a gap pushed it to
    /// the next day. `None` for triggers without a zone.
    pub fn civil_date(&self, tick: Millis) -> Option<jiff::civil::Date> {
        match &*self.0 {
            Rule::Cron(zoned) | Rule::DailyWindow(zoned) => Some(zoned.civil_of(tick).date()),
            Rule::FixedRate(_) | Rule::At(_) | Rule::Untimed => None,
        }
    }

    /// The ticks repeat within a day.
    pub fn is_subdaily(&self) -> bool {
        match &*self.0 {
            Rule::Cron(zoned) | Rule::DailyWindow(zoned) => zoned.is_subdaily(),
            Rule::FixedRate(grid) => grid.period_ms() < DAY_MS,
            Rule::At(_) | Rule::Untimed => false,
        }
    }

    /// The ticks strictly after `after`, rising.
    pub fn ticks_after(&self, after: Millis) -> impl Iterator<Item = Millis> {
        std::iter::successors(self.next(after), |tick| self.next(*tick))
    }

    /// The ticks strictly before `before`, falling.
    pub fn ticks_before(&self, before: Millis) -> impl Iterator<Item = Millis> {
        std::iter::successors(self.previous(before), |tick| self.previous(*tick))
    }

    /// How many ticks lie in `first..=last`; `None` above `limit`.
    pub fn count(&self, first: Millis, last: Millis, limit: u64) -> Option<u64> {
        if let Rule::FixedRate(grid) = &*self.0 {
            return Some(grid.count(first, last)).filter(|count| *count <= limit);
        }
        let mut count = 0;
        let mut after = first.plus(-1);
        while let Some(tick) = self.next(after).filter(|tick| *tick <= last) {
            count += 1;
            if count > limit {
                return None;
            }
            after = tick;
        }
        Some(count)
    }

    fn never_fires(&self) -> ScheduleError {
        let field = match *self.0 {
            Rule::Cron(_) => "cron.expression",
            Rule::DailyWindow(_) => "daily_window",
            Rule::FixedRate(_) => "fixed_rate.phase",
            Rule::At(_) | Rule::Untimed => "at",
        };
        ScheduleError {
            code: "never_fires",
            field,
            message: "has no tick within the next 100 years".to_owned(),
            position: matches!(*self.0, Rule::Cron(_)).then_some(0),
            remedy: "name a day, year or instant that still comes; cron years end with 2199",
        }
    }
}
