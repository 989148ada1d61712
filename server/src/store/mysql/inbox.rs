//! Commands that wait for an owner.
//!
//! Texts compare without their trailing spaces, also by their bytes: where a name that anybody wrote meets one of ours,
//! the lengths are compared too.

use fastjob_core::clock::Millis;
use fastjob_core::domain::Outcome;
use fastjob_core::id::{InboxId, RunId, ServerId, ShardKey};
use sqlx::AssertSqlSafe;

use super::MySqlStore;
use super::bulk::{Bulk, List};
use super::link::Link;
use crate::store::backend::{Inbox, InboxRow};
use crate::store::error::StoreError;
use crate::store::row::{INBOX, inbox_row, outcomes, readable};
use crate::store::values::{self, Values as _};

const PUT: Bulk = Bulk {
    what: "commands",
    head: &["INSERT INTO fastjob_inbox (id, app, kind, name, idempotency_key, due_at, params, body, run_id, created_at)
           VALUES"],
    list: List::Values(10),
    tail: "ON DUPLICATE KEY UPDATE id = VALUES(id)",
};

const REFUSE: Bulk = Bulk {
    what: "commands set aside",
    head: &["UPDATE"],
    list: List::Table("int"),
    tail: "STRAIGHT_JOIN fastjob_inbox inbox ON inbox.id = v.c1
           LEFT JOIN fastjob_app app ON app.name = inbox.app AND LENGTH(app.name) = LENGTH(inbox.app)
           SET inbox.failed_at = v.c2, inbox.reason = v.c3
           WHERE inbox.failed_at IS NULL AND app.id IS NULL",
};

const OUTCOMES: Bulk = Bulk {
    what: "outcomes in the inbox",
    head: &[
        "SELECT",
        INBOX,
        "FROM fastjob_inbox inbox JOIN fastjob_app app ON app.name = inbox.app AND LENGTH(app.name) = LENGTH(inbox.app)
         WHERE app.id = ? AND inbox.kind = 'outcome' AND inbox.failed_at IS NULL AND inbox.run_id IN (",
    ],
    list: List::Values(1),
    tail: ") ORDER BY inbox.created_at, inbox.id",
};

impl Inbox for MySqlStore {
    async fn inbox_put(&self, rows: &[InboxRow]) -> Result<(), StoreError> {
        const WHAT: &str = "write commands into the inbox";
        let mut write = self.write(WHAT).await?;
        PUT.write_at_most(&mut write, rows, values::inbox_row).await?;
        write.commit(WHAT).await
    }

    async fn inbox_read(&self, server: ServerId, limit: u32) -> Result<Vec<InboxRow>, StoreError> {
        let sql = format!(
            "SELECT {INBOX} FROM fastjob_inbox inbox FORCE INDEX (fastjob_inbox_waiting)
             LEFT JOIN fastjob_app app ON app.name = inbox.app AND LENGTH(app.name) = LENGTH(inbox.app)
             WHERE inbox.failed_at IS NULL
               AND (app.id IS NULL
                    OR EXISTS (SELECT 1 FROM fastjob_app_owner owner
                               WHERE owner.app_id = app.id AND owner.server_id = ?))
             ORDER BY inbox.created_at, inbox.id LIMIT ?"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&server.as_bytes()[..]).bind(limit);
        let rows = self.all("read the inbox", query).await?;
        Ok(rows.iter().filter_map(readable).collect())
    }

    async fn inbox_refuse(&self, rows: &[InboxId], now: Millis, reason: &str) -> Result<(), StoreError> {
        const WHAT: &str = "set commands aside";
        let mut write = self.write(WHAT).await?;
        let refuse = |row: &mut super::bulk::Row, id: &InboxId| {
            row.id(id);
            row.at(now);
            row.word(reason);
            Ok(())
        };
        REFUSE.write_at_most(&mut write, rows, refuse).await?;
        write.commit(WHAT).await
    }

    async fn inbox_failed(&self, app: &str, limit: u32) -> Result<Vec<InboxRow>, StoreError> {
        let sql = format!(
            "SELECT {INBOX} FROM fastjob_inbox inbox
             WHERE inbox.app = ? AND LENGTH(inbox.app) = ? AND inbox.failed_at IS NOT NULL
             ORDER BY inbox.failed_at DESC, inbox.id LIMIT ?"
        );
        let length = i64::try_from(app.len()).unwrap_or(i64::MAX);
        let query = sqlx::query(AssertSqlSafe(sql)).bind(app).bind(length).bind(limit);
        let rows = self.all("read what was set aside", query).await?;
        rows.iter().map(inbox_row).collect()
    }
}

/// The outcomes that wait for these runs of the shard. What cannot be read is left to the reader of the inbox.
pub(super) async fn outcomes_of(
    read: &mut Link,
    shard: ShardKey,
    runs: impl Iterator<Item = &RunId>,
) -> Result<Vec<(InboxId, Outcome)>, StoreError> {
    let runs: Vec<&RunId> = runs.collect();
    let rows = OUTCOMES.read(read, |row| row.number(shard.app.0), &runs, values::run_id).await?;
    outcomes(&rows)
}
