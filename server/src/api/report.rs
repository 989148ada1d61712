//! Outcomes and proof of life of workers that cannot reach their owner: taken there from here, or stored for it.

use std::collections::{BTreeMap, HashMap};

use fastjob_core::domain::{Outcome, Refusal, RefusalKind};
use fastjob_core::id::{AttemptKey, RunId, ShardKey};
use fastjob_core::protocol::peer::{self, AppReport};
use fastjob_core::protocol::v1::forward_reply::Reply;
use fastjob_core::protocol::{session, v1};
use fastjob_core::shard::{Call, Needs, WorkerReport};
use futures_util::future::join_all;

use super::auth::Authorized;
use super::{Api, store_failed, wrong_reply};
use crate::cluster::command;
use crate::store::App;

#[derive(Default)]
struct Part {
    /// Where its outcomes stood in the report.
    places: Vec<usize>,
    outcomes: Vec<Outcome>,
    running: Vec<AttemptKey>,
}

impl Api {
    /// Takes a worker's outcomes and proof of life to the owners of its shards. Where one cannot be reached, the outcomes
    /// are stored for it; those for which even that fails have no verdict, and are to be reported again.
    ///
    /// # Errors
    /// The first wrong field.
    pub async fn report(
        &self,
        by: &Authorized,
        request: v1::ReportRequest,
    ) -> Result<v1::ReportReply, Refusal> {
        let AppReport { session, life, running, outcomes } = peer::report(request)?;
        let mut parts: BTreeMap<u16, Part> = BTreeMap::new();
        for (shard, key) in running {
            parts.entry(shard).or_default().running.push(key);
        }
        for (at, (shard, outcome)) in outcomes.into_iter().enumerate() {
            let part = parts.entry(shard).or_default();
            part.places.push(at);
            part.outcomes.push(outcome);
        }
        if let Some(strange) = parts.keys().find(|shard| **shard >= by.app().shards) {
            let message = format!("is {strange}, and the app has {}", by.app().shards);
            return Err(Refusal::invalid("out_of_bounds", "key.shard", message)
                .remedy("name attempts as their Dispatch did"));
        }
        let told = parts.into_iter().map(|(shard, part)| async move {
            let shard = ShardKey { app: by.app().id, shard };
            let Part { places, outcomes, running } = part;
            let report = WorkerReport { session, life, running, outcomes };
            (places, self.report_to(by.app(), shard, report).await)
        });
        let mut acks = Vec::new();
        let mut reached = Vec::new();
        for (places, reply) in join_all(told).await {
            let reply = reply?;
            reached.extend(reply.reached);
            acks.extend(places.into_iter().zip(reply.acks));
        }
        acks.sort_by_key(|(at, _)| *at);
        let acks = acks.into_iter().map(|(_, ack)| ack).collect();
        Ok(v1::ReportReply { acks, reached, server_time: self.now().get() })
    }

    async fn report_to(
        &self,
        app: &App,
        shard: ShardKey,
        report: WorkerReport,
    ) -> Result<v1::ReportReply, Refusal> {
        let outcomes = report.outcomes.clone();
        match self.call(app, shard, Call::Report(report)).await {
            Ok(Reply::Report(reply)) => Ok(reply),
            Ok(other) => Err(wrong_reply(&other)),
            Err(refusal) if refusal.kind == RefusalKind::Unavailable => {
                tracing::debug!(%shard, outcomes = outcomes.len(), %refusal, "outcomes go to the inbox");
                let stored = self.store_outcomes(app, shard, &outcomes).await;
                let acks = stored.unwrap_or_else(|refusal| {
                    tracing::warn!(%shard, %refusal, "failed to store outcomes: their worker keeps them");
                    Vec::new()
                });
                Ok(v1::ReportReply { acks, reached: Vec::new(), server_time: 0 })
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Durable, and judged by the owner before it judges the attempts by itself.
    async fn store_outcomes(
        &self,
        app: &App,
        shard: ShardKey,
        outcomes: &[Outcome],
    ) -> Result<Vec<v1::OutcomeAck>, Refusal> {
        if outcomes.is_empty() {
            return Ok(Vec::new());
        }
        let runs = outcomes.iter().map(|outcome| outcome.key.run).collect();
        let needs = Needs { runs, ..Needs::default() };
        let facts = self.0.store.facts(shard, &needs).await.map_err(store_failed)?;
        let jobs: HashMap<RunId, _> = facts.runs.iter().map(|run| (run.id, &run.job_name)).collect();
        let now = self.now();
        let mut rows = Vec::with_capacity(outcomes.len());
        let mut acks = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            let verdict = match jobs.get(&outcome.key.run) {
                Some(job) => {
                    rows.push(command::of_outcome(app, job, shard.shard, outcome, now));
                    v1::Verdict::Stored
                }
                None => v1::Verdict::Unknown,
            };
            let key = Some(session::key_to(&outcome.key, shard.shard));
            acks.push(v1::OutcomeAck { key, verdict: verdict.into() });
        }
        self.0.store.inbox_put(&rows).await.map_err(store_failed)?;
        self.0.inbox.notify_one();
        Ok(acks)
    }
}
