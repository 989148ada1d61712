//! One field: a list of values, ranges and steps.

use super::ScheduleError;
use super::word::{Word, refusal};
use crate::domain::Dialect;
use crate::schedule::days::{FIRST_YEAR, LAST_YEAR};

/// What may be written in a field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// The smallest value that may be written.
    pub(super) min: u32,
    /// The largest value that may be written.
    pub(super) max: u32,
    /// The first and last value of `*`; the last is also that of `a/n`.
    pub(super) all: (u32, u32),
    /// Names of values, from `named_from` on.
    pub(super) names: &'static [&'static str],
    pub(super) named_from: u32,
    pub(super) ranges: Ranges,
    /// `/n` stands for `*/n`.
    pub(super) bare_step: bool,
    pub(super) remedy: &'static str,
}

/// How the ends of a range are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ranges {
    /// They rise.
    Rising,
    /// They may run over the end and go on from the start.
    Wrapping,
    /// They rise, and the name of Sunday, 0 at the start, is 7 at the end.
    SundayLast,
    /// They rise, and Sunday, 7, is 0 at the start.
    SundayFirst,
}

const NUMBERS: &str = "write numbers, a-b, *, and steps as */n, separated by commas";
const NAMES: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

const fn plain(name: &'static str, min: u32, max: u32) -> Field {
    Field {
        name,
        min,
        max,
        all: (min, max),
        names: &[],
        named_from: 0,
        ranges: Ranges::Rising,
        bare_step: false,
        remedy: NUMBERS,
    }
}

pub(super) const SECONDS: Field = plain("seconds", 0, 59);
pub(super) const MINUTES: Field = plain("minutes", 0, 59);
pub(super) const HOURS: Field = plain("hours", 0, 23);
pub(super) const MONTH_DAYS: Field = plain("day of month", 1, 31);
pub(super) const MONTHS: Field =
    Field { names: &NAMES, named_from: 1, remedy: "write 1 to 12, or JAN to DEC", ..plain("month", 1, 12) };
pub(super) const YEARS: Field = Field {
    bare_step: true,
    remedy: "write years from 1970 to 2199",
    ..plain("years", FIRST_YEAR.unsigned_abs() as u32, LAST_YEAR.unsigned_abs() as u32)
};

impl Field {
    /// As the dialect has it: in Quartz ranges wrap, and a step may stand alone.
    pub(super) fn of(self, dialect: Dialect) -> Self {
        match dialect {
            Dialect::Quartz => Self { ranges: Ranges::Wrapping, bare_step: true, ..self },
            Dialect::Unix | Dialect::Spring => self,
        }
    }

    /// How many values it has.
    pub(super) const fn count(&self) -> usize {
        (self.all.1 - self.all.0 + 1) as usize
    }

    /// Gives each value that the word names to `put`, some perhaps twice.
    pub(super) fn read(&self, word: Word<'_>, mut put: impl FnMut(u32)) -> Result<(), ScheduleError> {
        for item in word.items() {
            self.check_item(item)?;
            self.read_item(item, &mut put)?;
        }
        Ok(())
    }

    /// Gives each value of one item to `put`.
    pub(super) fn read_item(&self, item: Word<'_>, put: &mut impl FnMut(u32)) -> Result<(), ScheduleError> {
        let (base, step) = match item.cut('/') {
            Some((base, step)) => (base, Some(self.step(step)?)),
            None => (item, None),
        };
        let (first, last) = if base.text == "*" || (base.text.is_empty() && step.is_some() && self.bare_step)
        {
            self.all
        } else if let Some((first, last)) = base.cut('-') {
            self.range(base, first, last)?
        } else {
            let value = self.value(base)?;
            (value, if step.is_some() { self.all.1.max(value) } else { value })
        };
        for value in (first..=last).step_by(step.unwrap_or(1)) {
            put(if value > self.max { value - self.all.1 + self.all.0 - 1 } else { value });
        }
        Ok(())
    }

    pub(super) fn check_item(&self, item: Word<'_>) -> Result<(), ScheduleError> {
        if item.text.is_empty() {
            let message = format!("{}: a list has an empty item", self.name);
            return Err(refusal("cron_empty_item", item.at, message, "remove the comma or write a value"));
        }
        match item.text.find('?') {
            None => Ok(()),
            Some(at) => Err(refusal(
                "cron_question_mark",
                item.at + at,
                format!("{}: ? does not belong here", self.name),
                "? stands alone in the day of month or the day of week; write * elsewhere",
            )),
        }
    }

    pub(super) fn value(&self, word: Word<'_>) -> Result<u32, ScheduleError> {
        let message = match word.number() {
            Some(value) if (self.min..=self.max).contains(&value) => return Ok(value),
            Some(_) => format!("{}: {} is not between {} and {}", self.name, word.text, self.min, self.max),
            None if word.text.is_empty() => format!("{}: a value is missing", self.name),
            None => match (self.named_from..).zip(self.names).find(|(_, name)| word.is(name)) {
                Some((value, _)) => return Ok(value),
                None => format!("{}: {:?} is no value", self.name, word.text),
            },
        };
        Err(refusal("cron_bad_value", word.at, message, self.remedy))
    }

    /// The first and the last value; the last may run over the end.
    fn range(&self, whole: Word<'_>, first: Word<'_>, last: Word<'_>) -> Result<(u32, u32), ScheduleError> {
        let (mut from, mut to) = (self.value(first)?, self.value(last)?);
        match self.ranges {
            Ranges::SundayLast if from > 0 && last.is("SUN") => to = 7,
            Ranges::SundayFirst if from == 7 => from = 0,
            Ranges::Wrapping if from > to => to += self.all.1 - self.all.0 + 1,
            _ => {}
        }
        if from <= to {
            return Ok((from, to));
        }
        Err(refusal(
            "cron_reversed_range",
            whole.at,
            format!("{}: the range {} runs backwards", self.name, whole.text),
            "write two ranges, as 22-23,0-2 for 22-2",
        ))
    }

    fn step(&self, word: Word<'_>) -> Result<usize, ScheduleError> {
        let count = self.count();
        let (code, message, remedy) = match word.number().map(|step| step as usize) {
            Some(step) if (1..=count).contains(&step) => return Ok(step),
            Some(0) => ("cron_bad_step", "the step is 0".to_owned(), "write a step of 1 or more"),
            Some(_) => (
                "cron_step_too_large",
                format!("the step {} is larger than the field's {count} values", word.text),
                "write a smaller step, or take a fixed rate for longer periods",
            ),
            None => (
                "cron_bad_step",
                format!("the step {:?} is no number", word.text),
                "write a number after the slash, as */5",
            ),
        };
        Err(refusal(code, word.at, format!("{}: {message}", self.name), remedy))
    }
}
