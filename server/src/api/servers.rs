//! Servers: as the store knows them.

use std::collections::HashMap;

use fastjob_core::domain::Refusal;
use fastjob_core::id::ServerId;

use super::auth::Caller;
use super::{Api, store_failed};
use crate::store::Server;

impl Api {
    /// All servers, newest first, each with how many shards it owns.
    pub async fn server_list(&self, _: &Caller) -> Result<Vec<(Server, u32)>, Refusal> {
        let servers = self.0.store.server_list().await.map_err(store_failed)?;
        let mut owned: HashMap<ServerId, u32> = HashMap::new();
        for shard in self.0.store.owner_list().await.map_err(store_failed)? {
            if let Some(server) = shard.server {
                *owned.entry(server).or_default() += 1;
            }
        }
        let counted = |server: Server| {
            let shards = owned.get(&server.id).copied().unwrap_or(0);
            (server, shards)
        };
        Ok(servers.into_iter().map(counted).collect())
    }
}
