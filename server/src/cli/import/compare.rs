//! The next fire times of a job by the old engine's rules beside those of FastJob, and why they differ where they do.

use std::collections::BTreeSet;

use fastjob_core::clock::Millis;
use fastjob_core::id::Id;
use fastjob_core::protocol::{job, v1};
use fastjob_core::schedule::Schedule;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::rival::{Engine, Rival};

/// What the two say.
pub(super) struct Comparison {
    /// Fire times of the old engine that were looked at.
    pub(super) old: usize,
    pub(super) same: usize,
    pub(super) differences: Vec<Difference>,
    /// Why nothing could be compared.
    pub(super) not_compared: Option<String>,
}

/// A fire time that one of the two does not have.
pub(super) struct Difference {
    pub(super) at: Timestamp,
    pub(super) side: Side,
    /// `None`: not explained, which is a defect of the import.
    pub(super) why: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Old,
    New,
}

impl Comparison {
    pub(super) fn none(why: impl Into<String>) -> Self {
        Self { old: 0, same: 0, differences: Vec::new(), not_compared: Some(why.into()) }
    }

    /// Compares at most `count` fire times after `from`.
    pub(super) fn make(spec: &v1::JobSpec, old: &Rival, from: Millis, count: usize) -> Self {
        let put = match job::put(spec.clone(), from) {
            Ok(put) => put,
            Err(refusal) => return Self::none(format!("FastJob refuses the job: {refusal}")),
        };
        let schedule = match Schedule::compile(&put.definition.trigger, from) {
            Ok(schedule) => schedule.timed(&put.definition.timing, Id::from_bytes([0; 16])),
            Err(error) => return Self::none(format!("FastJob refuses the job: {error}")),
        };
        let timing = put.definition.timing;
        let begin = timing.start_at.map_or(from, |start| from.max(start.plus(-1)));
        let Ok(after) = Timestamp::from_millisecond(begin.get()) else {
            return Self::none("the instant is out of range");
        };
        let is_alive = |at: &Timestamp| timing.end_at.is_none_or(|end| at.as_millisecond() < end.get());
        let theirs: Vec<Timestamp> = old.ticks(after, count).into_iter().filter(is_alive).collect();
        let ours = std::iter::successors(schedule.next(from), |tick| schedule.next(*tick));
        let ours: Vec<Timestamp> =
            ours.take(count).filter_map(|tick| Timestamp::from_millisecond(tick.get()).ok()).collect();
        Self::of(&theirs, &ours, count, |at, side| old.explain(at, side))
    }

    /// Beyond the end of the shorter list nothing is known.
    fn of(
        theirs: &[Timestamp],
        ours: &[Timestamp],
        count: usize,
        explain: impl Fn(Timestamp, Side) -> Option<String>,
    ) -> Self {
        let end =
            [theirs, ours].iter().filter(|list| list.len() == count).filter_map(|list| list.last()).min();
        let known = |list: &[Timestamp]| -> BTreeSet<Timestamp> {
            list.iter().copied().filter(|at| end.is_none_or(|end| at <= end)).collect()
        };
        let (theirs, ours) = (known(theirs), known(ours));
        let only = |a: &BTreeSet<Timestamp>, b: &BTreeSet<Timestamp>, side| -> Vec<Difference> {
            a.difference(b).map(|at| Difference { at: *at, side, why: explain(*at, side) }).collect()
        };
        let mut differences = only(&theirs, &ours, Side::Old);
        differences.extend(only(&ours, &theirs, Side::New));
        differences.sort_by_key(|difference| difference.at);
        Self { old: theirs.len(), same: theirs.intersection(&ours).count(), differences, not_compared: None }
    }
}

impl Rival {
    /// Why one of the two fires at an instant and the other does not: the clock is changed there.
    fn explain(&self, at: Timestamp, side: Side) -> Option<String> {
        let Self::Cron { zone, engine, .. } = self else { return None };
        let change = change_near(zone, at)?;
        let name = match engine {
            Engine::Quartz => "Quartz",
            Engine::CronUtils => "PowerJob",
            Engine::Vixie { .. } => "cron",
        };
        let why = match (change.is_gap, engine, side) {
            (true, Engine::Quartz | Engine::CronUtils, Side::New) => {
                format!("the clock goes forward: {name} drops what falls into the gap, FastJob fires once after it")
            }
            (true, Engine::Vixie { .. }, Side::New) => {
                "the clock goes forward: a time in the gap; cron goes by a star in minute or hour, FastJob by any range or step as well".to_owned()
            }
            (true, _, Side::Old) => {
                format!("the clock goes forward: {name} makes up for a time in the gap that FastJob takes for one of an interval")
            }
            (false, Engine::Quartz, _) => {
                "the clock goes back: Quartz fires in the second pass alone; FastJob in the first, and an interval in both".to_owned()
            }
            (false, Engine::CronUtils, _) => {
                "the clock goes back: PowerJob fires in both passes if more is due within the hour; FastJob a fixed time in the first, and an interval in both".to_owned()
            }
            (false, Engine::Vixie { .. }, _) => {
                "the clock goes back: cron repeats what has a star in minute or hour, FastJob what has any range or step".to_owned()
            }
        };
        Some(why)
    }
}

/// A change of the clock.
struct Change {
    /// Forward.
    is_gap: bool,
}

/// The change whose gap, or whose hour that comes twice, an instant belongs to.
fn change_near(zone: &TimeZone, at: Timestamp) -> Option<Change> {
    let far = SignedDuration::from_hours(26);
    let begin = at.checked_sub(far).ok()?;
    zone.following(begin).take_while(|change| change.timestamp().duration_since(at) <= far).find_map(
        |change| {
            let before = zone.to_offset(change.timestamp() - SignedDuration::from_nanos(1));
            let moved = i64::from(change.offset().seconds()) - i64::from(before.seconds());
            let distance = at.duration_since(change.timestamp()).as_secs();
            let is_near = match moved {
                0 => false,
                // What was lost fires at the end of the gap.
                1.. => (0..=moved).contains(&distance),
                // Either pass.
                _ => (moved..=-moved).contains(&distance),
            };
            is_near.then_some(Change { is_gap: moved > 0 })
        },
    )
}
