//! Reads the five fields of a crontab, as Vixie's cron and those that came of it.

use jiff::tz::TimeZone;

use super::{Days, Engine, NotFollowed, OfMonth, OfWeek, Rival, Rule};

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 8] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Rival {
    /// Five fields, or a macro that stands for them, in a zone.
    pub(in super::super) fn crontab(text: &str, zone: TimeZone) -> Result<Self, NotFollowed> {
        // @hourly is by the wall: its hour is a star.
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let &[minutes, hours, of_month, months, of_week] = fields.as_slice() else {
            return Err(NotFollowed(format!("it has {} fields, and cron reads 5", fields.len())));
        };
        let (month_days, week_days) = (set(of_month, 1, 31, &[])?, set(of_week, 0, 7, &DAYS)?);
        let is_starred = |text: &str| text.starts_with('*');
        let rule = Rule {
            seconds: 1,
            minutes: set(minutes, 0, 59, &[])?,
            hours: set(hours, 0, 23, &[])?,
            months: set(months, 1, 12, &MONTHS)?,
            days: Days {
                of_month: Some(OfMonth::Set(month_days)),
                // 7 is Sunday too.
                of_week: Some(OfWeek::Set((week_days | week_days >> 7) & 0x7f)),
                either: !is_starred(of_month) && !is_starred(of_week),
            },
            years: None,
        };
        let engine = Engine::Vixie { by_the_wall: is_starred(minutes) || is_starred(hours) };
        Ok(Self::Cron { rule, zone, engine })
    }
}

fn set(text: &str, least: u32, most: u32, words: &[&str]) -> Result<u64, NotFollowed> {
    let refused = |part: &str| NotFollowed(format!("cron refuses {part:?}"));
    let value = |part: &str, text: &str| {
        let lower = text.to_ascii_lowercase();
        let word = words.iter().position(|word| *word == lower);
        let word = word.and_then(|at| u32::try_from(at).ok()).map(|at| at + least);
        let value = word.or_else(|| text.parse::<u32>().ok());
        value.filter(|value| (least..=most).contains(value)).ok_or_else(|| refused(part))
    };
    let mut values = 0;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (value(part, first)?, value(part, last)?),
            None if range == "*" => (least, if most == 7 { 6 } else { most }),
            None if step.is_some() => return Err(refused(part)),
            None => (value(part, range)?, value(part, range)?),
        };
        let step = step.map_or(Some(1), |step| step.parse::<u32>().ok().filter(|step| *step > 0));
        let step = step.filter(|_| first <= last).ok_or_else(|| refused(part))?;
        for value in (first..=last).step_by(step as usize) {
            values |= 1_u64 << value;
        }
    }
    Ok(values)
}
