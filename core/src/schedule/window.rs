//! A daily window: which dates and times of day it has.

use super::ScheduleError;
use super::days::{ALL_MONTHS, Days, MonthDays, Weekdays};
use super::times::Times;
use crate::domain::{DailyWindow, Weekday};

const DAY_S: i32 = 86_400;

pub(super) fn days(window: &DailyWindow) -> Result<Days, ScheduleError> {
    if window.weekdays.is_empty() {
        return Err(refusal(
            "no_weekday",
            "daily_window.weekdays",
            "names no weekday",
            "give at least one of mon to sun",
        ));
    }
    let plain = window.weekdays.iter().fold(0, |days, day| days | 1 << number(*day));
    Ok(Days {
        month_days: MonthDays::ALL,
        weekdays: Weekdays { plain, ..Weekdays::default() },
        months: ALL_MONTHS,
        years: None,
        either: false,
    })
}

pub(super) fn times(window: &DailyWindow) -> Result<Times, ScheduleError> {
    let (from, to) = (window.from_s, window.to_s);
    if !(0..DAY_S).contains(&from) {
        let remedy = "give a time from 00:00 to 23:59:59";
        return Err(refusal("out_of_bounds", "daily_window.from", "is no time of a day", remedy));
    }
    if !(from..=DAY_S).contains(&to) {
        let remedy = "give a time from `from` to 24:00; for a window over midnight make two jobs";
        return Err(refusal("window_reversed", "daily_window.to", "is before `from`", remedy));
    }
    let every = window.every_ms;
    if !(1_000..=DailyWindow::MAX_EVERY_MS).contains(&every) || every % 1_000 != 0 {
        let message = format!("is {every} ms");
        let remedy = "give whole seconds, 1000 ms to 24 h";
        return Err(refusal("period_out_of_bounds", "daily_window.every_ms", message, remedy));
    }
    let step = i32::try_from(every / 1_000).expect("a day has 86,400 seconds");
    Ok(Times::even(from, to, step))
}

/// 0 is Sunday.
const fn number(day: Weekday) -> u8 {
    match day {
        Weekday::Sunday => 0,
        Weekday::Monday => 1,
        Weekday::Tuesday => 2,
        Weekday::Wednesday => 3,
        Weekday::Thursday => 4,
        Weekday::Friday => 5,
        Weekday::Saturday => 6,
    }
}

fn refusal(
    code: &'static str,
    field: &'static str,
    message: impl Into<String>,
    remedy: &'static str,
) -> ScheduleError {
    ScheduleError { code, field, message: message.into(), position: None, remedy }
}
