//! What an expression says, in words.

use super::{Expression, TimeField};
use crate::schedule::days::{ALL_MONTH_DAYS, ALL_MONTHS, Days, MonthDays, Weekdays, bits};

/// The language of a description.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

use Language::{Chinese, English};

/// The most times of day that are named one by one.
const MAX_TIMES: u32 = 6;

impl Expression {
    /// One line, without the zone.
    pub(in crate::schedule) fn describe(&self, language: Language) -> String {
        let clock = self.clock(language);
        let (days, months, years) =
            (days(&self.days, language), months(&self.days, language), years(&self.days, language));
        let parts = match language {
            English => [Some(clock), Some(days), months, years],
            Chinese => [years, months, Some(days), Some(clock)],
        };
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        parts.join(match language {
            English => ", ",
            Chinese => "，",
        })
    }

    fn clock(&self, language: Language) -> String {
        let count = [self.seconds, self.minutes, self.hours].map(|field| field.values.count_ones());
        if count.iter().product::<u32>() <= MAX_TIMES {
            let times = list(&self.times_of_day(), language);
            return match language {
                English => format!("at {times}"),
                Chinese => times,
            };
        }
        let (seconds, minutes, hours) =
            (Pace::of(self.seconds, 60), Pace::of(self.minutes, 60), Pace::of(self.hours, 24));
        let units = match language {
            English => [("second", "seconds"), ("minute", "minutes"), ("hour", "hours")],
            Chinese => [("秒", "秒"), ("分钟", "分"), ("小时", "点")],
        };
        let mut parts = Vec::new();
        if seconds != Pace::Values(vec![0]) {
            parts.push(seconds.say(units[0], language));
        }
        if minutes != Pace::Every || !seconds.is_even() {
            parts.push(minutes.say(units[1], language));
        }
        if hours != Pace::Every || !minutes.is_even() {
            parts.push(hours.say(units[2], language));
        }
        if language == Chinese {
            parts.reverse();
        }
        parts.join(match language {
            English => ", ",
            Chinese => "，",
        })
    }

    fn times_of_day(&self) -> Vec<String> {
        let mut times = Vec::new();
        for hour in bits(self.hours.values) {
            for minute in bits(self.minutes.values) {
                for second in bits(self.seconds.values) {
                    let seconds = if second == 0 { String::new() } else { format!(":{second:02}") };
                    times.push(format!("{hour:02}:{minute:02}{seconds}"));
                }
            }
        }
        times
    }
}

/// How one of seconds, minutes and hours goes on.
#[derive(PartialEq, Eq)]
enum Pace {
    Every,
    /// From 0 on, through all of the field.
    Step(u32),
    Values(Vec<u32>),
}

impl Pace {
    fn of(field: TimeField, count: u32) -> Self {
        let values: Vec<u32> = bits(field.values).collect();
        if values.len() as u32 == count {
            return Self::Every;
        }
        let step = values.get(1).copied().unwrap_or(count);
        let stepped = (0..count).step_by(step.max(1) as usize).eq(values.iter().copied());
        // An uneven last step is no pace: it is told value by value.
        if stepped && values.len() > 2 && count.is_multiple_of(step) {
            Self::Step(step)
        } else {
            Self::Values(values)
        }
    }

    const fn is_even(&self) -> bool {
        matches!(self, Self::Every | Self::Step(_))
    }

    fn say(&self, (one, many): (&str, &str), language: Language) -> String {
        match (self, language) {
            (Self::Every, English) => format!("every {one}"),
            (Self::Every, Chinese) => format!("每{one}"),
            (Self::Step(step), English) => format!("every {step} {many}"),
            (Self::Step(step), Chinese) => format!("每 {step} {one}"),
            (Self::Values(values), English) => {
                let noun = if values.len() == 1 { one } else { many };
                format!("in {noun} {}", numbers(values, language))
            }
            (Self::Values(values), Chinese) => format!("第 {} {many}", numbers(values, language)),
        }
    }
}

pub(in crate::schedule) fn days(days: &Days, language: Language) -> String {
    let said_month_days =
        (days.month_days.plain != ALL_MONTH_DAYS).then(|| month_days(days.month_days, language));
    let said_weekdays = (days.weekdays != Weekdays::ALL).then(|| weekdays(days.weekdays, language));
    match (said_month_days, said_weekdays, language) {
        (None, None, English) => "every day".to_owned(),
        (None, None, Chinese) => "每天".to_owned(),
        (None, Some(_), _) | (Some(_), None, _) if days.either => {
            // Every day is one of the two.
            if language == English { "every day".to_owned() } else { "每天".to_owned() }
        }
        (Some(only), None, English) | (None, Some(only), English) => format!("on {only}"),
        (Some(only), None, Chinese) | (None, Some(only), Chinese) => only,
        (Some(month_days), Some(weekdays), English) => {
            let word = if days.either { "and also on" } else { "if it is" };
            format!("on {month_days}, {word} {weekdays}")
        }
        (Some(month_days), Some(weekdays), Chinese) => {
            let word = if days.either { "以及" } else { "且为" };
            format!("{month_days}{word}{weekdays}")
        }
    }
}

fn month_days(days: MonthDays, language: Language) -> String {
    let mut said = Vec::new();
    let plain: Vec<u32> = bits(days.plain.into()).collect();
    match (plain.len(), language) {
        (0, _) => {}
        (1, English) => said.push(format!("day {}", numbers(&plain, language))),
        (_, English) => said.push(format!("days {}", numbers(&plain, language))),
        (_, Chinese) => said.push(format!("{} 日", numbers(&plain, language))),
    }
    said.extend(bits(days.near.into()).map(|day| match language {
        English => format!("the weekday nearest day {day}"),
        Chinese => format!("最接近 {day} 日的工作日"),
    }));
    let last = |before, language| match (before, language) {
        (0, English) => "the last day".to_owned(),
        (1, English) => "the day before the last".to_owned(),
        (_, English) => format!("the day {before} days before the last"),
        (0, Chinese) => "最后一天".to_owned(),
        (_, Chinese) => format!("最后一天的前 {before} 天"),
    };
    said.extend(bits(days.before_last.into()).map(|before| last(before, language)));
    said.extend(bits(days.near_before_last.into()).map(|before| match (before, language) {
        (0, English) => "the last weekday".to_owned(),
        (_, English) => format!("the weekday nearest {}", last(before, language)),
        (0, Chinese) => "最后一个工作日".to_owned(),
        (_, Chinese) => format!("最接近{}的工作日", last(before, language)),
    }));
    match language {
        English => format!("{} of the month", list(&said, language)),
        Chinese => format!("每月 {}", list(&said, language)),
    }
}

fn weekdays(days: Weekdays, language: Language) -> String {
    const ENGLISH: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    const CHINESE: [&str; 7] = ["周日", "周一", "周二", "周三", "周四", "周五", "周六"];
    let name = |day: u32| match language {
        English => ENGLISH[day as usize % 7].to_owned(),
        Chinese => CHINESE[day as usize % 7].to_owned(),
    };
    // A week is told from Monday on, so that a weekend is a range.
    let mut plain: Vec<u32> = bits(days.plain.into()).map(|day| if day == 0 { 7 } else { day }).collect();
    plain.sort_unstable();
    let mut said = spans(&plain, language, &name);
    said.extend(bits(days.nth).map(|bit| match language {
        English => format!("the {} {} of the month", ordinal(bit / 7 + 1), name(bit % 7)),
        Chinese => format!("每月第 {} 个{}", bit / 7 + 1, name(bit % 7)),
    }));
    said.extend(bits(days.last.into()).map(|day| match language {
        English => format!("the last {} of the month", name(day)),
        Chinese => format!("每月最后一个{}", name(day)),
    }));
    list(&said, language)
}

fn months(days: &Days, language: Language) -> Option<String> {
    const NAMES: [&str; 13] = [
        "",
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let months: Vec<u32> = bits(days.months.into()).collect();
    (days.months != ALL_MONTHS).then(|| match language {
        English => {
            let names = spans(&months, language, &|month| NAMES[month as usize].to_owned());
            format!("in {}", list(&names, language))
        }
        Chinese => format!("{} 月", numbers(&months, language)),
    })
}

fn years(days: &Days, language: Language) -> Option<String> {
    let years: Vec<u32> = days.years.as_ref()?.iter().map(|year| year.unsigned_abs().into()).collect();
    Some(match language {
        English => format!("in {}", numbers(&years, language)),
        Chinese => format!("{} 年", numbers(&years, language)),
    })
}

fn ordinal(number: u32) -> &'static str {
    ["first", "second", "third", "fourth", "fifth"][(number - 1) as usize]
}

fn numbers(values: &[u32], language: Language) -> String {
    list(&spans(values, language, &|value| value.to_string()), language)
}

/// Three neighbours or more as "a to b".
fn spans(values: &[u32], language: Language, name: &dyn Fn(u32) -> String) -> Vec<String> {
    values
        .chunk_by(|one, next| one + 1 == *next)
        .flat_map(|run| match run {
            [first, .., last] if run.len() > 2 => vec![match language {
                English => format!("{} to {}", name(*first), name(*last)),
                Chinese => format!("{}至{}", name(*first), name(*last)),
            }],
            _ => run.iter().map(|value| name(*value)).collect(),
        })
        .collect()
}

fn list(items: &[String], language: Language) -> String {
    match (items, language) {
        ([first @ .., before_last, last], English) => {
            let first: String = first.iter().map(|item| format!("{item}, ")).collect();
            format!("{first}{before_last} and {last}")
        }
        (_, English) => items.concat(),
        (_, Chinese) => items.join("、"),
    }
}
