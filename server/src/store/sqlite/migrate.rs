//! Brings the schema up to date: each migration in a transaction of its own, in order of its number, recorded in
//! `fastjob_schema`. The file lock is held, so nobody else migrates.

use fastjob_core::clock::Millis;
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::fault::fault;
use crate::store::error::{ErrorKind, StoreError};

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

/// All of them, in order. One that was released is never changed.
const MIGRATIONS: [Migration; 3] = [
    Migration { version: 1, name: "init", sql: include_str!("../../../migrations/sqlite/0001_init.sql") },
    Migration {
        version: 2,
        name: "cluster_key",
        sql: include_str!("../../../migrations/sqlite/0002_cluster_key.sql"),
    },
    Migration {
        version: 3,
        name: "policies",
        sql: include_str!("../../../migrations/sqlite/0003_policies.sql"),
    },
];

/// The newest schema.
pub(super) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

/// Applies what the database lacks.
pub(super) async fn migrate(writer: &SqlitePool, now: Millis) -> Result<(), StoreError> {
    let found = version(writer).await?;
    if found > NEWEST {
        let message =
            format!("the database has schema {found}, this program knows up to {NEWEST}: start a newer one");
        return Err(StoreError::new(ErrorKind::Newer, message));
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
        let what = format!("apply migration {} ({})", migration.version, migration.name);
        apply(writer, migration, now).await.map_err(|error| fault(&what, error))?;
        tracing::info!(version = migration.version, name = migration.name, "schema migrated");
    }
    Ok(())
}

/// The database's schema; 0: none.
pub(super) async fn version(writer: &SqlitePool) -> Result<i64, StoreError> {
    let read = async {
        let there: i64 =
            sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'fastjob_schema'")
                .fetch_one(writer)
                .await?;
        if there == 0 {
            return Ok(0);
        }
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM fastjob_schema").fetch_one(writer).await
    };
    read.await.map_err(|error| fault("read the version of the schema", error))
}

async fn apply(writer: &SqlitePool, migration: &Migration, now: Millis) -> Result<(), sqlx::Error> {
    let mut transaction: Transaction<'static, Sqlite> = writer.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS fastjob_schema (
             version    INTEGER PRIMARY KEY,
             name       TEXT    NOT NULL,
             applied_at INTEGER NOT NULL
         ) STRICT",
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::raw_sql(migration.sql).execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO fastjob_schema (version, name, applied_at) VALUES (?, ?, ?)")
        .bind(migration.version)
        .bind(migration.name)
        .bind(now.get())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}
