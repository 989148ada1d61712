//! Reads the expressions of Quartz, and of cron-utils as PowerJob sets it up: seconds first, Sunday is 1.

use super::{Days, Engine, NotFollowed, OfMonth, OfWeek, Rival, Rule};
use jiff::tz::TimeZone;

/// Who reads it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Flavour {
    Quartz,
    CronUtils,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A field: its name, its values, the names of some, and whether a range may go past its end.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    words: &'static [&'static str],
    wraps: bool,
}

impl Rival {
    /// A Quartz expression in a zone.
    pub(in super::super) fn quartz(
        text: &str,
        zone: TimeZone,
        flavour: Flavour,
    ) -> Result<Self, NotFollowed> {
        let engine = match flavour {
            Flavour::Quartz => Engine::Quartz,
            Flavour::CronUtils => Engine::CronUtils,
        };
        Ok(Self::Cron { rule: rule(text, flavour)?, zone, engine })
    }
}

fn not(why: impl Into<String>) -> NotFollowed {
    NotFollowed(why.into())
}

fn rule(text: &str, flavour: Flavour) -> Result<Rule, NotFollowed> {
    let upper = text.to_ascii_uppercase();
    let fields: Vec<&str> = upper.split_whitespace().collect();
    let (&[seconds, minutes, hours, of_month, months, of_week], years) = match fields.len() {
        6 => (fields.first_chunk::<6>().expect("there are six"), None),
        7 => (fields.first_chunk::<6>().expect("there are seven"), Some(fields[6])),
        count => return Err(not(format!("it has {count} fields, and the old engine reads 6 or 7"))),
    };
    let wraps = flavour == Flavour::Quartz;
    let field = |name, least, most| Field { name, least, most, words: &[], wraps };
    Ok(Rule {
        seconds: field("seconds", 0, 59).set(seconds)?,
        minutes: field("minutes", 0, 59).set(minutes)?,
        hours: field("hours", 0, 23).set(hours)?,
        months: Field { words: &MONTHS, ..field("months", 1, 12) }.set(months)?,
        days: days(of_month, of_week, flavour)?,
        years: years.map(self::years).transpose()?.flatten(),
    })
}

fn days(of_month: &str, of_week: &str, flavour: Flavour) -> Result<Days, NotFollowed> {
    let is_open = |text: &str| text == "?" || text == "*";
    if flavour == Flavour::Quartz && (of_month == "?") == (of_week == "?") {
        return Err(not("Quartz itself refuses it: one of the two day fields must be ?"));
    }
    Ok(Days {
        of_month: if is_open(of_month) { None } else { Some(self::of_month(of_month, flavour)?) },
        of_week: if is_open(of_week) { None } else { Some(self::of_week(of_week)?) },
        either: false,
    })
}

fn of_month(text: &str, flavour: Flavour) -> Result<OfMonth, NotFollowed> {
    let days = Field {
        name: "days of the month",
        least: 1,
        most: 31,
        words: &[],
        wraps: flavour == Flavour::Quartz,
    };
    if !text.contains(['L', 'W']) {
        return days.set(text).map(OfMonth::Set);
    }
    if text.contains(',') {
        return Err(not("L or W in a list of days: what the old engine makes of it is not documented"));
    }
    let number = |text: &str| text.parse::<i8>().map_err(|_| not(format!("{text:?} is no number of days")));
    let last = |text: &str| match text.strip_prefix("L-") {
        Some(days) => number(days),
        None if text == "L" => Ok(0),
        None => Err(not(format!("{text:?} is no day of the month"))),
    };
    match text.strip_suffix('W') {
        Some(day) if day.starts_with('L') => last(day).map(OfMonth::LastWorkday),
        Some(day) => number(day).map(OfMonth::Nearest),
        None => last(text).map(OfMonth::BeforeLast),
    }
}

fn of_week(text: &str) -> Result<OfWeek, NotFollowed> {
    let days = Field { name: "days of the week", least: 1, most: 7, words: &DAYS, wraps: true };
    let one = |text: &str| days.value(text).map(|day| day as i8 - 1);
    let special = text.contains('#') || text.ends_with('L');
    if special && text.contains(',') {
        return Err(not("L or # in a list of weekdays: the old engine does not take all of it"));
    }
    if let Some((day, n)) = text.split_once('#') {
        let n = n.parse::<i8>().ok().filter(|n| (1..=5).contains(n));
        return Ok(OfWeek::Nth(one(day)?, n.ok_or_else(|| not(format!("{text:?} has no count of 1 to 5")))?));
    }
    match text.strip_suffix('L') {
        Some("") => Ok(OfWeek::Set(1 << 6)),
        Some(day) => Ok(OfWeek::Last(one(day)?)),
        // From Sunday = 1 to Sunday = 0.
        None => Ok(OfWeek::Set(days.set(text)? >> 1)),
    }
}

fn years(text: &str) -> Result<Option<[u64; 3]>, NotFollowed> {
    if text == "*" || text == "?" {
        return Ok(None);
    }
    let mut years = [0; 3];
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let year = |text: &str| {
            let year = text.parse::<usize>().ok().filter(|year| (1970..=2099).contains(year));
            year.ok_or_else(|| not(format!("{text:?} is no year of 1970 to 2099")))
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (year(first)?, year(last)?),
            None if range == "*" => (1970, 2099),
            None => (year(range)?, if step.is_some() { 2099 } else { year(range)? }),
        };
        let step = step.map_or(Some(1), |step| step.parse::<usize>().ok().filter(|step| *step > 0));
        let step = step.ok_or_else(|| not(format!("{part:?} has no step")))?;
        for year in (first..=last).step_by(step).map(|year| year - 1970) {
            years[year / 64] |= 1_u64 << (year % 64);
        }
    }
    Ok(Some(years))
}

impl Field {
    fn set(&self, text: &str) -> Result<u64, NotFollowed> {
        text.split(',').try_fold(0, |set, part| Ok(set | self.part(part)?))
    }

    fn part(&self, text: &str) -> Result<u64, NotFollowed> {
        let (range, step) = text.split_once('/').map_or((text, None), |(range, step)| (range, Some(step)));
        let step = step.map_or(Some(1), |step| step.parse::<u32>().ok().filter(|step| *step > 0));
        let step = step.ok_or_else(|| not(format!("{}: {text:?} has no step", self.name)))?;
        if step > self.most {
            return Err(not(format!("{}: the old engine refuses a step of {step}", self.name)));
        }
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None if range == "*" => (self.least, self.most),
            None => {
                let first = self.value(range)?;
                (first, if text.contains('/') { self.most } else { first })
            }
        };
        let size = self.most - self.least + 1;
        let last = match last {
            last if last >= first => last,
            last if self.wraps => last + size,
            _ => {
                return Err(not(format!(
                    "{}: {text:?} goes past its end, which is not documented",
                    self.name
                )));
            }
        };
        let value = |value: u32| (value - self.least) % size + self.least;
        Ok((first..=last).step_by(step as usize).fold(0, |set, next| set | 1 << value(next)))
    }

    fn value(&self, text: &str) -> Result<u32, NotFollowed> {
        let word = self.words.iter().position(|word| *word == text);
        let value = word
            .map_or_else(|| text.parse::<u32>().ok(), |at| u32::try_from(at).ok().map(|at| at + self.least));
        let value = value.filter(|value| (self.least..=self.most).contains(value));
        value.ok_or_else(|| not(format!("{}: {text:?} is none of them", self.name)))
    }
}
