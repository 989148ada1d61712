//! Who should have which shard: weighted rendezvous hashing (Thaler and Ravishankar 1998; Schindelhauer and Schomaker
//! 2005 for the weights) with bounded loads (Mirrokni, Thorup and Zadimoghaddam 2018). Every server ranks the servers for
//! a shard by itself and comes to the same order, so that nobody has to be asked.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::{Chance, ServerId, ShardKey};

/// A server waits this long for each one that ranks before it, before it claims a shard that nobody owns.
pub const CLAIM_DELAY_PER_RANK: Duration = Duration::from_millis(300);

/// A server that takes shards: alive and not draining.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Who.
    pub server: ServerId,
    /// Its share of the shards beside the others'; at least 1.
    pub weight: u32,
}

/// The servers, how many shards each has, and how many it should have at most.
#[derive(Clone, Debug)]
pub struct Placement {
    peers: Vec<Peer>,
    loads: BTreeMap<ServerId, usize>,
    shards: usize,
    cap: usize,
}

impl Placement {
    /// The placement of as many shards as there are `owners`, each with its owner unless it has none.
    pub fn new(peers: Vec<Peer>, owners: impl IntoIterator<Item = Option<ServerId>>) -> Self {
        let mut loads: BTreeMap<ServerId, usize> = peers.iter().map(|peer| (peer.server, 0)).collect();
        let mut shards = 0_usize;
        for owner in owners {
            shards += 1;
            if let Some(owner) = owner {
                *loads.entry(owner).or_default() += 1;
            }
        }
        // A quarter above the mean, so that a shard finds one of its first choices and few servers are above.
        let cap = (shards * 5).div_ceil(4 * peers.len().max(1));
        Self { peers, loads, shards, cap }
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The most shards that a server should have.
    pub fn cap(&self) -> usize {
        self.cap
    }

    /// How many shards a server has, with those that were given to it here.
    pub fn load(&self, server: ServerId) -> usize {
        self.loads.get(&server).copied().unwrap_or(0)
    }

    /// The servers that take shards and have more than they should.
    pub fn above_cap(&self) -> impl Iterator<Item = ServerId> {
        self.peers.iter().map(|peer| peer.server).filter(|server| self.load(*server) > self.cap)
    }

    /// The server takes shards.
    pub fn has(&self, server: ServerId) -> bool {
        self.peers.iter().any(|peer| peer.server == server)
    }

    /// The servers in the order in which they should have the shard: first those that still have room, each group by
    /// rendezvous.
    pub fn order(&self, shard: ShardKey) -> Vec<ServerId> {
        let mut order: Vec<(bool, f64, ServerId)> = self
            .peers
            .iter()
            .map(|peer| (self.load(peer.server) >= self.cap, -score(shard, *peer), peer.server))
            .collect();
        order.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        order.into_iter().map(|(_, _, server)| server).collect()
    }

    /// How many servers should have the shard rather than `server`; `None`: it takes none.
    pub fn rank(&self, shard: ShardKey, server: ServerId) -> Option<usize> {
        self.order(shard).into_iter().position(|other| other == server)
    }

    /// Counts the shard, which nobody owns, as the server's.
    pub fn give(&mut self, server: ServerId) {
        *self.loads.entry(server).or_default() += 1;
    }

    /// Counts a shard of one server as the other's.
    pub fn shift(&mut self, from: ServerId, to: ServerId) {
        if let Some(load) = self.loads.get_mut(&from) {
            *load = load.saturating_sub(1);
        }
        self.give(to);
    }

    /// Who should have the shard instead of `owner`, even if that is above its cap; `None`: there is nobody else.
    pub fn successor(&self, shard: ShardKey, owner: ServerId) -> Option<ServerId> {
        self.order(shard).into_iter().find(|server| *server != owner)
    }

    /// As [`Placement::successor`], of those with room.
    pub(super) fn successor_with_room(&self, shard: ShardKey, owner: ServerId) -> Option<ServerId> {
        self.successor(shard, owner).filter(|server| self.load(*server) < self.cap)
    }

    /// The owner is the first by rendezvous, whatever the loads.
    pub(super) fn at_home(&self, shard: ShardKey, owner: ServerId) -> bool {
        let first = self.peers.iter().map(|peer| (score(shard, *peer), peer.server));
        first.max_by(|a, b| a.0.total_cmp(&b.0)).is_some_and(|(_, server)| server == owner)
    }
}

/// The higher, the better: -weight / ln(u) for a u in (0, 1) that shard and server determine.
fn score(shard: ShardKey, peer: Peer) -> f64 {
    let uniform = (hash(shard, peer.server) >> 11) as f64 + 0.5;
    -f64::from(peer.weight.max(1)) / (uniform / (1_u64 << 53) as f64).ln()
}

/// The same in every version of the program, as servers of different versions work side by side.
fn hash(shard: ShardKey, server: ServerId) -> u64 {
    let (head, tail) = server.as_bytes().split_at(8);
    let half = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("8 of 16 bytes"));
    let words = [half(head), half(tail), shard.app.0.cast_unsigned(), u64::from(shard.shard)];
    words.into_iter().fold(0, |hash, word| Chance::from_seed(hash ^ word).next_u64())
}
