//! The pure heart: what an owner knows of its shard, and what it decides. No I/O, no clock, no chance but what it is
//! given, so that a simulation can run it.
//!
//! An owner's turn is collect, load, decide, commit, act. This module says what must be loaded ([`Shard::needs`]),
//! decides ([`Shard::decide`]) and returns a [`Plan`]. If the commit fails, the memory is thrown away: a new [`Shard`]
//! boots from the rows.

mod apply;
mod backfill;
mod calls;
mod dispatching;
mod due;
mod edits;
mod facts;
mod firing;
mod horizon;
mod inbox;
mod memory;
mod message;
mod needs;
mod overdue;
mod overlap;
mod plan;
mod rows;
mod sessions;
mod settling;
mod states;
mod turn;
mod workers;

pub use edits::may_overwrite;
pub use facts::{DuePage, Facts, History, JobPage, Needs, OpenPage};
pub use message::{
    Backfill, Backfilled, Call, Change, Command, Fire, JobApplied, JobChange, JobEdit, JobPut, JobPutDone,
    Message, Order, Overdue, Reply, StreamId, Ticket, Triggered, When, WorkerReport, WorkerState,
};
pub use plan::{CancelReason, Dispatch, Frame, Plan, Verdict};
pub use rows::{Cursor, InboxFailed, Rows, RunChanged, RunCopied, RunEnded, RunStarted};

use self::horizon::Horizon;
use self::memory::{Memory, Open};
use self::sessions::Sessions;
use self::turn::Turn;
use crate::clock::Millis;
use crate::domain::{Run, State};
use crate::id::{Chance, Epoch, RunId, ServerId, ShardKey};
use crate::routing::Rotation;

/// What an owner is told of itself.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// Of which shard.
    pub shard: ShardKey,
    /// Who owns it.
    pub server: ServerId,
    /// At which epoch.
    pub epoch: Epoch,
    /// How far ahead runs are written and held in memory.
    pub horizon_ms: i64,
    /// For jobs that name none: without contact for this long, an attempt is lost.
    pub worker_lost_after_ms: i64,
}

/// How much an owner holds, for metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// Written, not due yet.
    pub scheduled: usize,
    /// Due, waiting for the end of an earlier run of their job.
    pub buffered: usize,
    /// Due, waiting for a worker.
    pub waiting: usize,
    /// With a worker.
    pub dispatched: usize,
    /// Connected workers.
    pub workers: usize,
    /// Free slots of connected workers.
    pub free_slots: usize,
}

/// An owner's memory of its shard.
#[derive(Debug)]
pub struct Shard {
    settings: Settings,
    chance: Chance,
    /// Of the last turn; time never goes back.
    now: Millis,
    memory: Memory,
    sessions: Sessions,
    rotation: Rotation,
    horizon: Horizon,
    /// Calls that need a second load, with the run that the first one brought.
    later: Vec<Later>,
    /// There is more to do at once.
    again: bool,
}

/// In the past by every clock, also one that was set back since the last turn.
const AT_ONCE: Millis = Millis::new(0);

/// A call to take again once the job of its run is loaded.
#[derive(Clone, Debug)]
struct Later {
    ticket: Ticket,
    call: Call,
    run: Run,
}

impl Shard {
    /// An empty memory, to be filled by [`Shard::open`] and [`Shard::booted`].
    pub fn new(settings: Settings, chance: Chance) -> Self {
        Self {
            settings,
            chance,
            now: Millis::default(),
            memory: Memory::default(),
            sessions: Sessions::default(),
            rotation: Rotation::default(),
            horizon: Horizon::default(),
            later: Vec::new(),
            again: false,
        }
    }

    /// Takes one page of the boot. `until` is the horizon the page was asked with.
    pub fn open(&mut self, page: OpenPage, until: Millis) {
        for job in page.jobs {
            self.memory.admit_job(job);
        }
        for run in page.runs {
            self.memory.admit(Open::new(run));
        }
        self.horizon.opened(until);
    }

    /// The boot has read everything: from `now` on, attempts in flight wait for their workers' Hello. An outage that this
    /// boot ends is the first message of the next batch.
    pub fn booted(&mut self, now: Millis) {
        self.now = now.max(self.now);
        for run in self.memory.all_held() {
            self.arm_lost(run, self.now);
        }
        self.again = true;
    }

    /// Takes the batch message by message, then whatever is due at `now`.
    pub fn decide(&mut self, batch: Vec<Message>, mut facts: Facts, now: Millis) -> Plan {
        self.now = now.max(self.now);
        self.again = false;
        let page = self.due_page(self.now).zip(facts.due.take());
        let jobs = std::mem::take(&mut facts.jobs);
        let outcomes = std::mem::take(&mut facts.outcomes);
        let mut turn = Turn::new(facts, self.now);
        turn.judgeable = self.judged_attempts(&batch, self.now);
        for job in jobs {
            turn.touched.insert(job.id);
            self.memory.admit_job(job);
        }
        turn.touched.extend(turn.runs.values().map(|run| run.job));
        self.memory.give_up_unknown_jobs();
        self.take_stored_outcomes(outcomes, &mut turn);
        self.extend_horizon(page);
        for later in std::mem::take(&mut self.later) {
            turn.runs.insert(later.run.id, later.run);
            turn.second_load = true;
            self.called(later.ticket, later.call, &mut turn);
        }
        turn.second_load = false;
        for message in batch {
            self.take(message, &mut turn);
        }
        self.write_ticks(&mut turn);
        self.judge_due(&mut turn);
        self.dispatch_waiting(&mut turn);
        self.write(turn)
    }

    /// When a turn has something to do even without a message; `None`: never. The present or past means at once.
    pub fn next_wake(&self) -> Option<Millis> {
        if self.again || !self.later.is_empty() || !self.memory.unknown_jobs().is_empty() {
            return Some(AT_ONCE);
        }
        [self.memory.wakes_at(), self.horizon_wakes_at()].into_iter().flatten().min()
    }

    /// How much it holds.
    pub fn load(&self) -> Load {
        let [scheduled, buffered, waiting, dispatched] = self.memory.counts();
        let connected = || self.sessions.all().filter(|session| session.stream.is_some());
        Load {
            scheduled,
            buffered,
            waiting,
            dispatched,
            workers: connected().count(),
            free_slots: connected().map(|session| session.credit as usize).sum(),
        }
    }

    fn take(&mut self, message: Message, turn: &mut Turn) {
        match message {
            Message::Hello { stream, hello } => self.hello(stream, hello, turn),
            Message::Credit { stream, add } => self.credit(stream, add, turn),
            Message::Recall { stream, credit } => self.recall(stream, credit, turn),
            Message::Outcome { stream, outcome } => self.attempt_ended(stream, outcome, turn),
            Message::Progress { key, percent, note } => self.progressed(key, percent, note),
            Message::Bye { stream } => self.bye(stream, turn),
            Message::StreamEnded { stream, last_contact } => self.stream_ended(stream, last_contact),
            Message::Call { ticket, call } => self.called(ticket, call, turn),
            Message::Outage { from, until } => self.horizon.outage_seen(from, until.min(self.now)),
        }
    }

    /// Writes each changed run and job once, and lets go of what is no longer needed.
    fn write(&mut self, mut turn: Turn) -> Plan {
        turn.plan.replies.iter_mut().for_each(|(_, reply)| self.show_final_runs(reply));
        for id in turn.changed_runs() {
            let Some(open) = self.memory.run(id) else { continue };
            turn.write_run(&open.run);
            turn.touched.insert(open.run.job);
            if self.may_leave(open) {
                self.leave(id);
            }
        }
        for id in turn.changed_jobs() {
            if let Some(known) = self.memory.job(id) {
                turn.write_job(&known.job);
            }
        }
        for id in std::mem::take(&mut turn.touched) {
            self.release_job(id);
        }
        turn.plan
    }

    fn leave(&mut self, id: RunId) {
        let Some(open) = self.memory.forget(id) else { return };
        match open.run.state {
            State::Scheduled => self.horizon.leaves(open.run.due),
            State::Dispatched | State::Ended(_) => {}
        }
    }
}
