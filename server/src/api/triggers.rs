//! Firing jobs: by their owners, or, while one cannot be reached, by the inbox, which is as durable.

use std::collections::{BTreeMap, HashMap};

use fastjob_core::domain::{FireKey, Job, Name, Refusal, RefusalKind, Run};
use fastjob_core::id::{JobId, ShardKey};
use fastjob_core::protocol::v1::forward_reply::Reply;
use fastjob_core::protocol::v1::trigger_result::Result as Wire;
use fastjob_core::protocol::{field, refusal, run, v1};
use fastjob_core::shard::{Call, Fire, Needs};
use futures_util::future::join_all;

use super::auth::Authorized;
use super::jobs::job_not_found;
use super::{Api, store_failed, wrong_reply};
use crate::cluster::command;
use crate::store::{App, InboxRow};

/// What the inbox can do with a trigger.
enum Fallback {
    /// It is to be written.
    Accepted(Box<InboxRow>, v1::TriggerResult),
    /// It has its result already.
    Known(v1::TriggerResult),
}

impl Api {
    /// Fires jobs, each by itself: the order of the results is that of the fires, and one that could not be read keeps
    /// its refusal. While an owner cannot be reached, its triggers are accepted by the inbox.
    ///
    /// # Errors
    /// `Invalid` for more than [`run::MAX_TRIGGERS`]; `Unavailable` if neither an owner nor the inbox can be reached. Then
    /// some may have fired: a repeated call with the same request ids fires each once.
    pub async fn trigger(
        &self,
        by: &Authorized,
        fires: Vec<Result<Fire, Refusal>>,
    ) -> Result<Vec<v1::TriggerResult>, Refusal> {
        field::items("triggers", fires.len(), 0..=run::MAX_TRIGGERS)?;
        let mut by_shard: BTreeMap<ShardKey, (Vec<usize>, Vec<Fire>)> = BTreeMap::new();
        let mut results = Vec::with_capacity(fires.len());
        for (at, fire) in fires.into_iter().enumerate() {
            match fire {
                Ok(fire) => {
                    let shard = by.app().shard_of(fire.job.as_str());
                    let (places, fires) = by_shard.entry(shard).or_default();
                    places.push(at);
                    fires.push(fire);
                }
                Err(refusal) => results.push((at, refused(&refusal))),
            }
        }
        let fired = by_shard.into_iter().map(|(shard, (places, fires))| async move {
            Ok((places, self.fire_at(by.app(), shard, fires).await?))
        });
        for done in join_all(fired).await {
            let (places, done): (Vec<usize>, Vec<v1::TriggerResult>) = done?;
            results.extend(places.into_iter().zip(done));
        }
        results.sort_by_key(|(at, _)| *at);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }

    async fn fire_at(
        &self,
        app: &App,
        shard: ShardKey,
        fires: Vec<Fire>,
    ) -> Result<Vec<v1::TriggerResult>, Refusal> {
        match self.call(app, shard, Call::Trigger(fires.clone())).await {
            Ok(Reply::Trigger(reply)) => Ok(reply.results),
            Ok(other) => Err(wrong_reply(&other)),
            Err(refusal) if refusal.kind == RefusalKind::Unavailable => {
                tracing::info!(%shard, triggers = fires.len(), %refusal, "triggers go to the inbox");
                // What the owner would have said is of more use than what the inbox says.
                self.accept(app, shard, &fires).await.map_err(|inbox| {
                    tracing::warn!(%shard, %inbox, "the inbox cannot take them either");
                    refusal
                })
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Writes the triggers into the inbox: with the same request ids, so that one which the owner has taken after all
    /// makes no second run.
    async fn accept(
        &self,
        app: &App,
        shard: ShardKey,
        fires: &[Fire],
    ) -> Result<Vec<v1::TriggerResult>, Refusal> {
        let needs = Needs {
            jobs_named: fires.iter().map(|fire| fire.job.clone()).collect(),
            fired: fires.iter().map(|fire| (fire.job.clone(), fire.fire_key())).collect(),
            ..Needs::default()
        };
        let facts = self.0.store.facts(shard, &needs).await.map_err(store_failed)?;
        let jobs: HashMap<&Name, &Job> = facts.jobs.iter().map(|job| (&job.name, job)).collect();
        let runs: HashMap<(JobId, &FireKey), &Run> =
            facts.runs.iter().map(|run| ((run.job, &run.fire_key), run)).collect();
        let mut rows = Vec::with_capacity(fires.len());
        let mut results = Vec::with_capacity(fires.len());
        for fire in fires {
            let job = jobs.get(&fire.job).copied();
            let earlier = job.and_then(|job| runs.get(&(job.id, &fire.fire_key())).copied());
            match self.fallback(app, fire, job, earlier) {
                Fallback::Known(result) => results.push(result),
                Fallback::Accepted(row, result) => {
                    rows.push(*row);
                    results.push(result);
                }
            }
        }
        self.0.store.inbox_put(&rows).await.map_err(store_failed)?;
        self.0.inbox.notify_one();
        Ok(results)
    }

    fn fallback(&self, app: &App, fire: &Fire, job: Option<&Job>, earlier: Option<&Run>) -> Fallback {
        if job.is_none() {
            return Fallback::Known(refused(&job_not_found(&fire.job)));
        }
        if let Some(run) = earlier {
            return Fallback::Known(run::triggered(&fire.has_fired(run), &app.name));
        }
        let row = command::of_fire(app, fire, self.now());
        let result = Wire::Accepted(field::id_to(&fire.request));
        Fallback::Accepted(Box::new(row), v1::TriggerResult { existed: false, result: Some(result) })
    }
}

fn refused(given: &Refusal) -> v1::TriggerResult {
    v1::TriggerResult { existed: false, result: Some(Wire::Error(refusal::detail(given))) }
}
