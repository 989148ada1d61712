//! Which times of day a rule names, in seconds after midnight on the wall.
//!
//! The `cron` crate enumerates. It is given plain lists of numbers, so that its own grammar, which differs from the
//! dialects' in steps, names and white space, never decides anything, and the times of one day dressed as UTC, so that
//! its handling of zones, which loses and doubles ticks at transitions, and its last year, 2100, never matter.

use std::fmt::Write as _;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use super::days::bits;

/// The times of day of a rule: at least one.
#[derive(Debug)]
pub(super) struct Times {
    schedule: cron::Schedule,
    first: i32,
    last: i32,
    count: u32,
}

/// 2000-01-01T00:00:00: the day on which times are enumerated.
const DAY: i64 = 946_684_800;

impl Times {
    /// By seconds, minutes and hours, as bits; `None` if a set is empty.
    pub(super) fn new(seconds: u64, minutes: u64, hours: u64) -> Option<Self> {
        if seconds == 0 || minutes == 0 || hours == 0 {
            return None;
        }
        let mut text = String::new();
        for (values, count) in [(seconds, 60), (minutes, 60), (hours, 24)] {
            if values.count_ones() == count {
                text.push('*');
            }
            let listed = if values.count_ones() == count { 0 } else { values };
            for (at, value) in bits(listed).enumerate() {
                let separator = if at == 0 { "" } else { "," };
                write!(text, "{separator}{value}").expect("a string grows");
            }
            text.push(' ');
        }
        text.push_str("* * *");
        let first = |values: u64| i32::try_from(values.trailing_zeros()).ok();
        let last = |values: u64| i32::try_from(values.ilog2()).ok();
        Some(Self {
            schedule: cron::Schedule::from_str(&text).ok()?,
            first: first(hours)? * 3_600 + first(minutes)? * 60 + first(seconds)?,
            last: last(hours)? * 3_600 + last(minutes)? * 60 + last(seconds)?,
            count: seconds.count_ones() * minutes.count_ones() * hours.count_ones(),
        })
    }

    pub(super) const fn first(&self) -> i32 {
        self.first
    }

    pub(super) const fn last(&self) -> i32 {
        self.last
    }

    /// How many there are in a day.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// The first one at or after `from`.
    pub(super) fn next(&self, from: i32) -> Option<i32> {
        if from <= self.first {
            return Some(self.first);
        }
        if from >= self.last {
            return (from == self.last).then_some(from);
        }
        time(self.schedule.after(&dressed(from - 1)).next()?)
    }

    /// The last one at or before `to`.
    pub(super) fn previous(&self, to: i32) -> Option<i32> {
        if to >= self.last {
            return Some(self.last);
        }
        if to <= self.first {
            return (to == self.first).then_some(to);
        }
        time(self.schedule.after(&dressed(to + 1)).next_back()?)
    }
}

fn dressed(time: i32) -> DateTime<Utc> {
    DateTime::from_timestamp(DAY + i64::from(time), 0).expect("times lie around the year 2000")
}

fn time(dressed: DateTime<Utc>) -> Option<i32> {
    i32::try_from(dressed.timestamp() - DAY).ok()
}
