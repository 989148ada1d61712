//! Commands that wait for an owner.

use fastjob_core::clock::Millis;
use fastjob_core::domain::Outcome;
use fastjob_core::id::{InboxId, RunId, ServerId, ShardKey};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use super::bulk::Bulk;
use super::fault::fault;
use super::shards::hex;
use super::{SqliteStore, commit};
use crate::store::backend::{Inbox, InboxRow};
use crate::store::error::StoreError;
use crate::store::row::{INBOX, inbox_row, outcomes, readable};
use crate::store::values;

const PUT: Bulk = Bulk {
    what: "commands",
    head: "INSERT INTO fastjob_inbox (id, app, kind, name, idempotency_key, due_at, params, body, run_id, created_at)
           VALUES",
    columns: 10,
    tail: "ON CONFLICT (id) DO NOTHING",
};

impl Inbox for SqliteStore {
    async fn inbox_put(&self, rows: &[InboxRow]) -> Result<(), StoreError> {
        const WHAT: &str = "write commands into the inbox";
        let mut write = self.write(WHAT).await?;
        PUT.write_at_most(&mut write, rows, values::inbox_row).await?;
        commit(write, WHAT).await
    }

    async fn inbox_read(&self, server: ServerId, limit: u32) -> Result<Vec<InboxRow>, StoreError> {
        let sql = format!(
            "SELECT {INBOX} FROM fastjob_inbox inbox INDEXED BY fastjob_inbox_waiting
             WHERE inbox.failed_at IS NULL
               AND (NOT EXISTS (SELECT 1 FROM fastjob_app app WHERE app.name = inbox.app)
                    OR EXISTS (SELECT 1 FROM fastjob_app app JOIN fastjob_app_owner owner ON owner.app_id = app.id
                               WHERE app.name = inbox.app AND owner.server_id = ?1))
             ORDER BY inbox.created_at, inbox.id LIMIT ?2"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(&server.as_bytes()[..])
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault("read the inbox", error))?;
        Ok(rows.iter().filter_map(readable).collect())
    }

    async fn inbox_refuse(&self, rows: &[InboxId], now: Millis, reason: &str) -> Result<(), StoreError> {
        const WHAT: &str = "set commands aside";
        let mut write = self.write(WHAT).await?;
        sqlx::query(
            "UPDATE fastjob_inbox SET failed_at = ?2, reason = ?3
             WHERE id IN (SELECT unhex(value) FROM json_each(?1)) AND failed_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM fastjob_app WHERE name = fastjob_inbox.app)",
        )
        .bind(hex(rows.iter()))
        .bind(now.get())
        .bind(reason)
        .execute(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        commit(write, WHAT).await
    }

    async fn inbox_failed(&self, app: &str, limit: u32) -> Result<Vec<InboxRow>, StoreError> {
        let sql = format!(
            "SELECT {INBOX} FROM fastjob_inbox inbox
             WHERE inbox.app = ? AND inbox.failed_at IS NOT NULL ORDER BY inbox.failed_at DESC, inbox.id LIMIT ?"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(app)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault("read what was set aside", error))?;
        rows.iter().map(inbox_row).collect()
    }
}

/// The outcomes that wait for these runs of the shard. What cannot be read is left to the reader of the inbox.
pub(super) async fn outcomes_of(
    read: &mut SqliteConnection,
    shard: ShardKey,
    runs: impl Iterator<Item = &RunId>,
) -> Result<Vec<(InboxId, Outcome)>, StoreError> {
    let sql = format!(
        "SELECT {INBOX} FROM fastjob_inbox inbox JOIN fastjob_app app ON app.name = inbox.app
         WHERE inbox.run_id IN (SELECT unhex(value) FROM json_each(?2)) AND app.id = ?1 AND inbox.kind = 'outcome'
           AND inbox.failed_at IS NULL
         ORDER BY inbox.created_at, inbox.id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(shard.app.0).bind(hex(runs)).fetch_all(read).await;
    let rows = rows.map_err(|error| fault("read outcomes in the inbox", error))?;
    outcomes(&rows)
}
