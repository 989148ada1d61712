//! This server among the others: its lease, the shards it claims, the owners it runs for them, and who owns the rest.

pub mod directory;
pub mod lease;
pub mod reach;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fastjob_core::clock::Clock;
use fastjob_core::id::ServerId;
use fastjob_core::shard::Settings;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::metrics::{self, AppLabels};
use crate::owner::door::{Door, Doors};
use crate::owner::{Ended, Owner, Shared};
use crate::store::{App, Owned, Release, ServerPhase, Store, StoreError};

use directory::Directory;

/// How often claimable shards are looked for when nothing says that there are any.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the owners of this server are told.
#[derive(Clone, Copy, Debug)]
pub struct OwnerTerms {
    /// How far ahead runs are written.
    pub horizon_ms: i64,
    /// For jobs that name none.
    pub worker_lost_after_ms: i64,
}

/// Claims shards and runs their owners until it is told to stop.
pub struct Cluster {
    server: ServerId,
    shared: Shared,
    terms: OwnerTerms,
    doors: Doors,
    directory: Directory,
    nudge: Arc<Notify>,
    labels: AppLabels,
    owners: JoinSet<(Door, Ended)>,
    stop_owners: CancellationToken,
}

fn seen_by_others(owned: Owned) -> directory::Owner {
    let address = owned.rpc_address.filter(|_| !owned.dead);
    directory::Owner { shard: owned.shard, epoch: owned.epoch, address }
}

/// Declares dead every server of this database but `server`: they cannot be alive, for this one holds the file's lock.
pub async fn reap_predecessors(store: &Store, server: ServerId) -> Result<(), StoreError> {
    for other in store.server_list().await? {
        if other.id != server && other.phase != ServerPhase::Dead {
            store.server_mark(other.id, other.seq, ServerPhase::Dead).await?;
        }
    }
    Ok(())
}

impl Cluster {
    /// A server that owns nothing yet.
    pub fn new(
        server: ServerId,
        shared: Shared,
        terms: OwnerTerms,
        doors: Doors,
        directory: Directory,
        nudge: Arc<Notify>,
    ) -> Self {
        let stop_owners = CancellationToken::new();
        Self {
            server,
            shared,
            terms,
            doors,
            directory,
            nudge,
            labels: AppLabels::default(),
            owners: JoinSet::new(),
            stop_owners,
        }
    }

    /// Claims what nobody owns, and tells the directory who owns what.
    pub async fn look(&mut self) -> Result<(), StoreError> {
        let store = self.shared.store.clone();
        let apps = store.app_list().await?;
        let mut owners = store.owner_list().await?;
        let mut claimed = false;
        for owned in owners.iter().filter(|owned| owned.server.is_none() || owned.dead) {
            claimed |= self.shared.trust.holds() && self.claim(owned, &apps).await?;
        }
        if claimed {
            owners = store.owner_list().await?;
        }
        self.directory.fill(owners.into_iter().map(seen_by_others).collect(), self.servers().await?);
        metrics::shards_owned(self.owners.len());
        Ok(())
    }

    /// Looks now and then, and gives all shards up at the end.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut often = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                _ = often.tick() => {}
                () = self.nudge.notified() => {}
                Some(ended) = self.owners.join_next() => {
                    self.owner_ended(ended.context("an owner's loop panicked")?).await;
                }
                () = stop.cancelled() => break,
            }
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "failed to look for claimable shards");
            }
        }
        self.stop_owners.cancel();
        while let Some(ended) = self.owners.join_next().await {
            self.owner_ended(ended.context("an owner's loop panicked")?).await;
        }
        Ok(())
    }

    /// Addresses of the servers that are up, this one first.
    async fn servers(&self) -> Result<Vec<String>, StoreError> {
        let mut up = self.shared.store.server_list().await?;
        up.retain(|server| server.phase == ServerPhase::Up);
        up.sort_by_key(|server| server.id != self.server);
        Ok(up.into_iter().map(|server| server.rpc_address).collect())
    }

    async fn claim(&mut self, seen: &Owned, apps: &[App]) -> Result<bool, StoreError> {
        let now = self.shared.time.now();
        let won = self.shared.store.shards_claim(std::slice::from_ref(seen), self.server, now).await?;
        let Some((_, claimed)) = won.into_iter().next() else { return Ok(false) };
        let app = apps.iter().find(|app| app.id == seen.shard.app).map_or("", |app| app.name.as_str());
        tracing::info!(app, shard = %seen.shard, epoch = claimed.epoch.0, outage_from = ?claimed.outage_from, "shard claimed");
        let settings = Settings {
            shard: seen.shard,
            server: self.server,
            epoch: claimed.epoch,
            horizon_ms: self.terms.horizon_ms,
            worker_lost_after_ms: self.terms.worker_lost_after_ms,
        };
        let (door, knocks) = Door::new(seen.shard, claimed.epoch);
        let owner = Owner::new(
            self.shared.clone(),
            settings,
            self.labels.label(app),
            claimed,
            knocks,
            self.stop_owners.child_token(),
        );
        self.doors.insert(door.clone());
        self.owners.spawn(async move { (door, owner.own().await) });
        Ok(true)
    }

    async fn owner_ended(&mut self, (door, ended): (Door, Ended)) {
        self.doors.remove(&door);
        let shard = door.shard();
        if let Ended::Stopped(epoch) = ended {
            let now = self.shared.time.now();
            let release = Release { shard, epoch, desired: None };
            match self.shared.store.shards_release(&[release], self.server, now).await {
                Ok(given_up) if !given_up.is_empty() => {
                    tracing::info!(%shard, epoch = epoch.0, "shard released");
                }
                Ok(_) => tracing::warn!(%shard, "shard to release was no longer this server's"),
                Err(error) => tracing::warn!(%shard, %error, "failed to release the shard"),
            }
        }
    }
}
