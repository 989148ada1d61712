//! The owners as the store knows them, for calls that found the directory wrong. However many ask at once, the store is
//! asked once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastjob_core::id::ShardKey;
use tokio::sync::Mutex;

use crate::store::{Store, StoreError};

/// Where each shard's owner listens.
pub(super) type Owners = HashMap<ShardKey, Option<String>>;

/// The last reading.
#[derive(Default)]
pub(super) struct OwnersRead {
    /// Readings begun.
    begun: AtomicU64,
    last: Mutex<(u64, Arc<Owners>)>,
}

impl OwnersRead {
    /// A reading that began after this call, or is begun by it.
    pub(super) async fn read(&self, store: &Store) -> Result<Arc<Owners>, StoreError> {
        let before = self.begun.load(Ordering::SeqCst);
        // Held while reading: those who come meanwhile share the next reading.
        let mut last = self.last.lock().await;
        if last.0 > before {
            return Ok(Arc::clone(&last.1));
        }
        let own = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let owners = store.owner_list().await?;
        let address = |owned: crate::store::Owned| {
            (owned.shard, owned.rpc_address.filter(|_| owned.server.is_some() && !owned.dead))
        };
        *last = (own, Arc::new(owners.into_iter().map(address).collect()));
        Ok(Arc::clone(&last.1))
    }
}
