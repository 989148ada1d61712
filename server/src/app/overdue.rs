//! No job is forgotten in silence. Every owner of this server is asked now and then which of its jobs are overdue, and shows
//! and logs what it finds; and the table of jobs is searched for enabled ones that should have a next tick and have none.

use std::time::Duration;

use fastjob_core::clock::{Clock as _, Millis};
use fastjob_core::domain::Job;
use fastjob_core::schedule::Schedule;
use fastjob_core::shard::Call;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::owner::door::Doors;
use crate::store::{Store, StoreError};
use crate::trust::time::DatabaseTime;

/// How often owners are asked.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// How often the table of jobs is searched.
const SEARCH_EVERY: Duration = Duration::from_secs(3_600);
/// Jobs of one reading.
const PAGE: u32 = 500;
/// Findings of one search that are logged by name.
const MAX_LOGGED: usize = 100;

/// What it needs.
pub(super) struct Overdue {
    pub(super) doors: Doors,
    pub(super) store: Store,
    pub(super) time: DatabaseTime,
}

/// Until `stop`.
pub(super) async fn run(overdue: Overdue, stop: CancellationToken) -> anyhow::Result<()> {
    let watched = async {
        let (mut ask, mut search) = (interval(ASK_EVERY), interval(SEARCH_EVERY));
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        search.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ask.tick() => overdue.ask_owners().await,
                _ = search.tick() => overdue.search().await,
            }
        }
    };
    tokio::select! {
        () = watched => Ok(()),
        () = stop.cancelled() => Ok(()),
    }
}

impl Overdue {
    async fn ask_owners(&self) {
        for door in self.doors.all() {
            // One that stops or is slow is asked again next time.
            if let Err(refusal) = door.call(Call::Overdue).await {
                tracing::debug!(shard = %door.shard(), %refusal, "owner was not asked for what is overdue");
            }
        }
    }

    async fn search(&self) {
        match self.without_tick().await {
            Ok(found) => {
                metrics::jobs_without_tick(found.len());
                for job in found.iter().take(MAX_LOGGED) {
                    tracing::error!(
                        shard = %job.shard, job = %job.name, id = %job.id,
                        "enabled job has no next tick, though its schedule has one: put it again"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "failed to search for jobs without a next tick"),
        }
    }

    /// Jobs of this server's shards.
    async fn without_tick(&self) -> Result<Vec<Job>, StoreError> {
        let now = self.time.now();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.jobs_tickless(after, PAGE).await?;
            after = page.last().map(|job| job.id);
            let full = page.len() >= PAGE as usize;
            let lost = |job: &Job| self.doors.get(job.shard).is_some() && should_tick(job, now);
            found.extend(page.into_iter().filter(lost));
            if !full {
                return Ok(found);
            }
        }
    }
}

/// It has ticks after now, or a trigger that does not compile.
fn should_tick(job: &Job, now: Millis) -> bool {
    job.definition.trigger.is_timed() && Schedule::of(job).is_none_or(|schedule| schedule.next(now).is_some())
}

#[cfg(test)]
mod tests {
    use fastjob_core::domain::{CatchUp, Definition, Limits, ManagedBy, Name, Payload, Timing, Trigger};
    use fastjob_core::id::{AppId, Id, ShardKey};

    use super::*;

    fn job(trigger: Trigger, timing: Timing) -> Job {
        let definition = Definition {
            handler: Name::parse("h").unwrap(),
            trigger,
            params: Payload::default(),
            timing,
            catch_up: CatchUp::default(),
            limits: Limits::default(),
            managed_by: ManagedBy::Code,
            source_version: None,
        };
        Job {
            id: Id::from_bytes([1; 16]),
            shard: ShardKey { app: AppId(1), shard: 0 },
            name: Name::parse("j").unwrap(),
            revision: 1,
            definition: definition.into(),
            enabled: true,
            next_at: None,
            chain_seq: 0,
            created_at: Millis::new(0),
            updated_at: Millis::new(0),
            deleted_at: None,
        }
    }

    #[test]
    fn a_job_whose_schedule_goes_on_should_tick_and_one_that_is_over_or_has_no_ticks_should_not() {
        let (now, every) = (Millis::new(10_000), Trigger::FixedRate { period_ms: 1_000, phase: None });
        let ended = Timing { end_at: Some(now), ..Timing::default() };
        assert!(should_tick(&job(every.clone(), Timing::default()), now));
        assert!(!should_tick(&job(every, ended), now));
        assert!(!should_tick(&job(Trigger::At(vec![Millis::new(5)]), Timing::default()), now));
        assert!(!should_tick(&job(Trigger::Api, Timing::default()), now));
        let broken = Trigger::FixedRate { period_ms: 0, phase: None };
        assert!(should_tick(&job(broken, Timing::default()), now));
    }
}
