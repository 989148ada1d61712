//! Where everything is, as last read from the store: which server owns each shard, and which servers are up. May be a
//! moment old; the fence and the doors tell the truth.

use std::sync::Arc;

use arc_swap::ArcSwap;
use fastjob_core::id::{AppId, Epoch, ServerId, ShardKey};

/// What this server knows of the others. Clones show the same view.
#[derive(Clone, Debug, Default)]
pub struct Directory(Arc<ArcSwap<View>>);

#[derive(Debug, Default)]
struct View {
    /// In order of shard.
    owners: Vec<Owner>,
    servers: Vec<String>,
}

/// Who owns a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Which.
    pub shard: ShardKey,
    /// Of the last owner.
    pub epoch: Epoch,
    /// Where the owner listens (host:port), or the server that it was handed over to; `None`: nobody owns it, or its owner
    /// is dead.
    pub address: Option<String>,
    /// The server at that address.
    pub server: Option<ServerId>,
}

impl Owner {
    /// A shard that nobody has claimed yet.
    pub fn nobody(shard: ShardKey) -> Self {
        Self { shard, epoch: Epoch(0), address: None, server: None }
    }
}

impl Directory {
    /// Replaces the view. `servers` are the addresses of those that are up, this one first.
    pub fn fill(&self, mut owners: Vec<Owner>, servers: Vec<String>) {
        owners.sort_by_key(|owner| owner.shard);
        self.0.store(Arc::new(View { owners, servers }));
    }

    /// Replaces what the view says of these shards, which it has.
    pub(super) fn correct(&self, changed: impl IntoIterator<Item = Owner>) {
        let view = self.0.load();
        let mut owners = view.owners.clone();
        for owner in changed {
            if let Ok(at) = owners.binary_search_by_key(&owner.shard, |owner| owner.shard) {
                owners[at] = owner;
            }
        }
        self.0.store(Arc::new(View { owners, servers: view.servers.clone() }));
    }

    /// The owner of a shard; `None`: the view has no such shard.
    pub fn owner(&self, shard: ShardKey) -> Option<Owner> {
        let view = self.0.load();
        let at = view.owners.binary_search_by_key(&shard, |owner| owner.shard).ok()?;
        Some(view.owners[at].clone())
    }

    /// The shards of an app, in order.
    pub fn shards(&self, app: AppId) -> Vec<Owner> {
        let view = self.0.load();
        let from = view.owners.partition_point(|owner| owner.shard.app < app);
        view.owners[from..].iter().take_while(|owner| owner.shard.app == app).cloned().collect()
    }

    /// Addresses of the servers that are up, this one first.
    pub fn servers(&self) -> Vec<String> {
        self.0.load().servers.clone()
    }
}
