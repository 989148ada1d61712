//! What clients ask, and what they are answered.

use super::memory::Open;
use super::settling::run_not_found;
use super::turn::Turn;
use super::{Call, Later, Reply, Shard, Ticket};
use crate::domain::{FireKey, Refusal, RefusalKind, Run, Source, State};
use crate::id::{Id, RequestId, RunId};

impl Shard {
    /// Somebody calls and waits.
    pub(super) fn called(&mut self, ticket: Ticket, call: Call, turn: &mut Turn) {
        let reply = match call {
            Call::JobPut(puts) => self.put_jobs(puts, turn).map_or_else(Reply::Refused, Reply::Put),
            Call::JobEnable { name, enabled } => self
                .enable_job(&name, enabled, turn)
                .map_or_else(Reply::Refused, |job| Reply::Job(Box::new(job))),
            Call::JobDelete { name } => {
                self.delete_job(&name, turn).map_or_else(Reply::Refused, |()| Reply::Deleted)
            }
            Call::JobApply(changes) => {
                self.apply_jobs(changes, turn).map_or_else(Reply::Refused, Reply::Applied)
            }
            Call::Trigger(fires) => Reply::Triggered(self.fire_all(fires, turn)),
            Call::JobBackfill(part) => {
                self.backfill(&part, turn).map_or_else(Reply::Refused, Reply::Backfilled)
            }
            Call::RunCancel { run } => match self.cancel(ticket, run, turn) {
                Some(reply) => reply,
                None => return,
            },
            Call::RunRetry { run, request } => match self.retry(ticket, run, request, turn) {
                Some(reply) => reply.map_or_else(Reply::Refused, |run| Reply::Run(Box::new(run))),
                None => return,
            },
            Call::Inbox(commands) => {
                self.take_commands(commands, turn);
                Reply::Taken
            }
            Call::Report(report) => Reply::Reported(self.take_report(report, turn)),
            Call::Overdue => Reply::Overdue(self.overdue()),
            Call::Workers => Reply::Workers(self.worker_states()),
            Call::Progress { run } => Reply::Progress(self.progress_of(run)),
        };
        turn.reply(ticket, reply);
    }

    fn progress_of(&self, run: RunId) -> Option<(u8, std::sync::Arc<str>)> {
        let open = self.memory.run(run).filter(|open| open.run.state == State::Dispatched)?;
        open.progress.clone()
    }

    /// Fires a finished run again, by the job's present definition and with the old parameters. `None`: answered in the
    /// next turn.
    fn retry(
        &mut self,
        ticket: Ticket,
        id: RunId,
        request: RequestId,
        turn: &mut Turn,
    ) -> Option<Result<Run, Refusal>> {
        let Some(old) = self.any_run(id, turn).cloned() else { return Some(Err(run_not_found(id))) };
        if !matches!(old.state, State::Ended(_)) {
            let message = format!("run {id} has not ended");
            let refusal = Refusal::new(RefusalKind::Conflict, "run_not_ended", message);
            return Some(Err(refusal.remedy("wait for its end, or cancel it")));
        }
        if self.takes_later(ticket, &Call::RunRetry { run: id, request }, &old, turn) {
            return None;
        }
        let earlier = turn.fired.get(&(old.job, FireKey::Request(request)));
        if let Some(run) = earlier.and_then(|id| self.any_run(*id, turn)) {
            return Some(Ok(run.clone()));
        }
        Some(self.fire_again(&old, request, turn))
    }

    fn fire_again(&mut self, old: &Run, request: RequestId, turn: &mut Turn) -> Result<Run, Refusal> {
        let living = self.memory.job(old.job).filter(|known| known.job.deleted_at.is_none());
        let Some(known) = living else {
            let message = format!("job \"{}\" of run {} is deleted", old.job_name, old.id);
            return Err(
                Refusal::new(RefusalKind::Conflict, "job_deleted", message).remedy("trigger another job")
            );
        };
        let id = Id::new(turn.now, &mut self.chance);
        let key = FireKey::Request(request);
        let fresh = super::firing::new_run(id, self.settings.shard, known, key, Source::Manual, turn.now);
        let run = Run { params: old.params.clone(), retry_of: Some(old.id), ..fresh };
        self.create(run.clone(), turn);
        Ok(run)
    }

    /// Puts a call off until what its run needs is loaded; once only.
    pub(super) fn takes_later(&mut self, ticket: Ticket, call: &Call, run: &Run, turn: &Turn) -> bool {
        if !turn.second_load {
            self.later.push(Later { ticket, call: call.clone(), run: run.clone() });
        }
        !turn.second_load
    }

    /// A reply shows its runs as the turn leaves them.
    pub(super) fn show_final_runs(&self, reply: &mut Reply) {
        let refresh = |run: &mut Run| {
            if let Some(Open { run: now, .. }) = self.memory.run(run.id) {
                run.clone_from(now);
            }
        };
        match reply {
            Reply::Run(run) => refresh(run),
            Reply::Triggered(results) => {
                results.iter_mut().flatten().for_each(|fired| refresh(&mut fired.run))
            }
            _ => {}
        }
    }
}
