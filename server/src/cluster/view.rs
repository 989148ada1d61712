//! What this server last read of the cluster, and what follows from it for this server. It reads nothing itself.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use fastjob_core::clock::Millis;
use fastjob_core::cluster::{CLAIM_DELAY_PER_RANK, Peer, Placement};
use fastjob_core::id::{Epoch, ServerId, ShardKey};

use super::directory;
use crate::store::{Desired, Owned, Server, ServerPhase};

/// All servers weigh the same.
const WEIGHT: u32 = 1;

/// Shards and servers as of the last look, kept true by what this server claimed and gave up since.
#[derive(Debug, Default)]
pub(super) struct View {
    shards: BTreeMap<ShardKey, Owned>,
    servers: HashMap<ServerId, Server>,
    /// Since when this server has seen a shard without an owner, at which epoch.
    free: HashMap<ShardKey, (Epoch, Duration)>,
}

/// What to claim now, and when there is more.
#[derive(Debug, Default)]
pub(super) struct Claimable {
    pub(super) now: Vec<Owned>,
    /// From now.
    pub(super) next: Option<Duration>,
}

impl View {
    /// What was read at `elapsed`.
    pub(super) fn read(&mut self, owners: Vec<Owned>, servers: Vec<Server>, elapsed: Duration) {
        self.servers = servers.into_iter().map(|server| (server.id, server)).collect();
        let known = std::mem::take(&mut self.free);
        for owned in owners.iter().filter(|owned| is_free(owned)) {
            let since = match known.get(&owned.shard) {
                Some(&(epoch, since)) if epoch == owned.epoch => since,
                _ => elapsed,
            };
            self.free.insert(owned.shard, (owned.epoch, since));
        }
        self.shards = owners.into_iter().map(|owned| (owned.shard, owned)).collect();
    }

    /// The servers that take shards, and how the shards are spread. `me` takes none if it gives all up.
    pub(super) fn placement(&self) -> Placement {
        let up = self.servers.values().filter(|server| server.phase == ServerPhase::Up);
        let mut peers: Vec<_> = up.map(|server| Peer { server: server.id, weight: WEIGHT }).collect();
        peers.sort_by_key(|peer| peer.server);
        Placement::new(peers, self.shards.values().map(|owned| owned.server.filter(|_| !owned.dead)))
    }

    /// The free shards that `me` should claim at `elapsed`, which is `now` in the database's time.
    pub(super) fn claimable(&self, me: ServerId, elapsed: Duration, now: Millis) -> Claimable {
        let mut claimable = Claimable::default();
        if self.free.is_empty() {
            return claimable;
        }
        let mut placement = self.placement();
        for owned in self.shards.values().filter(|owned| is_free(owned)) {
            let order = placement.order(owned.shard);
            let Some(rank) = order.iter().position(|server| *server == me) else { continue };
            placement.give(order[0]);
            let since = self.free.get(&owned.shard).map_or(elapsed, |(_, since)| *since);
            let delay = CLAIM_DELAY_PER_RANK * u32::try_from(rank).unwrap_or(u32::MAX);
            let wait = match self.promised(owned, now) {
                Some(desired) if desired.server == me => Duration::ZERO,
                Some(desired) => until(desired.until, now),
                None => (since + delay).saturating_sub(elapsed),
            };
            if wait.is_zero() {
                claimable.now.push(owned.clone());
            } else {
                claimable.next = Some(claimable.next.map_or(wait, |next| next.min(wait)));
            }
        }
        claimable
    }

    /// To whom the shard should go, if that server still takes shards and `now` is not too late.
    pub(super) fn promised(&self, owned: &Owned, now: Millis) -> Option<Desired> {
        owned.desired.filter(|desired| now < desired.until && self.is_up(desired.server))
    }

    /// The server takes shards.
    pub(super) fn is_up(&self, server: ServerId) -> bool {
        self.servers.get(&server).is_some_and(|server| server.phase == ServerPhase::Up)
    }

    /// A server other than `me` takes shards.
    pub(super) fn others_up(&self, me: ServerId) -> bool {
        self.servers.values().any(|server| server.id != me && server.phase == ServerPhase::Up)
    }

    /// There are shards without an owner.
    pub(super) fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Where a server listens.
    pub(super) fn address(&self, server: ServerId) -> Option<&str> {
        self.servers.get(&server).map(|server| server.rpc_address.as_str())
    }

    /// Every shard, in order.
    pub(super) fn shards(&self) -> impl Iterator<Item = &Owned> {
        self.shards.values()
    }

    pub(super) fn shard(&self, shard: ShardKey) -> Option<&Owned> {
        self.shards.get(&shard)
    }

    /// The shard was given to `server`.
    pub(super) fn claimed(&mut self, shard: ShardKey, server: ServerId, epoch: Epoch) {
        self.free.remove(&shard);
        if let Some(owned) = self.shards.get_mut(&shard) {
            let rpc_address = self.servers.get(&server).map(|server| server.rpc_address.clone());
            *owned = Owned { shard, server: Some(server), epoch, rpc_address, dead: false, desired: None };
        }
    }

    /// The shard was given up, to be free from `elapsed` on.
    pub(super) fn released(&mut self, shard: ShardKey, desired: Option<Desired>, elapsed: Duration) {
        if let Some(owned) = self.shards.get_mut(&shard) {
            self.free.insert(shard, (owned.epoch, elapsed));
            *owned = Owned { server: None, rpc_address: None, dead: false, desired, ..owned.clone() };
        }
    }

    /// Addresses of the servers that are up, `me` first.
    pub(super) fn addresses_up(&self, me: ServerId) -> Vec<String> {
        let mut up: Vec<_> = self
            .servers
            .values()
            .filter(|server| server.phase == ServerPhase::Up || server.id == me)
            .collect();
        up.sort_by_key(|server| (server.id != me, server.id));
        up.into_iter().map(|server| server.rpc_address.clone()).collect()
    }

    /// What the directory shows of a shard: a free one is as good as with the server that it is promised to.
    pub(super) fn shown(&self, owned: &Owned, now: Millis) -> directory::Owner {
        let holder = owned.server.filter(|_| !owned.dead);
        let server = holder.or_else(|| self.promised(owned, now).map(|desired| desired.server));
        let address = server.and_then(|server| self.address(server)).map(Into::into);
        directory::Owner { shard: owned.shard, epoch: owned.epoch, address, server }
    }
}

fn is_free(owned: &Owned) -> bool {
    owned.server.is_none() || owned.dead
}

fn until(at: Millis, now: Millis) -> Duration {
    Duration::from_millis(u64::try_from(at.since(now)).unwrap_or(0))
}
