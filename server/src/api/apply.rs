//! Jobs are created, replaced and deleted together, as a file describes them.

use std::collections::{BTreeMap, HashSet};

use fastjob_core::domain::Refusal;
use fastjob_core::id::ShardKey;
use fastjob_core::protocol::v1;
use fastjob_core::protocol::v1::forward_reply::Reply;
use fastjob_core::shard::{Call, JobChange, JobEdit};

use super::auth::Authorized;
use super::jobs::at_its_place;
use super::{Api, wrong_reply};

impl Api {
    /// Creates, replaces and deletes jobs: each shard makes all of its changes or none, by one message to its owner.
    ///
    /// # Errors
    /// `Invalid` for one name twice, or a job that would never fire; the owner's refusals.
    pub async fn job_apply(
        &self,
        by: &Authorized,
        changes: Vec<JobChange>,
    ) -> Result<Vec<v1::JobApplied>, Refusal> {
        let mut names = HashSet::with_capacity(changes.len());
        for (at, change) in changes.iter().enumerate() {
            let within = |inner: Refusal| inner.within(&format!("changes[{at}]"));
            if !names.insert(change.name()) {
                let message = format!("{} stands twice in this request", change.name());
                return Err(within(Refusal::invalid("job_twice", "name", message).remedy("name it once")));
            }
            if let JobEdit::Put(put) = &change.edit {
                self.must_fire(by, put).await.map_err(|inner| within(inner.within("put")))?;
            }
        }
        let mut by_shard: BTreeMap<ShardKey, (Vec<usize>, Vec<JobChange>)> = BTreeMap::new();
        for (at, change) in changes.into_iter().enumerate() {
            let shard = by.app().shard_of(change.name().as_str());
            let (places, changes) = by_shard.entry(shard).or_default();
            places.push(at);
            changes.push(change);
        }
        let mut done = Vec::new();
        for (shard, (places, changes)) in by_shard {
            let reply = self.call(by.app(), shard, Call::JobApply(changes)).await;
            match reply.map_err(|refusal| at_its_place(refusal, "changes", &places))? {
                Reply::JobApply(reply) => done.extend(places.into_iter().zip(reply.results)),
                other => return Err(wrong_reply(&other)),
            }
        }
        done.sort_by_key(|(at, _)| *at);
        Ok(done.into_iter().map(|(_, result)| result).collect())
    }
}
