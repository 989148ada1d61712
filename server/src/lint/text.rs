//! The fields of a cron expression as text: what the eye of a reader would stumble over.

use fastjob_core::domain::{Cron, Dialect};

/// A field by its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    Seconds,
    Minutes,
    Hours,
    DayOfMonth,
    Month,
    DayOfWeek,
}

impl Field {
    /// How many values it has.
    pub(super) const fn values(self) -> u32 {
        match self {
            Self::Seconds | Self::Minutes => 60,
            Self::Hours => 24,
            Self::DayOfMonth => 31,
            Self::Month => 12,
            Self::DayOfWeek => 7,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Minutes => "minutes",
            Self::Hours => "hours",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        }
    }
}

/// The fields of an expression in their order; none for a macro.
pub(super) fn fields(cron: &Cron) -> Vec<(Field, &str)> {
    use Field::{DayOfMonth, DayOfWeek, Hours, Minutes, Month, Seconds};
    let all = [Seconds, Minutes, Hours, DayOfMonth, Month, DayOfWeek];
    let order = match cron.dialect {
        Dialect::Quartz | Dialect::Spring => &all[..],
        Dialect::Unix => &all[1..],
    };
    if cron.expression.trim_start().starts_with('@') {
        return Vec::new();
    }
    order.iter().copied().zip(cron.expression.split_ascii_whitespace()).collect()
}

/// The field's text, if the expression has it.
pub(super) fn field<'a>(fields: &[(Field, &'a str)], wanted: Field) -> Option<&'a str> {
    fields.iter().find(|(field, _)| *field == wanted).map(|(_, text)| *text)
}

/// It lets everything through.
pub(super) fn is_open(text: &str) -> bool {
    matches!(text, "*" | "?")
}

/// Steps without an end of their own, as `*/7` and `3/7`: where they start and how far they go.
pub(super) fn open_steps(text: &str) -> impl Iterator<Item = (Option<u32>, u32)> {
    text.split(',').filter_map(|item| {
        let (base, step) = item.split_once('/')?;
        let first = if base == "*" { None } else { Some(base.parse().ok()?) };
        Some((first, step.parse().ok().filter(|step| *step > 0)?))
    })
}

/// Single values of a list.
pub(super) fn numbers(text: &str) -> impl Iterator<Item = u32> {
    text.split(',').filter_map(|item| item.parse().ok())
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// The months that the field names one by one; all twelve for `*`; `None` for what is more than a list.
pub(super) fn months(text: &str) -> Option<Vec<u32>> {
    if is_open(text) {
        return Some((1..=12).collect());
    }
    let month = |item: &str| {
        let named = (1..).zip(MONTHS).find(|(_, name)| name.eq_ignore_ascii_case(item));
        named.map(|(number, _)| number).or_else(|| item.parse().ok())
    };
    text.split(',').map(month).collect()
}
