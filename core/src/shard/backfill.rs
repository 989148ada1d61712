//! Past ticks are run on demand. A backfill is its runs: nothing else is stored of it, the job's own ticks do not move, and
//! a repeated call finds by the fire keys what is there already.

use std::sync::Arc;

use super::firing::{job_not_found, new_run};
use super::turn::Turn;
use super::{Backfill, Backfilled, Shard};
use crate::domain::{FireKey, Limits, Overlap, Refusal, RefusalKind, Run, Source};
use crate::id::Id;
use crate::schedule::Schedule;

/// The runs of a backfill are due one after the other, so far apart.
const PACE_MS: i64 = 100;

impl Backfill {
    /// The most ticks of one part; a backfill has more parts, one call each.
    pub const MAX_PART: usize = 1_000;
    /// The most ticks of a backfill.
    pub const MAX_TICKS: usize = 10_000;

    /// What makes its run of a tick one run.
    pub const fn fire_key(&self, tick: crate::clock::Millis) -> FireKey {
        FireKey::Backfill(self.id, tick)
    }
}

impl Shard {
    /// Puts a run for each tick of the part that has none of this backfill.
    pub(super) fn backfill(&mut self, part: &Backfill, turn: &mut Turn) -> Result<Backfilled, Refusal> {
        let Some(known) = self.memory.job_named(&part.job) else { return Err(job_not_found(&part.job)) };
        check_ticks(part, known.schedule.as_ref(), turn)?;
        let limits = Limits {
            overlap: part.overlap.unwrap_or(Overlap::BufferAll),
            ..known.job.definition.limits.clone()
        };
        let (limits, job) = (Arc::new(limits), known.job.id);
        let mut done = Backfilled::default();
        for (ordinal, tick) in (i64::from(part.first)..).zip(&part.ticks) {
            if turn.fired.contains_key(&(job, part.fire_key(*tick))) {
                done.existed += 1;
                continue;
            }
            let id = Id::new(turn.now, &mut self.chance);
            let Some(known) = self.memory.job(job) else { break };
            let key = part.fire_key(*tick);
            let fresh = new_run(id, self.settings.shard, known, key, Source::Backfill, turn.now);
            let due = turn.now.plus(ordinal * PACE_MS);
            self.create(Run { tick: Some(*tick), due, limits: limits.clone(), ..fresh }, turn);
            done.created += 1;
        }
        Ok(done)
    }
}

fn check_ticks(part: &Backfill, schedule: Option<&Schedule>, turn: &Turn) -> Result<(), Refusal> {
    if part.ticks.iter().any(|tick| *tick > turn.now) {
        return Err(Refusal::invalid("out_of_bounds", "to", "lies in the future")
            .remedy("give an instant that has passed: coming ticks fire by themselves"));
    }
    let is_tick =
        |schedule: &Schedule, tick| schedule.next(crate::clock::Millis::plus(tick, -1)) == Some(tick);
    if schedule.is_some_and(|schedule| part.ticks.iter().all(|tick| is_tick(schedule, *tick))) {
        return Ok(());
    }
    let message = format!("the schedule of job \"{}\" has changed meanwhile", part.job);
    Err(Refusal::new(RefusalKind::Conflict, "job_changed", message).remedy("give the range again"))
}
