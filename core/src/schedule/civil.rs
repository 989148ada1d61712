//! The civil times that a rule names, without zones: seconds since 1970-01-01T00:00:00 on the wall.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;

use super::days::Days;
use super::times::Times;

/// 1970-01-01T00:00:00.
pub(super) const FIRST: i64 = 0;
/// 2200-01-01T00:00:00: no civil time from here on is named.
pub(super) const END: i64 = 7_258_118_400;

const DAY_S: i64 = 86_400;

/// Dates, and the times of day on each of them.
#[derive(Debug)]
pub(super) struct Civil {
    pub(super) days: Days,
    pub(super) times: Times,
}

impl Civil {
    /// The first civil time at or after `from`.
    pub(super) fn next(&self, from: i64) -> Option<i64> {
        if from >= END {
            return None;
        }
        let from = from.max(FIRST);
        let today = date(from);
        let day = self.days.next(today)?;
        if day > today {
            return Some(second(day, self.times.first()));
        }
        match self.times.next(time(from)) {
            Some(time) => Some(second(today, time)),
            None => Some(second(self.days.next(today.tomorrow().ok()?)?, self.times.first())),
        }
    }

    /// The last civil time at or before `to`.
    pub(super) fn previous(&self, to: i64) -> Option<i64> {
        if to < FIRST {
            return None;
        }
        let to = to.min(END - 1);
        let today = date(to);
        let day = self.days.previous(today)?;
        if day < today {
            return Some(second(day, self.times.last()));
        }
        match self.times.previous(time(to)) {
            Some(time) => Some(second(today, time)),
            None => Some(second(self.days.previous(today.yesterday().ok()?)?, self.times.last())),
        }
    }

    /// The first civil time in `from..to`.
    pub(super) fn first_within(&self, from: i64, to: i64) -> Option<i64> {
        self.next(from).filter(|civil| *civil < to)
    }
}

/// What a wall clock shows.
pub(super) fn datetime(civil: i64) -> DateTime {
    Offset::UTC.to_datetime(Timestamp::from_second(civil).expect("civil times lie between 1969 and 2201"))
}

fn date(civil: i64) -> Date {
    datetime(civil).date()
}

fn time(civil: i64) -> i32 {
    i32::try_from(civil.rem_euclid(DAY_S)).expect("a day has 86,400 seconds")
}

fn second(date: Date, time: i32) -> i64 {
    let midnight =
        Offset::UTC.to_timestamp(DateTime::from(date)).expect("civil times are far from the limits");
    midnight.as_second() + i64::from(time)
}
