//! What every input must leave whole, whoever makes the bytes up.
//!
//! The first byte chooses the dialect; `cron_next` takes a zone and an instant from the nine bytes after it. The rest is
//! the expression.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Cron, Dialect, Trigger};
use fastjob_core::schedule::{Schedule, ScheduleError};

/// With changes by an hour, half an hour, two hours, a day, at midnight, and with an offset of odd seconds.
const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Pacific/Apia",
    "Africa/Cairo",
    "Africa/Monrovia",
];

/// 2200-01-01, where the years that cron speaks of end.
const END: i64 = 7_258_118_400_000;

/// A refusal is one line that names a place within the text; what is accepted has ticks after and before each other.
pub(crate) fn cron_parse(data: &[u8]) {
    let Some((dialect, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    match compile(&text, *dialect, "UTC") {
        Err(error) => assert_is_one_line_about(&text, &error),
        Ok(schedule) => assert_ticks_rise(&schedule, 1_767_225_600_000),
    }
}

/// As [`cron_parse`], in any zone and from any instant.
pub(crate) fn cron_next(data: &[u8]) {
    let Some((head, text)) = data.split_first_chunk::<10>() else { return };
    let [dialect, zone, instant @ ..] = *head;
    let text = String::from_utf8_lossy(text);
    match compile(&text, dialect, ZONES[usize::from(zone) % ZONES.len()]) {
        Err(error) => assert_is_one_line_about(&text, &error),
        Ok(schedule) => assert_ticks_rise(&schedule, i64::from_le_bytes(instant).rem_euclid(END)),
    }
}

fn compile(text: &str, dialect: u8, zone: &str) -> Result<Schedule, ScheduleError> {
    let dialect = Dialect::ALL[usize::from(dialect) % Dialect::ALL.len()];
    Schedule::compile(&Trigger::Cron(Cron::new(text, dialect, zone)), Millis::new(0))
}

fn assert_is_one_line_about(text: &str, error: &ScheduleError) {
    assert!(
        !error.message.is_empty() && !error.remedy.is_empty(),
        "{error:?} says what is wrong and what to do"
    );
    assert!(!error.message.chars().any(char::is_control), "{error:?} is one clean line");
    assert!(error.message.len() < 1000, "{error:?} is short");
    let end = text.chars().count();
    assert!(error.position.is_none_or(|position| position <= end), "{error:?} points into the text");
}

fn assert_ticks_rise(schedule: &Schedule, from: i64) {
    let mut at = Millis::new(from);
    for _ in 0..3 {
        let Some(tick) = schedule.next(at) else { break };
        assert!(tick > at, "{tick:?} comes after {at:?}");
        assert!(
            schedule.previous(tick).is_none_or(|back| back <= at),
            "nothing lies between {at:?} and {tick:?}"
        );
        at = tick;
    }
    let mut at = Millis::new(from);
    for _ in 0..3 {
        let Some(tick) = schedule.previous(at) else { break };
        assert!(tick < at, "{tick:?} comes before {at:?}");
        assert!(schedule.next(tick).is_none_or(|on| on >= at), "nothing lies between {tick:?} and {at:?}");
        at = tick;
    }
}
