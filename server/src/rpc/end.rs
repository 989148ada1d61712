//! How a worker's stream ends, and how the worker learns of it.

use std::time::Duration;

use fastjob_core::domain::{Refusal, RefusalKind};
use fastjob_core::protocol::{refusal, session, v1};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Status;
use v1::server_message::Message as ServerWord;

/// How long the last words to owner and worker may take.
pub(super) const END_WAIT: Duration = Duration::from_secs(5);
/// When a worker should ask for the new owner, if that is not known.
pub(super) const MOVED_RETRY_MS: i64 = 250;

/// The way to the worker.
pub(super) type Out = mpsc::Sender<Result<v1::ServerFrame, Status>>;

/// Why a stream ends.
pub(super) enum End {
    /// The worker closed it, or its connection broke.
    Left,
    /// No owner of the app is here any more; the worker was told where they are.
    Moved,
    /// This server stops.
    Stopping,
    /// With this status.
    Refused(Refusal),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Tells the worker why its stream is over.
pub(super) async fn say_end(out: &Out, end: End) {
    let last = match end {
        End::Left | End::Moved => return,
        End::Stopping => {
            let moved = v1::Moved { retry_after_ms: MOVED_RETRY_MS, ..v1::Moved::default() };
            Ok(v1::ServerFrame { messages: vec![session::message(ServerWord::Moved(moved))] })
        }
        End::Refused(refusal) => {
            tracing::info!(code = refusal.code, reason = %refusal, "ended a worker's stream");
            Err(refusal::status(&refusal))
        }
    };
    // A worker that takes nothing learns it from the closed stream.
    let _ = timeout(END_WAIT, out.send(last)).await;
}

/// A request of the worker that cannot be right.
pub(super) fn refuse(code: &'static str, message: &'static str, remedy: &'static str) -> Refusal {
    Refusal::new(RefusalKind::Invalid, code, message).remedy(remedy)
}

/// More waits for the owner than there can be.
pub(super) fn flooded() -> Refusal {
    refuse(
        "stream_flooded",
        "more messages wait than the slots allow",
        "send one outcome and credit per attempt",
    )
}

/// The worker gave no sign for too long.
pub(super) fn gone_quiet(code: &'static str, message: &'static str) -> End {
    Refusal::new(RefusalKind::Unavailable, code, message).remedy("say Hello on a new stream").into()
}

/// A stream that cannot be read on: gone, or not what it should be.
pub(super) fn broken(status: Status) -> End {
    match status.code() {
        tonic::Code::OutOfRange | tonic::Code::ResourceExhausted => Refusal::new(
            RefusalKind::Invalid,
            "frame_too_large",
            format!("a frame exceeds {} bytes", super::MAX_MESSAGE_BYTES),
        )
        .remedy("put less into one frame")
        .into(),
        // A broken connection says Internal too, but names its source.
        tonic::Code::Internal if std::error::Error::source(&status).is_none() => Refusal::new(
            RefusalKind::Invalid,
            "frame_malformed",
            format!("a frame is malformed: {}", status.message()),
        )
        .remedy("use a worker of this protocol")
        .into(),
        _ => End::Left,
    }
}
