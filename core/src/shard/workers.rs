//! Workers come, go, and say what they hold.

use std::collections::HashSet;

use super::memory::Open;
use super::sessions::{Greeting, Session};
use super::settling::Report;
use super::states::Event;
use super::turn::Turn;
use super::{CancelReason, Frame, Shard, StreamId, WorkerState};
use crate::clock::Millis;
use crate::domain::{Hello, State};
use crate::id::{AttemptKey, Epoch, RunId, SessionId};
use crate::mutant::mutant;

/// What a Hello tells of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Knowledge {
    /// Its worker has it, or it is under way on this stream.
    Has,
    /// Its worker never had it.
    Lacks,
    /// Another Hello must tell.
    Doubtful,
}

impl Shard {
    /// A worker introduces itself: attempts it has go on, others of its were never delivered, and what it could not
    /// report it reports now.
    pub(super) fn hello(&mut self, stream: StreamId, hello: Hello, turn: &mut Turn) {
        let (session, ordinal) = (hello.profile.session, hello.ordinal);
        let greeting = self.sessions.greet(stream, hello.profile, ordinal, turn.now);
        if greeting == Greeting::Stale {
            return;
        }
        let (adopted, drop): (Vec<_>, Vec<_>) =
            hello.running.into_iter().partition(|key| self.is_current(*key, session));
        let unacked = hello.unacked.iter().map(|outcome| outcome.key);
        let listed: HashSet<AttemptKey> = adopted.iter().copied().chain(unacked).collect();
        let floor = self.sessions.may_doubt(session).then(|| hello.floor.unwrap_or(Epoch(0)));
        let held: Vec<(RunId, Knowledge)> = self
            .memory
            .held_by(session)
            .map(|id| (id, self.knowledge(id, &listed, greeting, floor)))
            .collect();
        if held.iter().any(|(_, knowledge)| *knowledge == Knowledge::Doubtful) {
            // Ahead of the Welcome, so that the floor of the answer tells that it was written before what follows.
            self.sessions.doubted(session);
            turn.frame(stream, Frame::HelloAgain);
        }
        let (epoch, lost_after_ms) = (self.settings.epoch, self.settings.worker_lost_after_ms);
        turn.frame(stream, Frame::Welcome { epoch, ordinal, lost_after_ms, adopted, drop });
        for (id, knowledge) in held {
            match knowledge {
                Knowledge::Has | Knowledge::Doubtful => self.adopt(id, turn),
                Knowledge::Lacks if mutant("hello_not_reconciled") => self.adopt(id, turn),
                Knowledge::Lacks => self.attempt_over(id, Event::Undelivered, Report::default(), turn),
            }
        }
        for outcome in hello.unacked {
            self.attempt_ended(stream, outcome, turn);
        }
    }

    /// What a Hello tells of an attempt that its session should have.
    fn knowledge(
        &self,
        id: RunId,
        listed: &HashSet<AttemptKey>,
        greeting: Greeting,
        floor: Option<Epoch>,
    ) -> Knowledge {
        let Some(Open { run, .. }) = self.memory.run(id) else { return Knowledge::Has };
        let sent_at = run.assignment.as_ref().map(|assignment| assignment.epoch);
        if run.attempt_key().is_some_and(|key| listed.contains(&key)) {
            return Knowledge::Has;
        }
        if sent_at == Some(self.settings.epoch) {
            // This memory sent it: on this stream if the Hello is another one, else on one that ended before.
            return if greeting == Greeting::Repeated { Knowledge::Has } else { Knowledge::Lacks };
        }
        // Written before a word of a later owner than the one that sent the attempt had arrived: the attempt may be under way
        // behind it, on the same stream.
        if floor.is_some_and(|floor| Some(floor) <= sent_at) {
            return Knowledge::Doubtful;
        }
        Knowledge::Lacks
    }

    pub(super) fn is_current(&self, key: AttemptKey, session: SessionId) -> bool {
        self.memory.run(key.run).is_some_and(|Open { run, .. }| {
            run.state == State::Dispatched
                && run.attempt_key() == Some(key)
                && run.assignment.as_ref().is_some_and(|assignment| assignment.session == session)
        })
    }

    /// Its worker is back. What it was told may not have reached it.
    fn adopt(&mut self, id: RunId, turn: &mut Turn) {
        self.memory.change(id, |open| {
            open.lost_at = None;
            open.timeout_told = None;
        });
        if self.memory.run(id).is_some_and(|open| open.run.cancel.is_some()) {
            self.tell_to_end(id, CancelReason::Requested, turn);
        }
    }

    pub(super) fn credit(&mut self, stream: StreamId, add: u32, turn: &mut Turn) {
        self.ask_for_hello(stream, turn);
        if let Some(session) = self.sessions.on_stream(stream) {
            session.credit = session.credit.saturating_add(add).min(session.profile.slots);
            session.wanting = session.wanting && session.credit == 0;
        }
    }

    /// A worker takes credit back that was not used: dispatches of earlier turns are ahead of the answer.
    pub(super) fn recall(&mut self, stream: StreamId, credit: u32, turn: &mut Turn) {
        self.ask_for_hello(stream, turn);
        if let Some(session) = self.sessions.on_stream(stream) {
            let credit = session.credit.min(credit);
            session.credit -= credit;
            turn.frame(stream, Frame::Recalled { credit });
        }
    }

    pub(super) fn bye(&mut self, stream: StreamId, turn: &mut Turn) {
        self.ask_for_hello(stream, turn);
        if let Some(session) = self.sessions.on_stream(stream) {
            session.draining = true;
        }
    }

    /// A stream from before this memory: its worker must say what it holds.
    pub(super) fn ask_for_hello(&mut self, stream: StreamId, turn: &mut Turn) {
        if self.sessions.must_ask(stream) {
            turn.frame(stream, Frame::HelloAgain);
        }
    }

    pub(super) fn stream_ended(&mut self, stream: StreamId, last_contact: Millis) {
        let Some(session) = self.sessions.stream_ended(stream, last_contact) else { return };
        let held: Vec<RunId> = self.memory.held_by(session).collect();
        for id in held {
            self.arm_lost(id, last_contact.min(self.now));
        }
        self.forget_if_idle(session);
    }

    /// From `since` on the attempt's worker is away.
    pub(super) fn arm_lost(&mut self, id: RunId, since: Millis) {
        let default_ms = self.settings.worker_lost_after_ms;
        self.memory.change(id, |open| {
            let lost_after_ms = open.run.limits.worker_lost_after_ms.unwrap_or(default_ms);
            let lost_after_ms = if mutant("lost_at_once") { 0 } else { lost_after_ms };
            open.lost_at = Some(since.plus(lost_after_ms));
        });
    }

    /// A worker that is away and holds nothing is forgotten.
    pub(super) fn forget_if_idle(&mut self, session: SessionId) {
        if self.memory.held_count(session) == 0 {
            self.sessions.forget_if_away(session);
        }
    }

    /// Every worker that is connected or holds attempts.
    pub(super) fn worker_states(&self) -> Vec<WorkerState> {
        let state = |session: &Session| WorkerState {
            profile: session.profile.clone(),
            running: u32::try_from(self.memory.held_count(session.profile.session)).unwrap_or(u32::MAX),
            connected: session.stream.is_some(),
            draining: session.draining,
            last_contact: if session.stream.is_some() { self.now } else { session.last_contact },
        };
        let mut states: Vec<_> = self.sessions.all().map(state).collect();
        states.sort_by_key(|state| state.profile.session);
        states
    }
}
