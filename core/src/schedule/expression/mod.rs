//! Reads a cron expression into the values of its fields, and says where it is wrong.
//!
//! A field is a list of `*`, `a`, `a-b`, and these with a step: `*/n`, `a-b/n`, and `a/n` for "from a to the end". Months
//! and weekdays may be named by three letters. How many fields there are, how weekdays are numbered, what the two day
//! fields mean together and which special days exist, is the dialect's.

mod day;
pub(super) mod describe;
mod field;
mod layout;
mod print;
mod word;

use super::ScheduleError;
use super::days::Days;
use super::times::Times;
use crate::domain::{Cron, Dialect};
pub use describe::Language;
use field::Field;
use layout::Layout;
use word::Word;

/// What an expression says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Expression {
    pub(super) dialect: Dialect,
    pub(super) seconds: TimeField,
    pub(super) minutes: TimeField,
    pub(super) hours: TimeField,
    pub(super) days: Days,
}

/// The values of seconds, minutes or hours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TimeField {
    /// As bits.
    pub(super) values: u64,
    /// Written with a `*`, a range or a step.
    pub(super) pattern: bool,
}

/// How a rule behaves where clocks jump: by its text, so that the reader can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Seconds, minutes and hours are lists of numbers.
    Fixed,
    /// One of them has a `*`, a range or a step.
    Interval,
}

impl Expression {
    pub(super) fn read(cron: &Cron) -> Result<Self, ScheduleError> {
        let text = &cron.expression;
        word::check(text)?;
        match layout::macro_of(text, cron.dialect)? {
            Some(fields) => Self::of_fields(fields, cron.dialect),
            None => Self::of_fields(text, cron.dialect),
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        if self.seconds.pattern || self.minutes.pattern || self.hours.pattern {
            Kind::Interval
        } else {
            Kind::Fixed
        }
    }

    pub(super) fn times(&self) -> Times {
        Times::of_fields(self.seconds.values, self.minutes.values, self.hours.values)
    }

    fn of_fields(text: &str, dialect: Dialect) -> Result<Self, ScheduleError> {
        let words = Layout::read(text, dialect)?;
        let seconds = match words.seconds {
            Some(word) => time(&field::SECONDS.of(dialect), word)?,
            None => TimeField { values: 1, pattern: false },
        };
        let minutes = time(&field::MINUTES.of(dialect), words.minutes)?;
        let hours = time(&field::HOURS.of(dialect), words.hours)?;
        let month_days = day::month_days(words.month_days, dialect)?;
        let months = months(&field::MONTHS.of(dialect), words.months)?;
        let weekdays = day::weekdays(words.weekdays, dialect)?;
        let years = words.years.map(years).transpose()?.flatten();
        day::check_together(words.month_days, words.weekdays, dialect)?;
        let restricts = |word: Word<'_>| !word.text.starts_with(['*', '?']);
        let either = dialect == Dialect::Unix && restricts(words.month_days) && restricts(words.weekdays);
        let days = Days { month_days, weekdays, months, years, either };
        if !days.exist() {
            return Err(word::refusal(
                "cron_impossible_date",
                words.month_days.at,
                "no month that is named has such a day",
                "write a day or a month that exists",
            ));
        }
        Ok(Self { dialect, seconds, minutes, hours, days })
    }
}

fn time(field: &Field, word: Word<'_>) -> Result<TimeField, ScheduleError> {
    let mut values = 0;
    field.read(word, |value| values |= 1 << value)?;
    Ok(TimeField { values, pattern: word.text.contains(['*', '-', '/']) })
}

fn months(field: &Field, word: Word<'_>) -> Result<u16, ScheduleError> {
    let mut months = 0;
    field.read(word, |month| months |= 1 << month)?;
    Ok(months)
}

/// `None`: all.
fn years(word: Word<'_>) -> Result<Option<Box<[i16]>>, ScheduleError> {
    let mut years = Vec::new();
    field::YEARS.read(word, |year| years.push(i16::try_from(year).expect("years have four digits")))?;
    years.sort_unstable();
    years.dedup();
    let all = years.len() == field::YEARS.count();
    Ok((!all).then(|| years.into_boxed_slice()))
}
