//! Workers: as their owners see them.

use fastjob_core::domain::Refusal;
use fastjob_core::protocol::v1;
use fastjob_core::shard::{Call, Reply, WorkerState};

use super::auth::Authorized;
use super::{Api, shards, wrong_reply};

impl Api {
    /// The workers of an app, by shard.
    pub async fn worker_list(&self, by: &Authorized) -> Result<Vec<(u16, WorkerState)>, Refusal> {
        let mut workers = Vec::new();
        for shard in shards(by.app()) {
            match self.call(shard, Call::Workers).await? {
                Reply::Workers(seen) => workers.extend(seen.into_iter().map(|worker| (shard.shard, worker))),
                other => return Err(wrong_reply(&other)),
            }
        }
        Ok(workers)
    }

    /// Takes a worker's outcomes and proof of life to the owners of its shards.
    pub async fn report(&self, _: &Authorized, _: v1::ReportRequest) -> Result<v1::ReportReply, Refusal> {
        Err(super::unavailable("report_elsewhere", "outcomes are taken by their owner"))
    }
}
