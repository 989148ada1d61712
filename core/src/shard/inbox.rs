//! Commands that waited in the inbox, and workers that are heard of through other servers.

use std::collections::BTreeSet;

use super::memory::Open;
use super::settling::run_not_found;
use super::turn::Turn;
use super::{Command, InboxFailed, Message, Order, Shard, Verdict, WorkerReport};
use crate::clock::Millis;
use crate::domain::Outcome;
use crate::id::{AttemptKey, InboxId, RunId};

/// The longest reason that is kept of a command that was set aside, in characters.
const MAX_REASON_CHARS: usize = 1_024;
/// Of the due, those at most that are looked at for attempts whose time is over; more wait for the next turn.
const LOOKED_AT: usize = 20_000;

impl Shard {
    /// Carries out commands of the inbox, each by itself: in the same turn its row goes or is set aside.
    pub(super) fn take_commands(&mut self, commands: Vec<Command>, turn: &mut Turn) {
        for Command { id, order } in commands {
            if !turn.commands.insert(id) {
                continue;
            }
            let done = match order {
                Order::Fire(fire) => self.fire(*fire, turn).map(drop).map_err(|refusal| refusal.to_string()),
                Order::Outcome(outcome) => {
                    let run = outcome.key.run;
                    match self.judge_outcome(*outcome, turn) {
                        Verdict::Accepted | Verdict::Duplicate | Verdict::Late => Ok(()),
                        Verdict::Unknown => Err(run_not_found(run).to_string()),
                    }
                }
                Order::Junk(reason) => Err(reason),
            };
            match done {
                Ok(()) => turn.rows().inbox_done.push(id),
                Err(reason) => {
                    let failed = InboxFailed { id, at: turn.now, reason: cut(&reason) };
                    turn.rows().inbox_failed.push(failed);
                }
            }
        }
    }

    /// Outcomes that were loaded for attempts about to be judged: they are older than the judgement.
    pub(super) fn take_stored_outcomes(&mut self, outcomes: Vec<(InboxId, Outcome)>, turn: &mut Turn) {
        let commands = outcomes
            .into_iter()
            .map(|(id, outcome)| Command { id, order: Order::Outcome(Box::new(outcome)) });
        self.take_commands(commands.collect(), turn);
    }

    /// A worker is heard of through another server: it keeps the attempts that it names, and is given no new ones.
    pub(super) fn take_report(
        &mut self,
        report: WorkerReport,
        turn: &mut Turn,
    ) -> Vec<(AttemptKey, Verdict)> {
        let WorkerReport { session, life, running, outcomes } = report;
        if let Some(known) = self.sessions.get_mut(session) {
            known.last_contact = known.last_contact.max(turn.now);
        }
        let held = running.into_iter().filter(|key| self.is_current(*key, session));
        for key in held.collect::<Vec<_>>() {
            self.in_contact(key.run, life);
        }
        let judged = |outcome: Outcome| (outcome.key, self.judge_outcome(outcome, turn));
        outcomes.into_iter().map(judged).collect()
    }

    /// The attempt's worker is not lost, if the side that runs the handlers has shown a sign of life since the last time.
    fn in_contact(&mut self, id: RunId, life: Option<u64>) {
        let Some(open) = self.memory.run(id) else { return };
        if life.is_none() || life == open.life {
            return;
        }
        let away = open.lost_at.is_some();
        self.memory.change(id, |open| open.life = life);
        if away {
            self.arm_lost(id, self.now);
        }
    }

    /// Runs whose attempts this turn may judge undelivered, lost or timed out: a pure function of the batch and the
    /// memory, asked once for the load and once for the decision.
    pub(super) fn judged_attempts(&self, batch: &[Message], now: Millis) -> BTreeSet<RunId> {
        let is_over = |open: &Open| open.attempt_over_at().is_some_and(|at| at <= now);
        let due = self.memory.due(now).take(LOOKED_AT);
        let mut judged: BTreeSet<RunId> =
            due.filter(|id| self.memory.run(*id).is_some_and(is_over)).collect();
        for message in batch {
            let Message::Hello { hello, .. } = message else { continue };
            let unacked = hello.unacked.iter().map(|outcome| outcome.key);
            let listed: BTreeSet<AttemptKey> = hello.running.iter().copied().chain(unacked).collect();
            let unlisted = |id: &RunId| {
                let key = self.memory.run(*id).and_then(|open| open.run.attempt_key());
                key.is_some_and(|key| !listed.contains(&key))
            };
            judged.extend(self.memory.held_by(hello.profile.session).filter(unlisted));
        }
        judged
    }
}

/// The head of a reason, within its bound.
fn cut(reason: &str) -> String {
    reason.chars().take(MAX_REASON_CHARS).collect()
}
