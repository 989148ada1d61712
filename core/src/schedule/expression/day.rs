//! The day fields: their values, the days that only a calendar tells, and what the two fields may say together.

use super::ScheduleError;
use super::field::{Field, MONTH_DAYS, Ranges};
use super::word::{Word, refusal};
use crate::domain::Dialect;
use crate::schedule::days::{ALL_MONTH_DAYS, ALL_WEEKDAYS, MonthDays, Weekdays};

const SUNDAY_FIRST: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONDAY_FIRST: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

const QUARTZ_WEEKDAYS: Field = Field {
    name: "day of week",
    min: 1,
    max: 7,
    all: (1, 7),
    names: &SUNDAY_FIRST,
    named_from: 1,
    ranges: Ranges::Wrapping,
    bare_step: true,
    remedy: "write 1 (Sunday) to 7 (Saturday), or SUN to SAT",
};
const UNIX_WEEKDAYS: Field = Field {
    min: 0,
    all: (0, 6),
    named_from: 0,
    ranges: Ranges::SundayLast,
    bare_step: false,
    remedy: "write 0 (Sunday) to 7 (Sunday again), or SUN to SAT",
    ..QUARTZ_WEEKDAYS
};
const SPRING_WEEKDAYS: Field =
    Field { all: (1, 7), names: &MONDAY_FIRST, named_from: 1, ranges: Ranges::SundayFirst, ..UNIX_WEEKDAYS };

pub(super) fn month_days(word: Word<'_>, dialect: Dialect) -> Result<MonthDays, ScheduleError> {
    if word.text == "?" {
        return Ok(MonthDays::ALL);
    }
    let field = MONTH_DAYS.of(dialect);
    let mut days = MonthDays::default();
    for item in word.items() {
        field.check_item(item)?;
        if item.text.contains(['L', 'l', 'W', 'w']) {
            special_month_day(&field, item, dialect, &mut days)?;
        } else {
            field.read_item(item, &mut |day| days.plain |= 1 << day)?;
        }
    }
    Ok(if days.plain == ALL_MONTH_DAYS { MonthDays::ALL } else { days })
}

/// `L`, `L-n`, `LW`, `L-nW` and `nW`.
fn special_month_day(
    field: &Field,
    item: Word<'_>,
    dialect: Dialect,
    days: &mut MonthDays,
) -> Result<(), ScheduleError> {
    if dialect == Dialect::Unix {
        return Err(not_in_unix(field, item));
    }
    let near = item.text.ends_with(['W', 'w']);
    let body = item.without(0, usize::from(near));
    if !body.text.starts_with(['L', 'l']) {
        if !near {
            let message = format!("{}: {} does not begin with L", field.name, item.text);
            return Err(refusal("cron_bad_value", item.at, message, "write L, L-3, LW or 15W"));
        }
        days.near |= 1 << field.value(body)?;
        return Ok(());
    }
    let before = match body.without(1, 0) {
        last if last.text.is_empty() => 0,
        _ if near && dialect == Dialect::Spring => {
            let message = format!("{}: the dialect spring has no {}", field.name, item.text);
            return Err(refusal(
                "cron_unknown_feature",
                item.at,
                message,
                "write LW, or give the dialect quartz",
            ));
        }
        offset => days_before_last(field, offset)?,
    };
    *(if near { &mut days.near_before_last } else { &mut days.before_last }) |= 1 << before;
    Ok(())
}

fn days_before_last(field: &Field, offset: Word<'_>) -> Result<u32, ScheduleError> {
    let number = offset.text.strip_prefix('-').and_then(|_| offset.without(1, 0).number());
    number.filter(|days| *days <= 30).ok_or_else(|| {
        let message = format!("{}: {:?} after L is not between -0 and -30", field.name, offset.text);
        refusal(
            "cron_bad_value",
            offset.at,
            message,
            "write L-3 for the third day before the last, at most L-30",
        )
    })
}

pub(super) fn weekdays(word: Word<'_>, dialect: Dialect) -> Result<Weekdays, ScheduleError> {
    if word.text == "?" {
        return Ok(Weekdays::ALL);
    }
    let field = match dialect {
        Dialect::Quartz => QUARTZ_WEEKDAYS,
        Dialect::Unix => UNIX_WEEKDAYS,
        Dialect::Spring => SPRING_WEEKDAYS,
    };
    let mut days = Weekdays::default();
    for item in word.items() {
        field.check_item(item)?;
        if item.text.contains('#') || item.text.ends_with(['L', 'l']) {
            special_weekday(&field, item, item.text.len() == word.text.len(), dialect, &mut days)?;
        } else {
            field.read_item(item, &mut |value| days.plain |= 1 << weekday(value, dialect))?;
        }
    }
    if days.plain == ALL_WEEKDAYS {
        return Ok(Weekdays::ALL);
    }
    let of_month = u64::from(days.plain) * (1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28);
    Ok(Weekdays { plain: days.plain, last: days.last & !days.plain, nth: days.nth & !of_month })
}

/// `L`, `nL` and `d#n`.
fn special_weekday(
    field: &Field,
    item: Word<'_>,
    alone: bool,
    dialect: Dialect,
    days: &mut Weekdays,
) -> Result<(), ScheduleError> {
    if dialect == Dialect::Unix {
        return Err(not_in_unix(field, item));
    }
    if let Some((day, nth)) = item.cut('#') {
        let day = weekday(field.value(day)?, dialect);
        let nth_of_month = nth.number().filter(|nth| (1..=5).contains(nth)).ok_or_else(|| {
            let message = format!("{}: {:?} after # is not between 1 and 5", field.name, nth.text);
            refusal("cron_bad_value", nth.at, message, "write FRI#2 for the second Friday of the month")
        })?;
        days.nth |= 1 << (7 * (nth_of_month - 1) + day);
        return Ok(());
    }
    let day = item.without(0, 1);
    if !day.text.is_empty() {
        days.last |= 1 << weekday(field.value(day)?, dialect);
        return Ok(());
    }
    if alone && dialect == Dialect::Quartz {
        days.plain |= 1 << 6;
        return Ok(());
    }
    let message = format!("{}: L has no day before it", field.name);
    Err(refusal(
        "cron_unknown_feature",
        item.at,
        message,
        "write FRIL for the last Friday, or SAT for the week's last day",
    ))
}

/// 0 for Sunday.
const fn weekday(value: u32, dialect: Dialect) -> u32 {
    match dialect {
        Dialect::Quartz => value - 1,
        Dialect::Unix | Dialect::Spring => value % 7,
    }
}

fn not_in_unix(field: &Field, item: Word<'_>) -> ScheduleError {
    let message = format!("{}: the dialect unix has no {}", field.name, item.text);
    let remedy = "L, W and # need the dialect quartz or spring, with the seconds first";
    refusal("cron_unknown_feature", item.at, message, remedy)
}

/// Quartz reads one of the two fields only.
pub(super) fn check_together(
    month_days: Word<'_>,
    weekdays: Word<'_>,
    dialect: Dialect,
) -> Result<(), ScheduleError> {
    match (dialect, month_days.text, weekdays.text) {
        (Dialect::Unix | Dialect::Spring, ..) => Ok(()),
        (Dialect::Quartz, "?", "?") => Err(refusal(
            "cron_no_day",
            weekdays.at,
            "has ? in both day fields",
            "write * or days in one of them",
        )),
        (Dialect::Quartz, "?" | "*", _) | (Dialect::Quartz, _, "?" | "*") => Ok(()),
        _ => Err(refusal(
            "cron_two_days",
            weekdays.at,
            "restricts both the day of month and the day of week",
            "write ? in one of them; for either of two rules make two jobs",
        )),
    }
}
