//! What workers tell other servers while they cannot reach their owner.

use fastjob_core::id::{AttemptKey, Id};
use fastjob_core::shard::{Command, Order, WorkerReport};

use super::owner::Knock;
use super::store::{Answer, Ask};
use super::{Place, Sim, millis};

/// What became of outcomes that another server took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Judged,
    Stored,
}

impl Sim {
    /// Any server that can be reached tells the owner, or keeps the outcomes for it.
    pub(super) fn report_elsewhere(&mut self, worker: usize) {
        let machine = self.below(self.machines.len() as u64) as usize;
        let asked = self.machines[machine];
        let w = &self.workers[worker];
        let (session, life) = (w.profile.session, w.life);
        let open = || w.held.iter().filter(|(_, held)| !held.settled);
        let report = WorkerReport {
            session,
            life: Some(self.now as u64),
            running: open().filter(|(_, held)| held.outcome.is_none()).map(|(key, _)| *key).collect(),
            outcomes: open().filter_map(|(_, held)| held.outcome.clone()).collect(),
        };
        let Some(delay) = self.transit(Place::Worker(worker), Place::Machine(machine)) else { return };
        self.on(asked, delay, move |sim| {
            let hop = match sim.points_to(asked) {
                Some(owner) if owner == asked => Some((owner, 0)),
                Some(owner) => {
                    let (from, to) = (sim.place(asked), sim.place(owner));
                    sim.transit(from, to).map(|delay| (owner, delay))
                }
                None => None,
            };
            let Some((owner, delay)) = hop else { return sim.keep_outcomes(asked, worker, life, report) };
            sim.on(owner, delay, move |sim| {
                if let Some(taken) = &mut sim.servers[owner].owner {
                    taken.door.push_back(Knock::Report { worker, life, report });
                    sim.saw("report through another server");
                    sim.poke(owner);
                }
            });
        });
    }

    pub(super) fn keep_outcomes(&mut self, asked: usize, worker: usize, life: u64, report: WorkerReport) {
        if report.outcomes.is_empty() {
            return;
        }
        let keys: Vec<_> = report.outcomes.iter().map(|outcome| outcome.key).collect();
        let mut commands = Vec::new();
        for outcome in report.outcomes {
            let id = Id::new(millis(self.now), &mut self.chance);
            commands.push(Command { id, order: Order::Outcome(Box::new(outcome)) });
        }
        self.ask(asked, self.patience_ms, Ask::InboxPut(commands), move |sim, answer| {
            if matches!(answer, Some(Answer::Done)) {
                sim.saw("outcome stored for the owner");
                sim.answer_report(asked, worker, life, keys, Fate::Stored);
            }
        });
    }

    pub(super) fn answer_report(
        &mut self,
        server: usize,
        worker: usize,
        life: u64,
        outcomes: Vec<AttemptKey>,
        fate: Fate,
    ) {
        let place = self.place(server);
        let Some(delay) = self.transit(place, Place::Worker(worker)) else { return };
        if self.workers[worker].life != life {
            return;
        }
        self.works(worker, delay, move |sim| {
            for key in outcomes {
                if fate == Fate::Stored {
                    let held = sim.workers[worker].held.get(&key);
                    let outcome = held.and_then(|held| held.outcome.clone());
                    sim.workers[worker].stored.extend(outcome);
                }
                sim.settled(worker, key);
            }
        });
    }
}
