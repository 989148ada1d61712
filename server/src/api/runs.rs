//! Runs: fired, cancelled and repeated by their owner; read from the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastjob_core::domain::{Attempt, FireKey, Name, Refusal, RefusalKind, Run, State};
use fastjob_core::id::{RequestId, RunId, ShardKey};
use fastjob_core::protocol::{field, run};
use fastjob_core::shard::{Call, Fire, Reply, Triggered};
use tokio::time::timeout;

use super::auth::Authorized;
use super::{Api, MAX_PAGE, fitting, not_found, shard_of, store_failed, wrong_reply};
use crate::store::RunFilter;

/// The longest wait of a call.
pub const MAX_WAIT_MS: i64 = 60_000;
/// A waiting call looks at the store this often in case the run's owner is another server.
const RECHECK: Duration = Duration::from_secs(5);
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
    /// Fires jobs, each by itself: the order of the results is that of the fires, and one that could not be read keeps
    /// its refusal.
    ///
    /// # Errors
    /// `Invalid` for more than [`run::MAX_TRIGGERS`]; `Unavailable` if an owner cannot be reached. Then some may have
    /// fired: a repeated call with the same request ids fires each once.
    pub async fn trigger(
        &self,
        by: &Authorized,
        fires: Vec<Result<Fire, Refusal>>,
    ) -> Result<Vec<Result<Triggered, Refusal>>, Refusal> {
        field::items("triggers", fires.len(), 0..=run::MAX_TRIGGERS)?;
        let mut by_shard: BTreeMap<ShardKey, (Vec<usize>, Vec<Fire>)> = BTreeMap::new();
        let mut results = Vec::with_capacity(fires.len());
        for (at, fire) in fires.into_iter().enumerate() {
            match fire {
                Ok(fire) => {
                    let (places, fires) = by_shard.entry(shard_of(by.app(), &fire.job)).or_default();
                    places.push(at);
                    fires.push(fire);
                }
                Err(refusal) => results.push((at, Err(refusal))),
            }
        }
        for (shard, (places, fires)) in by_shard {
            match self.call(shard, Call::Trigger(fires)).await? {
                Reply::Triggered(done) => results.extend(places.into_iter().zip(done)),
                other => return Err(wrong_reply(&other)),
            }
        }
        results.sort_by_key(|(at, _)| *at);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }

    /// A run, its attempts, and how far it is.
    pub async fn run_get(&self, by: &Authorized, which: RunBy) -> Result<RunSeen, Refusal> {
        let id = self.run_id(by, &which).await?;
        let (run, attempts) = self.stored(by, id).await?;
        let progress = self.progress(&run).await;
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

    async fn progress(&self, run: &Run) -> Option<(u8, Arc<str>)> {
        if run.state != State::Dispatched {
            return None;
        }
        let door = self.0.doors.get(run.shard)?;
        match timeout(PROGRESS_WAIT, door.call(Call::Progress { run: run.id })).await {
            Ok(Ok(Reply::Progress(progress))) => progress,
            _ => None,
        }
    }

    /// Runs, newest first; a `limit` of 0 means 100. A page may be shorter than its limit; only an empty one is the last.
    pub async fn run_list(&self, by: &Authorized, filter: RunFilter) -> Result<Vec<Run>, Refusal> {
        let limit = field::limit("limit", filter.limit, 100, MAX_PAGE)?;
        let filter = RunFilter { limit, ..filter };
        let runs = self.0.store.run_list(by.app().id, &filter).await.map_err(store_failed)?;
        Ok(fitting(runs, bytes))
    }

    /// The run once it has ended, or as it is after the wait.
    ///
    /// # Errors
    /// `Invalid` for a wait outside 0 to [`MAX_WAIT_MS`]; `Unavailable` if too many wait.
    pub async fn run_wait(&self, by: &Authorized, id: RunId, wait_ms: i64) -> Result<Run, Refusal> {
        let wait = field::number("timeout_ms", wait_ms, 0..=MAX_WAIT_MS)?;
        let place = self.0.waiters.place(id)?;
        let ended = async {
            loop {
                // Before the look at the store: an end between look and wait is not missed.
                let woken = place.woken();
                let (run, _) = self.stored(by, id).await?;
                if matches!(run.state, State::Ended(_)) {
                    return Ok(run);
                }
                let _ = timeout(RECHECK, woken).await;
            }
        };
        match timeout(Duration::from_millis(wait.unsigned_abs()), ended).await {
            Ok(answer) => answer,
            Err(_) => self.stored(by, id).await.map(|(run, _)| run),
        }
    }

    /// Ends a run.
    pub async fn run_cancel(&self, by: &Authorized, id: RunId) -> Result<Run, Refusal> {
        let (run, _) = self.stored(by, id).await?;
        self.run_call(run.shard, Call::RunCancel { run: id }).await
    }

    /// Fires a finished run again.
    pub async fn run_retry(&self, by: &Authorized, id: RunId, request: RequestId) -> Result<Run, Refusal> {
        let (run, _) = self.stored(by, id).await?;
        self.run_call(run.shard, Call::RunRetry { run: id, request }).await
    }

    async fn run_call(&self, shard: ShardKey, call: Call) -> Result<Run, Refusal> {
        match self.call(shard, call).await? {
            Reply::Run(run) => Ok(*run),
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
