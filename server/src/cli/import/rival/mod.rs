//! When the engines that people come from would fire, by their documented rules: a small evaluator of its own, so that what
//! it says of them is no echo of FastJob's engine. It must not use `core::schedule`.

mod quartz;
#[cfg(test)]
mod tests;
mod vixie;
mod walk;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::{Timestamp, tz::TimeZone};

pub(super) use quartz::Flavour;

/// Days that are looked at for one tick: a leap day of a weekday comes within 28 years, or 40 around 2100.
const MAX_DAYS: usize = 41 * 366;

/// An old engine's schedule.
#[derive(Clone, Debug)]
pub(super) enum Rival {
    Cron {
        rule: Rule,
        zone: TimeZone,
        engine: Engine,
    },
    /// first + n * period, at most so many.
    Grid {
        first: i64,
        period_ms: i64,
        last: Option<i64>,
    },
}

/// Whose rules turn civil times into instants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Engine {
    /// A civil time that does not exist has no tick, and one that comes twice has its tick the second time.
    Quartz,
    /// None as well; one that comes twice has two, unless nothing else is due within the hour after it.
    CronUtils,
    /// Vixie's and those that came of it: a job without `*` in minute and hour is run once right after the gap for what it
    /// missed, and the first time only of what comes twice; any other is run as the clock on the wall says.
    Vixie { by_the_wall: bool },
}

/// Why an old schedule cannot be followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct NotFollowed(pub(super) String);

/// The civil times of a cron expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rule {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u64,
    pub(super) months: u64,
    pub(super) days: Days,
    /// Bit n: 1970 + n. `None`: every year.
    pub(super) years: Option<[u64; 3]>,
}

/// Which days; a part that is absent does not restrict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Days {
    pub(super) of_month: Option<OfMonth>,
    pub(super) of_week: Option<OfWeek>,
    /// Of two parts, one is enough.
    pub(super) either: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum OfMonth {
    /// Bits 1 to 31.
    Set(u64),
    /// So many days before the last.
    BeforeLast(i8),
    /// The last of Monday to Friday that is not later than so many days before the last day.
    LastWorkday(i8),
    /// The one of Monday to Friday that is nearest to this day, within its month.
    Nearest(i8),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum OfWeek {
    /// Bits 0 to 6 from Sunday.
    Set(u64),
    /// The last of this one in the month.
    Last(i8),
    /// The n-th of this one.
    Nth(i8, i8),
}

impl Rival {
    /// The ticks after an instant, at most `count`, rising.
    pub(super) fn ticks(&self, after: Timestamp, count: usize) -> Vec<Timestamp> {
        let mut ticks: Vec<Timestamp> = Vec::new();
        let mut at = after;
        while ticks.len() < count
            && let Some(tick) = self.next(at, ticks.last().copied())
        {
            ticks.push(tick);
            at = tick;
        }
        ticks
    }

    fn next(&self, after: Timestamp, last: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            Self::Cron { rule, zone, engine } => match engine {
                Engine::Quartz => walk::quartz(rule, zone, after),
                Engine::CronUtils => walk::cron_utils(rule, zone, after, last),
                Engine::Vixie { by_the_wall: true } => walk::by_the_wall(rule, zone, after),
                Engine::Vixie { by_the_wall: false } => walk::vixie(rule, zone, after),
            },
            Self::Grid { first, period_ms, last } => {
                let steps = (after.as_millisecond() - first).div_euclid(*period_ms) + 1;
                let tick = first.checked_add(steps.max(0).checked_mul(*period_ms)?)?;
                Timestamp::from_millisecond(tick).ok().filter(|_| last.is_none_or(|last| tick <= last))
            }
        }
    }
}

impl Rule {
    /// The first civil time after one.
    pub(super) fn after(&self, at: DateTime) -> Option<DateTime> {
        let mut date = at.date();
        let second_of_day = |time: jiff::civil::Time| {
            i32::from(time.hour()) * 3_600 + i32::from(time.minute()) * 60 + i32::from(time.second())
        };
        let mut from = second_of_day(at.time()) + 1;
        for _ in 0..MAX_DAYS {
            if self.has_day(date)
                && let Some(second) = self.second_from(from)
            {
                let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
                return Some(date.at(hour as i8, minute as i8, second as i8, 0));
            }
            from = 0;
            date = date.tomorrow().ok()?;
        }
        None
    }

    /// The first second of a day that is one of the rule's and not before this one.
    fn second_from(&self, from: i32) -> Option<i32> {
        let first = |set: u64, from: i32| {
            let rest = if from > 63 { 0 } else { set >> from << from };
            (rest != 0).then(|| rest.trailing_zeros() as i32)
        };
        let (hour, minute, second) = (from / 3_600, from / 60 % 60, from % 60);
        let in_hour = |hour: i32, minute: i32, second: i32| {
            let same = first(self.seconds, second).filter(|_| self.minutes >> minute & 1 == 1);
            let (minute, second) = match same {
                Some(second) => (minute, second),
                None => (first(self.minutes, minute + 1)?, first(self.seconds, 0)?),
            };
            Some(hour * 3_600 + minute * 60 + second)
        };
        let now = (hour < 24 && self.hours >> hour & 1 == 1).then(|| in_hour(hour, minute, second)).flatten();
        now.or_else(|| {
            let hour = first(self.hours, hour + 1)?;
            Some(hour * 3_600 + first(self.minutes, 0)? * 60 + first(self.seconds, 0)?)
        })
    }

    fn has_day(&self, date: Date) -> bool {
        let year = usize::try_from(date.year() - 1970).unwrap_or(usize::MAX);
        let in_year =
            self.years.is_none_or(|years| years.get(year / 64).is_some_and(|of| of >> (year % 64) & 1 == 1));
        in_year && self.months >> date.month() & 1 == 1 && self.days.has(date)
    }
}

impl Days {
    fn has(&self, date: Date) -> bool {
        let of_month = self.of_month.as_ref().map(|part| part.has(date));
        let of_week = self.of_week.as_ref().map(|part| part.has(date));
        match (of_month, of_week) {
            (Some(month), Some(week)) if self.either => month || week,
            (month, week) => month.unwrap_or(true) && week.unwrap_or(true),
        }
    }
}

impl OfMonth {
    fn has(&self, date: Date) -> bool {
        let (day, last) = (date.day(), date.days_in_month());
        match self {
            Self::Set(days) => days >> day & 1 == 1,
            Self::BeforeLast(days) => last - days == day,
            Self::LastWorkday(days) => last - days >= 1 && nearest_workday(date, last - days) == Some(day),
            Self::Nearest(wanted) => *wanted <= last && nearest_workday(date, *wanted) == Some(day),
        }
    }
}

/// The day of Monday to Friday of the date's month that is nearest to a day of it.
fn nearest_workday(date: Date, day: i8) -> Option<i8> {
    let wanted = jiff::civil::Date::new(date.year(), date.month(), day).ok()?;
    Some(match wanted.weekday() {
        Weekday::Saturday if day == 1 => 3,
        Weekday::Saturday => day - 1,
        Weekday::Sunday if day == date.days_in_month() => day - 2,
        Weekday::Sunday => day + 1,
        _ => day,
    })
}

impl OfWeek {
    fn has(&self, date: Date) -> bool {
        let weekday = date.weekday().to_sunday_zero_offset();
        match self {
            Self::Set(days) => days >> weekday & 1 == 1,
            Self::Last(wanted) => weekday == *wanted && date.day() + 7 > date.days_in_month(),
            Self::Nth(wanted, n) => weekday == *wanted && (date.day() - 1) / 7 + 1 == *n,
        }
    }
}
