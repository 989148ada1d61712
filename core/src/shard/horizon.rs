//! How far ahead runs are written and held in memory, and what becomes of ticks that nobody saw in time.

use super::memory::{KnownJob, Open, Stage};
use super::turn::Turn;
use super::{AT_ONCE, DuePage, JobPage, Shard};
use crate::clock::Millis;
use crate::domain::{CatchUp, CatchUpPolicy, GapReason, Run, SkipReason, State};
use crate::id::{JobId, RunId};
use crate::mutant::mutant;
use crate::schedule::{Missed, Outage};

/// Jobs of a page, and runs of a page.
const PAGE: u32 = 300;
/// A turn that writes this many rows leaves further ticks to the next one.
pub(super) const TURN_ROWS: usize = 4_000;
const HALF_SECOND: i64 = 500;

/// Missed ticks that policy `all` lets fire are due so far apart.
const PACE_MS: i64 = 100;

/// Where the reading ahead stands.
#[derive(Debug, Default)]
pub(super) struct Horizon {
    /// Ticks up to here are written; what is due up to here is kept in memory.
    target: Millis,
    /// Runs due up to here were read.
    runs: Millis,
    /// Everything up to `target` was read.
    complete: bool,
    /// Of the next page; more than [`PAGE`] only if that many runs are due at one instant.
    limit: u32,
    /// The earliest in the rows and not in memory, after `target`.
    beyond: Option<Millis>,
    outage: Option<Outage>,
}

impl Horizon {
    /// The boot read open runs up to here.
    pub(super) fn opened(&mut self, until: Millis) {
        *self = Self { target: until, runs: until, limit: PAGE, outage: self.outage, ..Self::default() };
    }

    /// Something stays behind in the rows, of interest at `at`.
    pub(super) fn leaves(&mut self, at: Millis) {
        self.beyond = Some(self.beyond.map_or(at, |beyond| beyond.min(at)));
    }

    pub(super) fn outage_seen(&mut self, from: Millis, until: Millis) {
        let from = self.outage.map_or(from, |known| known.from.min(from));
        self.outage = Some(Outage { from, until });
    }

    /// The run's tick awaits the catch-up.
    pub(super) fn withholds(&self, run: &Run) -> bool {
        run.attempt == 0 && self.outage.is_some_and(|outage| came_due_in(run, outage))
    }

    fn read(&mut self, asked: DuePage, page: &JobPage) {
        let limit = asked.limit as usize;
        let (jobs_cut, runs_cut) =
            (page.more && page.jobs.len() >= limit, page.more && page.runs.len() >= limit);
        self.target = asked.until;
        self.complete = !page.more;
        self.limit = PAGE;
        self.beyond = if page.more { self.beyond } else { page.next_beyond };
        let last = page.runs.last().map_or(asked.until, |run| run.due);
        self.runs =
            if runs_cut || (page.more && !jobs_cut) { last.plus(-1).max(asked.opened) } else { asked.until };
        if runs_cut && self.runs == asked.opened {
            self.limit = asked.limit.saturating_mul(2);
        }
    }
}

impl Shard {
    /// The next page to read, if one is needed at `now`.
    pub(super) fn due_page(&self, now: Millis) -> Option<DuePage> {
        let Horizon { target, runs, complete, limit, beyond, outage } = self.horizon;
        let full = now.plus(self.settings.horizon_ms);
        if !complete {
            // What was read is written first, so that a page's jobs do not come again.
            let written = outage.is_some() || self.memory.next_tick().is_none_or(|(tick, _)| tick > target);
            return written.then_some(DuePage { opened: runs, until: target, limit });
        }
        let due = self.horizon_is_stale(now) && beyond.is_some_and(|beyond| beyond <= full);
        due.then_some(DuePage { opened: target, until: full, limit })
    }

    /// A third of the horizon has passed, and a little more.
    fn horizon_is_stale(&self, now: Millis) -> bool {
        self.stale_at() <= now
    }

    fn stale_at(&self) -> Millis {
        let (target, horizon_ms) = (self.horizon.target, self.settings.horizon_ms);
        beside_ticks(target.plus(-horizon_ms * 2 / 3)).min(target.plus(-horizon_ms / 3))
    }

    /// When to read or write ahead again.
    pub(super) fn horizon_wakes_at(&self) -> Option<Millis> {
        if !self.horizon.complete {
            return Some(AT_ONCE);
        }
        let tick = self.memory.next_tick().map(|(tick, _)| tick);
        let next = [tick, self.horizon.beyond].into_iter().flatten().min()?;
        Some(next.plus(-self.settings.horizon_ms).max(self.stale_at()))
    }

    /// Takes in the page that was asked for; without one the horizon moves on if nothing lies between.
    pub(super) fn extend_horizon(&mut self, page: Option<(DuePage, JobPage)>) {
        if let Some((asked, page)) = page {
            self.horizon.read(asked, &page);
            page.runs.into_iter().for_each(|run| self.memory.admit(Open::new(run)));
            if !self.outage_waits_for_runs() {
                page.jobs.into_iter().for_each(|job| self.memory.admit_job(job));
            }
        } else if self.horizon.complete && self.horizon_is_stale(self.now) {
            let full = self.now.plus(self.settings.horizon_ms);
            if self.horizon.beyond.is_none_or(|beyond| beyond > full) {
                (self.horizon.target, self.horizon.runs) = (full, full);
            }
        }
    }

    fn outage_waits_for_runs(&self) -> bool {
        self.horizon.outage.is_some_and(|outage| self.horizon.runs < outage.until)
            || (self.horizon.outage.is_some() && !self.memory.unknown_jobs().is_empty())
    }

    /// Writes the ticks of the jobs in memory up to the horizon.
    pub(super) fn write_ticks(&mut self, turn: &mut Turn) {
        if self.outage_waits_for_runs() {
            self.again = true;
            return;
        }
        if !self.make_up_for_outage(turn) {
            return;
        }
        while let Some((tick, job)) = self.memory.next_tick() {
            if tick > self.horizon.target {
                return;
            }
            if turn.changes_made() >= TURN_ROWS {
                self.again = true;
                return;
            }
            self.write_ticks_of(job, self.horizon.target, turn);
        }
    }

    /// `false`: not all of it in this turn.
    fn make_up_for_outage(&mut self, turn: &mut Turn) -> bool {
        let Some(outage) = self.horizon.outage else { return true };
        let missed: Vec<JobId> = self.memory.known_jobs().map(|known| known.job.id).collect();
        for job in missed {
            if turn.changes_made() >= TURN_ROWS {
                self.again = true;
                return false;
            }
            self.catch_up(job, outage, turn);
        }
        if self.horizon.complete {
            self.horizon.outage = None;
            turn.rows().outage_over = true;
        }
        true
    }

    /// An edit does not wait for the catch-up of its job.
    pub(super) fn make_up_for(&mut self, job: JobId, turn: &mut Turn) {
        if let Some(outage) = self.horizon.outage {
            self.catch_up(job, outage, turn);
        }
    }

    /// Decides on all that a job missed: what fires goes on as if it were due, the rest is accounted for.
    fn catch_up(&mut self, id: JobId, outage: Outage, turn: &mut Turn) {
        let seen_too = mutant("catch_up_of_waiting");
        let outage = if seen_too { Outage { from: Millis::new(0), ..outage } } else { outage };
        let written = self.missed_runs(id, outage);
        // What was overdue before the outage had been seen: it is late, not missed.
        self.write_ticks_of(id, outage.from, turn);
        let Some(KnownJob { job, schedule: Some(schedule), .. }) = self.memory.job(id) else { return };
        let next_at = job.next_at.filter(|_| job.enabled && job.deleted_at.is_none());
        if written.is_empty() && next_at.is_none_or(|tick| tick > outage.until) {
            return;
        }
        let ticks: Vec<Millis> = written.iter().map(|(tick, _)| *tick).collect();
        let missed = Missed { catch_up: &job.definition.catch_up, next_at, written: &ticks };
        let judged = schedule.judge(missed, outage);
        if let Some(lost) = judged.gap {
            self.gap_until(id, lost.to, GapReason::CatchUp, turn);
        }
        self.write_ticks_of(id, outage.until, turn);
        for (_, run) in written.into_iter().filter(|(tick, _)| judged.skip_written.contains(tick)) {
            self.skip(run, SkipReason::CatchUp, turn);
        }
        self.pace_missed_runs(id, outage, turn);
    }

    /// Under policy `all` what fires late is due one after the other from the end of the outage on, in order of tick,
    /// unless it simply fires late.
    fn pace_missed_runs(&mut self, id: JobId, outage: Outage, turn: &mut Turn) {
        let Some(KnownJob { job, .. }) = self.memory.job(id) else { return };
        let CatchUp { policy: CatchUpPolicy::All(_), threshold_ms, .. } = job.definition.catch_up else {
            return;
        };
        let late = self.missed_runs(id, outage);
        let due = |run: RunId| self.memory.run(run).map(|open| open.run.due);
        let on_time_from = outage.until.plus(-threshold_ms);
        if late.first().and_then(|(_, run)| due(*run)).is_none_or(|due| due >= on_time_from) {
            return;
        }
        for (ordinal, (_, run)) in (1..).zip(late) {
            let Some(open) = self.memory.run(run) else { continue };
            turn.changes(&open.run);
            self.memory.change(run, |open| open.run.due = outage.until.plus(ordinal * PACE_MS));
        }
    }

    /// The job's written runs that the outage kept from starting, in order of tick.
    fn missed_runs(&self, id: JobId, outage: Outage) -> Vec<(Millis, RunId)> {
        let missed = |run: &RunId| {
            let open = self.memory.run(*run)?;
            let waiting_too = mutant("catch_up_of_waiting");
            let tick = open.run.tick.filter(|_| came_due_in(&open.run, outage))?;
            let untouched = open.run.state == State::Scheduled
                && open.run.attempt == 0
                && (open.stage == Stage::Coming || waiting_too);
            untouched.then_some((tick, *run))
        };
        let mut runs: Vec<_> = self.memory.runs_of(id).iter().filter_map(missed).collect();
        runs.sort_unstable();
        runs
    }

    /// It is due so late, and has had no attempt, that the rows alone keep it.
    pub(super) fn may_leave(&self, open: &Open) -> bool {
        match open.run.state {
            State::Scheduled => {
                open.run.attempt == 0 && open.stage == Stage::Coming && open.run.due > self.horizon.target
            }
            State::Dispatched => false,
            State::Ended(_) => true,
        }
    }

    /// Lets a job go that no run needs and whose next tick is beyond the horizon.
    pub(super) fn release_job(&mut self, id: JobId) {
        let Some(known) = self.memory.job(id) else { return };
        let job = &known.job;
        let coming = if job.enabled && job.deleted_at.is_none() { job.next_at } else { None };
        if self.memory.has_runs(id) || coming.is_some_and(|tick| tick <= self.horizon.target) {
            return;
        }
        self.memory.forget_job(id);
        if let Some(tick) = coming {
            self.horizon.leaves(tick);
        }
    }
}

/// It is the run of a tick, and was due while nobody watched.
fn came_due_in(run: &Run, outage: Outage) -> bool {
    run.fire_key.is_tick() && outage.from < run.due && run.due <= outage.until
}

/// The next half second from `at` on. Most ticks are at whole seconds: they shall not wait for a page and its rows.
fn beside_ticks(at: Millis) -> Millis {
    at.plus((HALF_SECOND - at.get()).rem_euclid(2 * HALF_SECOND))
}
