//! An attempt in the hands of C or Java: what it is, and what its handler says of it.

use std::sync::Arc;

use fastjob_core::domain::{Failure, Name, Payload};
use fastjob_core::worker::Context;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::status::{Error, Result, Status};

/// One execution of a run, from the moment it was taken. Complete it, or drop it: then it fails.
pub struct Attempt {
    context: Context,
    run_id: String,
    taker: Taker,
    said: Mutex<Said>,
}

/// Who takes the attempts of a handler, and so completes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taker {
    /// A thread of the pool, which completes it with what the callback answers.
    Pool,
    /// Whoever polls.
    Poll,
}

/// How an attempt ended, for the worker.
#[derive(Debug)]
pub(super) enum Verdict {
    Succeeded(Payload),
    Failed { failure: Failure, give_up: bool, retry_after_ms: Option<i64> },
}

struct Said {
    /// Gone once the attempt is completed.
    reply: Option<oneshot::Sender<Verdict>>,
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

    pub(super) fn new(context: Context, taker: Taker) -> (Arc<Self>, oneshot::Receiver<Verdict>) {
        let (reply, verdict) = oneshot::channel();
        let said = Said {
            reply: Some(reply),
            result: Payload::default(),
            failure: None,
            give_up: false,
            retry_after_ms: None,
        };
        let run_id = context.run().to_string();
        (Arc::new(Self { context, run_id, taker, said: Mutex::new(said) }), verdict)
    }

    /// The run's id as a UUID.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Name of the job.
    pub fn job(&self) -> &str {
        self.context.job().as_str()
    }

    /// Name of the handler.
    pub fn handler(&self) -> &str {
        self.handler_name().as_str()
    }

    pub(super) fn handler_name(&self) -> &Name {
        self.context.handler()
    }

    /// The parameters.
    pub fn params(&self) -> &Payload {
        self.context.params()
    }

    /// What names the run's effect in each of its attempts.
    pub fn idempotency_key(&self) -> &str {
        self.context.idempotency_key()
    }

    /// The instant that the schedule produced, if one did.
    pub fn tick_ms(&self) -> Option<i64> {
        self.context.tick().map(|tick| tick.get())
    }

    /// The tick before it.
    pub fn previous_tick_ms(&self) -> Option<i64> {
        self.context.previous_tick().map(|tick| tick.get())
    }

    /// When the run was due.
    pub fn due_ms(&self) -> i64 {
        self.context.due().get()
    }

    /// 1 for the run's first attempt.
    pub fn number(&self) -> u32 {
        self.context.attempt()
    }

    /// How many attempts that end in error the run may have.
    pub fn max_attempts(&self) -> u32 {
        self.context.max_attempts()
    }

    /// The fencing number of the server that sent it.
    pub fn epoch(&self) -> i64 {
        self.context.epoch().0
    }

    /// True once it should end soon.
    pub fn is_cancelled(&self) -> bool {
        self.context.is_cancelled()
    }

    /// True once it is completed, or nobody waits for its end any more.
    pub(super) fn is_over(&self) -> bool {
        self.said.lock().reply.as_ref().is_none_or(oneshot::Sender::is_closed)
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
        self.context.progress(percent, note);
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
        self.said.lock().reply = None;
        Ok(())
    }

    /// Completes an attempt that ran as a callback.
    pub(super) fn complete(&self, status: i32) {
        self.end(status);
    }

    fn must_be_polled(&self, instead: &str) -> Result<()> {
        match self.taker {
            Taker::Poll => Ok(()),
            Taker::Pool => Err(Error::new(Status::STATE, format!("the attempt of a handler is {instead}"))),
        }
    }

    fn say(&self, change: impl FnOnce(&mut Said)) -> Result<()> {
        let mut said = self.said.lock();
        if said.reply.is_none() {
            return Err(completed());
        }
        change(&mut said);
        Ok(())
    }

    /// False if it had ended before.
    fn end(&self, status: i32) -> bool {
        let mut said = self.said.lock();
        let Some(reply) = said.reply.take() else { return false };
        let verdict = said.verdict(status);
        drop(said);
        // Nobody waits for it any more when its grace has passed or it was superseded.
        let _ = reply.send(verdict);
        true
    }
}

impl Said {
    fn verdict(&mut self, status: i32) -> Verdict {
        if status == Status::OK.0 {
            return Verdict::Succeeded(std::mem::take(&mut self.result));
        }
        let mut failure = self.failure.take().unwrap_or_else(|| {
            let text = Status(status).text().to_string_lossy();
            Failure::new("", &format!("the handler answered {status} ({text})"), "")
        });
        if failure.class.is_empty() {
            failure.class = Status(status).code().into();
        }
        Verdict::Failed { failure, give_up: self.give_up, retry_after_ms: self.retry_after_ms }
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
