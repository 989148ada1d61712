//! Which fields a dialect has, and the macros that stand for whole expressions.

use super::ScheduleError;
use super::word::{Word, refusal};
use crate::domain::Dialect;

/// The words of an expression by field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout<'a> {
    pub(super) seconds: Option<Word<'a>>,
    pub(super) minutes: Word<'a>,
    pub(super) hours: Word<'a>,
    pub(super) month_days: Word<'a>,
    pub(super) months: Word<'a>,
    pub(super) weekdays: Word<'a>,
    pub(super) years: Option<Word<'a>>,
}

impl<'a> Layout<'a> {
    pub(super) fn read(text: &'a str, dialect: Dialect) -> Result<Self, ScheduleError> {
        let words: Vec<Word<'a>> = Word::all(text).collect();
        match (dialect, &*words) {
            (Dialect::Unix, &[minutes, hours, month_days, months, weekdays]) => {
                Ok(Self { seconds: None, minutes, hours, month_days, months, weekdays, years: None })
            }
            (
                Dialect::Quartz | Dialect::Spring,
                &[seconds, minutes, hours, month_days, months, weekdays, ref years @ ..],
            ) if years.len() <= usize::from(dialect == Dialect::Quartz) => Ok(Self {
                seconds: Some(seconds),
                minutes,
                hours,
                month_days,
                months,
                weekdays,
                years: years.first().copied(),
            }),
            _ => Err(wrong_count(text, &words, dialect)),
        }
    }
}

fn wrong_count(text: &str, words: &[Word<'_>], dialect: Dialect) -> ScheduleError {
    let (most, known) = match dialect {
        Dialect::Quartz => (7, "6 or 7"),
        Dialect::Unix => (5, "5"),
        Dialect::Spring => (6, "6"),
    };
    let remedy = match (dialect, words.len()) {
        (Dialect::Quartz, 5) => {
            "this looks like a unix expression: give the dialect unix, or prepend `0 ` for the seconds, write ? in one \
             of the day fields, and count weekdays from 1 = Sunday"
        }
        (Dialect::Spring, 5) => {
            "this looks like a unix expression: give the dialect unix, or prepend `0 ` for the seconds"
        }
        (Dialect::Unix, 6 | 7) => {
            "this looks like an expression with seconds: give the dialect quartz or spring, or leave the seconds out"
        }
        (Dialect::Spring, 7) => "leave the years out, or give the dialect quartz",
        (Dialect::Quartz, _) => {
            "write seconds, minutes, hours, day of month, month, day of week, and years if you like"
        }
        (Dialect::Unix, _) => "write minutes, hours, day of month, month and day of week",
        (Dialect::Spring, _) => "write seconds, minutes, hours, day of month, month and day of week",
    };
    let at = match words.get(most) {
        Some(surplus) => surplus.at,
        None if words.len() == 5 => words[0].at,
        None => text.len(),
    };
    refusal("cron_field_count", at, format!("has {} fields instead of {known}", words.len()), remedy)
}

/// The macros, as unix writes them; spring prepends its seconds.
const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 0 1 1 *"),
    ("@annually", "0 0 0 1 1 *"),
    ("@monthly", "0 0 0 1 * *"),
    ("@weekly", "0 0 0 * * 0"),
    ("@daily", "0 0 0 * * *"),
    ("@midnight", "0 0 0 * * *"),
    ("@hourly", "0 0 * * * *"),
];

/// The fields that a macro stands for; `None` if the text is none.
pub(super) fn macro_of(text: &str, dialect: Dialect) -> Result<Option<&'static str>, ScheduleError> {
    let mut words = Word::all(text);
    let Some(word) = words.next().filter(|word| word.text.starts_with('@')) else { return Ok(None) };
    if word.is("@reboot") || word.is("@every") {
        let message = format!("{} is no instant of a calendar", word.text);
        return Err(refusal(
            "cron_unknown_feature",
            word.at,
            message,
            "for @every take a fixed rate; for @reboot there is none: trigger the job when the program starts",
        ));
    }
    let known = MACROS.iter().find(|(name, _)| word.is(name));
    match (dialect, known) {
        (Dialect::Quartz, _) => Err(refusal(
            "cron_unknown_feature",
            word.at,
            "is a macro, which the dialect quartz has not",
            "write the fields, as 0 0 0 * * ? for @daily, or give the dialect unix or spring",
        )),
        (_, None) => Err(refusal(
            "cron_unknown_feature",
            word.at,
            format!("{} is no known macro", word.text),
            "write @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly, or the fields",
        )),
        (_, Some((_, fields))) => match words.next() {
            Some(surplus) => Err(refusal(
                "cron_field_count",
                surplus.at,
                "has more than the macro",
                "write the macro alone, or the fields",
            )),
            None if dialect == Dialect::Unix => Ok(fields.get(2..)),
            None => Ok(Some(fields)),
        },
    }
}
