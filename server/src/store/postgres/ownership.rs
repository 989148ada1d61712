//! Servers, and who owns what.

use fastjob_core::clock::Millis;
use fastjob_core::id::{Epoch, ServerId, ShardKey};
use fastjob_core::mutant::mutant;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgRow};

use super::bulk::Bulk;
use super::fault::{commit_fault, fault};
use super::row::{Uuid, without_nul};
use super::{PostgresStore, connect};
use crate::store::backend::{
    Claimed, Desired, NewServer, Owned, Ownership, Release, Renewal, Server, ServerPhase,
};
use crate::store::error::StoreError;
use crate::store::row::{self, OWNED, Reader, SERVER, phase_word};
use crate::store::values::{self, Values as _};

/// One round trip. The compare-and-set waits for whoever is marking this server just now, and then sees what was marked.
const RENEW: &str =
    "WITH moment AS MATERIALIZED (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now),
          own AS (
              UPDATE fastjob_server SET seq = seq + 1, renewed_at = (SELECT now FROM moment)
              WHERE id = $1 AND seq = $2 AND phase <> 'dead'
              RETURNING id, phase
          )
     SELECT own.id AS own_id, own.phase AS own_phase, (SELECT now FROM moment) AS now,
            (SELECT seq FROM fastjob_change WHERE kind = 'owners') AS owners,
            (SELECT seq FROM fastjob_change WHERE kind = 'tokens') AS tokens,
            other.id, other.seq, other.phase
     FROM own LEFT JOIN fastjob_server other ON other.id <> own.id AND other.phase <> 'dead'
     ORDER BY other.id";

impl Ownership for PostgresStore {
    async fn cluster_key_set(&self, key_id: &str, replaced: Option<&str>) -> Result<String, StoreError> {
        const WHAT: &str = "write down whose database it is";
        let mut write = self.write(WHAT).await?;
        let there = sqlx::query_scalar(
            "INSERT INTO fastjob_cluster AS there (id, key_id) VALUES (1, $1)
             ON CONFLICT (id) DO UPDATE SET key_id = CASE WHEN there.key_id = $2 THEN $1 ELSE there.key_id END
             RETURNING key_id",
        )
        .bind(key_id)
        .bind(replaced)
        .fetch_one(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        write.commit().await?;
        Ok(there)
    }

    async fn server_join(&self, server: &NewServer) -> Result<(), StoreError> {
        const WHAT: &str = "join as a server";
        let mut write = self.write(WHAT).await?;
        sqlx::query(
            "INSERT INTO fastjob_server (id, rpc_address, http_address, version, phase, seq, renewed_at)
             VALUES ($1, $2, $3, $4, 'up', 0, $5)",
        )
        .bind(Uuid::of(&server.id))
        .bind(without_nul(&server.rpc_address))
        .bind(without_nul(&server.http_address))
        .bind(without_nul(&server.version))
        .bind(server.at.get())
        .execute(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        owners_changed(&mut write).await?;
        write.commit().await
    }

    async fn server_renew(&self, server: ServerId, seq: u64) -> Result<Option<Renewal>, StoreError> {
        const WHAT: &str = "renew the lease";
        // Taken out: if this call ends early, the connection ends with it, and the next renewal makes another one.
        let kept = self.lease.lock().take();
        let mut connection = match kept {
            Some(connection) => connection,
            None => connect::connect(&self.connect).await.map_err(|error| fault(WHAT, error))?,
        };
        let by_name = mutant("renewal_by_name");
        let renew = if by_name { RENEW.replace("seq = $2", "$2::bigint >= 0") } else { RENEW.to_owned() };
        let rows = sqlx::query(AssertSqlSafe(renew))
            .bind(Uuid::of(&server))
            .bind(seq.cast_signed())
            .fetch_all(&mut connection)
            .await
            // It may have been written, and must not be tried again as if it were not: that looks like a death.
            .map_err(|error| commit_fault(WHAT, error))?;
        *self.lease.lock() = Some(connection);
        let now =
            rows.first().map(|row| Reader::new(row, "fastjob_server", "own_id").at("now")).transpose()?;
        row::renewal(&rows, now)
    }

    async fn server_mark(&self, server: ServerId, seq: u64, phase: ServerPhase) -> Result<bool, StoreError> {
        const WHAT: &str = "mark a server";
        let mut write = self.write(WHAT).await?;
        let done = sqlx::query(
            "UPDATE fastjob_server SET phase = $3 WHERE id = $1 AND seq = $2 AND phase <> 'dead'",
        )
        .bind(Uuid::of(&server))
        .bind(seq.cast_signed())
        .bind(phase_word(phase))
        .execute(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        if done.rows_affected() == 1 {
            owners_changed(&mut write).await?;
        }
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    async fn servers_forget(&self, before: Millis, limit: u32) -> Result<u64, StoreError> {
        const WHAT: &str = "forget servers that are gone";
        let mut write = self.write(WHAT).await?;
        let done = sqlx::query(
            "DELETE FROM fastjob_server WHERE id IN (
                 SELECT id FROM (
                     SELECT server.id FROM fastjob_server server
                     WHERE server.phase = 'dead' AND server.renewed_at < $1
                       AND NOT EXISTS (SELECT 1 FROM fastjob_app_owner held WHERE held.server_id = server.id)
                     ORDER BY server.renewed_at LIMIT $2) gone)",
        )
        .bind(before.get())
        .bind(i64::from(limit))
        .execute(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        write.commit().await?;
        Ok(done.rows_affected())
    }

    async fn server_list(&self) -> Result<Vec<Server>, StoreError> {
        const WHAT: &str = "list the servers";
        let mut one = self.one(WHAT).await?;
        let rows =
            sqlx::query(AssertSqlSafe(format!("SELECT {SERVER} FROM fastjob_server ORDER BY id DESC")))
                .fetch_all(&mut *one)
                .await
                .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        rows.iter().map(row::server).collect()
    }

    async fn owner_list(&self) -> Result<Vec<Owned>, StoreError> {
        const WHAT: &str = "list the owners";
        let mut one = self.one(WHAT).await?;
        let rows = sqlx::query(OWNED).fetch_all(&mut *one).await.map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        rows.iter().map(row::owned).collect()
    }

    async fn shards_claim(
        &self,
        seen: &[Owned],
        server: ServerId,
        now: Millis,
    ) -> Result<Vec<(ShardKey, Claimed)>, StoreError> {
        let mut write = self.write("claim shards").await?;
        let claimable = if mutant("claim_by_upsert") { EVERY_ONE } else { CLAIMABLE };
        let free = shards(&claimable.read(&mut write, seen, claim).await?)?;
        if free.is_empty() {
            write.done().await?;
            return Ok(Vec::new());
        }
        let given = CLAIMED
            .read(&mut write, &free, |row, shard| {
                row.shard(*shard);
                row.id(&server);
                row.at(now);
                Ok(())
            })
            .await?;
        owners_changed(&mut write).await?;
        write.commit().await?;
        given.iter().map(row::claimed).collect()
    }

    async fn shards_release(
        &self,
        released: &[Release],
        server: ServerId,
        now: Millis,
    ) -> Result<Vec<ShardKey>, StoreError> {
        let mut write = self.write("release shards").await?;
        HELD.read(&mut write, released, |row, release| {
            row.shard(release.shard);
            Ok(())
        })
        .await?;
        let given_up = RELEASED
            .read(&mut write, released, |row, release| {
                row.shard(release.shard);
                row.id(&server);
                row.number(release.epoch.0);
                row.at(now);
                row.maybe_id(release.desired.as_ref().map(|desired| &desired.server));
                row.maybe_at(release.desired.map(|desired| desired.until));
                Ok(())
            })
            .await?;
        if given_up.is_empty() {
            write.done().await?;
            return Ok(Vec::new());
        }
        owners_changed(&mut write).await?;
        write.commit().await?;
        shards(&given_up)
    }

    async fn shards_desire(&self, shards: &[ShardKey], desired: Desired) -> Result<u64, StoreError> {
        let mut write = self.write("ask for a hand-over").await?;
        HELD.read(&mut write, shards, values::shard).await?;
        let found = DESIRED
            .write_at_most(&mut write, shards, |row, shard| {
                row.shard(*shard);
                row.id(&desired.server);
                row.at(desired.until);
                Ok(())
            })
            .await?;
        owners_changed(&mut write).await?;
        write.commit().await?;
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
            "WITH raised AS (
                 UPDATE fastjob_app_owner SET epoch = greatest(epoch + 1, $5)
                 WHERE app_id = $1 AND shard = $2 AND server_id = $3 AND epoch = $4
                 RETURNING app_id, shard, epoch, outage_from
             ), logged AS (
                 INSERT INTO fastjob_owner_log (app_id, shard, epoch, server_id, at, reason)
                 SELECT app_id, shard, epoch, $3, $5, 'raised' FROM raised
             )
             SELECT app_id, shard, epoch, outage_from FROM raised",
        )
        .bind(shard.app.0)
        .bind(i32::from(shard.shard))
        .bind(Uuid::of(&server))
        .bind(epoch.0)
        .bind(now.get())
        .fetch_optional(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        let Some((_, claimed)) = row.as_ref().map(row::claimed).transpose()? else {
            write.done().await?;
            return Ok(None);
        };
        write.commit().await?;
        Ok(Some(claimed))
    }
}

/// Others look again.
pub(super) async fn owners_changed(write: &mut PgConnection) -> Result<(), StoreError> {
    changed(write, "owners").await
}

/// As [`owners_changed`], of tokens.
pub(super) async fn tokens_changed(write: &mut PgConnection) -> Result<(), StoreError> {
    changed(write, "tokens").await
}

async fn changed(write: &mut PgConnection, kind: &'static str) -> Result<(), StoreError> {
    let done =
        sqlx::query("UPDATE fastjob_change SET seq = seq + 1 WHERE kind = $1").bind(kind).execute(write);
    done.await.map(drop).map_err(|error| fault("count a change", error))
}

/// app_id, shard, server_id, epoch.
fn claim(row: &mut super::bulk::Columns, seen: &Owned) -> Result<(), StoreError> {
    row.shard(seen.shard);
    row.maybe_id(seen.server.as_ref());
    row.number(seen.epoch.0);
    Ok(())
}

fn shards(rows: &[PgRow]) -> Result<Vec<ShardKey>, StoreError> {
    rows.iter().map(|row| Reader::new(row, "fastjob_app_owner", "app_id").shard()).collect()
}

// Rows are locked in the order of (app, shard), as by the fences, so that two that want many of them wait, and never for
// each other. A lock that had to wait looks at the row again as it is then. What follows sees what it waited for.

const CLAIMABLE: Bulk = Bulk {
    what: "shards to claim",
    sql: "SELECT owner.app_id, owner.shard
          FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[]) AS seen (app_id, shard, server_id, epoch)
          JOIN fastjob_app_owner owner ON owner.app_id = seen.app_id AND owner.shard = seen.shard
          LEFT JOIN fastjob_server server ON server.id = seen.server_id
          WHERE owner.server_id IS NOT DISTINCT FROM seen.server_id AND owner.epoch = seen.epoch
            AND coalesce(server.phase, 'dead') = 'dead'
          ORDER BY owner.app_id, owner.shard
          FOR UPDATE OF owner",
};

/// A planted bug: what was seen of a shard is not compared with what it is.
const EVERY_ONE: Bulk = Bulk {
    what: "shards to claim",
    sql: "SELECT owner.app_id, owner.shard
          FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[]) AS seen (app_id, shard, server_id, epoch)
          JOIN fastjob_app_owner owner ON owner.app_id = seen.app_id AND owner.shard = seen.shard
          ORDER BY owner.app_id, owner.shard
          FOR UPDATE OF owner",
};

const CLAIMED: Bulk = Bulk {
    what: "claims",
    sql: "WITH given AS (
              UPDATE fastjob_app_owner owner
              SET server_id = v.server_id, epoch = greatest(owner.epoch + 1, v.now), acquired_at = v.now,
                  desired_server = NULL, desired_until = NULL,
                  outage_from = coalesce(owner.outage_from,
                                         (SELECT renewed_at FROM fastjob_server WHERE id = owner.server_id))
              FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[]) AS v (app_id, shard, server_id, now)
              WHERE owner.app_id = v.app_id AND owner.shard = v.shard
              RETURNING owner.app_id, owner.shard, owner.epoch, owner.outage_from, owner.server_id, owner.acquired_at
          ), logged AS (
              INSERT INTO fastjob_owner_log (app_id, shard, epoch, server_id, at, reason)
              SELECT app_id, shard, epoch, server_id, acquired_at, 'claimed' FROM given
          )
          SELECT app_id, shard, epoch, outage_from FROM given",
};

const HELD: Bulk = Bulk {
    what: "owners",
    sql: "SELECT owner.app_id, owner.shard
          FROM unnest($1::bigint[], $2::bigint[]) AS v (app_id, shard)
          JOIN fastjob_app_owner owner ON owner.app_id = v.app_id AND owner.shard = v.shard
          ORDER BY owner.app_id, owner.shard
          FOR UPDATE OF owner",
};

const RELEASED: Bulk = Bulk {
    what: "releases",
    sql: "WITH given AS (
              UPDATE fastjob_app_owner owner
              SET server_id = NULL, outage_from = coalesce(owner.outage_from, v.now),
                  desired_server = v.desired_server, desired_until = v.desired_until
              FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[], $5::bigint[], $6::uuid[], $7::bigint[])
                   AS v (app_id, shard, server_id, epoch, now, desired_server, desired_until)
              WHERE owner.app_id = v.app_id AND owner.shard = v.shard
                AND owner.server_id = v.server_id AND owner.epoch = v.epoch
              RETURNING owner.app_id, owner.shard, owner.epoch, v.server_id, v.now
          ), logged AS (
              INSERT INTO fastjob_owner_log (app_id, shard, epoch, server_id, at, reason)
              SELECT app_id, shard, epoch, server_id, now, 'released' FROM given
          )
          SELECT app_id, shard FROM given",
};

const DESIRED: Bulk = Bulk {
    what: "desired owners",
    sql: "UPDATE fastjob_app_owner owner SET desired_server = v.server_id, desired_until = v.until
          FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[]) AS v (app_id, shard, server_id, until)
          WHERE owner.app_id = v.app_id AND owner.shard = v.shard",
};
