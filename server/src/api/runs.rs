//! Runs: fired, cancelled and repeated by their owner; read from the store.

use std::sync::Arc;
use std::time::Duration;

use fastjob_core::domain::{Attempt, FireKey, Name, Refusal, RefusalKind, Run, State};
use fastjob_core::id::{RequestId, RunId, ShardKey};
use fastjob_core::protocol::v1::forward_reply::Reply;
use fastjob_core::protocol::{field, v1};
use fastjob_core::shard::Call;
use tokio::time::timeout;

use super::auth::Authorized;
use super::{Api, MAX_PAGE, fitting, not_found, store_failed, wrong_reply};
use crate::store::RunFilter;

/// The longest wait of a call.
pub const MAX_WAIT_MS: i64 = 60_000;
/// A waiting call looks at the store this often, should a wake-up be missed.
const RECHECK: Duration = Duration::from_secs(5);
/// The first pause of a call that nobody wakes; each is half as long again, up to [`RECHECK`].
const FIRST_LOOK: Duration = Duration::from_millis(200);
/// Progress is not worth a longer wait.
const PROGRESS_WAIT: Duration = Duration::from_secs(1);

/// Which run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RunBy {
    /// By its id.
    Id(RunId),
    /// By the key that its caller gave.
    Key {
        /// Of which job.
        job: Name,
        /// As given to the trigger.
        key: Arc<str>,
    },
    /// By the request id of its trigger, which carried no key.
    Request {
        /// Of which job.
        job: Name,
        /// As the trigger's first caller made it.
        request: RequestId,
    },
}

impl RunBy {
    /// An id of its own for what waits for a run without one.
    fn stand_in(&self) -> RunId {
        match self {
            Self::Id(id) => *id,
            Self::Key { .. } => RunId::from_bytes([0xff; 16]),
            Self::Request { request, .. } => RunId::from_bytes(*request.as_bytes()),
        }
    }
}

/// A run with all that is known of it.
#[derive(Clone, PartialEq, Debug)]
pub struct RunSeen {
    /// Its row.
    pub run: Run,
    /// Its superseded attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// How far its running attempt is: percent and note.
    pub progress: Option<(u8, Arc<str>)>,
}

impl Api {
    /// A run, its attempts, and how far it is.
    pub async fn run_get(&self, by: &Authorized, which: RunBy) -> Result<RunSeen, Refusal> {
        let id = self.run_id(by, &which).await?;
        let (run, attempts) = self.stored(by, id).await?;
        let progress = self.progress(by, &run).await;
        Ok(RunSeen { run, attempts, progress })
    }

    async fn run_id(&self, by: &Authorized, which: &RunBy) -> Result<RunId, Refusal> {
        let (job, fire_key) = match which {
            RunBy::Id(id) => return Ok(*id),
            RunBy::Key { job, key } => (job, FireKey::of_idempotency_key(key)),
            RunBy::Request { job, request } => (job, FireKey::Request(*request)),
        };
        let found = self.0.store.run_fired(by.app().id, job, &fire_key).await.map_err(store_failed)?;
        found.ok_or_else(|| {
            let what = if matches!(which, RunBy::Key { .. }) { "idempotency key" } else { "request id" };
            not_found("run_not_found", format!("job \"{job}\" has no run of this {what} (yet)"))
                .remedy("a trigger that was accepted has its run once its app has an owner again")
        })
    }

    async fn progress(&self, by: &Authorized, run: &Run) -> Option<(u8, Arc<str>)> {
        if run.state != State::Dispatched {
            return None;
        }
        let asked = self.call(by.app(), run.shard, Call::Progress { run: run.id });
        let Ok(Ok(Reply::Progress(said))) = timeout(PROGRESS_WAIT, asked).await else { return None };
        let percent = u8::try_from(said.percent?).ok()?;
        Some((percent, said.note.into()))
    }

    /// Runs, newest first; a `limit` of 0 means 100. A page may be shorter than its limit; only an empty one is the last.
    pub async fn run_list(&self, by: &Authorized, filter: RunFilter) -> Result<Vec<Run>, Refusal> {
        let limit = field::limit("limit", filter.limit, 100, MAX_PAGE)?;
        let filter = RunFilter { limit, ..filter };
        let runs = self.0.store.run_list(by.app().id, &filter).await.map_err(store_failed)?;
        Ok(fitting(runs, bytes))
    }

    /// The run once it has ended, or as it is after the wait. One that a trigger is yet to make is waited for, too.
    ///
    /// # Errors
    /// `Invalid` for a wait outside 0 to [`MAX_WAIT_MS`]; `NotFound` if there is no such run, or still none at the end;
    /// `Unavailable` if too many wait.
    pub async fn run_wait(&self, by: &Authorized, which: RunBy, wait_ms: i64) -> Result<Run, Refusal> {
        let wait = field::number("timeout_ms", wait_ms, 0..=MAX_WAIT_MS)?;
        match timeout(Duration::from_millis(wait.unsigned_abs()), self.ended(by, &which)).await {
            Ok(answer) => answer,
            Err(_) => {
                let id = self.run_id(by, &which).await?;
                self.stored(by, id).await.map(|(run, _)| run)
            }
        }
    }

    async fn ended(&self, by: &Authorized, which: &RunBy) -> Result<Run, Refusal> {
        let id = self.fired(by, which).await?;
        let place = self.0.waiters.place(id)?;
        let mut pause = FIRST_LOOK;
        loop {
            // Before the look at the store: an end between look and wait is not missed.
            let woken = place.woken();
            let (run, _) = self.stored(by, id).await?;
            if matches!(run.state, State::Ended(_)) {
                return Ok(run);
            }
            // Its owner wakes those who wait on its own server; from another one they look, ever more seldom.
            let owned = self.0.doors.get(run.shard).is_some();
            let _ = timeout(if owned { RECHECK } else { pause }, woken).await;
            pause = (pause * 3 / 2).min(RECHECK);
        }
    }

    /// The id of a run, as soon as there is one.
    async fn fired(&self, by: &Authorized, which: &RunBy) -> Result<RunId, Refusal> {
        // Nobody wakes it: the place only counts among those who wait.
        let _place = self.0.waiters.place(which.stand_in())?;
        let mut pause = FIRST_LOOK;
        loop {
            match self.run_id(by, which).await {
                Err(refusal) if refusal.kind == RefusalKind::NotFound => {}
                found => return found,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(RECHECK);
        }
    }

    /// Ends a run.
    pub async fn run_cancel(&self, by: &Authorized, id: RunId) -> Result<v1::Run, Refusal> {
        let (run, _) = self.stored(by, id).await?;
        self.run_call(by, run.shard, Call::RunCancel { run: id }).await
    }

    /// Fires a finished run again.
    pub async fn run_retry(
        &self,
        by: &Authorized,
        id: RunId,
        request: RequestId,
    ) -> Result<v1::Run, Refusal> {
        let (run, _) = self.stored(by, id).await?;
        self.run_call(by, run.shard, Call::RunRetry { run: id, request }).await
    }

    async fn run_call(&self, by: &Authorized, shard: ShardKey, call: Call) -> Result<v1::Run, Refusal> {
        match self.call(by.app(), shard, call).await? {
            Reply::Run(run) => Ok(run),
            other => Err(wrong_reply(&other)),
        }
    }

    /// The app's run: one of another app answers like one that is not.
    async fn stored(&self, by: &Authorized, id: RunId) -> Result<(Run, Vec<Attempt>), Refusal> {
        let found = self.0.store.run_get(by.app().id, id).await.map_err(store_failed)?;
        found.ok_or_else(|| {
            Refusal::new(RefusalKind::NotFound, "run_not_found", format!("there is no run {id}"))
                .remedy("see the list of runs")
        })
    }
}

/// About how large a run is on the wire.
pub(super) fn bytes(run: &Run) -> usize {
    let result = run.result.as_ref().map_or(0, |result| result.data.len());
    let error = run.error.as_ref().map_or(0, |error| error.message.len() + error.trace.len());
    4_096 + run.params.data.len() + result + error
}
