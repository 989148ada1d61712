//! A run as C and Java see it: a copy from the moment it was asked for.

use std::ffi::CStr;

use fastjob_core::domain::{Encoding, Failure, Payload};
use fastjob_core::id::RunId;
use fastjob_core::protocol::v1;

use crate::status::{Error, Result, Status};

/// A run as the server showed it.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    id: String,
    job: String,
    state: i32,
    reason: String,
    attempt: u32,
    existed: Existed,
    result: Payload,
    failure: Option<Failure>,
}

/// Whether a trigger made its run or found it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Existed {
    /// Another trigger with the same key made it.
    Before,
    /// This one did, or it was no trigger that asked.
    No,
}

impl Run {
    pub(super) fn new(run: v1::Run, existed: Existed) -> Result<Self> {
        let id = RunId::from_slice(&run.id).ok_or_else(|| {
            Error::new(Status::INTERNAL, format!("the server sent a run id of {} bytes", run.id.len()))
        })?;
        Ok(Self {
            id: id.to_string(),
            job: run.job,
            state: run.state,
            reason: run.reason,
            attempt: run.attempt,
            existed,
            result: run.result.map(payload).unwrap_or_default(),
            failure: run.error.map(|error| Failure::new(&error.class, &error.message, &error.trace)),
        })
    }

    /// Its id as a UUID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Name of the job.
    pub fn job(&self) -> &str {
        &self.job
    }

    /// The number of the protocol's `RunState`.
    pub const fn state(&self) -> i32 {
        self.state
    }

    /// The word for a state.
    pub fn state_text(state: i32) -> &'static CStr {
        match v1::RunState::try_from(state) {
            Ok(v1::RunState::Scheduled) => c"scheduled",
            Ok(v1::RunState::Dispatched) => c"dispatched",
            Ok(v1::RunState::Succeeded) => c"succeeded",
            Ok(v1::RunState::Failed) => c"failed",
            Ok(v1::RunState::Cancelled) => c"cancelled",
            Ok(v1::RunState::Skipped) => c"skipped",
            Ok(v1::RunState::Unspecified) | Err(_) => c"unknown",
        }
    }

    /// Why it is in that state; may be empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// How many attempts there were.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// True if the trigger that gave it found it by its key.
    pub fn existed(&self) -> bool {
        self.existed == Existed::Before
    }

    /// True once nothing changes any more.
    pub fn is_ended(&self) -> bool {
        use v1::RunState::{Cancelled, Failed, Skipped, Succeeded};
        [Succeeded, Failed, Cancelled, Skipped].into_iter().any(|ended| ended as i32 == self.state)
    }

    /// What its handler gave back; [`Status::NONE`] unless it succeeded.
    pub fn result(&self) -> Result<&Payload> {
        if self.state == v1::RunState::Succeeded as i32 {
            Ok(&self.result)
        } else {
            Err(Error::new(Status::NONE, "the run has no result: it has not succeeded"))
        }
    }

    /// The error of its last failed attempt; [`Status::NONE`] if none failed.
    pub fn error(&self) -> Result<&Failure> {
        self.failure.as_ref().ok_or_else(|| Error::new(Status::NONE, "no attempt of the run has failed"))
    }
}

fn payload(payload: v1::Payload) -> Payload {
    let encoding = match payload.encoding() {
        v1::Encoding::Json => Encoding::Json,
        v1::Encoding::Text => Encoding::Text,
        v1::Encoding::Binary => Encoding::Binary,
    };
    Payload { encoding, data: payload.data }
}
