//! Which dates a rule names: sets of years, months, days of the month and weekdays, and the days that only a calendar
//! tells, as the last Friday or the weekday nearest the fifteenth.

use jiff::civil::Date;

/// The first year of every rule.
pub(super) const FIRST_YEAR: i16 = 1970;
/// The last year of every rule.
pub(super) const LAST_YEAR: i16 = 2199;

/// All days of a month, as bits 1 to 31.
pub(super) const ALL_MONTH_DAYS: u32 = 0xFFFF_FFFE;
/// All weekdays, as bits 0 (Sunday) to 6.
pub(super) const ALL_WEEKDAYS: u8 = 0x7F;
/// All months, as bits 1 to 12.
pub(super) const ALL_MONTHS: u16 = 0x1FFE;

/// The dates of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Days {
    pub(super) month_days: MonthDays,
    pub(super) weekdays: Weekdays,
    /// Bits 1 to 12.
    pub(super) months: u16,
    /// Rising; `None`: all.
    pub(super) years: Option<Box<[i16]>>,
    /// A date needs to match one of the day fields only, not both.
    pub(super) either: bool,
}

/// Days of the month.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct MonthDays {
    /// Bits 1 to 31.
    pub(super) plain: u32,
    /// Bit n: the day n days before the last.
    pub(super) before_last: u32,
    /// Bit n: the weekday nearest to the day n days before the last.
    pub(super) near_before_last: u32,
    /// Bit n: the weekday nearest to day n.
    pub(super) near: u32,
}

/// Days of the week; 0 is Sunday.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Weekdays {
    /// Bits 0 to 6.
    pub(super) plain: u8,
    /// Bits 0 to 6: the last of each in the month.
    pub(super) last: u8,
    /// Bit `7 * (n - 1) + d`: the n-th d of the month, 1 to 5.
    pub(super) nth: u64,
}

impl MonthDays {
    pub(super) const ALL: Self = Self { plain: ALL_MONTH_DAYS, before_last: 0, near_before_last: 0, near: 0 };

    fn of(self, month: Month) -> u32 {
        let mut days = self.plain & month.all();
        if self.before_last | self.near_before_last | self.near == 0 {
            return days;
        }
        let from_end = |before: u32| month.length.checked_sub(before).filter(|day| *day > 0);
        days |= bits(self.before_last.into()).filter_map(from_end).fold(0, |days, day| days | 1 << day);
        bits(self.near_before_last.into())
            .filter_map(from_end)
            .chain(bits(self.near.into()).filter(|day| *day <= month.length))
            .fold(days, |days, day| days | 1 << month.nearest_weekday(day))
    }
}

impl Weekdays {
    pub(super) const ALL: Self = Self { plain: ALL_WEEKDAYS, last: 0, nth: 0 };

    fn of(self, month: Month) -> u32 {
        if self.plain == ALL_WEEKDAYS {
            return month.all();
        }
        let plain = bits(self.plain.into()).fold(0, |days, weekday| days | month.all_of(weekday));
        let last = bits(self.last.into()).fold(0, |days, weekday| {
            let all = month.all_of(weekday);
            days | 1 << all.ilog2()
        });
        let nth = bits(self.nth).fold(0, |days, bit| {
            let day = month.first_of(bit % 7) + bit / 7 * 7;
            if day <= month.length { days | 1 << day } else { days }
        });
        plain | last | nth
    }
}

impl Days {
    /// The first date at or after `from`.
    pub(super) fn next(&self, from: Date) -> Option<Date> {
        let mut rest = u32::MAX << from.day();
        let (mut year, mut from_month) = (from.year(), from.month());
        loop {
            let of_rule = self.year_from(year)?;
            if of_rule > year {
                (rest, year, from_month) = (u32::MAX, of_rule, 1);
            }
            for month in from_month..=12 {
                if self.months >> month & 1 == 1 {
                    let days = self.of_month(Month::new(year, month)) & rest;
                    if days != 0 {
                        return Some(date(year, month, days.trailing_zeros()));
                    }
                }
                rest = u32::MAX;
            }
            (year, from_month) = (year + 1, 1);
        }
    }

    /// The last date at or before `to`.
    pub(super) fn previous(&self, to: Date) -> Option<Date> {
        let mut rest = u32::MAX >> (31 - to.day());
        let (mut year, mut to_month) = (to.year(), to.month());
        loop {
            let of_rule = self.year_to(year)?;
            if of_rule < year {
                (rest, year, to_month) = (u32::MAX, of_rule, 12);
            }
            for month in (1..=to_month).rev() {
                if self.months >> month & 1 == 1 {
                    let days = self.of_month(Month::new(year, month)) & rest;
                    if days != 0 {
                        return Some(date(year, month, days.ilog2()));
                    }
                }
                rest = u32::MAX;
            }
            (year, to_month) = (year - 1, 12);
        }
    }

    /// Whether any month of any year could hold one of the days, also one that the years leave out.
    pub(super) fn exist(&self) -> bool {
        // 1972 to 1999 begin on each weekday, with and without a leap day.
        (1972..2000).any(|year| {
            (1..=12)
                .filter(|month| self.months >> month & 1 == 1)
                .any(|month| self.of_month(Month::new(year, month)) != 0)
        })
    }

    fn of_month(&self, month: Month) -> u32 {
        let (month_days, weekdays) = (self.month_days.of(month), self.weekdays.of(month));
        if self.either { month_days | weekdays } else { month_days & weekdays }
    }

    fn year_from(&self, year: i16) -> Option<i16> {
        match &self.years {
            None => (year <= LAST_YEAR).then_some(year.max(FIRST_YEAR)),
            Some(years) => years.get(years.partition_point(|of_rule| *of_rule < year)).copied(),
        }
    }

    fn year_to(&self, year: i16) -> Option<i16> {
        match &self.years {
            None => (year >= FIRST_YEAR).then_some(year.min(LAST_YEAR)),
            Some(years) => years[..years.partition_point(|of_rule| *of_rule <= year)].last().copied(),
        }
    }
}

/// What the days of a month depend on.
#[derive(Clone, Copy)]
struct Month {
    length: u32,
    /// The weekday of day 1; 0 is Sunday.
    begins_on: u32,
}

impl Month {
    fn new(year: i16, month: i8) -> Self {
        let first = date(year, month, 1);
        Self {
            length: first.days_in_month().unsigned_abs().into(),
            begins_on: first.weekday().to_sunday_zero_offset().unsigned_abs().into(),
        }
    }

    fn all(self) -> u32 {
        ALL_MONTH_DAYS & u32::MAX >> (31 - self.length)
    }

    fn first_of(self, weekday: u32) -> u32 {
        (weekday + 7 - self.begins_on) % 7 + 1
    }

    fn all_of(self, weekday: u32) -> u32 {
        const EVERY_SEVENTH: u32 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28;
        EVERY_SEVENTH << self.first_of(weekday) & self.all()
    }

    /// Monday to Friday; it stays in the month.
    fn nearest_weekday(self, day: u32) -> u32 {
        match (self.begins_on + day - 1) % 7 {
            6 if day == 1 => 3,
            6 => day - 1,
            0 if day == self.length => day - 2,
            0 => day + 1,
            _ => day,
        }
    }
}

/// The numbers of the bits that are set, rising.
pub(super) fn bits(mut set: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (set != 0).then(|| set.trailing_zeros())?;
        set &= set - 1;
        Some(bit)
    })
}

fn date(year: i16, month: i8, day: u32) -> Date {
    let day = i8::try_from(day).expect("a day has two digits");
    Date::new(year, month, day).expect("days of a month are within its length")
}
