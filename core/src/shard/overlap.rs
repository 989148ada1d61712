//! What becomes of a run that is due while an earlier run of its job is alive. The owner has all runs of the job, so the
//! policy holds over the whole cluster.

use super::memory::{Open, Stage};
use super::turn::Turn;
use super::{CancelReason, Shard};
use crate::domain::{CancelCause, Overlap, SkipReason, Source, State};
use crate::id::{JobId, RunId};

impl Shard {
    /// Judges a run that is due by its own policy. One that has had an attempt is the earlier run itself.
    pub(super) fn meet_others(&mut self, id: RunId, turn: &mut Turn) {
        let Some(Open { run, .. }) = self.memory.run(id) else { return };
        let (job, overlap, backfill) = (run.job, run.limits.overlap, run.source == Source::Backfill);
        if run.attempt > 0 || self.memory.alive(job) == 0 {
            return self.put_in(id, Stage::Waiting);
        }
        let buffered = self.memory.buffered(job);
        match overlap {
            Overlap::AllowAll => self.put_in(id, Stage::Waiting),
            Overlap::BufferOne if buffered == 0 => self.put_in(id, Stage::Buffered),
            Overlap::BufferAll if backfill || buffered < Overlap::MAX_BUFFERED => {
                self.put_in(id, Stage::Buffered)
            }
            Overlap::Skip | Overlap::BufferOne | Overlap::BufferAll => {
                self.skip(id, SkipReason::Overlap, turn);
            }
            Overlap::CancelOther | Overlap::TerminateOther => {
                self.make_room(id, job, overlap, turn);
                let free = self.memory.alive(job) == 0;
                self.put_in(id, if free { Stage::Waiting } else { Stage::Buffered });
            }
        }
    }

    /// All that is due or running of the job makes room for a newer run: what has not started is skipped, so that of
    /// several that wait the newest starts.
    fn make_room(&mut self, newer: RunId, job: JobId, overlap: Overlap, turn: &mut Turn) {
        for id in self.memory.runs_of(job) {
            let Some(open) = self.memory.run(id).filter(|open| id != newer && !open.is_in_future()) else {
                continue;
            };
            match open.run.state {
                State::Scheduled if open.run.attempt == 0 => self.skip(id, SkipReason::Overlap, turn),
                State::Dispatched if overlap == Overlap::TerminateOther => self.terminate(id, turn),
                State::Scheduled | State::Dispatched => self.ask_to_end(id, CancelCause::Overlap, turn),
                State::Ended(_) => {}
            }
        }
    }

    /// The run ends without grace, whether or not its handler gives way: in the next turn, which knows what the inbox holds
    /// of it.
    fn terminate(&mut self, id: RunId, turn: &mut Turn) {
        let was_asked = self.memory.run(id).is_some_and(|open| open.run.cancel.is_some());
        self.memory.change(id, |open| open.cut_off = true);
        self.ask_to_end(id, CancelCause::Overlap, turn);
        if was_asked {
            self.tell_to_end(id, CancelReason::Requested, turn);
        }
    }

    /// A run of the job ended: if nothing of it is alive, the first that waits is next.
    pub(super) fn start_buffered(&mut self, job: JobId) {
        let next = self.memory.all_buffered(job).next();
        if let (0, Some(next)) = (self.memory.alive(job), next) {
            self.put_in(next, Stage::Waiting);
        }
    }

    /// The job's policy has changed: what waits for an earlier run is judged by the new one, in order of due.
    pub(super) fn judge_buffered_again(&mut self, job: JobId, turn: &mut Turn) {
        let waiting: Vec<RunId> = self.memory.all_buffered(job).collect();
        waiting.iter().for_each(|id| self.put_in(*id, Stage::Coming));
        waiting.into_iter().for_each(|id| self.meet_others(id, turn));
    }

    fn put_in(&mut self, id: RunId, stage: Stage) {
        self.memory.change(id, |open| open.stage = stage);
    }
}

impl Open {
    /// It has not been looked at: what is alive or buffered has.
    fn is_in_future(&self) -> bool {
        !self.is_alive() && !self.is_in(Stage::Buffered)
    }
}
