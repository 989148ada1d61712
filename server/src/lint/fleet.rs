//! What concerns all jobs together: how many of them fire at one instant.

use std::collections::BTreeMap;

use fastjob_core::clock::Millis;
use fastjob_core::schedule::Schedule;

use super::{Code, Finding, Settings, Subject, rules};

/// How far is looked ahead.
const AHEAD_MS: i64 = 8 * 86_400_000;
/// A job that fires more often in that time is always there, and counts for no pile-up.
const MAX_TICKS: usize = 8 * 24;
const DAY_MS: i64 = 86_400_000;
/// Instants that are told.
const MAX_TOLD: usize = 20;
/// Jobs that are named.
const MAX_NAMED: usize = 3;

/// The instants at which many jobs fire; of those at one time of day the most crowded.
pub(super) fn pile_ups(
    schedules: &[Option<Schedule>],
    subjects: &[Subject],
    settings: Settings,
) -> Vec<Finding> {
    let crowds = crowds(schedules, settings.now);
    let mut worst: BTreeMap<i64, (Millis, &Vec<usize>)> = BTreeMap::new();
    for (tick, jobs) in crowds.iter().filter(|(_, jobs)| jobs.len() >= settings.pile_up.max(2)) {
        let time_of_day = tick.get().rem_euclid(DAY_MS);
        let known = worst.entry(time_of_day).or_insert((*tick, jobs));
        if jobs.len() > known.1.len() {
            *known = (*tick, jobs);
        }
    }
    let mut worst: Vec<_> = worst.into_values().collect();
    worst.sort_by_key(|(tick, jobs)| (std::cmp::Reverse(jobs.len()), *tick));
    worst.truncate(MAX_TOLD);
    worst.into_iter().map(|(tick, jobs)| told(tick, jobs, subjects)).collect()
}

fn crowds(schedules: &[Option<Schedule>], now: Millis) -> BTreeMap<Millis, Vec<usize>> {
    let mut crowds: BTreeMap<Millis, Vec<usize>> = BTreeMap::new();
    for (at, schedule) in schedules.iter().enumerate() {
        let Some(schedule) = schedule else { continue };
        let ticks = std::iter::successors(schedule.next(now), |tick| schedule.next(*tick));
        let ticks: Vec<Millis> =
            ticks.take_while(|tick| tick.since(now) < AHEAD_MS).take(MAX_TICKS + 1).collect();
        if ticks.len() <= MAX_TICKS {
            ticks.into_iter().for_each(|tick| crowds.entry(schedule.due(tick)).or_default().push(at));
        }
    }
    crowds
}

fn told(tick: Millis, jobs: &[usize], subjects: &[Subject]) -> Finding {
    let at = jiff::Timestamp::from_millisecond(tick.get()).map(|at| format!("{at:.0}")).unwrap_or_default();
    let names: Vec<&str> = jobs.iter().take(MAX_NAMED).map(|at| subjects[*at].name.as_str()).collect();
    let more = if jobs.len() > MAX_NAMED { ", …" } else { "" };
    let message = format!("{} jobs fire at {at}: {}{more}", jobs.len(), names.join(", "));
    let remedy = "spread them over the minutes of the hour, or give them a jitter";
    let first = jobs.first().copied().unwrap_or_default();
    let field = subjects.get(first).map_or("trigger", |job| rules::trigger_field(&job.definition.trigger));
    Finding { subject: first, ..Finding::warning(Code::PileUp, field, message, remedy) }
}
