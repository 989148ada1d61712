//! An attempt as the worker holds it: what the owner said, and whether it still wants it.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::context::Params;
use crate::client::Source;
use crate::clock::Millis;
use crate::id::{Epoch, RunId, Token};
use crate::protocol::v1;

/// Names an attempt over its whole life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AttemptKey {
    /// The app's shard that owns the run.
    pub shard: u32,
    /// The run.
    pub run: RunId,
    /// 1 for the run's first dispatch.
    pub attempt: u32,
    /// Drawn at the dispatch.
    pub token: Token,
}

/// One dispatch of a run to this worker.
pub struct Attempt {
    /// Names it.
    pub key: AttemptKey,
    /// The fencing number of the owner that sent it.
    pub epoch: Epoch,
    /// Name of the job.
    pub job: String,
    /// Name of the handler.
    pub handler: String,
    /// What the handler gets.
    pub params: Params,
    /// The instant the schedule produced; `None` unless a schedule did.
    pub tick: Option<Millis>,
    /// When the run was due.
    pub due: Millis,
    /// The tick before `tick`.
    pub previous_tick: Option<Millis>,
    /// From the dispatch to the cancel.
    pub timeout: Duration,
    /// From the cancel to the end of the attempt.
    pub grace: Duration,
    /// How many attempts that end in error the run may have.
    pub max_attempts: u32,
    /// The job's revision that the run follows.
    pub revision: u64,
    /// What fired the run.
    pub source: Source,
    /// The same in each attempt of the run: the trigger's idempotency key, or else the run id.
    pub idempotency_key: String,
    /// Without contact for this long it is given up; `None`: as the Welcome says.
    pub(super) lost_after: Option<Duration>,
    stage: AtomicU8,
    reason: AtomicU8,
    changed: Notify,
}

/// Why a handler should end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum CancelReason {
    /// A person or a program asked for it.
    Requested,
    /// The attempt's timeout passed.
    Timeout,
    /// The attempt is no longer the run's current one: its outcome will not be reported.
    Superseded,
    /// No contact with the owner for so long that the run will have been dispatched elsewhere; nothing is reported.
    Lost,
    /// The worker is stopping and the time it gave is over.
    Stopping,
}

const RUNNING: u8 = 0;
const CANCELLED: u8 = 1;
const OVER: u8 = 2;

impl Attempt {
    /// `None` if the key or a number in it makes no sense.
    pub(super) fn from_wire(dispatch: v1::Dispatch) -> Option<Self> {
        let key = AttemptKey::from_wire(dispatch.key.as_ref()?)?;
        let source = dispatch.source();
        let idempotency_key =
            if dispatch.idempotency_key.is_empty() { key.run.to_string() } else { dispatch.idempotency_key };
        Some(Self {
            key,
            epoch: Epoch(dispatch.epoch),
            job: dispatch.job,
            handler: dispatch.handler,
            params: Params(crate::client::payload(dispatch.params.unwrap_or_default())),
            tick: dispatch.tick.map(Millis::new),
            due: Millis::new(dispatch.due),
            previous_tick: dispatch.previous_tick.map(Millis::new),
            timeout: duration(dispatch.timeout_ms),
            grace: duration(dispatch.grace_ms),
            max_attempts: dispatch.max_attempts,
            revision: dispatch.revision,
            source,
            idempotency_key,
            lost_after: dispatch.lost_after_ms.map(duration),
            stage: AtomicU8::new(RUNNING),
            reason: AtomicU8::new(0),
            changed: Notify::new(),
        })
    }

    /// Whether the handler should end.
    pub fn is_cancelled(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= CANCELLED
    }

    /// Why it should.
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        if !self.is_cancelled() {
            return None;
        }
        Some(match self.reason.load(Ordering::Acquire) {
            1 => CancelReason::Timeout,
            2 => CancelReason::Superseded,
            3 => CancelReason::Lost,
            4 => CancelReason::Stopping,
            _ => CancelReason::Requested,
        })
    }

    /// Returns once the handler should end.
    pub async fn cancelled(&self) {
        self.reached(CANCELLED).await;
    }

    /// Returns once the grace after the cancel is over.
    pub(super) async fn over(&self) {
        self.reached(OVER).await;
    }

    /// Answers whether it was this call that cancelled it. The first reason stays, unless the attempt is given up.
    pub(super) fn cancel(&self, reason: CancelReason) -> bool {
        let first = !self.is_cancelled();
        if first || matches!(reason, CancelReason::Superseded | CancelReason::Lost) {
            let code = match reason {
                CancelReason::Requested => 0,
                CancelReason::Timeout => 1,
                CancelReason::Superseded => 2,
                CancelReason::Lost => 3,
                CancelReason::Stopping => 4,
            };
            self.reason.store(code, Ordering::Release);
        }
        self.advance(CANCELLED);
        first
    }

    pub(super) fn end(&self) {
        self.advance(OVER);
    }

    fn advance(&self, stage: u8) {
        if self.stage.fetch_max(stage, Ordering::AcqRel) < stage {
            self.changed.notify_waiters();
        }
    }

    async fn reached(&self, stage: u8) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.stage.load(Ordering::Acquire) >= stage {
                return;
            }
            changed.await;
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("key", &self.key).field("job", &self.job).finish_non_exhaustive()
    }
}

impl AttemptKey {
    pub(super) fn from_wire(key: &v1::AttemptKey) -> Option<Self> {
        let run = RunId::from_slice(&key.run)?;
        Some(Self { shard: key.shard, run, attempt: key.attempt, token: Token(key.token) })
    }

    pub(super) fn to_wire(self) -> v1::AttemptKey {
        let run = Bytes::copy_from_slice(self.run.as_bytes());
        v1::AttemptKey { shard: self.shard, run, attempt: self.attempt, token: self.token.0 }
    }
}

/// A duration of the wire; a negative one is none.
pub(super) fn duration(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
