//! The civil times that a set of field values names, without zones: seconds since 1970-01-01T00:00:00 on the wall.
//!
//! The `cron` crate enumerates. It is given plain lists of numbers, so that its own grammar, which differs from
//! Quartz's in steps, names and white space, never decides anything, and civil time dressed as UTC, so that its
//! handling of zones, which loses and doubles ticks at transitions, never runs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, Utc};

/// 1970-01-01T00:00:00.
pub(super) const FIRST: i64 = 0;
/// 2101-01-01T00:00:00: no civil time from here on is named.
pub(super) const END: i64 = 4_133_980_800;

/// Civil times by field values.
#[derive(Debug)]
pub(super) struct Civil {
    schedule: cron::Schedule,
    years: BTreeSet<u32>,
}

impl Civil {
    /// From the values of the seven fields, seconds first; `None` if the enumerator refuses them.
    pub(super) fn new(fields: &[BTreeSet<u32>; 7]) -> Option<Self> {
        let mut text = String::new();
        for values in fields {
            for (at, value) in values.iter().enumerate() {
                let separator = if at == 0 { "" } else { "," };
                write!(text, "{separator}{value}").expect("a string grows");
            }
            text.push(' ');
        }
        let schedule = cron::Schedule::from_str(text.trim_end()).ok()?;
        Some(Self { schedule, years: fields[6].clone() })
    }

    /// The first civil time strictly after `after`.
    pub(super) fn next(&self, after: i64) -> Option<i64> {
        if after >= END {
            return None;
        }
        let next = self.schedule.after(&dressed(after.max(FIRST - 1))).next()?;
        Some(next.timestamp())
    }

    /// The last civil time strictly before `before`.
    pub(super) fn previous(&self, before: i64) -> Option<i64> {
        if before <= FIRST {
            return None;
        }
        let before = before.min(END);
        let year = u32::try_from(dressed(before - 1).year()).ok()?;
        let rule_year = *self.years.range(..=year).next_back()?;
        // The enumerator looks back into an earlier year only up to the month, day and time it started from, so it is
        // started from the end of that year.
        let before = if rule_year < year { year_end(rule_year)? } else { before };
        let previous = self.schedule.after(&dressed(before)).next_back()?;
        Some(previous.timestamp())
    }
}

fn dressed(civil: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(civil, 0).expect("civil times lie between 1969 and 2101")
}

fn year_end(year: u32) -> Option<i64> {
    let next = NaiveDate::from_ymd_opt(i32::try_from(year).ok()? + 1, 1, 1)?;
    Some(next.and_hms_opt(0, 0, 0)?.and_utc().timestamp())
}
