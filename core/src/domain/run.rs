//! Runs: the durable record of one firing of one job, and all that can become of it.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Failure, Limits, Name, Payload};
use crate::clock::Millis;
use crate::id::{AttemptKey, Epoch, JobId, RequestId, RunId, ServerId, SessionId, ShardKey, Token};

/// A run as its row holds it.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// Names it.
    pub id: RunId,
    /// Who owns it.
    pub shard: ShardKey,
    /// Of which job.
    pub job: JobId,
    /// Name of that job.
    pub job_name: Name,
    /// Unique per job: what makes two firings the same.
    pub fire_key: FireKey,
    /// What fired it.
    pub source: Source,
    /// The instant its schedule produced.
    pub tick: Option<Millis>,
    /// When it may start next.
    pub due: Millis,
    /// The job's revision that it follows.
    pub revision: u64,
    /// Which function runs it.
    pub handler: Name,
    /// What the handler gets.
    pub params: Payload,
    /// The job's, as copied, with the trigger's overlap in place of the job's if it gave one.
    pub limits: Arc<Limits>,
    /// Where it stands.
    pub state: State,
    /// Attempts so far, the current one included.
    pub attempt: u32,
    /// The current or last attempt's.
    pub assignment: Option<Assignment>,
    /// Attempts that ended in error or timeout.
    pub fail_count: u32,
    /// Attempts whose worker was lost.
    pub lost_count: u32,
    /// When its row was written.
    pub created_at: Millis,
    /// When the handler was entered, of the attempt that ended it.
    pub started_at: Option<Millis>,
    /// When a cancel was asked for.
    pub cancel_at: Option<Millis>,
    /// When it became terminal.
    pub ended_at: Option<Millis>,
    /// Of a succeeded run.
    pub result: Option<Payload>,
    /// Of the last failed attempt.
    pub error: Option<Failure>,
    /// As the caller gave it.
    pub idempotency_key: Option<Arc<str>>,
    /// The run that this one repeats.
    pub retry_of: Option<RunId>,
}

/// To whom an attempt was given.
#[derive(Clone, PartialEq, Debug)]
pub struct Assignment {
    /// Settles the run.
    pub token: Token,
    /// The worker process.
    pub session: SessionId,
    /// Its name.
    pub worker: Arc<str>,
    /// The owner that sent it.
    pub server: ServerId,
    /// Of that owner.
    pub epoch: Epoch,
    /// When it was decided.
    pub dispatched_at: Millis,
}

/// Where a run stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Written; not due yet, or waiting for a worker or for its next attempt.
    Scheduled,
    /// An attempt is with a worker.
    Dispatched,
    /// Over.
    Ended(Ended),
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ended {
    /// Its handler returned.
    Succeeded,
    /// Out of attempts.
    Failed(FailReason),
    /// Somebody asked for it.
    Cancelled,
    /// Never dispatched.
    Skipped(SkipReason),
}

/// Why a run failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FailReason {
    /// The handler said so.
    Error,
    /// The attempt's timeout.
    Timeout,
    /// Its worker was lost and it may run at most once.
    Lost,
    /// Its workers were lost [`Limits::MAX_LOST`] times.
    Quarantined,
}

/// Why a run never started.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SkipReason {
    /// An earlier run was alive.
    Overlap,
    /// Missed, and the catch-up policy chose others.
    CatchUp,
    /// Its job was disabled.
    Disabled,
    /// Its job was deleted.
    Deleted,
    /// No worker in time.
    StartDeadline,
}

/// What fired a run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// A cron tick.
    Cron,
    /// A tick of a fixed-rate grid.
    FixedRate,
    /// The end of the previous run of the chain.
    FixedDelay,
    /// A one-off instant.
    At,
    /// A program.
    Api,
    /// A person.
    Manual,
}

/// What makes two firings of a job the same. Its text form is the `fire_key` column.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum FireKey {
    /// `t<ms>`: a tick.
    Tick(Millis),
    /// `d<n>`: the n-th run of a fixed-delay chain.
    Chain(u64),
    /// `k<sha256 of the idempotency key, hex>`.
    Key([u8; 32]),
    /// `r<request id>`.
    Request(RequestId),
}

impl FireKey {
    /// The key of a firing with this idempotency key.
    pub fn of_idempotency_key(key: &str) -> Self {
        Self::Key(Sha256::digest(key.as_bytes()).into())
    }
}

/// One dispatch of a run, once it is superseded; the current one lives in the run.
#[derive(Clone, PartialEq, Debug)]
pub struct Attempt {
    /// Which.
    pub key: AttemptKey,
    /// To whom it was given; its token equals the key's.
    pub assignment: Assignment,
    /// When the handler was entered, if it said so.
    pub started_at: Option<Millis>,
    /// When it was over.
    pub ended_at: Millis,
    /// How.
    pub end: AttemptEnd,
    /// If it failed.
    pub error: Option<Failure>,
}

/// How a superseded attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AttemptEnd {
    /// In error.
    Failed,
    /// By its timeout.
    Timeout,
    /// No contact with its worker for too long.
    Lost,
    /// Its worker never had it.
    Undelivered,
}

/// What a worker says of an attempt.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Of which.
    pub key: AttemptKey,
    /// How it ended.
    pub kind: OutcomeKind,
    /// When the handler was entered; `None` if it never was.
    pub started_at: Option<Millis>,
    /// When it returned, by the worker's estimate.
    pub ended_at: Millis,
    /// The next attempt no earlier than this much later.
    pub retry_after_ms: Option<i64>,
    /// Another attempt is useless.
    pub give_up: bool,
}

/// How an attempt ended, by its worker.
#[derive(Clone, PartialEq, Debug)]
pub enum OutcomeKind {
    /// With this result.
    Succeeded(Payload),
    /// With this error.
    Failed(Failure),
    /// By its timeout.
    TimedOut(Failure),
    /// It gave way to a cancel.
    Cancelled(Failure),
}

/// Ticks that made no run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Of which job.
    pub job: JobId,
    /// The first of them.
    pub from: Millis,
    /// The last of them.
    pub to: Millis,
    /// How many; `None` above [`Gap::MAX_COUNTED`].
    pub count: Option<u64>,
    /// Why.
    pub reason: GapReason,
    /// By the rule of this revision.
    pub revision: u64,
}

impl Gap {
    /// Longer gaps are not counted when they are written.
    pub const MAX_COUNTED: u64 = 100_000;
}

/// Why ticks made no run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GapReason {
    /// Missed, and the catch-up policy chose others.
    CatchUp,
    /// The job was disabled.
    Disabled,
}

impl Run {
    /// The name of its current or last attempt.
    pub fn attempt_key(&self) -> Option<AttemptKey> {
        let token = self.assignment.as_ref()?.token;
        Some(AttemptKey { run: self.id, attempt: self.attempt, token })
    }

    /// The most attempts it may have, lost and undelivered ones aside.
    pub fn max_attempts(&self) -> u32 {
        self.limits.retry.retries + 1
    }
}
