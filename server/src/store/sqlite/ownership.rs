//! Servers, and who owns what.

use fastjob_core::clock::Millis;
use fastjob_core::id::{Epoch, ServerId, ShardKey};
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::fault::fault;
use super::{SqliteStore, commit};
use crate::store::backend::{
    Claimed, Desired, NewServer, Owned, Ownership, Release, Renewal, Server, ServerPhase,
};
use crate::store::error::StoreError;
use crate::store::row::{self, OWNED, SERVER, phase_word};

impl Ownership for SqliteStore {
    async fn cluster_key_set(&self, key_id: &str, replaced: Option<&str>) -> Result<String, StoreError> {
        const WHAT: &str = "write down whose database it is";
        let mut write = self.write(WHAT).await?;
        let there = sqlx::query_scalar(
            "INSERT INTO fastjob_cluster AS there (id, key_id) VALUES (1, ?1)
             ON CONFLICT (id) DO UPDATE SET key_id = CASE WHEN there.key_id = ?2 THEN ?1 ELSE there.key_id END
             RETURNING key_id",
        )
        .bind(key_id)
        .bind(replaced)
        .fetch_one(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        commit(write, WHAT).await?;
        Ok(there)
    }

    async fn server_join(&self, server: &NewServer) -> Result<(), StoreError> {
        const WHAT: &str = "join as a server";
        let mut write = self.write(WHAT).await?;
        sqlx::query(
            "INSERT INTO fastjob_server (id, rpc_address, http_address, version, phase, seq, renewed_at)
             VALUES (?, ?, ?, ?, 'up', 0, ?)",
        )
        .bind(&server.id.as_bytes()[..])
        .bind(&*server.rpc_address)
        .bind(&*server.http_address)
        .bind(&*server.version)
        .bind(server.at.get())
        .execute(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        owners_changed(&mut write).await?;
        commit(write, WHAT).await
    }

    async fn server_renew(&self, server: ServerId, seq: u64) -> Result<Option<Renewal>, StoreError> {
        const WHAT: &str = "renew the lease";
        let mut write = self.write(WHAT).await?;
        let done = sqlx::query(
            "UPDATE fastjob_server SET seq = seq + 1, renewed_at = ?3
             WHERE id = ?1 AND seq = ?2 AND phase <> 'dead'",
        )
        .bind(&server.as_bytes()[..])
        .bind(seq.cast_signed())
        .bind(self.now().get())
        .execute(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        if done.rows_affected() != 1 {
            return Ok(None);
        }
        let rows = sqlx::query(
            "SELECT own.id AS own_id, own.phase AS own_phase,
                    (SELECT seq FROM fastjob_change WHERE kind = 'owners') AS owners,
                    (SELECT seq FROM fastjob_change WHERE kind = 'tokens') AS tokens,
                    other.id, other.seq, other.phase
             FROM fastjob_server own LEFT JOIN fastjob_server other ON other.id <> own.id AND other.phase <> 'dead'
             WHERE own.id = ? ORDER BY other.id",
        )
        .bind(&server.as_bytes()[..])
        .fetch_all(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        commit(write, WHAT).await?;
        row::renewal(&rows, None)
    }

    async fn server_mark(&self, server: ServerId, seq: u64, phase: ServerPhase) -> Result<bool, StoreError> {
        const WHAT: &str = "mark a server";
        let mut write = self.write(WHAT).await?;
        let done = sqlx::query(
            "UPDATE fastjob_server SET phase = ?3 WHERE id = ?1 AND seq = ?2 AND phase <> 'dead'",
        )
        .bind(&server.as_bytes()[..])
        .bind(seq.cast_signed())
        .bind(phase_word(phase))
        .execute(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        if done.rows_affected() == 1 {
            owners_changed(&mut write).await?;
        }
        commit(write, WHAT).await?;
        Ok(done.rows_affected() == 1)
    }

    async fn servers_forget(&self, before: Millis, limit: u32) -> Result<u64, StoreError> {
        const WHAT: &str = "forget servers that are gone";
        let mut write = self.write(WHAT).await?;
        let done = sqlx::query(
            "DELETE FROM fastjob_server WHERE id IN (
                 SELECT id FROM (
                     SELECT server.id FROM fastjob_server server
                     WHERE server.phase = 'dead' AND server.renewed_at < ?
                       AND NOT EXISTS (SELECT 1 FROM fastjob_app_owner held WHERE held.server_id = server.id)
                     ORDER BY server.renewed_at LIMIT ?) gone)",
        )
        .bind(before.get())
        .bind(limit)
        .execute(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        commit(write, WHAT).await?;
        Ok(done.rows_affected())
    }

    async fn server_list(&self) -> Result<Vec<Server>, StoreError> {
        let rows =
            sqlx::query(AssertSqlSafe(format!("SELECT {SERVER} FROM fastjob_server ORDER BY id DESC")))
                .fetch_all(&self.readers)
                .await
                .map_err(|error| fault("list the servers", error))?;
        rows.iter().map(row::server).collect()
    }

    async fn owner_list(&self) -> Result<Vec<Owned>, StoreError> {
        let rows = sqlx::query(OWNED)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault("list the owners", error))?;
        rows.iter().map(row::owned).collect()
    }

    async fn shards_claim(
        &self,
        seen: &[Owned],
        server: ServerId,
        now: Millis,
    ) -> Result<Vec<(ShardKey, Claimed)>, StoreError> {
        const WHAT: &str = "claim shards";
        let mut write = self.write(WHAT).await?;
        let mut won = Vec::new();
        for seen in seen {
            let row = sqlx::query(
                "UPDATE fastjob_app_owner AS owner
                 SET server_id = ?5, epoch = max(epoch + 1, ?6), acquired_at = ?6, desired_server = NULL,
                     desired_until = NULL,
                     outage_from = coalesce(outage_from, (SELECT renewed_at FROM fastjob_server WHERE id = owner.server_id))
                 WHERE app_id = ?1 AND shard = ?2 AND server_id IS ?3 AND epoch = ?4
                   AND NOT EXISTS (SELECT 1 FROM fastjob_server WHERE id = owner.server_id AND phase <> 'dead')
                 RETURNING app_id, shard, epoch, outage_from",
            )
            .bind(seen.shard.app.0)
            .bind(seen.shard.shard)
            .bind(seen.server.as_ref().map(|server| &server.as_bytes()[..]))
            .bind(seen.epoch.0)
            .bind(&server.as_bytes()[..])
            .bind(now.get())
            .fetch_optional(&mut *write)
            .await
            .map_err(|error| fault(WHAT, error))?;
            if let Some((shard, claimed)) = row.as_ref().map(row::claimed).transpose()? {
                log(&mut write, shard, claimed.epoch, server, now, "claimed").await?;
                won.push((shard, claimed));
            }
        }
        if !won.is_empty() {
            owners_changed(&mut write).await?;
            commit(write, WHAT).await?;
        }
        Ok(won)
    }

    async fn shards_release(
        &self,
        released: &[Release],
        server: ServerId,
        now: Millis,
    ) -> Result<Vec<ShardKey>, StoreError> {
        const WHAT: &str = "release shards";
        let mut write = self.write(WHAT).await?;
        let mut given_up = Vec::new();
        for release in released {
            let done = sqlx::query(
                "UPDATE fastjob_app_owner
                 SET server_id = NULL, outage_from = coalesce(outage_from, ?5), desired_server = ?6, desired_until = ?7
                 WHERE app_id = ?1 AND shard = ?2 AND server_id = ?3 AND epoch = ?4",
            )
            .bind(release.shard.app.0)
            .bind(release.shard.shard)
            .bind(&server.as_bytes()[..])
            .bind(release.epoch.0)
            .bind(now.get())
            .bind(release.desired.as_ref().map(|desired| &desired.server.as_bytes()[..]))
            .bind(release.desired.map(|desired| desired.until.get()))
            .execute(&mut *write)
            .await
            .map_err(|error| fault(WHAT, error))?;
            if done.rows_affected() == 1 {
                log(&mut write, release.shard, release.epoch, server, now, "released").await?;
                given_up.push(release.shard);
            }
        }
        if !given_up.is_empty() {
            owners_changed(&mut write).await?;
            commit(write, WHAT).await?;
        }
        Ok(given_up)
    }

    async fn shards_desire(&self, shards: &[ShardKey], desired: Desired) -> Result<u64, StoreError> {
        const WHAT: &str = "ask for a hand-over";
        let mut write = self.write(WHAT).await?;
        let mut found = 0;
        for shard in shards {
            let done = sqlx::query(
                "UPDATE fastjob_app_owner SET desired_server = ?3, desired_until = ?4 WHERE app_id = ?1 AND shard = ?2",
            )
            .bind(shard.app.0)
            .bind(shard.shard)
            .bind(&desired.server.as_bytes()[..])
            .bind(desired.until.get())
            .execute(&mut *write)
            .await
            .map_err(|error| fault(WHAT, error))?;
            found += done.rows_affected();
        }
        owners_changed(&mut write).await?;
        commit(write, WHAT).await?;
        Ok(found)
    }

    async fn epoch_raise(
        &self,
        shard: ShardKey,
        server: ServerId,
        epoch: Epoch,
        now: Millis,
    ) -> Result<Option<Claimed>, StoreError> {
        const WHAT: &str = "raise an epoch";
        let mut write = self.write(WHAT).await?;
        let row = sqlx::query(
            "UPDATE fastjob_app_owner SET epoch = max(epoch + 1, ?5)
             WHERE app_id = ?1 AND shard = ?2 AND server_id = ?3 AND epoch = ?4
             RETURNING app_id, shard, epoch, outage_from",
        )
        .bind(shard.app.0)
        .bind(shard.shard)
        .bind(&server.as_bytes()[..])
        .bind(epoch.0)
        .bind(now.get())
        .fetch_optional(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        let Some((_, claimed)) = row.as_ref().map(row::claimed).transpose()? else { return Ok(None) };
        log(&mut write, shard, claimed.epoch, server, now, "raised").await?;
        commit(write, WHAT).await?;
        Ok(Some(claimed))
    }
}

/// Others look again.
pub(super) async fn owners_changed(write: &mut SqliteConnection) -> Result<(), StoreError> {
    changed(write, "owners").await
}

/// As [`owners_changed`], of tokens.
pub(super) async fn tokens_changed(write: &mut SqliteConnection) -> Result<(), StoreError> {
    changed(write, "tokens").await
}

async fn changed(write: &mut SqliteConnection, kind: &'static str) -> Result<(), StoreError> {
    let done =
        sqlx::query("UPDATE fastjob_change SET seq = seq + 1 WHERE kind = ?").bind(kind).execute(write).await;
    done.map(drop).map_err(|error| fault("count a change", error))
}

async fn log(
    write: &mut SqliteConnection,
    shard: ShardKey,
    epoch: Epoch,
    server: ServerId,
    at: Millis,
    reason: &'static str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO fastjob_owner_log (app_id, shard, epoch, server_id, at, reason) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(shard.app.0)
    .bind(shard.shard)
    .bind(epoch.0)
    .bind(&server.as_bytes()[..])
    .bind(at.get())
    .bind(reason)
    .execute(write)
    .await
    .map(drop)
    .map_err(|error| fault("log an ownership", error))
}
