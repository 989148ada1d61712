//! An attempt in the hands of C or Java: what it is, and what its handler says of it.

use std::sync::Arc;

use fastjob_core::domain::{Failure, Payload};
use fastjob_core::worker::{self as core, Completion, HandlerError, Taker};
use parking_lot::Mutex;

use crate::status::{Error, Result, Status};

/// One execution of a run, from the moment it was taken. Complete it, or drop it: then it fails.
pub struct Attempt {
    core: Arc<core::Attempt>,
    taker: Arc<Taker>,
    run_id: String,
    completed_by: CompletedBy,
    said: Mutex<Said>,
}

/// Who says how an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CompletedBy {
    /// The thread that runs it as a callback, by what that answers.
    Pool,
    /// Whoever polled it.
    Caller,
}

#[derive(Default)]
struct Said {
    completed: bool,
    result: Payload,
    failure: Option<Failure>,
    give_up: bool,
    retry_after_ms: Option<i64>,
}

impl Attempt {
    /// The longest wait that a handler may ask for: 30 days.
    pub const MAX_RETRY_AFTER_MS: i64 = 30 * 86_400_000;
    /// The most characters of a progress note.
    pub const MAX_NOTE_CHARS: usize = 1_024;

    pub(super) fn new(core: Arc<core::Attempt>, taker: Arc<Taker>, completed_by: CompletedBy) -> Arc<Self> {
        let run_id = core.key.run.to_string();
        Arc::new(Self { core, taker, run_id, completed_by, said: Mutex::default() })
    }

    /// The run's id as a UUID.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Name of the job.
    pub fn job(&self) -> &str {
        &self.core.job
    }

    /// Name of the handler.
    pub fn handler(&self) -> &str {
        &self.core.handler
    }

    /// The parameters.
    pub fn params(&self) -> &Payload {
        self.core.params.payload()
    }

    /// What names the run's effect in each of its attempts.
    pub fn idempotency_key(&self) -> &str {
        &self.core.idempotency_key
    }

    /// The instant that the schedule produced, if one did.
    pub fn tick_ms(&self) -> Option<i64> {
        self.core.tick.map(|tick| tick.get())
    }

    /// The tick before it.
    pub fn previous_tick_ms(&self) -> Option<i64> {
        self.core.previous_tick.map(|tick| tick.get())
    }

    /// The job's revision that the run follows.
    pub fn revision(&self) -> u64 {
        self.core.revision
    }

    /// The tick is run again on demand.
    pub fn is_backfilled(&self) -> bool {
        self.core.source == fastjob_core::client::Source::Backfill
    }

    /// When the run was due.
    pub fn due_ms(&self) -> i64 {
        self.core.due.get()
    }

    /// 1 for the run's first attempt.
    pub fn number(&self) -> u32 {
        self.core.key.attempt
    }

    /// How many attempts that end in error the run may have.
    pub fn max_attempts(&self) -> u32 {
        self.core.max_attempts
    }

    /// The fencing number of the server that sent it.
    pub fn epoch(&self) -> i64 {
        self.core.epoch.0
    }

    /// True once it should end soon.
    pub fn is_cancelled(&self) -> bool {
        self.core.is_cancelled()
    }

    /// Says how far it is: 0 to 100, and a note of at most [`Attempt::MAX_NOTE_CHARS`]. Never waits.
    pub fn progress(&self, percent: u32, note: &str) -> Result<()> {
        if percent > 100 {
            return Err(Error::argument("percent", format_args!("is {percent}: give 0 to 100")));
        }
        let chars = note.chars().count();
        if chars > Self::MAX_NOTE_CHARS {
            let most = Self::MAX_NOTE_CHARS;
            return Err(Error::argument(
                "note",
                format_args!("has {chars} characters: at most {most} are allowed"),
            ));
        }
        self.taker.progress(&self.core.key, percent, note);
        Ok(())
    }

    /// The result, if it succeeds.
    pub fn set_result(&self, result: Payload) -> Result<()> {
        self.say(|said| said.result = result)
    }

    /// The error, if it fails; a class of `None` is that of the status.
    pub fn set_error(&self, class: Option<&str>, message: &str) -> Result<()> {
        self.set_failure(Failure::new(class.unwrap_or_default(), message, ""))
    }

    /// The error, if it fails, with its trace.
    pub fn set_failure(&self, failure: Failure) -> Result<()> {
        self.say(|said| said.failure = Some(failure))
    }

    /// If it fails, another attempt is useless.
    pub fn give_up(&self) -> Result<()> {
        self.say(|said| said.give_up = true)
    }

    /// If it fails, the next attempt should come no earlier than this much later: 0 to [`Attempt::MAX_RETRY_AFTER_MS`].
    pub fn retry_after(&self, delay_ms: i64) -> Result<()> {
        if !(0..=Self::MAX_RETRY_AFTER_MS).contains(&delay_ms) {
            let most = Self::MAX_RETRY_AFTER_MS;
            return Err(Error::argument(
                "delay_ms",
                format_args!("is {delay_ms}: give 0 to {most} (30 days)"),
            ));
        }
        self.say(|said| said.retry_after_ms = Some(delay_ms))
    }

    /// Completes an attempt that was polled: 0 succeeded, all else failed. [`Status::STATE`] if it was completed before
    /// or runs as a callback.
    pub fn complete_polled(&self, status: i32) -> Result<()> {
        self.must_be_polled("completed by what the handler answers")?;
        if self.end(status) { Ok(()) } else { Err(completed()) }
    }

    /// Lets go of an attempt that was polled; it fails unless it was completed. [`Status::STATE`] if it runs as a callback.
    pub fn abandon_polled(&self) -> Result<()> {
        self.must_be_polled("freed when the handler returns")?;
        self.abandon();
        Ok(())
    }

    /// Completes an attempt that ran as a callback.
    pub(super) fn complete(&self, status: i32) {
        self.end(status);
    }

    fn must_be_polled(&self, instead: &str) -> Result<()> {
        match self.completed_by {
            CompletedBy::Caller => Ok(()),
            CompletedBy::Pool => {
                Err(Error::new(Status::STATE, format!("the attempt of a handler is {instead}")))
            }
        }
    }

    fn say(&self, change: impl FnOnce(&mut Said)) -> Result<()> {
        let mut said = self.said.lock();
        if said.completed {
            return Err(completed());
        }
        change(&mut said);
        Ok(())
    }

    fn abandon(&self) {
        let mut said = self.said.lock();
        if !said.completed {
            said.failure = Some(Failure::new("abandoned", "the attempt was let go without an end", ""));
            drop(said);
            self.end(Status::FAILED.0);
        }
    }

    /// False if it had ended before.
    fn end(&self, status: i32) -> bool {
        let mut said = self.said.lock();
        if std::mem::replace(&mut said.completed, true) {
            return false;
        }
        let completion = said.completion(status);
        drop(said);
        self.taker.complete(&self.core.key, completion);
        true
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl Said {
    fn completion(&mut self, status: i32) -> Completion {
        if status == Status::OK.0 {
            return Completion::Succeeded(std::mem::take(&mut self.result));
        }
        let mut failure = self.failure.take().unwrap_or_else(|| {
            let text = Status(status).text().to_string_lossy();
            Failure::new("", &format!("the handler answered {status} ({text})"), "")
        });
        if failure.class.is_empty() {
            failure.class = Status(status).code().into();
        }
        let mut error = HandlerError::from(failure);
        error.give_up = self.give_up;
        error.retry_after_ms = self.retry_after_ms;
        Completion::Failed(error)
    }
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "attempt {} of run {}", self.number(), self.run_id)
    }
}

fn completed() -> Error {
    Error::new(Status::STATE, "the attempt was completed before")
}
