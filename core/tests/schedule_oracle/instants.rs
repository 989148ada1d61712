//! A second account of when an expression fires: it walks the seconds of real time and asks of each whether it is a tick.
//!
//! The zone is asked for nothing but its offsets and the instants at which they change. Whole days, hours and minutes
//! that the fields exclude are stepped over; nothing else is clever.

use crate::text::{Expression, LAST_YEAR, MonthDay, WeekDay};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What becomes of a fixed rule's civil times that a gap swallows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    Next,
    Skip,
}

/// In which passes through an overlap a fixed rule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    First,
    Both,
}

pub(crate) struct Oracle {
    pub(crate) expression: Expression,
    pub(crate) zone: TimeZone,
    /// `None`: the default of the rule's class.
    pub(crate) gap: Option<Gap>,
    pub(crate) overlap: Option<Overlap>,
}

/// A stretch of time with one offset. Seconds since the epoch; the end is not part of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) offset: i64,
}

const DAY: i64 = 86_400;
/// Where the walk gives up, in either direction.
const EARLIEST: i64 = 0;
const LATEST: i64 = 7_321_190_400; // 2202-01-01

fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("the walk stays within the years that jiff knows")
}

/// The stretch that `second` lies in. A change of the name alone also ends one.
pub(crate) fn stretch(zone: &TimeZone, second: i64) -> Stretch {
    let second_after = timestamp(second + 1);
    let start = zone.preceding(second_after).next().map_or(i64::MIN, |change| change.timestamp().as_second());
    let end =
        zone.following(timestamp(second)).next().map_or(i64::MAX, |change| change.timestamp().as_second());
    Stretch { start, end, offset: i64::from(zone.to_offset(timestamp(second)).seconds()) }
}

impl Oracle {
    /// The first tick after `after` milliseconds, in seconds.
    pub(crate) fn next(&self, after: i64) -> Option<i64> {
        let mut second = after.div_euclid(1000) + 1;
        while second < LATEST {
            let here = stretch(&self.zone, second);
            if second == here.start && self.is_pushed_here(here) {
                return Some(second);
            }
            while second < here.end && second < LATEST {
                let civil = second + here.offset;
                match self.whole_unit_excluded(civil) {
                    Some(unit) => second = (civil.div_euclid(unit) + 1) * unit - here.offset,
                    None if self.fires_in(here, second) => return Some(second),
                    None => second += 1,
                }
            }
            second = second.min(here.end);
        }
        None
    }

    /// The last tick before `before` milliseconds, in seconds.
    pub(crate) fn previous(&self, before: i64) -> Option<i64> {
        let mut second = before.div_euclid(1000) - i64::from(before.rem_euclid(1000) == 0);
        while second >= EARLIEST - DAY {
            let here = stretch(&self.zone, second);
            while second >= here.start && second >= EARLIEST - DAY {
                let civil = second + here.offset;
                match self.whole_unit_excluded(civil) {
                    None if self.fires_in(here, second) => return Some(second),
                    _ if second == here.start && self.is_pushed_here(here) => return Some(second),
                    Some(unit) if civil.div_euclid(unit) * unit - here.offset > here.start => {
                        second = civil.div_euclid(unit) * unit - here.offset - 1;
                    }
                    Some(_) if second > here.start => second = here.start,
                    _ => second -= 1,
                }
            }
            second = second.min(here.start.saturating_sub(1));
        }
        None
    }

    /// The day, hour, minute or second that `civil` lies in, if the fields exclude all of it.
    fn whole_unit_excluded(&self, civil: i64) -> Option<i64> {
        let of_day = u32::try_from(civil.rem_euclid(DAY)).expect("a day is short");
        let rule = &self.expression;
        if !date_matches(rule, civil.div_euclid(DAY)) {
            Some(DAY)
        } else if !rule.hours.contains(&(of_day / 3600)) {
            Some(3600)
        } else if !rule.minutes.contains(&(of_day / 60 % 60)) {
            Some(60)
        } else if !rule.seconds.contains(&(of_day % 60)) {
            Some(1)
        } else {
            None
        }
    }

    /// A matching civil time fires, but a fixed rule not again if the same civil time has just been.
    fn fires_in(&self, here: Stretch, second: i64) -> bool {
        if self.expression.interval || self.overlap == Some(Overlap::Both) {
            return true;
        }
        let mut earlier = here;
        while earlier.start > second - 2 * DAY {
            earlier = stretch(&self.zone, earlier.start - 1);
            let twin = second + here.offset - earlier.offset;
            if earlier.start <= twin && twin < earlier.end {
                return false;
            }
        }
        true
    }

    fn is_pushed_here(&self, here: Stretch) -> bool {
        !self.expression.interval && self.gap != Some(Gap::Skip) && self.first_lost_before(here).is_some()
    }

    /// The first civil time, in seconds, that the expression has in the gap before `here`.
    fn first_lost_before(&self, here: Stretch) -> Option<i64> {
        let before = stretch(&self.zone, here.start.checked_sub(1)?);
        let mut civil = here.start + before.offset;
        while civil < here.start + here.offset {
            match self.whole_unit_excluded(civil) {
                Some(unit) => civil = (civil.div_euclid(unit) + 1) * unit,
                None => return Some(civil),
            }
        }
        None
    }

    /// The date that a tick stands for: its own, or where a gap pushed it, that of the first civil time lost.
    pub(crate) fn date_of(&self, tick: i64) -> (i64, u32, u32) {
        let here = stretch(&self.zone, tick);
        let own = tick + here.offset;
        let civil = match self.whole_unit_excluded(own) {
            None => own,
            Some(_) => self.first_lost_before(here).expect("only a gap moves a tick"),
        };
        date(civil.div_euclid(DAY))
    }
}

/// Whether the day, counted from 1970-01-01, is one that the expression allows.
fn date_matches(rule: &Expression, day: i64) -> bool {
    let (year, month, month_day) = date(day);
    // 1970-01-01 was a Thursday.
    let week_day = u32::try_from((day + 3).rem_euclid(7)).expect("a week is short") + 1;
    let length = month_length(year, month);
    if !(1970..=i64::from(LAST_YEAR)).contains(&year)
        || !rule.years.contains(&u32::try_from(year).expect("checked above"))
        || !rule.months.contains(&month)
    {
        return false;
    }
    let by_month_day = rule.month_days.iter().any(|allowed| match *allowed {
        MonthDay::Number(number) => number == month_day,
        MonthDay::Last(back) => month_day + back == length,
        MonthDay::LastWeekday(back) => {
            length > back && month_day == nearest_weekday(year, month, length - back)
        }
        MonthDay::Nearest(number) => number <= length && month_day == nearest_weekday(year, month, number),
    });
    let by_week_day = rule.week_days.iter().any(|allowed| match *allowed {
        WeekDay::Every(number) => number == week_day,
        WeekDay::Last(number) => number == week_day && month_day + 7 > length,
        WeekDay::Nth(number, nth) => number == week_day && month_day.div_ceil(7) == nth,
    });
    if rule.either_day { by_month_day || by_week_day } else { by_month_day && by_week_day }
}

/// The Monday to Friday nearest to a day, within its month.
fn nearest_weekday(year: i64, month: u32, day: u32) -> u32 {
    let is_weekday = |candidate: u32| (day_number(year, month, candidate) + 3).rem_euclid(7) < 5;
    let nearness = [0_i64, -1, 1, -2, 2];
    nearness
        .into_iter()
        .filter_map(|shift| u32::try_from(i64::from(day) + shift).ok())
        .find(|candidate| (1..=month_length(year, month)).contains(candidate) && is_weekday(*candidate))
        .expect("a weekend has two days")
}

fn month_length(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to that date, by counting.
pub(crate) fn day_number(year: i64, month: u32, day: u32) -> i64 {
    let before = year - 1;
    let leap_days = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
    let months: i64 = (1..month).map(|month| i64::from(month_length(year, month))).sum();
    before * 365 + leap_days + months + i64::from(day) - 1 - 719_162
}

/// Year, month and day of that many days after 1970-01-01.
pub(crate) fn date(day: i64) -> (i64, u32, u32) {
    let mut year = 1970 + day.div_euclid(366);
    while day_number(year + 1, 1, 1) <= day {
        year += 1;
    }
    let mut month = 1;
    let mut left = u32::try_from(day - day_number(year, 1, 1)).expect("within the year");
    while left >= month_length(year, month) {
        left -= month_length(year, month);
        month += 1;
    }
    (year, month, left + 1)
}
