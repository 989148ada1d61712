//! From free shards to running owners. Only a server's own loop claims, never a lookup: the best candidate first, the
//! others after a delay for each rank, all that are due in one transaction.

use std::time::Duration;

use fastjob_core::clock::Clock;
use fastjob_core::id::ShardKey;
use fastjob_core::shard::Settings;
use tokio_util::sync::CancellationToken;

use super::{AGAIN, CLAIM_BATCH, Cluster, Running, Stand};
use crate::owner::Owner;
use crate::owner::door::Door;
use crate::store::{Claimed, Owned, StoreError};

impl Cluster {
    /// Claims what is due; returns when there may be more.
    pub(super) async fn claim(&mut self) -> Result<Option<Duration>, StoreError> {
        if self.stand != Stand::Member {
            return Ok(None);
        }
        let (me, time) = (self.parts.server, self.parts.shared.time.clone());
        let claimable = self.view.claimable(me, time.elapsed(), time.now());
        let mut next = claimable.next;
        for due in claimable.now.chunks(CLAIM_BATCH) {
            if !self.parts.shared.trust.holds() {
                return Ok(Some(AGAIN));
            }
            let won = self.parts.shared.store.shards_claim(due, me, time.now()).await?;
            if won.len() < due.len() {
                // Another was faster, or what was seen is no longer so.
                self.looked = None;
                next = Some(next.map_or(AGAIN, |next| next.min(AGAIN)));
            }
            self.own(won);
        }
        Ok(next)
    }

    /// Shards that are this server's though no owner runs: the answer to their claim was lost. Only after a look.
    pub(super) async fn adopt(&mut self) -> Result<(), StoreError> {
        let me = self.parts.server;
        let is_orphan = |owned: &&Owned| {
            owned.server == Some(me)
                && !owned.dead
                && !self.running.contains_key(&owned.shard)
                && !self.leaving.has(owned.shard)
        };
        let orphans: Vec<Owned> = self.view.shards().filter(is_orphan).cloned().collect();
        for orphan in orphans {
            if self.stand != Stand::Member {
                self.leaving.release(orphan.shard, orphan.epoch);
                continue;
            }
            let (store, now) = (&self.parts.shared.store, self.parts.shared.time.now());
            if let Some(claimed) = store.epoch_raise(orphan.shard, me, orphan.epoch, now).await? {
                self.own(vec![(orphan.shard, claimed)]);
            }
        }
        Ok(())
    }

    /// Runs the owners of shards that are this server's from now on.
    fn own(&mut self, won: Vec<(ShardKey, Claimed)>) {
        let mut shards = Vec::with_capacity(won.len());
        if !won.is_empty() {
            tracing::info!(shards = won.len(), "shards claimed");
        }
        for (shard, claimed) in won {
            self.view.claimed(shard, self.parts.server, claimed.epoch);
            self.run_owner(shard, claimed);
            shards.push(shard);
        }
        self.show(&shards);
    }

    fn run_owner(&mut self, shard: ShardKey, claimed: Claimed) {
        let app = self.apps.get(&shard.app).cloned().unwrap_or_else(|| "".into());
        tracing::debug!(%app, %shard, epoch = claimed.epoch.0, outage_from = ?claimed.outage_from, "shard claimed");
        let settings = Settings {
            shard,
            server: self.parts.server,
            epoch: claimed.epoch,
            horizon_ms: self.parts.terms.horizon_ms,
            worker_lost_after_ms: self.parts.terms.worker_lost_after_ms,
        };
        let (door, knocks) = Door::new(shard, claimed.epoch);
        let stop = CancellationToken::new();
        let behind = (knocks, door.shown_load());
        let owner = Owner::new(self.parts.shared.clone(), settings, app, claimed, behind, stop.clone());
        self.parts.doors.insert(door.clone());
        self.running.insert(shard, Running { door, stop });
        self.owners.spawn(async move { (shard, owner.own().await) });
    }
}
