//! What a Rust handler knows of its attempt and may say while it runs.

use std::str::Utf8Error;
use std::sync::Arc;

use super::attempt::{Attempt, CancelReason};
use super::hub::Hub;
use crate::client::Source;
use crate::clock::Millis;
use crate::domain::{Encoding, Payload};
use crate::id::{Epoch, RunId};

/// One execution, from inside its handler.
#[derive(Clone)]
pub struct Context {
    pub(super) attempt: Arc<Attempt>,
    pub(super) hub: Arc<Hub>,
}

/// What a handler was given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Params(pub(super) Payload);

impl Context {
    /// The job's parameters, or those of the trigger.
    pub fn params(&self) -> &Params {
        &self.attempt.params
    }

    /// The instant the schedule produced; `None` unless a schedule did.
    pub fn tick(&self) -> Option<Millis> {
        self.attempt.tick
    }

    /// The tick before [`Context::tick`].
    pub fn previous_tick(&self) -> Option<Millis> {
        self.attempt.previous_tick
    }

    /// The half-open interval of data that this run stands for: from the tick before to its own.
    pub fn data_interval(&self) -> Option<(Millis, Millis)> {
        self.attempt.previous_tick.zip(self.attempt.tick)
    }

    /// When the run was due.
    pub fn due(&self) -> Millis {
        self.attempt.due
    }

    /// 1 for the run's first attempt.
    pub fn attempt(&self) -> u32 {
        self.attempt.key.attempt
    }

    /// How many attempts that end in error the run may have.
    pub fn max_attempts(&self) -> u32 {
        self.attempt.max_attempts
    }

    /// Names the run.
    pub fn run_id(&self) -> RunId {
        self.attempt.key.run
    }

    /// Names this run's effect: the same in each attempt.
    pub fn idempotency_key(&self) -> &str {
        &self.attempt.idempotency_key
    }

    /// Rises with each owner: with it a handler can fence its own side effects.
    pub fn epoch(&self) -> Epoch {
        self.attempt.epoch
    }

    /// Name of the job.
    pub fn job(&self) -> &str {
        &self.attempt.job
    }

    /// Name of the handler.
    pub fn handler(&self) -> &str {
        &self.attempt.handler
    }

    /// The job's revision that the run follows.
    pub fn revision(&self) -> u64 {
        self.attempt.revision
    }

    /// What fired the run.
    pub fn source(&self) -> Source {
        self.attempt.source
    }

    /// The tick is run again on demand: its data may be old.
    pub fn is_backfilled(&self) -> bool {
        self.attempt.source == Source::Backfill
    }

    /// Tells how far the handler is: 0 to 100, and a note of at most 1,024 characters; more is cut. Not durable: only the
    /// newest is sent.
    pub fn progress(&self, percent: u32, note: &str) {
        self.hub.progress(&self.attempt.key, percent, note);
    }

    /// Whether the handler should end.
    pub fn is_cancelled(&self) -> bool {
        self.attempt.is_cancelled()
    }

    /// Returns once the handler should end.
    pub async fn cancelled(&self) {
        self.attempt.cancelled().await;
    }

    /// Why it should.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.attempt.cancel_reason()
    }
}

impl Params {
    /// Their text: JSON text stands as it is.
    ///
    /// # Errors
    /// If they are not UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(&self.0.data)
    }

    /// Their bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0.data
    }

    /// What the bytes are.
    pub fn encoding(&self) -> Encoding {
        self.0.encoding
    }

    /// Bytes and meaning.
    pub fn payload(&self) -> &Payload {
        &self.0
    }
}
