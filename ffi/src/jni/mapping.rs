//! Core's types as messages for Java, and back. Decides nothing.

use bytes::Bytes;
use fastjob_core::client::{self, Source};
use fastjob_core::domain::{Encoding, Failure, Payload};
use fastjob_core::protocol::v1;
use fastjob_core::worker::{Attempt, CancelReason, Completion, HandlerError};
use prost::Message;

use crate::status::{Error, Status};

/// What Java needs of an attempt: the token and the times of its deadline stay here.
pub(super) fn dispatch(attempt: &Attempt) -> v1::Dispatch {
    let run = Bytes::copy_from_slice(attempt.key.run.as_bytes());
    v1::Dispatch {
        key: Some(v1::AttemptKey { run, attempt: attempt.key.attempt, ..v1::AttemptKey::default() }),
        epoch: attempt.epoch.0,
        job: attempt.job.clone(),
        handler: attempt.handler.clone(),
        params: Some(payload(attempt.params.payload())),
        tick: attempt.tick.map(|tick| tick.get()),
        due: attempt.due.get(),
        previous_tick: attempt.previous_tick.map(|tick| tick.get()),
        max_attempts: attempt.max_attempts,
        revision: attempt.revision,
        source: source(attempt.source).into(),
        idempotency_key: attempt.idempotency_key.clone(),
        ..v1::Dispatch::default()
    }
}

/// Why an attempt should end. Reasons of the worker itself have numbers that no server sends.
pub(super) fn cancel(reason: CancelReason) -> v1::Cancel {
    const LOST: i32 = 4;
    const STOPPING: i32 = 5;
    let reason = match reason {
        CancelReason::Requested => v1::CancelReason::Requested.into(),
        CancelReason::Timeout => v1::CancelReason::Timeout.into(),
        CancelReason::Superseded => v1::CancelReason::Superseded.into(),
        CancelReason::Lost => LOST,
        _ => STOPPING,
    };
    v1::Cancel { reason, ..v1::Cancel::default() }
}

/// How a handler ended, by Java.
pub(super) fn completion(outcome: v1::Outcome) -> Completion {
    if outcome.kind() == v1::OutcomeKind::Succeeded {
        return Completion::Succeeded(outcome.result.map(payload_of).unwrap_or_default());
    }
    let v1::Failure { class, message, trace } = outcome.error.unwrap_or_default();
    let mut error = HandlerError::from(Failure::new(&class, &message, &trace));
    error.give_up = outcome.give_up;
    error.retry_after_ms = outcome.retry_after_ms.map(|delay_ms| delay_ms.max(0));
    Completion::Failed(error)
}

/// An error as Java reads it in one piece: one byte of kind, then an `ErrorDetail`.
pub(super) fn error_bytes(error: &Error) -> Vec<u8> {
    let (kind, detail) = failed(error);
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&detail);
    bytes
}

/// The kind of an error of this library, and its `ErrorDetail`.
pub(super) fn failed(error: &Error) -> (u8, Bytes) {
    let detail = v1::ErrorDetail {
        code: error.code.to_string(),
        message: error.text.clone(),
        ..v1::ErrorDetail::default()
    };
    (kind(error.status), detail.encode_to_vec().into())
}

/// The kind of what a server said, and its `ErrorDetail`, field and remedy kept apart.
pub(super) fn refused(error: client::Error) -> (u8, Bytes) {
    let detail = v1::ErrorDetail {
        code: error.code.to_string(),
        message: error.message.clone(),
        field: error.field.clone(),
        remedy: error.remedy.clone(),
    };
    (kind(Error::from(error).status), detail.encode_to_vec().into())
}

/// The numbers of `io.fastjob.internal.Link`.
fn kind(status: Status) -> u8 {
    match status {
        Status::ARGUMENT | Status::INVALID | Status::STATE => 1,
        Status::NOT_FOUND => 2,
        Status::CONFLICT => 3,
        Status::UNAUTHENTICATED => 4,
        Status::NOT_PERMITTED => 5,
        Status::UNAVAILABLE | Status::CLOSED => 6,
        Status::TIMEOUT => 8,
        _ => 7,
    }
}

fn payload(payload: &Payload) -> v1::Payload {
    let encoding = match payload.encoding {
        Encoding::Json => v1::Encoding::Json,
        Encoding::Text => v1::Encoding::Text,
        Encoding::Binary => v1::Encoding::Binary,
    };
    v1::Payload { encoding: encoding.into(), data: payload.data.clone() }
}

fn payload_of(wire: v1::Payload) -> Payload {
    let encoding = match wire.encoding() {
        v1::Encoding::Json => Encoding::Json,
        v1::Encoding::Text => Encoding::Text,
        v1::Encoding::Binary => Encoding::Binary,
    };
    Payload { encoding, data: wire.data }
}

fn source(source: Source) -> v1::Source {
    match source {
        Source::Cron => v1::Source::Cron,
        Source::FixedRate => v1::Source::FixedRate,
        Source::FixedDelay => v1::Source::FixedDelay,
        Source::DailyWindow => v1::Source::DailyWindow,
        Source::At => v1::Source::At,
        Source::Api => v1::Source::Api,
        Source::Manual => v1::Source::Manual,
        Source::Backfill => v1::Source::Backfill,
        _ => v1::Source::Unspecified,
    }
}
