//! Workers: as their owners see them.

use fastjob_core::domain::Refusal;
use fastjob_core::protocol::v1;
use fastjob_core::protocol::v1::forward_reply::Reply;
use fastjob_core::shard::Call;
use futures_util::future::try_join_all;

use super::auth::Authorized;
use super::{Api, shards, wrong_reply};

impl Api {
    /// The workers of an app, by shard.
    ///
    /// # Errors
    /// `Unavailable` if the owner of a shard cannot be reached.
    pub async fn worker_list(&self, by: &Authorized) -> Result<Vec<v1::WorkerState>, Refusal> {
        let of_shard = |shard| async move {
            match self.call(by.app(), shard, Call::Workers).await? {
                Reply::Workers(reply) => Ok(reply.workers),
                other => Err(wrong_reply(&other)),
            }
        };
        Ok(try_join_all(shards(by.app()).map(of_shard)).await?.concat())
    }
}
