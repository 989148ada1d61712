//! Servers: as the store knows them, and what the administrator asks of them.

use std::collections::HashMap;

use fastjob_core::domain::{Refusal, RefusalKind};
use fastjob_core::id::ServerId;

use super::auth::{Admin, Caller};
use super::{Api, not_found, store_failed};
use crate::cluster;
use crate::store::{Server, ServerPhase};

/// The longest name of a server that a call may give.
const MAX_NAME_BYTES: usize = 256;

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
    /// Asks a server to hand its shards over and take no others. It sees it at its next renewal.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if it is dead, or no other server is up to take its shards.
    pub async fn server_drain(&self, _: Admin, name: &str) -> Result<(), Refusal> {
        let server = self.server_named(name).await.map_err(|inner| inner.within("server"))?;
        match server.phase {
            ServerPhase::Draining => return Ok(()),
            ServerPhase::Dead => return Err(dead()),
            ServerPhase::Up => {}
        }
        let servers = self.0.store.server_list().await.map_err(store_failed)?;
        if !servers.iter().any(|other| other.id != server.id && other.phase == ServerPhase::Up) {
            let message = "no other server is up: nobody would own its shards";
            return Err(Refusal::new(RefusalKind::Conflict, "last_server", message)
                .remedy("start another server first; or stop this one, which needs no drain"));
        }
        let marked = cluster::mark(&self.0.store, server.id, ServerPhase::Draining).await;
        if marked.map_err(store_failed)? { Ok(()) } else { Err(dead()) }
    }

    /// The server of this id, or the newest at this gRPC address.
    pub(super) async fn server_named(&self, name: &str) -> Result<Server, Refusal> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(Refusal::new(RefusalKind::Invalid, "server_unnamed", "names no server")
                .remedy("give a server's id or gRPC address, as `server list` shows them"));
        }
        let id = name.parse::<ServerId>().ok();
        let servers = self.0.store.server_list().await.map_err(store_failed)?;
        let named = servers.into_iter().find(|server| Some(server.id) == id || server.rpc_address == name);
        named.ok_or_else(|| {
            not_found("server_not_found", "there is no such server")
                .remedy("give a server's id or gRPC address, as `server list` shows them")
        })
    }
}

fn dead() -> Refusal {
    Refusal::new(RefusalKind::Conflict, "server_dead", "the server is dead: others own its shards already")
        .remedy("see `server list`")
}
