//! Servers, and who owns what. Claims and the like lock the shards' rows in their order, judge them here, and write what
//! came of it: a number of statements that does not grow with the shards but by chunks, and never a count of rows that
//! decides who won.

use std::collections::{HashMap, HashSet};

use fastjob_core::clock::Millis;
use fastjob_core::id::{Epoch, ServerId, ShardKey};
use sqlx::AssertSqlSafe;

use super::MySqlStore;
use super::bulk::{Bulk, List};
use super::link::{Kept, Link};
use crate::store::backend::{
    Claimed, Desired, NewServer, Owned, Ownership, Release, Renewal, Server, ServerPhase,
};
use crate::store::error::{ErrorKind, StoreError};
use crate::store::row::{self, OWNED, Reader, SERVER, phase_word};
use crate::store::values::{self, Values as _};

impl Ownership for MySqlStore {
    async fn cluster_key_set(&self, key_id: &str, replaced: Option<&str>) -> Result<String, StoreError> {
        const WHAT: &str = "write down whose database it is";
        let mut write = self.write(WHAT).await?;
        let insert = sqlx::query(
            "INSERT INTO fastjob_cluster (id, key_id) VALUES (1, ?)
             ON DUPLICATE KEY UPDATE key_id = IF(key_id = ?, VALUES(key_id), key_id)",
        );
        write.execute(WHAT, insert.bind(key_id).bind(replaced)).await?;
        let rows = write.all(WHAT, sqlx::query("SELECT id, key_id FROM fastjob_cluster")).await?;
        write.commit(WHAT).await?;
        let row =
            rows.first().ok_or_else(|| StoreError::new(ErrorKind::Data, "fastjob_cluster has no row"))?;
        Ok(Reader::new(row, "fastjob_cluster", "id").text("key_id")?.to_owned())
    }

    async fn server_join(&self, server: &NewServer) -> Result<(), StoreError> {
        const WHAT: &str = "join as a server";
        let mut write = self.write(WHAT).await?;
        let query = sqlx::query(
            "INSERT INTO fastjob_server (id, rpc_address, http_address, version, phase, seq, renewed_at)
             VALUES (?, ?, ?, ?, 'up', 0, ?)",
        )
        .bind(&server.id.as_bytes()[..])
        .bind(&*server.rpc_address)
        .bind(&*server.http_address)
        .bind(&*server.version)
        .bind(server.at.get());
        write.execute(WHAT, query).await?;
        owners_changed(&mut write).await?;
        write.commit(WHAT).await
    }

    async fn server_renew(&self, server: ServerId, seq: u64) -> Result<Option<Renewal>, StoreError> {
        const WHAT: &str = "renew the lease";
        // Taken out while it is used: whoever is cancelled here leaves none behind.
        let kept = self.lease.lock().take().and_then(Kept::still_good);
        let mut lease = match kept {
            Some(lease) => lease,
            None => self.pool.own_link(WHAT).await?,
        };
        let renewal = renew(&mut lease, WHAT, server, seq).await?;
        *self.lease.lock() = Some(lease.keep());
        Ok(renewal)
    }

    async fn server_mark(&self, server: ServerId, seq: u64, phase: ServerPhase) -> Result<bool, StoreError> {
        const WHAT: &str = "mark a server";
        let mut write = self.write(WHAT).await?;
        let query = sqlx::query(
            "UPDATE fastjob_server SET phase = ? WHERE id = ? AND seq = ? AND phase IN ('up', 'draining')",
        )
        .bind(phase_word(phase))
        .bind(&server.as_bytes()[..])
        .bind(seq.cast_signed());
        if write.execute(WHAT, query).await? != 1 {
            write.rollback().await;
            return Ok(false);
        }
        owners_changed(&mut write).await?;
        write.commit(WHAT).await?;
        Ok(true)
    }

    async fn servers_forget(&self, before: Millis, limit: u32) -> Result<u64, StoreError> {
        const WHAT: &str = "forget servers that are gone";
        let mut write = self.write(WHAT).await?;
        let query = sqlx::query(
            "DELETE FROM fastjob_server WHERE id IN (
                 SELECT id FROM (
                     SELECT server.id FROM fastjob_server server
                     WHERE server.phase = 'dead' AND server.renewed_at < ?
                       AND NOT EXISTS (SELECT 1 FROM fastjob_app_owner held WHERE held.server_id = server.id)
                     ORDER BY server.renewed_at LIMIT ?) gone)",
        );
        let gone = write.execute(WHAT, query.bind(before.get()).bind(limit)).await?;
        write.commit(WHAT).await?;
        Ok(gone)
    }

    async fn server_list(&self) -> Result<Vec<Server>, StoreError> {
        let sql = format!("SELECT {SERVER} FROM fastjob_server ORDER BY id DESC");
        let rows = self.all("list the servers", sqlx::query(AssertSqlSafe(sql))).await?;
        rows.iter().map(row::server).collect()
    }

    async fn owner_list(&self) -> Result<Vec<Owned>, StoreError> {
        self.all("list the owners", sqlx::query(OWNED)).await?.iter().map(row::owned).collect()
    }

    async fn shards_claim(
        &self,
        seen: &[Owned],
        server: ServerId,
        now: Millis,
    ) -> Result<Vec<(ShardKey, Claimed)>, StoreError> {
        const WHAT: &str = "claim shards";
        let mut write = self.write(WHAT).await?;
        let held = Held::lock(&mut write, seen.iter().map(|seen| seen.shard)).await?;
        let owners = held.owners(&mut write).await?;
        let mut won: Vec<(ShardKey, Claimed)> = Vec::new();
        for seen in seen {
            let Some(row) = held.of(seen.shard) else { continue };
            let owner = row.server.and_then(|owner| owners.get(&owner));
            let lives = owner.is_some_and(|owner| owner.phase != ServerPhase::Dead);
            if row.server != seen.server || row.epoch != seen.epoch || lives {
                continue;
            }
            let epoch = Epoch(now.get().max(row.epoch.0 + 1));
            let outage_from = row.outage_from.or(owner.map(|owner| owner.renewed_at));
            won.push((seen.shard, Claimed { epoch, outage_from }));
        }
        won.sort_by_key(|(shard, _)| *shard);
        won.dedup_by_key(|(shard, _)| *shard);
        if won.is_empty() {
            write.rollback().await;
            return Ok(won);
        }
        let claim = |row: &mut super::bulk::Row, (shard, claimed): &(ShardKey, Claimed)| {
            row.shard(*shard);
            row.id(&server);
            row.number(claimed.epoch.0);
            row.at(now);
            row.maybe_at(claimed.outage_from);
            Ok(())
        };
        CLAIMS.write(&mut write, &won, claim).await?;
        let logged = won.iter().map(|(shard, claimed)| (*shard, claimed.epoch));
        log(&mut write, logged, server, now, "claimed").await?;
        owners_changed(&mut write).await?;
        write.commit(WHAT).await?;
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
        let held = Held::lock(&mut write, released.iter().map(|release| release.shard)).await?;
        let own = |release: &&Release| held.is_of(release.shard, server, release.epoch);
        let mut given_up: Vec<&Release> = released.iter().filter(own).collect();
        given_up.sort_by_key(|release| release.shard);
        given_up.dedup_by_key(|release| release.shard);
        if given_up.is_empty() {
            write.rollback().await;
            return Ok(Vec::new());
        }
        let release = |row: &mut super::bulk::Row, release: &&Release| {
            row.shard(release.shard);
            row.at(now);
            row.maybe_id(release.desired.as_ref().map(|desired| &desired.server));
            row.maybe_at(release.desired.map(|desired| desired.until));
            Ok(())
        };
        RELEASES.write(&mut write, &given_up, release).await?;
        let logged = given_up.iter().map(|release| (release.shard, release.epoch));
        log(&mut write, logged, server, now, "released").await?;
        owners_changed(&mut write).await?;
        write.commit(WHAT).await?;
        Ok(given_up.into_iter().map(|release| release.shard).collect())
    }

    async fn shards_desire(&self, shards: &[ShardKey], desired: Desired) -> Result<u64, StoreError> {
        const WHAT: &str = "ask for a hand-over";
        let mut write = self.write(WHAT).await?;
        let held = Held::lock(&mut write, shards.iter().copied()).await?;
        let shards = held.shards();
        let desire = |row: &mut super::bulk::Row, shard: &ShardKey| {
            row.shard(*shard);
            row.id(&desired.server);
            row.at(desired.until);
            Ok(())
        };
        DESIRES.write(&mut write, &shards, desire).await?;
        owners_changed(&mut write).await?;
        write.commit(WHAT).await?;
        Ok(shards.len() as u64)
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
        let held = Held::lock(&mut write, [shard].into_iter()).await?;
        let Some(row) = held.of(shard).filter(|_| held.is_of(shard, server, epoch)) else {
            write.rollback().await;
            return Ok(None);
        };
        let claimed = Claimed { epoch: Epoch(now.get().max(epoch.0 + 1)), outage_from: row.outage_from };
        let query = sqlx::query("UPDATE fastjob_app_owner SET epoch = ? WHERE app_id = ? AND shard = ?")
            .bind(claimed.epoch.0)
            .bind(shard.app.0)
            .bind(shard.shard);
        write.execute(WHAT, query).await?;
        log(&mut write, [(shard, claimed.epoch)].into_iter(), server, now, "raised").await?;
        write.commit(WHAT).await?;
        Ok(Some(claimed))
    }
}

async fn renew(
    lease: &mut Link,
    what: &str,
    server: ServerId,
    seq: u64,
) -> Result<Option<Renewal>, StoreError> {
    let update = format!(
        "UPDATE fastjob_server SET seq = seq + 1, renewed_at = {NOW}
         WHERE id = ? AND seq = ? AND phase IN ('up', 'draining')"
    );
    let update = sqlx::query(AssertSqlSafe(update)).bind(&server.as_bytes()[..]).bind(seq.cast_signed());
    if lease.execute_and_commit(what, update).await? != 1 {
        return Ok(None);
    }
    let select = sqlx::query(
        "SELECT own.renewed_at AS now_ms, own.id AS own_id, own.phase AS own_phase,
                (SELECT seq FROM fastjob_change WHERE kind = 'owners') AS owners,
                (SELECT seq FROM fastjob_change WHERE kind = 'tokens') AS tokens,
                other.id, other.seq, other.phase
         FROM fastjob_server own
         LEFT JOIN fastjob_server other ON other.id <> own.id AND other.phase IN ('up', 'draining')
         WHERE own.id = ? ORDER BY other.id",
    );
    let select = select.bind(&server.as_bytes()[..]);
    // It is renewed: whatever fails from here on must not be tried again with the same seq.
    let rows = lease.all(what, select).await.map_err(|error| {
        StoreError::new(ErrorKind::Unknown, format!("{what}: it is renewed, but not read")).because(error)
    })?;
    let now =
        rows.first().map(|row| Reader::new(row, "fastjob_server", "own_id").at("now_ms")).transpose()?;
    row::renewal(&rows, now)
}

/// The database's time.
pub(super) const NOW: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000";

/// Shards whose rows are locked.
struct Held(HashMap<ShardKey, HeldRow>);

struct HeldRow {
    server: Option<ServerId>,
    epoch: Epoch,
    outage_from: Option<Millis>,
}

impl Held {
    /// Locks those that exist, in the order in which everybody locks them.
    async fn lock(write: &mut Link, shards: impl Iterator<Item = ShardKey>) -> Result<Self, StoreError> {
        let mut shards: Vec<ShardKey> = shards.collect();
        shards.sort_unstable();
        shards.dedup();
        let rows = LOCKS.read(write, |_| {}, &shards, values::shard).await?;
        let mut held = HashMap::with_capacity(rows.len());
        for row in &rows {
            let row = Reader::new(row, "fastjob_app_owner", "app_id");
            let (server, epoch) = (row.maybe_id("server_id")?, Epoch(row.whole("epoch")?));
            held.insert(row.shard()?, HeldRow { server, epoch, outage_from: row.maybe_at("outage_from")? });
        }
        Ok(Self(held))
    }

    /// Their owners. A dead one stays as it is, so these rows need no lock.
    async fn owners(&self, read: &mut Link) -> Result<HashMap<ServerId, Server>, StoreError> {
        let ids: HashSet<ServerId> = self.0.values().filter_map(|row| row.server).collect();
        let ids: Vec<ServerId> = ids.into_iter().collect();
        let rows = OWNERS.read(
            read,
            |_| {},
            &ids,
            |row, id| {
                row.id(id);
                Ok(())
            },
        );
        let servers = rows.await?;
        servers.iter().map(|row| row::server(row).map(|server| (server.id, server))).collect()
    }

    fn of(&self, shard: ShardKey) -> Option<&HeldRow> {
        self.0.get(&shard)
    }

    fn is_of(&self, shard: ShardKey, server: ServerId, epoch: Epoch) -> bool {
        self.of(shard).is_some_and(|row| row.server == Some(server) && row.epoch == epoch)
    }

    fn shards(&self) -> Vec<ShardKey> {
        let mut shards: Vec<ShardKey> = self.0.keys().copied().collect();
        shards.sort_unstable();
        shards
    }
}

/// Others look again.
pub(super) async fn owners_changed(write: &mut Link) -> Result<(), StoreError> {
    changed(write, "owners").await
}

/// As [`owners_changed`], of tokens.
pub(super) async fn tokens_changed(write: &mut Link) -> Result<(), StoreError> {
    changed(write, "tokens").await
}

async fn changed(write: &mut Link, kind: &'static str) -> Result<(), StoreError> {
    let query = sqlx::query("UPDATE fastjob_change SET seq = seq + 1 WHERE kind = ?").bind(kind);
    write.execute("count a change", query).await.map(drop)
}

async fn log(
    write: &mut Link,
    shards: impl Iterator<Item = (ShardKey, Epoch)>,
    server: ServerId,
    at: Millis,
    reason: &'static str,
) -> Result<(), StoreError> {
    let shards: Vec<(ShardKey, Epoch)> = shards.collect();
    let entry = |row: &mut super::bulk::Row, (shard, epoch): &(ShardKey, Epoch)| {
        row.shard(*shard);
        row.number(epoch.0);
        row.id(&server);
        row.at(at);
        row.word(reason);
        Ok(())
    };
    LOG.write(write, &shards, entry).await
}

const LOCKS: Bulk = Bulk {
    what: "owners",
    head: &["SELECT owner.app_id, owner.shard, owner.server_id, owner.epoch, owner.outage_from FROM"],
    list: List::Table("nn"),
    tail: "STRAIGHT_JOIN fastjob_app_owner owner ON owner.app_id = v.c1 AND owner.shard = v.c2 FOR UPDATE",
};

const OWNERS: Bulk = Bulk {
    what: "servers",
    head: &["SELECT", SERVER, "FROM fastjob_server WHERE id IN ("],
    list: List::Values(1),
    tail: ")",
};

const CLAIMS: Bulk = Bulk {
    what: "claims",
    head: &["UPDATE"],
    list: List::Table("nninnn"),
    tail: "STRAIGHT_JOIN fastjob_app_owner owner ON owner.app_id = v.c1 AND owner.shard = v.c2
           SET owner.server_id = v.c3, owner.epoch = v.c4, owner.acquired_at = v.c5, owner.outage_from = v.c6,
               owner.desired_server = NULL, owner.desired_until = NULL",
};

const RELEASES: Bulk = Bulk {
    what: "releases",
    head: &["UPDATE"],
    list: List::Table("nnnin"),
    tail: "STRAIGHT_JOIN fastjob_app_owner owner ON owner.app_id = v.c1 AND owner.shard = v.c2
           SET owner.server_id = NULL, owner.outage_from = COALESCE(owner.outage_from, v.c3),
               owner.desired_server = v.c4, owner.desired_until = v.c5",
};

const DESIRES: Bulk = Bulk {
    what: "desires",
    head: &["UPDATE"],
    list: List::Table("nnin"),
    tail: "STRAIGHT_JOIN fastjob_app_owner owner ON owner.app_id = v.c1 AND owner.shard = v.c2
           SET owner.desired_server = v.c3, owner.desired_until = v.c4",
};

const LOG: Bulk = Bulk {
    what: "ownerships",
    head: &["INSERT INTO fastjob_owner_log (app_id, shard, epoch, server_id, at, reason) VALUES"],
    list: List::Values(6),
    tail: "",
};
