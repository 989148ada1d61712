//! Reads a cron expression into the values of its fields, and says where it is wrong.
//!
//! Dialect `quartz`: seconds, minutes, hours, day of month, month, day of week, and optionally years (1970-2100),
//! separated by blanks. A field is a list of `*`, `a`, `a-b`, and these with a step: `*/n`, `a-b/n`, and `a/n` for
//! "from a to the end". Months and weekdays may be named by three letters; 1 is Sunday. One of the day fields must be
//! `?` or `*`.

use std::collections::BTreeSet;

use super::ScheduleError;
use super::civil::Civil;
use crate::domain::{Cron, Dialect};

/// What an expression says.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) civil: Civil,
    pub(super) kind: Kind,
    pub(super) subdaily: bool,
}

/// How a rule behaves where clocks jump: by its text, so that the reader can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Seconds, minutes and hours are lists of numbers.
    Fixed,
    /// One of them has a `*`, a range or a step.
    Interval,
}

pub(super) fn parse(cron: &Cron) -> Result<Parsed, ScheduleError> {
    match cron.dialect {
        Dialect::Quartz => parse_quartz(&cron.expression),
    }
}

fn parse_quartz(text: &str) -> Result<Parsed, ScheduleError> {
    check_text(text)?;
    let fields = split(text, |c| c == ' ' || c == '\t').filter(|(_, field)| !field.is_empty());
    let fields: Vec<(usize, &str)> = fields.collect();
    check_field_count(text, &fields)?;
    let mut values: [BTreeSet<u32>; 7] = Default::default();
    for (at, spec) in FIELDS.iter().enumerate() {
        values[at] = match fields.get(at) {
            Some((position, field)) => spec.parse(*position, field)?,
            None => spec.all().collect(),
        };
    }
    check_day_fields(fields[3], fields[5])?;
    check_dates(fields[3].0, &values[3], &values[4])?;
    let interval = fields[..3].iter().any(|(_, field)| field.contains(['*', '-', '/']));
    let times_a_day: usize = values[..3].iter().map(BTreeSet::len).product();
    let civil = Civil::new(&values).ok_or_else(|| {
        refusal("cron_refused", 0, "cannot be enumerated", "write it in a simpler way and report this defect")
    })?;
    let kind = if interval { Kind::Interval } else { Kind::Fixed };
    Ok(Parsed { civil, kind, subdaily: times_a_day > 1 })
}

/// One of the seven fields.
struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
    is_day: bool,
}

const FIELDS: [Field; 7] = [
    Field { name: "seconds", min: 0, max: 59, names: &[], is_day: false },
    Field { name: "minutes", min: 0, max: 59, names: &[], is_day: false },
    Field { name: "hours", min: 0, max: 23, names: &[], is_day: false },
    Field { name: "day of month", min: 1, max: 31, names: &[], is_day: true },
    Field { name: "month", min: 1, max: 12, names: &MONTHS, is_day: false },
    Field { name: "day of week", min: 1, max: 7, names: &WEEKDAYS, is_day: true },
    Field { name: "years", min: 1970, max: 2100, names: &[], is_day: false },
];
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Field {
    fn all(&self) -> std::ops::RangeInclusive<u32> {
        self.min..=self.max
    }

    fn parse(&self, position: usize, text: &str) -> Result<BTreeSet<u32>, ScheduleError> {
        if text == "?" && self.is_day {
            return Ok(self.all().collect());
        }
        let mut values = BTreeSet::new();
        for (offset, item) in split(text, |c| c == ',') {
            values.extend(self.parse_item(position + offset, item)?);
        }
        Ok(values)
    }

    fn parse_item(
        &self,
        position: usize,
        item: &str,
    ) -> Result<std::iter::StepBy<std::ops::RangeInclusive<u32>>, ScheduleError> {
        self.check_item(position, item)?;
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some(self.parse_step(position + base.len() + 1, step)?)),
            None => (item, None),
        };
        let range = if base == "*" {
            self.all()
        } else if let Some((first, last)) = base.split_once('-') {
            let first_value = self.parse_value(position, first)?;
            let last_value = self.parse_value(position + first.len() + 1, last)?;
            if first_value > last_value {
                return Err(refusal(
                    "cron_wrapped_range",
                    position,
                    format!("{}: the range {base} runs backwards", self.name),
                    "ranges over the end arrive later; write two, as 22-23,0-2 for 22-2",
                ));
            }
            first_value..=last_value
        } else {
            let value = self.parse_value(position, base)?;
            value..=if step.is_some() { self.max } else { value }
        };
        Ok(range.step_by(step.unwrap_or(1)))
    }

    /// What is not an item at all, or not yet.
    fn check_item(&self, position: usize, item: &str) -> Result<(), ScheduleError> {
        if item.is_empty() {
            let message = format!("{}: a list has an empty item", self.name);
            return Err(refusal("cron_empty_item", position, message, "remove the comma or write a value"));
        }
        if let Some(at) = item.find('?') {
            return Err(refusal(
                "cron_question_mark",
                position + at,
                format!("{}: ? does not belong here", self.name),
                "? stands alone in the day of month or the day of week; write * elsewhere",
            ));
        }
        if self.is_day && is_special_day(item) {
            return Err(refusal(
                "cron_not_yet",
                position,
                format!("{}: {item} uses L, W or #, which arrive later", self.name),
                "name the days themselves until then, as 1 for the first or 28 for a late day of each month",
            ));
        }
        Ok(())
    }

    fn parse_value(&self, position: usize, text: &str) -> Result<u32, ScheduleError> {
        let message = if text.is_empty() {
            format!("{}: a value is missing", self.name)
        } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
            match text.parse::<u32>() {
                Ok(value) if self.all().contains(&value) => return Ok(value),
                _ => format!("{}: {text} is not between {} and {}", self.name, self.min, self.max),
            }
        } else {
            match (self.min..).zip(self.names).find(|(_, name)| name.eq_ignore_ascii_case(text)) {
                Some((value, _)) => return Ok(value),
                None => format!("{}: {text:?} is no value", self.name),
            }
        };
        let remedy = match self.name {
            "day of week" => "write 1 (Sunday) to 7 (Saturday), or SUN to SAT",
            "month" => "write 1 to 12, or JAN to DEC",
            "years" => "write years from 1970 to 2100",
            _ => "write numbers, a-b, *, and steps as */n, separated by commas",
        };
        Err(refusal("cron_bad_value", position, message, remedy))
    }

    fn parse_step(&self, position: usize, text: &str) -> Result<usize, ScheduleError> {
        let count = self.all().count();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!("{}: the step {text:?} is no number", self.name);
            return Err(refusal(
                "cron_bad_step",
                position,
                message,
                "write a number after the slash, as */5",
            ));
        }
        match text.parse::<usize>() {
            Ok(step) if (1..=count).contains(&step) => Ok(step),
            Ok(0) => {
                let message = format!("{}: the step is 0", self.name);
                Err(refusal("cron_bad_step", position, message, "write a step of 1 or more"))
            }
            _ => Err(refusal(
                "cron_step_too_large",
                position,
                format!("{}: the step {text} is larger than the field's {count} values", self.name),
                "write a smaller step, or a fixed rate for longer periods",
            )),
        }
    }
}

/// `L`, `LW`, `L-3`, `15W`, `6L`, `FRI#2` and the like.
fn is_special_day(item: &str) -> bool {
    if item.contains('#') {
        return true;
    }
    let upper = item.to_ascii_uppercase();
    let bare = upper.trim_matches(|c: char| c.is_ascii_digit() || c == '-');
    let after_name = WEEKDAYS.iter().find_map(|name| bare.strip_prefix(name)).unwrap_or(bare);
    matches!(after_name, "L" | "W" | "LW" | "L-") || after_name.starts_with("L-")
}

fn check_text(text: &str) -> Result<(), ScheduleError> {
    if text.chars().count() > Cron::MAX_CHARS {
        return Err(refusal(
            "cron_too_long",
            Cron::MAX_CHARS,
            format!("is longer than {} characters", Cron::MAX_CHARS),
            "write ranges and steps instead of lists, or several jobs",
        ));
    }
    if let Some((position, found)) =
        text.chars().enumerate().find(|(_, c)| !(c.is_ascii_graphic() || *c == ' ' || *c == '\t'))
    {
        let message = format!("has the character {found:?}");
        return Err(refusal(
            "cron_bad_character",
            position,
            message,
            "write ASCII letters, digits and signs",
        ));
    }
    if let Some(position) = text.find(|c| c != ' ' && c != '\t').filter(|at| text[*at..].starts_with('@')) {
        return Err(refusal(
            "cron_not_yet",
            position,
            "is a macro; these arrive later, with the unix dialect",
            "write the fields, as 0 0 0 * * ? for @daily; for @every take a fixed rate, for @reboot there is none",
        ));
    }
    Ok(())
}

fn check_field_count(text: &str, fields: &[(usize, &str)]) -> Result<(), ScheduleError> {
    let (position, remedy) = match fields.len() {
        6 | 7 => return Ok(()),
        5 => (
            fields[0].0,
            "this looks like a unix expression: prepend `0 ` for the seconds, write ? in one of the day fields, and \
             count weekdays from 1 = Sunday",
        ),
        count => (
            if count > 7 { fields[7].0 } else { text.chars().count() },
            "write seconds, minutes, hours, day of month, month, day of week, and years if you like",
        ),
    };
    let message = format!("has {} fields instead of 6 or 7", fields.len());
    Err(refusal("cron_field_count", position, message, remedy))
}

fn check_day_fields(day_of_month: (usize, &str), day_of_week: (usize, &str)) -> Result<(), ScheduleError> {
    match (day_of_month.1, day_of_week.1) {
        ("?", "?") => Err(refusal(
            "cron_no_day",
            day_of_week.0,
            "has ? in both day fields",
            "write * or days in one of them",
        )),
        ("?" | "*", _) | (_, "?" | "*") => Ok(()),
        _ => Err(refusal(
            "cron_two_days",
            day_of_week.0,
            "restricts both the day of month and the day of week",
            "write ? in one of them; for either of two rules make two jobs",
        )),
    }
}

/// Whether some month has some of the days; a leap year that the years lack is found when the next tick is sought.
fn check_dates(position: usize, days: &BTreeSet<u32>, months: &BTreeSet<u32>) -> Result<(), ScheduleError> {
    let longest = months.iter().map(|month| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    });
    match (days.first(), longest.max()) {
        (Some(first), Some(longest)) if *first > longest => Err(refusal(
            "cron_impossible_date",
            position,
            format!("day of month: no month that is named has a day {first}"),
            "write a day or a month that exists",
        )),
        _ => Ok(()),
    }
}

/// The parts between separators, each with its position.
fn split(text: &str, is_separator: fn(char) -> bool) -> impl Iterator<Item = (usize, &str)> {
    let mut position = 0;
    text.split(is_separator).map(move |part| {
        let start = position;
        position += part.len() + 1;
        (start, part)
    })
}

fn refusal(
    code: &'static str,
    position: usize,
    message: impl Into<String>,
    remedy: &'static str,
) -> ScheduleError {
    let message = format!("at character {}: {}", position + 1, message.into());
    ScheduleError { code, field: "cron.expression", message, position: Some(position), remedy }
}
