//! Which waiting run goes to which worker.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::memory::{Place, Stage};
use super::states::{self, Event, Next};
use super::turn::Turn;
use super::{Dispatch, Frame, Shard};
use crate::domain::{Assignment, Name, Routing, Run, State};
use crate::id::{RunId, SessionId, Token};
use crate::routing::{Candidate, least_busy};

/// Attempts that one turn sends; more wait for the next one.
const DISPATCHES: usize = 2_000;

impl Shard {
    /// Gives waiting runs to workers with credit: over all handlers in order of priority, then due.
    pub(super) fn dispatch_waiting(&mut self, turn: &mut Turn) {
        let with_place = |name: &Name| Some(Reverse((self.memory.first_waiting(name, None)?, name.clone())));
        let mut heads: BinaryHeap<Reverse<(Place, Name)>> =
            self.memory.waiting_handlers().filter_map(with_place).collect();
        let mut sent = 0;
        while let Some(Reverse((place, handler))) = heads.pop() {
            let (_, _, id) = place;
            if self.sessions.capable(&handler).next().is_none() {
                self.sessions.want(&handler).for_each(|stream| turn.frame(stream, Frame::Wanting));
                continue;
            }
            if sent == DISPATCHES {
                self.again = true;
                return;
            }
            if turn.holds(id) {
                self.again = true;
            } else if let Some(session) = self.choose_worker(id, &handler) {
                self.dispatch(id, session, turn);
                sent += 1;
            }
            if let Some(next) = self.memory.first_waiting(&handler, Some(place)) {
                heads.push(Reverse((next, handler)));
            }
        }
    }

    fn choose_worker(&mut self, id: RunId, handler: &Name) -> Option<SessionId> {
        let run = &self.memory.run(id)?.run;
        let candidates = self.sessions.capable(handler).map(|(session, worker)| Candidate {
            session,
            running: u32::try_from(self.memory.held_count(session)).unwrap_or(u32::MAX),
            slots: worker.profile.slots.max(1),
            credit: worker.credit,
        });
        match run.limits.routing {
            Routing::LeastBusy => least_busy(candidates),
            Routing::RoundRobin => self.rotation.choose(run.job, candidates),
        }
    }

    fn dispatch(&mut self, id: RunId, session: SessionId, turn: &mut Turn) {
        let token = Token(self.chance.next_u64());
        let Some(worker) = self.sessions.get_mut(session) else { return };
        let (Some(stream), Some(open)) = (worker.stream, self.memory.run(id)) else { return };
        if states::next(&open.run, Event::Start) != Next::Dispatched {
            return;
        }
        worker.credit -= 1;
        turn.changes(&open.run);
        let assignment = Assignment {
            token,
            session,
            worker: worker.profile.name.clone(),
            server: self.settings.server,
            epoch: self.settings.epoch,
            dispatched_at: turn.now,
        };
        self.memory.change(id, |open| {
            open.stage = Stage::Coming;
            open.lost_at = None;
            open.timeout_told = None;
            open.progress = None;
            open.run.state = State::Dispatched;
            open.run.attempt += 1;
            open.run.assignment = Some(assignment);
        });
        if let Some(dispatch) = self.memory.run(id).and_then(|open| self.dispatch_of(&open.run)) {
            turn.frame(stream, Frame::Dispatch(Box::new(dispatch)));
        }
    }

    fn dispatch_of(&self, run: &Run) -> Option<Dispatch> {
        let assignment = run.assignment.as_ref()?;
        let schedule = self.memory.job(run.job).and_then(|known| known.schedule.as_ref());
        Some(Dispatch {
            key: run.attempt_key()?,
            epoch: assignment.epoch,
            job: run.job_name.clone(),
            handler: run.handler.clone(),
            params: run.params.clone(),
            tick: run.tick,
            previous_tick: schedule.zip(run.tick).and_then(|(schedule, tick)| schedule.previous(tick)),
            due: run.due,
            dispatched_at: assignment.dispatched_at,
            timeout_ms: run.limits.attempt_timeout_ms,
            grace_ms: run.limits.cancel_grace_ms,
            max_attempts: run.max_attempts(),
            revision: run.revision,
            source: run.source,
            idempotency_key: run.idempotency_key.clone(),
            lost_after_ms: run.limits.worker_lost_after_ms,
        })
    }
}
