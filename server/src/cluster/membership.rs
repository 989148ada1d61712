//! Whose database it is: that of the servers with one cluster key. Servers with another key cannot forward calls to them, so
//! one of those must not take shards here.

use std::collections::HashMap;

use anyhow::bail;
use fastjob_core::cluster::LeaseTerms;
use fastjob_core::id::ServerId;

use super::key::ClusterKey;
use crate::store::{Server, ServerPhase, Store, StoreError};

/// Makes the database this key's, or finds that it is. Another key's claim stands as long as one of its servers renews its
/// lease, which is watched by `seq` for the time of a lease: no two machines' clocks are compared.
///
/// # Errors
/// It is another cluster's, or does not answer.
pub async fn belong(store: &Store, key: &ClusterKey, terms: LeaseTerms) -> anyhow::Result<()> {
    let there = store.cluster_key_set(key.id(), None).await?;
    if there == key.id() {
        return Ok(());
    }
    if let Some(living) = a_living_server(store, terms).await? {
        bail!(
            "the database is in use by a cluster with another key, by its server {} at {}: give this server that cluster's \
             cluster.key_file, or a database of its own in database.url; to change the key, stop all servers first",
            living.id,
            living.rpc_address
        );
    }
    if store.cluster_key_set(key.id(), Some(&there)).await? != key.id() {
        bail!(
            "servers with different keys started on one database: give all of them the same cluster.key_file"
        );
    }
    tracing::warn!(
        "the database was another cluster key's; none of its servers lives, so it is this one's now"
    );
    Ok(())
}

async fn a_living_server(store: &Store, terms: LeaseTerms) -> Result<Option<Server>, StoreError> {
    let looks = terms.lease.div_duration_f64(terms.renew).ceil() as u32;
    let seen = seqs(&store.server_list().await?);
    for _ in 0..looks {
        if seen.is_empty() {
            break;
        }
        tokio::time::sleep(terms.renew).await;
        let servers = store.server_list().await?;
        if let Some(living) = servers.into_iter().find(|server| renewed_since(&seen, server)) {
            return Ok(Some(living));
        }
    }
    Ok(None)
}

fn seqs(servers: &[Server]) -> HashMap<ServerId, u64> {
    servers
        .iter()
        .filter(|server| server.phase != ServerPhase::Dead)
        .map(|server| (server.id, server.seq))
        .collect()
}

fn renewed_since(seen: &HashMap<ServerId, u64>, server: &Server) -> bool {
    server.phase != ServerPhase::Dead && seen.get(&server.id).is_some_and(|seq| server.seq > *seq)
}
