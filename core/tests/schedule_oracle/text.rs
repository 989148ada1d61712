//! A second reader of cron expressions, written from the documented table of the dialects and from nothing else.
//!
//! It shares no code with the engine, knows nothing of speed, and keeps each field as the plain set of what it allows.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// The last year that a rule may name and in which it may fire.
pub(crate) const LAST_YEAR: u32 = 2199;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Dialect {
    Quartz,
    Unix,
    Spring,
}

impl Dialect {
    pub(crate) const ALL: [Self; 3] = [Self::Quartz, Self::Unix, Self::Spring];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Quartz => "quartz",
            Self::Unix => "unix",
            Self::Spring => "spring",
        }
    }
}

/// One alternative of the day-of-month field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MonthDay {
    Number(u32),
    /// `L-n`: n days before the last of the month.
    Last(u32),
    /// `LW`, `L-nW`: the weekday nearest to that day.
    LastWeekday(u32),
    /// `nW`: the weekday nearest to day n.
    Nearest(u32),
}

/// One alternative of the day-of-week field; Monday is 1 and Sunday 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WeekDay {
    Every(u32),
    Last(u32),
    Nth(u32, u32),
}

/// What an expression allows, field by field.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    pub(crate) seconds: BTreeSet<u32>,
    pub(crate) minutes: BTreeSet<u32>,
    pub(crate) hours: BTreeSet<u32>,
    pub(crate) month_days: Vec<MonthDay>,
    pub(crate) months: BTreeSet<u32>,
    pub(crate) week_days: Vec<WeekDay>,
    pub(crate) years: BTreeSet<u32>,
    /// Both day fields are restricted, and one of them is enough.
    pub(crate) either_day: bool,
    /// Seconds, minutes or hours hold `*`, a range or a step.
    pub(crate) interval: bool,
}

/// What a numeric field knows: its values, its names, and the most that a step may be.
struct Field {
    what: &'static str,
    values: RangeInclusive<u32>,
    names: &'static [&'static str],
    largest_step: u32,
    wraps: bool,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const FROM_SUNDAY: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const fn field(what: &'static str, values: RangeInclusive<u32>, largest_step: u32, wraps: bool) -> Field {
    Field { what, values, names: &[], largest_step, wraps }
}

/// Reads `text`, or says what is wrong with it.
pub(crate) fn read(text: &str, dialect: Dialect) -> Result<Expression, String> {
    let text = match (text.trim(), dialect) {
        (text, Dialect::Quartz) => text.to_owned(),
        (text, _) if text.starts_with('@') => macro_text(text, dialect)?,
        (text, _) => text.to_owned(),
    };
    let mut fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let right = match dialect {
        Dialect::Quartz => fields.len() == 6 || fields.len() == 7,
        Dialect::Unix => fields.len() == 5,
        Dialect::Spring => fields.len() == 6,
    };
    if !right {
        return Err(format!("{} fields", fields.len()));
    }
    if dialect == Dialect::Unix {
        fields.insert(0, "0");
    }
    let clock = [fields[0], fields[1], fields[2]];
    let (month_days, week_days) = (fields[3], fields[5]);
    days_may_stand_together(month_days, week_days, dialect)?;
    let wraps = dialect == Dialect::Quartz;
    let months = Field { names: &MONTHS, ..field("months", 1..=12, 12, wraps) };
    Ok(Expression {
        seconds: set(clock[0], &field("seconds", 0..=59, 60, wraps))?,
        minutes: set(clock[1], &field("minutes", 0..=59, 60, wraps))?,
        hours: set(clock[2], &field("hours", 0..=23, 24, wraps))?,
        month_days: alternatives(month_days, |item| month_day(item, dialect))?,
        months: set(fields[4], &months)?,
        week_days: week_day_field(week_days, dialect)?,
        years: set(fields.get(6).unwrap_or(&"*"), &field("years", 1970..=LAST_YEAR, u32::MAX, false))?,
        either_day: dialect == Dialect::Unix && !unrestricted(month_days) && !unrestricted(week_days),
        interval: clock.iter().any(|text| text.contains(['*', '-', '/'])),
    })
}

fn macro_text(text: &str, dialect: Dialect) -> Result<String, String> {
    let five = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => return Err(format!("no macro {text}")),
    };
    Ok(if dialect == Dialect::Unix { five.to_owned() } else { format!("0 {five}") })
}

/// Quartz wants one day field to leave the choice to the other; the others combine them.
fn days_may_stand_together(month_days: &str, week_days: &str, dialect: Dialect) -> Result<(), String> {
    let free = |text: &str| text == "?" || text == "*";
    match dialect {
        Dialect::Quartz if month_days == "?" && week_days == "?" => Err("? in both day fields".to_owned()),
        Dialect::Quartz if !free(month_days) && !free(week_days) => Err("both day fields".to_owned()),
        _ => Ok(()),
    }
}

/// As in Vixie's cron: a field that begins with `*` counts as unrestricted, even `*/2`.
fn unrestricted(text: &str) -> bool {
    text.starts_with(['*', '?'])
}

fn alternatives<T>(text: &str, read: impl Fn(&str) -> Result<Vec<T>, String>) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    for item in text.split(',') {
        all.extend(read(item)?);
    }
    Ok(all)
}

fn set(text: &str, field: &Field) -> Result<BTreeSet<u32>, String> {
    Ok(alternatives(text, |item| values(item, field))?.into_iter().collect())
}

/// The values of one `*`, `a`, `a-b`, and each of them with `/step`, in the order in which they are reached.
fn values(item: &str, field: &Field) -> Result<Vec<u32>, String> {
    let (base, step) = match item.split_once('/') {
        Some((base, step)) => (base, Some(number(step, field)?)),
        None => (item, None),
    };
    if step.is_some_and(|step| step == 0 || step > field.largest_step) {
        return Err(format!("step of {item} in {}", field.what));
    }
    let (first, last) = (*field.values.start(), *field.values.end());
    let (from, to) = match base.split_once('-') {
        None if base == "*" => (first, last),
        None if step.is_some() => (value(base, field)?, last),
        None => (value(base, field)?, value(base, field)?),
        Some((from, to)) => (value(from, field)?, value(to, field)?),
    };
    if from > to && !field.wraps {
        return Err(format!("{item} in {} runs backwards", field.what));
    }
    let count = last - first + 1;
    let to = if from > to { to + count } else { to };
    let step = step.unwrap_or(1) as usize;
    Ok((from..=to).step_by(step).map(|value| if value > last { value - count } else { value }).collect())
}

fn number(text: &str, field: &Field) -> Result<u32, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("{text:?} in {} is no number", field.what));
    }
    text.parse().map_err(|_| format!("{text} in {} is too large", field.what))
}

fn value(text: &str, field: &Field) -> Result<u32, String> {
    if let Some(place) = field.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return Ok(field.values.start() + u32::try_from(place).expect("a name has a small place"));
    }
    let value = number(text, field)?;
    if field.values.contains(&value) { Ok(value) } else { Err(format!("{value} in {}", field.what)) }
}

fn month_day(item: &str, dialect: Dialect) -> Result<Vec<MonthDay>, String> {
    let days = field("days of the month", 1..=31, 31, dialect == Dialect::Quartz);
    if item == "?" {
        return Ok((1..=31).map(MonthDay::Number).collect());
    }
    let upper = item.to_ascii_uppercase();
    if dialect != Dialect::Unix && upper.contains(['L', 'W']) {
        let (rest, weekday) = match upper.strip_suffix('W') {
            Some(rest) => (rest, true),
            None => (upper.as_str(), false),
        };
        let back = match rest.strip_prefix('L') {
            Some("") => Some(0),
            Some(offset) => Some(number(offset.strip_prefix('-').ok_or(item.to_string())?, &days)?),
            None => None,
        };
        return match (back, weekday) {
            (Some(back), _) if back > 30 => Err(format!("{item} lies before every month")),
            (Some(1..), true) if dialect == Dialect::Spring => Err(format!("{item} is not of Spring")),
            (Some(back), true) => Ok(vec![MonthDay::LastWeekday(back)]),
            (Some(back), false) => Ok(vec![MonthDay::Last(back)]),
            (None, true) => Ok(vec![MonthDay::Nearest(value(rest, &days)?)]),
            (None, false) => Err(format!("{item} in the days of the month")),
        };
    }
    Ok(values(item, &days)?.into_iter().map(MonthDay::Number).collect())
}

fn week_day_field(text: &str, dialect: Dialect) -> Result<Vec<WeekDay>, String> {
    if dialect == Dialect::Quartz && text.eq_ignore_ascii_case("L") {
        return Ok(vec![WeekDay::Every(6)]);
    }
    alternatives(text, |item| week_day(item, dialect))
}

fn week_day(item: &str, dialect: Dialect) -> Result<Vec<WeekDay>, String> {
    if item == "?" {
        return Ok((1..=7).map(WeekDay::Every).collect());
    }
    if dialect != Dialect::Unix {
        if let Some(day) = item.strip_suffix(['L', 'l']) {
            return Ok(vec![WeekDay::Last(single_week_day(day, dialect)?)]);
        }
        if let Some((day, nth)) = item.split_once('#') {
            return match number(nth, &field("the place in the month", 1..=5, 5, false))? {
                nth @ 1..=5 => Ok(vec![WeekDay::Nth(single_week_day(day, dialect)?, nth)]),
                nth => Err(format!("no month has a {nth}th {day}")),
            };
        }
    }
    let numbers = week_day_numbers(item, dialect)?;
    Ok(numbers.into_iter().map(|number| WeekDay::Every(iso(number, dialect))).collect())
}

fn single_week_day(text: &str, dialect: Dialect) -> Result<u32, String> {
    Ok(iso(number_of_week_day(text, 7, dialect)?, dialect))
}

/// Quartz counts from Sunday = 1; the others call Sunday both 0 and 7, and its name is what its place asks for.
fn number_of_week_day(text: &str, sunday: u32, dialect: Dialect) -> Result<u32, String> {
    match dialect {
        Dialect::Quartz => value(text, &Field { names: &FROM_SUNDAY, ..week_days(1..=7, dialect) }),
        _ if text.eq_ignore_ascii_case("SUN") => Ok(sunday),
        _ => value(text, &Field { names: &FROM_SUNDAY, ..week_days(0..=7, dialect) }),
    }
}

const fn week_days(values: RangeInclusive<u32>, dialect: Dialect) -> Field {
    field("days of the week", values, 7, matches!(dialect, Dialect::Quartz))
}

fn week_day_numbers(item: &str, dialect: Dialect) -> Result<Vec<u32>, String> {
    // The week of the steps: unix begins it on Sunday = 0, Spring on Monday = 1.
    let (sunday, first, last) = match dialect {
        Dialect::Quartz => return values(item, &Field { names: &FROM_SUNDAY, ..week_days(1..=7, dialect) }),
        Dialect::Unix => (0, 0, 6),
        Dialect::Spring => (7, 1, 7),
    };
    let (base, step) = item.split_once('/').map_or((item, None), |(base, step)| (base, Some(step)));
    let (from, to) = match base.split_once('-') {
        // Sunday starts a range as 0 and ends it as 7.
        Some((from, to)) => (number_of_week_day(from, 0, dialect)? % 7, number_of_week_day(to, 7, dialect)?),
        None if base == "*" => (first, last),
        None => match (number_of_week_day(base, sunday, dialect)?, step) {
            (day, None) => (day, day),
            (7, Some(_)) if dialect == Dialect::Unix => (0, last),
            (day, Some(_)) => (day, last),
        },
    };
    values(&format!("{from}-{to}/{}", step.unwrap_or("1")), &week_days(0..=7, dialect))
}

/// Monday is 1 and Sunday 7.
fn iso(number: u32, dialect: Dialect) -> u32 {
    match (number, dialect) {
        (1, Dialect::Quartz) | (0, _) => 7,
        (number, Dialect::Quartz) => number - 1,
        (number, _) => number,
    }
}
