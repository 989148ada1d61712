//! The engine under test, behind the words of the oracle.

use crate::instants::{Gap, Oracle, Overlap};
use crate::random::{Case, zone};
use crate::text::{self, Dialect};
use fastjob_core::clock::Millis;
use fastjob_core::domain::{self, Cron, GapRule, OverlapRule, Trigger};
use fastjob_core::schedule::{Schedule, ScheduleError};

pub(crate) fn compile(case: &Case) -> Result<Schedule, ScheduleError> {
    let cron = Cron {
        expression: case.expression.clone(),
        dialect: match case.dialect {
            Dialect::Quartz => domain::Dialect::Quartz,
            Dialect::Unix => domain::Dialect::Unix,
            Dialect::Spring => domain::Dialect::Spring,
        },
        zone: case.zone.clone(),
        gap: case.gap.map(|rule| match rule {
            Gap::Next => GapRule::Next,
            Gap::Skip => GapRule::Skip,
        }),
        overlap: case.overlap.map(|rule| match rule {
            Overlap::First => OverlapRule::First,
            Overlap::Both => OverlapRule::Both,
        }),
    };
    Schedule::compile(&Trigger::Cron(cron), Millis::new(case.from))
}

pub(crate) fn oracle(case: &Case) -> Result<Oracle, String> {
    let expression = text::read(&case.expression, case.dialect)?;
    if expression.interval && (case.gap.is_some() || case.overlap.is_some()) {
        return Err("an interval rule has no gap or overlap rule".to_owned());
    }
    Ok(Oracle { expression, zone: zone(&case.zone), gap: case.gap, overlap: case.overlap })
}

/// The tick after `after`, in milliseconds.
pub(crate) fn next(schedule: &Schedule, after: i64) -> Option<i64> {
    schedule.next(Millis::new(after)).map(Millis::get)
}

pub(crate) fn previous(schedule: &Schedule, before: i64) -> Option<i64> {
    schedule.previous(Millis::new(before)).map(Millis::get)
}

/// Year, month and day that a tick stands for.
pub(crate) fn date_of(schedule: &Schedule, tick: i64) -> (i64, u32, u32) {
    let date = schedule.civil_date(Millis::new(tick)).expect("a cron rule has a zone");
    (date.year().into(), date.month().unsigned_abs().into(), date.day().unsigned_abs().into())
}
