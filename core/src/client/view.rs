//! What the server answers, as programs use it. The one place that reads the client's messages.

use crate::clock::Millis;
use crate::domain::{Encoding, Failure, Payload};
use crate::id::{JobId, RunId};
use crate::protocol::v1;

use super::{Error, ErrorKind};

pub use crate::protocol::v1::Source;
pub use crate::protocol::v1::job_put_result::Change;

/// A run as it was when the server answered.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Run {
    /// Names it.
    pub id: RunId,
    /// Name of its job.
    pub job: String,
    /// What fired it.
    pub source: Source,
    /// The instant its schedule produced.
    pub tick: Option<Millis>,
    /// When it may start next.
    pub due: Millis,
    /// Where it stands.
    pub state: RunState,
    /// Why it failed or was skipped or cancelled; else empty.
    pub reason: String,
    /// Attempts so far.
    pub attempt: u32,
    /// Of a succeeded run.
    pub result: Option<Payload>,
    /// Of the last failed attempt.
    pub error: Option<Failure>,
    message: v1::Run,
}

/// Where a run stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum RunState {
    /// Not due yet, or waiting for a worker or its next attempt.
    Scheduled,
    /// With a worker.
    Dispatched,
    /// Its handler returned.
    Succeeded,
    /// Out of attempts.
    Failed,
    /// Somebody asked for it.
    Cancelled,
    /// Never dispatched.
    Skipped,
}

/// A run that a trigger made or found.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Fired {
    /// It.
    pub run: Run,
    /// An earlier trigger with the same idempotency key had made it.
    pub existed: bool,
}

/// A job that was put.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct JobPut {
    /// What that changed.
    pub change: Change,
    /// Names the job for ever.
    pub id: JobId,
    /// Rises with each change.
    pub revision: u64,
    /// Whether it fires.
    pub enabled: bool,
    /// The next tick, if there is one.
    pub next_at: Option<Millis>,
    message: v1::Job,
}

impl Run {
    /// All that the server said.
    pub const fn message(&self) -> &v1::Run {
        &self.message
    }

    /// All that the server said.
    pub fn into_message(self) -> v1::Run {
        self.message
    }
}

impl RunState {
    /// Whether nothing more happens to the run.
    pub const fn is_ended(self) -> bool {
        !matches!(self, Self::Scheduled | Self::Dispatched)
    }
}

impl JobPut {
    /// The job as it is stored now.
    pub const fn message(&self) -> &v1::Job {
        &self.message
    }
}

impl Fired {
    pub(super) fn new(run: v1::Run, existed: bool) -> Result<Self, Error> {
        Ok(Self { run: run.try_into()?, existed })
    }
}

impl TryFrom<v1::Run> for Run {
    type Error = Error;

    fn try_from(message: v1::Run) -> Result<Self, Error> {
        Ok(Self {
            id: RunId::from_slice(&message.id).ok_or_else(|| strange("a run without an id"))?,
            job: message.job.clone(),
            source: message.source(),
            tick: message.tick.map(Millis::new),
            due: Millis::new(message.due),
            state: state(message.state())?,
            reason: message.reason.clone(),
            attempt: message.attempt,
            result: message.result.clone().map(payload),
            error: message.error.as_ref().map(|e| Failure::new(&e.class, &e.message, &e.trace)),
            message,
        })
    }
}

impl TryFrom<v1::JobPutResult> for JobPut {
    type Error = Error;

    fn try_from(result: v1::JobPutResult) -> Result<Self, Error> {
        let change = result.change();
        let message = result.job.ok_or_else(|| strange("no job"))?;
        Ok(Self {
            change,
            id: JobId::from_slice(&message.id).ok_or_else(|| strange("a job without an id"))?,
            revision: message.revision,
            enabled: message.enabled,
            next_at: message.next_at.map(Millis::new),
            message,
        })
    }
}

/// A payload of the wire. An encoding of a later version is taken for bytes.
pub(crate) fn payload(payload: v1::Payload) -> Payload {
    let encoding = match v1::Encoding::try_from(payload.encoding) {
        Ok(v1::Encoding::Json) => Encoding::Json,
        Ok(v1::Encoding::Text) => Encoding::Text,
        Ok(v1::Encoding::Binary) | Err(_) => Encoding::Binary,
    };
    Payload { encoding, data: payload.data }
}

/// A payload for the wire.
pub(crate) fn wire(payload: Payload) -> v1::Payload {
    let encoding = match payload.encoding {
        Encoding::Json => v1::Encoding::Json,
        Encoding::Text => v1::Encoding::Text,
        Encoding::Binary => v1::Encoding::Binary,
    };
    v1::Payload { encoding: encoding.into(), data: payload.data }
}

fn state(state: v1::RunState) -> Result<RunState, Error> {
    Ok(match state {
        v1::RunState::Scheduled => RunState::Scheduled,
        v1::RunState::Dispatched => RunState::Dispatched,
        v1::RunState::Succeeded => RunState::Succeeded,
        v1::RunState::Failed => RunState::Failed,
        v1::RunState::Cancelled => RunState::Cancelled,
        v1::RunState::Skipped => RunState::Skipped,
        v1::RunState::Unspecified => return Err(strange("a run in a state that this client does not know")),
    })
}

fn strange(what: &str) -> Error {
    Error::new(ErrorKind::Internal, "internal", format!("the server answered {what}"))
}
