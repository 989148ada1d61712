//! Commands that wait for an owner.

use fastjob_core::clock::Millis;
use fastjob_core::domain::Outcome;
use fastjob_core::id::{InboxId, RunId, ServerId, ShardKey};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use super::PostgresStore;
use super::bulk::Bulk;
use super::fault::fault;
use super::row::{Uuid, without_nul};
use crate::store::backend::{Inbox, InboxRow};
use crate::store::error::StoreError;
use crate::store::row::{INBOX, inbox_row, outcomes, readable};
use crate::store::values;

const PUT: Bulk = Bulk {
    what: "commands",
    sql: "INSERT INTO fastjob_inbox (id, app, kind, name, idempotency_key, due_at, params, body, run_id, created_at)
          SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
                               $8::bytea[], $9::uuid[], $10::bigint[])
          ON CONFLICT (id) DO NOTHING",
};

impl Inbox for PostgresStore {
    async fn inbox_put(&self, rows: &[InboxRow]) -> Result<(), StoreError> {
        let mut write = self.write("write commands into the inbox").await?;
        PUT.write_at_most(&mut write, rows, values::inbox_row).await?;
        write.commit().await
    }

    async fn inbox_read(&self, server: ServerId, limit: u32) -> Result<Vec<InboxRow>, StoreError> {
        const WHAT: &str = "read the inbox";
        let mut one = self.one(WHAT).await?;
        let sql = format!(
            "SELECT {INBOX} FROM fastjob_inbox inbox
             WHERE inbox.failed_at IS NULL
               AND (NOT EXISTS (SELECT 1 FROM fastjob_app app WHERE app.name = inbox.app)
                    OR EXISTS (SELECT 1 FROM fastjob_app app JOIN fastjob_app_owner owner ON owner.app_id = app.id
                               WHERE app.name = inbox.app AND owner.server_id = $1))
             ORDER BY inbox.created_at, inbox.id LIMIT $2"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(Uuid::of(&server))
            .bind(i64::from(limit))
            .fetch_all(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        Ok(rows.iter().filter_map(readable).collect())
    }

    async fn inbox_refuse(&self, rows: &[InboxId], now: Millis, reason: &str) -> Result<(), StoreError> {
        const WHAT: &str = "set commands aside";
        let mut write = self.write(WHAT).await?;
        sqlx::query(
            "UPDATE fastjob_inbox inbox SET failed_at = $2, reason = $3
             WHERE inbox.id = ANY ($1) AND inbox.failed_at IS NULL
               AND NOT EXISTS (SELECT 1 FROM fastjob_app app WHERE app.name = inbox.app)",
        )
        .bind(Uuid::all(rows.iter()))
        .bind(now.get())
        .bind(without_nul(reason))
        .execute(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        write.commit().await
    }

    async fn inbox_failed(&self, app: &str, limit: u32) -> Result<Vec<InboxRow>, StoreError> {
        const WHAT: &str = "read what was set aside";
        let mut one = self.one(WHAT).await?;
        let sql = format!(
            "SELECT {INBOX} FROM fastjob_inbox inbox
             WHERE inbox.app = $1 AND inbox.failed_at IS NOT NULL ORDER BY inbox.failed_at DESC, inbox.id LIMIT $2"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(without_nul(app))
            .bind(i64::from(limit))
            .fetch_all(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        rows.iter().map(inbox_row).collect()
    }
}

/// The outcomes that wait for these runs of the shard. What cannot be read is left to the reader of the inbox.
pub(super) async fn outcomes_of(
    read: &mut PgConnection,
    shard: ShardKey,
    runs: impl Iterator<Item = &RunId>,
) -> Result<Vec<(InboxId, Outcome)>, StoreError> {
    let sql = format!(
        "SELECT {INBOX} FROM fastjob_inbox inbox JOIN fastjob_app app ON app.name = inbox.app
         WHERE inbox.run_id = ANY ($2) AND app.id = $1 AND inbox.kind = 'outcome' AND inbox.failed_at IS NULL
         ORDER BY inbox.created_at, inbox.id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(shard.app.0).bind(Uuid::all(runs)).fetch_all(read).await;
    outcomes(&rows.map_err(|error| fault("read outcomes in the inbox", error))?)
}
