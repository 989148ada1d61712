//! What a batch needs that memory lacks.

use super::{Call, Fire, Later, Message, Needs, Order, Shard};
use crate::clock::Millis;
use crate::domain::{FireKey, Name, Outcome};
use crate::id::RunId;

impl Shard {
    /// What must be loaded before `batch` can be decided at `now`; [`Shard::decide`] must be given the same `now`.
    pub fn needs(&self, batch: &[Message], now: Millis) -> Needs {
        let now = now.max(self.now);
        let mut needs = Needs {
            jobs: self.memory.unknown_jobs().clone(),
            outcomes_of: self.judged_attempts(batch, now),
            histories_after: now,
            due: self.due_page(now),
            ..Needs::default()
        };
        for message in batch {
            match message {
                Message::Hello { hello, .. } => self.needs_of_outcomes(&hello.unacked, &mut needs),
                Message::Outcome { outcome, .. } => {
                    self.needs_of_outcomes(std::slice::from_ref(outcome), &mut needs)
                }
                Message::Call { call, .. } => self.needs_of_call(call, &mut needs),
                Message::Credit { .. }
                | Message::Recall { .. }
                | Message::Progress { .. }
                | Message::Bye { .. }
                | Message::StreamEnded { .. }
                | Message::Outage { .. } => {}
            }
        }
        for later in &self.later {
            self.needs_of_later(later, &mut needs);
        }
        needs
    }

    fn needs_of_call(&self, call: &Call, needs: &mut Needs) {
        match call {
            Call::JobPut(puts) => puts.iter().for_each(|put| self.needs_of_edit(&put.name, needs)),
            Call::JobEnable { name, .. } | Call::JobDelete { name } => self.needs_of_edit(name, needs),
            Call::JobApply(changes) => {
                changes.iter().for_each(|change| self.needs_of_edit(change.name(), needs))
            }
            Call::Trigger(fires) => fires.iter().for_each(|fire| self.needs_of_fire(fire, needs)),
            Call::JobBackfill(part) => {
                self.needs_job(&part.job, needs);
                let keys = part.ticks.iter().map(|tick| (part.job.clone(), part.fire_key(*tick)));
                needs.fired.extend(keys);
            }
            Call::RunCancel { run } | Call::RunRetry { run, .. } => self.needs_run(*run, needs),
            Call::Inbox(commands) => commands.iter().for_each(|command| match &command.order {
                Order::Fire(fire) => self.needs_of_fire(fire, needs),
                Order::Outcome(outcome) => self.needs_run(outcome.key.run, needs),
                Order::Junk(_) => {}
            }),
            Call::Report(report) => self.needs_of_outcomes(&report.outcomes, needs),
            Call::Overdue | Call::Workers | Call::Progress { .. } => {}
        }
    }

    fn needs_of_edit(&self, name: &Name, needs: &mut Needs) {
        self.needs_job(name, needs);
        needs.histories.insert(name.clone());
    }

    fn needs_of_fire(&self, fire: &Fire, needs: &mut Needs) {
        self.needs_job(&fire.job, needs);
        needs.fired.push((fire.job.clone(), fire.fire_key()));
    }

    fn needs_of_later(&self, later: &Later, needs: &mut Needs) {
        if self.memory.job(later.run.job).is_none() {
            needs.jobs.insert(later.run.job);
        }
        if let Call::RunRetry { request, .. } = later.call {
            needs.fired.push((later.run.job_name.clone(), FireKey::Request(request)));
        }
    }

    fn needs_of_outcomes(&self, outcomes: &[Outcome], needs: &mut Needs) {
        outcomes.iter().for_each(|outcome| self.needs_run(outcome.key.run, needs));
    }

    fn needs_job(&self, name: &Name, needs: &mut Needs) {
        if self.memory.job_named(name).is_none() {
            needs.jobs_named.insert(name.clone());
        }
    }

    fn needs_run(&self, run: RunId, needs: &mut Needs) {
        if self.memory.run(run).is_none() {
            needs.runs.insert(run);
        }
    }
}
