//! Which times of day a rule names, in seconds after midnight on the wall.
//!
//! The `cron` crate enumerates those of an expression. It is given plain lists of numbers, so that its own grammar, which
//! differs from the dialects' in steps, names and white space, never decides anything, and the times of one day dressed
//! as UTC, so that its handling of zones, which loses and doubles ticks at transitions, and its last year, 2100, never
//! matter.

use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::OnceLock;

use chrono::{DateTime, Utc};

use super::days::bits;

/// The times of day of a rule: at least one.
#[derive(Debug)]
pub(super) struct Times {
    first: i32,
    last: i32,
    /// How many there are in a day.
    pub(super) count: u32,
    between: Between,
}

/// Which times there are between the first and the last.
#[derive(Debug)]
enum Between {
    /// By the sets of seconds, minutes and hours, as bits. The enumerator, which is dear to make and large, is made when
    /// it is first asked.
    Fields([u64; 3], OnceLock<Box<cron::Schedule>>),
    /// Each so many seconds after the one before.
    Even(i32),
}

/// 2000-01-01T00:00:00: the day on which times are enumerated.
const DAY: i64 = 946_684_800;
const DAY_S: i32 = 86_400;

impl Times {
    /// By sets of seconds, minutes and hours, as bits, none of them empty.
    pub(super) fn of_fields(seconds: u64, minutes: u64, hours: u64) -> Self {
        let time = |pick: fn(u64) -> u32| {
            let [hour, minute, second] = [hours, minutes, seconds].map(|set| pick(set).cast_signed());
            hour * 3_600 + minute * 60 + second
        };
        Self {
            first: time(u64::trailing_zeros),
            last: time(u64::ilog2),
            count: seconds.count_ones() * minutes.count_ones() * hours.count_ones(),
            between: Between::Fields([seconds, minutes, hours], OnceLock::new()),
        }
    }

    /// `from`, and so on each `step` seconds up to and with `to`, within a day.
    pub(super) fn even(from: i32, to: i32, step: i32) -> Self {
        let more = (to.min(DAY_S - 1) - from) / step;
        Self {
            first: from,
            last: from + more * step,
            count: more.cast_unsigned() + 1,
            between: Between::Even(step),
        }
    }

    pub(super) const fn first(&self) -> i32 {
        self.first
    }

    pub(super) const fn last(&self) -> i32 {
        self.last
    }

    /// The first one at or after `from`.
    pub(super) fn next(&self, from: i32) -> Option<i32> {
        if from <= self.first {
            return Some(self.first);
        }
        if from >= self.last {
            return (from == self.last).then_some(from);
        }
        match &self.between {
            Between::Fields(sets, made) => time(enumerator(sets, made).after(&dressed(from - 1)).next()?),
            Between::Even(step) => Some(self.first + (from - self.first + step - 1) / step * step),
        }
    }

    /// The last one at or before `to`.
    pub(super) fn previous(&self, to: i32) -> Option<i32> {
        if to >= self.last {
            return Some(self.last);
        }
        if to <= self.first {
            return (to == self.first).then_some(to);
        }
        match &self.between {
            Between::Fields(sets, made) => time(enumerator(sets, made).after(&dressed(to + 1)).next_back()?),
            Between::Even(step) => Some(self.first + (to - self.first) / step * step),
        }
    }
}

fn enumerator<'a>(sets: &[u64; 3], made: &'a OnceLock<Box<cron::Schedule>>) -> &'a cron::Schedule {
    made.get_or_init(|| {
        let mut text = String::new();
        for (set, count) in sets.iter().zip([60, 60, 24]) {
            if set.count_ones() == count {
                text.push('*');
            } else {
                for (at, value) in bits(*set).enumerate() {
                    let separator = if at == 0 { "" } else { "," };
                    write!(text, "{separator}{value}").expect("a string grows");
                }
            }
            text.push(' ');
        }
        text.push_str("* * *");
        Box::new(cron::Schedule::from_str(&text).expect("lists of numbers within their bounds are cron"))
    })
}

fn dressed(time: i32) -> DateTime<Utc> {
    DateTime::from_timestamp(DAY + i64::from(time), 0).expect("times lie around the year 2000")
}

fn time(dressed: DateTime<Utc>) -> Option<i32> {
    i32::try_from(dressed.timestamp() - DAY).ok()
}
