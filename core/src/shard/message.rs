//! What reaches an owner, and what it answers.

use std::sync::Arc;

use super::Verdict;
use crate::clock::Millis;
use crate::domain::{
    Definition, Hello, Job, Name, Outcome, Overlap, Payload, Refusal, Run, Source, WorkerProfile,
};
use crate::id::{AttemptKey, InboxId, RequestId, RunId, SessionId};

/// One connection of one worker to this owner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(pub u64);

/// A call that waits for its reply.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// One message of a batch. Messages of one stream keep their order.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    /// A worker introduces itself.
    Hello {
        /// On which stream.
        stream: StreamId,
        /// What it says.
        hello: Hello,
    },
    /// It takes `add` more attempts.
    Credit {
        /// Of which stream.
        stream: StreamId,
        /// How many more.
        add: u32,
    },
    /// It wants back at most `credit` of what it takes, to take it of another owner.
    Recall {
        /// Of which stream.
        stream: StreamId,
        /// How many fewer.
        credit: u32,
    },
    /// It says how an attempt ended.
    Outcome {
        /// Where the verdict goes.
        stream: StreamId,
        /// What it says.
        outcome: Outcome,
    },
    /// It says how far an attempt is. Kept in memory only.
    Progress {
        /// Of which attempt.
        key: AttemptKey,
        /// 0 to 100.
        percent: u8,
        /// For people.
        note: Arc<str>,
    },
    /// It takes nothing more.
    Bye {
        /// Of which stream.
        stream: StreamId,
    },
    /// Its stream is gone.
    StreamEnded {
        /// Which.
        stream: StreamId,
        /// When the worker's last proof of life came.
        last_contact: Millis,
    },
    /// Somebody calls and waits.
    Call {
        /// Names the reply.
        ticket: Ticket,
        /// What is asked.
        call: Call,
    },
    /// No trusted owner saw the ticks due in (from, until]. Also given at the boot that ends an outage.
    Outage {
        /// The last moment of trust.
        from: Millis,
        /// Trust regained.
        until: Millis,
    },
}

/// What a client asks of the owner. Its fields are checked; its schedules compile.
#[derive(Clone, PartialEq, Debug)]
pub enum Call {
    /// Create or replace jobs: all or none.
    JobPut(Vec<JobPut>),
    /// Enable or disable one.
    JobEnable {
        /// Which.
        name: Name,
        /// `false` disables.
        enabled: bool,
    },
    /// Leave a tombstone.
    JobDelete {
        /// Which.
        name: Name,
    },
    /// Create, replace and delete jobs: all or none.
    JobApply(Vec<JobChange>),
    /// Fire jobs: each by itself.
    Trigger(Vec<Fire>),
    /// Run past ticks.
    JobBackfill(Backfill),
    /// End a run.
    RunCancel {
        /// Which.
        run: RunId,
    },
    /// Fire a finished run again.
    RunRetry {
        /// Which.
        run: RunId,
        /// The same in each retry of the call.
        request: RequestId,
    },
    /// Carry out commands of the inbox: each by itself.
    Inbox(Vec<Command>),
    /// Hear of a worker through another server.
    Report(WorkerReport),
    /// Which jobs should have started and have not.
    Overdue,
    /// Who is connected.
    Workers,
    /// How far a running attempt is.
    Progress {
        /// Of which run.
        run: RunId,
    },
}

/// A command of the inbox.
#[derive(Clone, PartialEq, Debug)]
pub struct Command {
    /// Its row: it goes, or is set aside, in the transaction that carries it out.
    pub id: InboxId,
    /// What it asks.
    pub order: Order,
}

/// What a command of the inbox asks.
#[derive(Clone, PartialEq, Debug)]
pub enum Order {
    /// Fire a job.
    Fire(Box<Fire>),
    /// Settle an attempt.
    Outcome(Box<Outcome>),
    /// Nothing that can be carried out, for this reason: set it aside.
    Junk(String),
}

/// What a worker says through another server.
#[derive(Clone, PartialEq, Debug)]
pub struct WorkerReport {
    /// Who says it.
    pub session: SessionId,
    /// A counter that the side which runs the handlers raises: unless it has moved since the last report, the attempts
    /// are not kept from being lost.
    pub life: Option<u64>,
    /// Attempts that it has and has not reported.
    pub running: Vec<AttemptKey>,
    /// How others ended.
    pub outcomes: Vec<Outcome>,
}

/// A job to create or replace.
#[derive(Clone, PartialEq, Debug)]
pub struct JobPut {
    /// Names it.
    pub name: Name,
    /// What it is to be.
    pub definition: Definition,
    /// `None`: as it is, or true for a new one.
    pub enabled: Option<bool>,
}

/// A change of one job, among several that are made together.
#[derive(Clone, PartialEq, Debug)]
pub struct JobChange {
    /// What it is to become.
    pub edit: JobEdit,
    /// The revision that the caller saw, 0 for none; `None`: not compared.
    pub seen: Option<u64>,
}

/// What a job is to become.
#[derive(Clone, PartialEq, Debug)]
pub enum JobEdit {
    /// This.
    Put(Box<JobPut>),
    /// A tombstone, if there is one of this name.
    Delete(Name),
}

impl JobChange {
    /// Which job.
    pub fn name(&self) -> &Name {
        match &self.edit {
            JobEdit::Put(put) => &put.name,
            JobEdit::Delete(name) => name,
        }
    }
}

/// A firing by call.
#[derive(Clone, PartialEq, Debug)]
pub struct Fire {
    /// Which job.
    pub job: Name,
    /// `None`: the job's own.
    pub params: Option<Payload>,
    /// When.
    pub when: When,
    /// Of this job; 1 to 256 characters.
    pub idempotency_key: Option<Arc<str>>,
    /// The same in each retry of the call.
    pub request: RequestId,
    /// `None`: the job's own.
    pub overlap: Option<Overlap>,
    /// [`Source::Api`] or [`Source::Manual`].
    pub source: Source,
}

/// Past ticks of a job to run: one part of a backfill.
#[derive(Clone, PartialEq, Debug)]
pub struct Backfill {
    /// Which job.
    pub job: Name,
    /// Names the backfill; the same in all its parts, and in each retry of the call.
    pub id: RequestId,
    /// The ordinal of the first of these ticks among all of the backfill, from 0.
    pub first: u32,
    /// Ticks of the job that have passed, rising; at most [`Backfill::MAX_PART`].
    pub ticks: Vec<Millis>,
    /// `None`: [`Overlap::BufferAll`], without a bound but the backfill's own.
    pub overlap: Option<Overlap>,
}

/// What a [`Backfill`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backfilled {
    /// Ticks that have a new run.
    pub created: u32,
    /// Ticks that had one of this backfill.
    pub existed: u32,
}

/// When a called run is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// At once.
    Now,
    /// At an instant; a past one means at once.
    At(Millis),
    /// This much later.
    AfterMs(i64),
}

/// The answer to a [`Call`].
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// To `JobPut`, in its order.
    Put(Vec<JobPutDone>),
    /// To `JobEnable`.
    Job(Box<Job>),
    /// To `JobDelete`.
    Deleted,
    /// To `JobApply`, in its order.
    Applied(Vec<JobApplied>),
    /// To `Trigger`, in its order.
    Triggered(Vec<Result<Triggered, Refusal>>),
    /// To `JobBackfill`.
    Backfilled(Backfilled),
    /// To `RunCancel` and `RunRetry`.
    Run(Box<Run>),
    /// To `Inbox`: each was carried out or set aside.
    Taken,
    /// To `Report`: what became of each outcome, in its order.
    Reported(Vec<(AttemptKey, Verdict)>),
    /// To `Overdue`: the longest first, at most [`Overdue::MAX_JOBS`].
    Overdue(Vec<Overdue>),
    /// To `Workers`.
    Workers(Vec<WorkerState>),
    /// To `Progress`: percent and note, if the run is running and said so.
    Progress(Option<(u8, Arc<str>)>),
    /// To any: not done, nothing changed.
    Refused(Refusal),
}

/// One job put.
#[derive(Clone, PartialEq, Debug)]
pub struct JobPutDone {
    /// What it did.
    pub change: Change,
    /// As it is now.
    pub job: Job,
}

/// One change of several made together.
#[derive(Clone, PartialEq, Debug)]
pub enum JobApplied {
    /// A job was put, or was so already.
    Put(JobPutDone),
    /// It has its tombstone now.
    Deleted(Job),
    /// There was none.
    Absent,
}

/// What a put did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// A new job.
    Created,
    /// A new revision.
    Updated,
    /// Nothing: it was equal.
    Unchanged,
}

/// One run fired by call.
#[derive(Clone, PartialEq, Debug)]
pub struct Triggered {
    /// The run.
    pub run: Run,
    /// It was there before, by the same key or request.
    pub existed: bool,
}

/// A job that should have started by now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overdue {
    /// Which.
    pub job: Name,
    /// The oldest instant at which it should have.
    pub since: Millis,
    /// Its stored trigger does not compile: it makes no ticks at all.
    pub no_schedule: bool,
}

/// A worker as its owner sees it.
#[derive(Clone, PartialEq, Debug)]
pub struct WorkerState {
    /// Who.
    pub profile: WorkerProfile,
    /// Attempts it holds of this shard.
    pub running: u32,
    /// It has a stream.
    pub connected: bool,
    /// It said Bye.
    pub draining: bool,
    /// When it was last heard; now, while connected.
    pub last_contact: Millis,
}
