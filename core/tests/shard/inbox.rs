//! The inbox beside a shard: commands are put at any moment, handed over once or twice, and go in the transaction that
//! carries them out or not at all. And workers that are heard of through other servers.

use std::collections::BTreeMap;

use fastjob_core::domain::{AttemptEnd, Ended, FailReason, FireKey, OutcomeKind, Run, State};
use fastjob_core::id::{AttemptKey, Id, InboxId, RunId};
use fastjob_core::shard::{Call, Command, Fire, Order, Reply, Ticket, Verdict, WorkerReport};

use crate::rows::Tables;
use crate::world::World;

/// A row of the inbox.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Waiting {
    pub(crate) order: Order,
    /// Set aside, for this reason.
    pub(crate) failed: Option<String>,
}

impl Tables {
    /// What a turn does to the inbox. Its other rows are applied already.
    pub(crate) fn apply_commands(&mut self, rows: &fastjob_core::shard::Rows) {
        let mut seen = std::collections::BTreeSet::new();
        let failed = rows.inbox_failed.iter().map(|failed| failed.id);
        rows.inbox_done.iter().copied().chain(failed).for_each(|id| {
            assert!(seen.insert(id), "a command is carried out once: {rows:?}");
        });
        for id in &rows.inbox_done {
            if let Some(waiting) = self.commands.remove(id) {
                self.must_show(&waiting);
                self.take("command carried out".into());
            }
        }
        for failed in &rows.inbox_failed {
            if let Some(waiting) = self.commands.get_mut(&failed.id) {
                waiting.failed = Some(failed.reason.clone());
                self.take("command set aside".into());
            }
        }
    }

    /// A command that goes has had its effect in the same transaction.
    fn must_show(&self, waiting: &Waiting) {
        match &waiting.order {
            Order::Fire(fire) => {
                let key = match &fire.idempotency_key {
                    Some(key) => FireKey::of_idempotency_key(key),
                    None => FireKey::Request(fire.request),
                };
                let fired = |run: &Run| run.job_name == fire.job && run.fire_key == key;
                assert!(self.runs.values().any(fired), "gone without a run: {waiting:?}");
            }
            Order::Outcome(outcome) => {
                let run = &self.runs[&outcome.key.run];
                let open = run.state == State::Dispatched && run.attempt_key() == Some(outcome.key);
                assert!(!open, "gone without its verdict: {waiting:?} of {run:?}");
            }
            Order::Junk(_) => panic!("junk is kept: {waiting:?}"),
        }
    }

    /// Of these runs, the outcomes that wait.
    pub(crate) fn outcomes_of(
        &self,
        runs: &std::collections::BTreeSet<RunId>,
    ) -> Vec<(InboxId, fastjob_core::domain::Outcome)> {
        let waiting = self.commands.iter().filter(|(_, waiting)| waiting.failed.is_none());
        let outcomes = waiting.filter_map(|(id, waiting)| match &waiting.order {
            Order::Outcome(outcome) if runs.contains(&outcome.key.run) => Some((*id, (**outcome).clone())),
            _ => None,
        });
        outcomes.collect()
    }
}

impl World {
    pub(crate) fn put_command(&mut self, order: Order) -> InboxId {
        let id = Id::new(self.now, &mut self.chance);
        self.tables.commands.insert(id, Waiting { order, failed: None });
        id
    }

    pub(crate) fn put_fire(&mut self, fire: Fire) -> InboxId {
        self.put_command(Order::Fire(Box::new(fire)))
    }

    /// A reader of the inbox hands over what waits, at most so many: it may have handed over the same before.
    pub(crate) fn read_inbox(&mut self, at_most: usize) -> Option<Ticket> {
        let waiting = self.tables.commands.iter().filter(|(_, waiting)| waiting.failed.is_none());
        let commands: Vec<Command> = waiting
            .take(at_most)
            .map(|(id, waiting)| Command { id: *id, order: waiting.order.clone() })
            .collect();
        (!commands.is_empty()).then(|| self.call(Call::Inbox(commands)))
    }

    /// Another server stores an outcome of the worker's outbox. Once it is durable, no judgement of the owner's own may
    /// come before it.
    pub(crate) fn store_outcome(&mut self, worker: usize) {
        let outbox: Vec<_> = self.workers[worker].outbox.values().cloned().collect();
        if outbox.is_empty() {
            return;
        }
        let outcome = outbox[self.below(outbox.len() as u64) as usize].clone();
        let run = &self.tables.runs[&outcome.key.run];
        if run.state == State::Dispatched && run.attempt_key() == Some(outcome.key) {
            self.stored.insert(outcome.key, outcome.kind.clone());
        }
        self.put_command(Order::Outcome(Box::new(outcome)));
    }

    /// A worker without a stream reports through another server.
    pub(crate) fn report(&mut self, worker: usize) {
        if self.workers[worker].stream.is_some() {
            return;
        }
        let life = self.name();
        let worker = &mut self.workers[worker];
        let report = WorkerReport {
            session: worker.profile.session,
            life: Some(life),
            running: worker.held.keys().copied().collect(),
            outcomes: worker.outbox.values().cloned().collect(),
        };
        let ticket = self.call(Call::Report(report));
        self.reported_at.insert(ticket, self.now);
    }

    /// What the worker hears of its report; on a new stream it has said the same in its Hello.
    pub(crate) fn reported(
        &mut self,
        ticket: Ticket,
        report: &WorkerReport,
        verdicts: &[(AttemptKey, Verdict)],
    ) {
        self.tables.take("report through another server".into());
        assert_eq!(report.outcomes.len(), verdicts.len(), "each outcome has its verdict");
        for (key, verdict) in verdicts {
            self.judged(*key, *verdict);
        }
        let at = self.reported_at.remove(&ticket);
        let own = self.workers.iter_mut().find(|worker| worker.profile.session == report.session);
        if let Some(worker) = own.filter(|worker| worker.stream.is_none()) {
            verdicts.iter().for_each(|(key, _)| drop(worker.outbox.remove(key)));
            worker.away_since = worker.away_since.max(at.unwrap_or(worker.away_since));
        }
    }

    /// What was handed over is carried out or set aside.
    pub(crate) fn taken(&self, commands: &[Command], reply: &Reply) {
        assert_eq!(*reply, Reply::Taken);
        for Command { id, .. } in commands {
            let waiting = self.tables.commands.get(id);
            assert!(waiting.is_none_or(|waiting| waiting.failed.is_some()), "left undone: {waiting:?}");
        }
    }
}

/// G3: an outcome that was durable while its attempt was the current one is the recorded one.
pub(crate) fn stored_outcomes_are_recorded(tables: &Tables, stored: &BTreeMap<AttemptKey, OutcomeKind>) {
    for (key, kind) in stored {
        let run = &tables.runs[&key.run];
        let superseded = tables.attempts.get(&(key.run, key.attempt)).map(|attempt| attempt.end);
        let current = (run.attempt_key() == Some(*key)).then_some(run.state);
        // A run that ends in the turn that takes the outcome keeps the attempt in its own row.
        let cancelled = matches!(current, Some(State::Ended(Ended::Cancelled(_) | Ended::Skipped(_))));
        let recorded = match kind {
            OutcomeKind::Succeeded(_) => current == Some(State::Ended(Ended::Succeeded)),
            OutcomeKind::TimedOut(_) => {
                let failed = State::Ended(Ended::Failed(FailReason::Timeout));
                cancelled || superseded == Some(AttemptEnd::Timeout) || current == Some(failed)
            }
            OutcomeKind::Lost(_) => {
                let lost = matches!(
                    current,
                    Some(State::Ended(Ended::Failed(FailReason::Lost | FailReason::Quarantined)))
                );
                cancelled || superseded == Some(AttemptEnd::Lost) || lost
            }
            OutcomeKind::Failed(_) | OutcomeKind::Cancelled(_) => {
                let failed = State::Ended(Ended::Failed(FailReason::Error));
                cancelled || superseded == Some(AttemptEnd::Failed) || current == Some(failed)
            }
        };
        let waits = current == Some(State::Dispatched);
        assert!(recorded || waits, "G3: stored {kind:?} of {key:?}, but {superseded:?} {run:?}");
    }
}
