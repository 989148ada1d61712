//! What is reported of an attempt.

use super::Held;
use crate::clock::Millis;
use crate::domain::{Failure, Payload};
use crate::protocol::v1;
use crate::worker::attempt::CancelReason;
use crate::worker::handler::Completion;

/// Of an attempt whose handler has returned.
pub(super) fn returned(held: &Held, completion: Completion, server_now: Millis) -> v1::Outcome {
    let mut outcome = blank(held, server_now);
    let error = match completion {
        Completion::Succeeded(result) if result.data.len() <= Payload::MAX_BYTES => {
            outcome.set_kind(v1::OutcomeKind::Succeeded);
            outcome.result = Some(crate::client::wire(result));
            return outcome;
        }
        Completion::Succeeded(result) => {
            let message =
                format!("the result has {} bytes, more than {}", result.data.len(), Payload::MAX_BYTES);
            Failure::new("result_too_large", &message, "").into()
        }
        Completion::Failed(error) => error,
    };
    outcome.set_kind(match held.attempt.cancel_reason() {
        Some(CancelReason::Timeout) => v1::OutcomeKind::TimedOut,
        Some(CancelReason::Requested) => v1::OutcomeKind::Cancelled,
        Some(CancelReason::Lost) => v1::OutcomeKind::Lost,
        _ => v1::OutcomeKind::Failed,
    });
    outcome.error = Some(failure(&error.failure));
    outcome.retry_after_ms = error.retry_after_ms;
    outcome.give_up = error.give_up;
    outcome
}

/// Of an attempt whose handler has not returned in its grace.
pub(super) fn overdue(held: &Held, reason: CancelReason, server_now: Millis) -> v1::Outcome {
    let mut outcome = blank(held, server_now);
    let (kind, class, message) = match reason {
        CancelReason::Timeout => {
            (v1::OutcomeKind::TimedOut, "timeout", "did not end within its timeout and grace")
        }
        CancelReason::Lost => (v1::OutcomeKind::Lost, "lost", "the worker heard nothing of its owner"),
        CancelReason::Stopping => {
            (v1::OutcomeKind::Failed, "worker_stopped", "the worker stopped before it ended")
        }
        _ => (v1::OutcomeKind::Cancelled, "cancelled", "did not end within the grace after its cancel"),
    };
    outcome.set_kind(kind);
    outcome.error = Some(failure(&Failure::new(class, message, "")));
    outcome
}

fn blank(held: &Held, server_now: Millis) -> v1::Outcome {
    let started_at = held.started_at.map_or(0, Millis::get);
    let ended_at = server_now.get().max(started_at);
    v1::Outcome { key: Some(held.attempt.key.to_wire()), started_at, ended_at, ..Default::default() }
}

fn failure(failure: &Failure) -> v1::Failure {
    v1::Failure {
        class: failure.class.to_string(),
        message: failure.message.to_string(),
        trace: failure.trace.to_string(),
    }
}
