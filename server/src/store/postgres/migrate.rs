//! Brings the schema up to date: each migration in a transaction of its own, in order of its number, recorded in
//! `fastjob_schema`. One server at a time, under an advisory lock of the database that ends with its session.

use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use super::fault::{code, fault};
use crate::store::error::{ErrorKind, StoreError};

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

/// All of them, in order. One that was released is never changed.
const MIGRATIONS: [Migration; 3] = [
    Migration { version: 1, name: "init", sql: include_str!("../../../migrations/postgres/0001_init.sql") },
    Migration {
        version: 2,
        name: "cluster_key",
        sql: include_str!("../../../migrations/postgres/0002_cluster_key.sql"),
    },
    Migration {
        version: 3,
        name: "policies",
        sql: include_str!("../../../migrations/postgres/0003_policies.sql"),
    },
];

/// The newest schema.
pub(super) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

/// Names the lock among all advisory locks of the database: "fastjob" in ASCII.
const LOCK: i64 = 0x66_61_73_74_6a_6f_62;
/// How long another server's migration is waited for.
const LOCK_WAIT: &str = "SET lock_timeout = '10s'; SET statement_timeout = '0'";

/// Applies what the database lacks.
pub(super) async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    let newest = NEWEST;
    // Without the lock first: a user who may not create tables can still serve a database that is up to date.
    let found = version(connection).await?;
    if found == newest {
        return Ok(());
    }
    refuse_newer(found, newest)?;
    lock(connection).await?;
    let found = version(connection).await?;
    refuse_newer(found, newest)?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
        apply(connection, migration).await.map_err(|error| not_applied(migration, error))?;
        tracing::info!(version = migration.version, name = migration.name, "schema migrated");
    }
    Ok(())
}

fn refuse_newer(found: i64, newest: i64) -> Result<(), StoreError> {
    if found <= newest {
        return Ok(());
    }
    let message =
        format!("the database has schema {found}, this program knows up to {newest}: start a newer one");
    Err(StoreError::new(ErrorKind::Newer, message))
}

/// The database's schema; 0: none.
pub(super) async fn version(connection: &mut PgConnection) -> Result<i64, StoreError> {
    let read = async {
        let there =
            sqlx::query("SELECT to_regclass('fastjob_schema') IS NOT NULL").fetch_one(&mut *connection);
        if !there.await?.try_get::<bool, _>(0)? {
            return Ok(0);
        }
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM fastjob_schema").fetch_one(connection).await
    };
    read.await.map_err(|error| fault("read the version of the schema", error))
}

async fn lock(connection: &mut PgConnection) -> Result<(), StoreError> {
    let locked = async {
        sqlx::raw_sql(LOCK_WAIT).execute(&mut *connection).await?;
        sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(connection).await
    };
    let Err(error) = locked.await else { return Ok(()) };
    if matches!(&error, sqlx::Error::Database(answer) if code(&**answer) == "55P03") {
        let message = format!(
            "another server migrates the schema and has not finished in 10 s: wait for it, or end its session (see \
             SELECT * FROM pg_locks WHERE locktype = 'advisory' AND objid = {})",
            LOCK & 0xffff_ffff
        );
        return Err(StoreError::new(ErrorKind::Busy, message).because(error));
    }
    Err(fault("wait for other servers' migrations", error))
}

async fn apply(connection: &mut PgConnection, migration: &Migration) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS fastjob_schema (
             version    BIGINT NOT NULL PRIMARY KEY,
             name       TEXT   NOT NULL,
             applied_at BIGINT NOT NULL
         )",
    )
    .execute(&mut *connection)
    .await?;
    sqlx::raw_sql(migration.sql).execute(&mut *connection).await?;
    sqlx::query(
        "INSERT INTO fastjob_schema (version, name, applied_at)
         VALUES ($1, $2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)",
    )
    .bind(migration.version)
    .bind(migration.name)
    .execute(&mut *connection)
    .await?;
    sqlx::raw_sql("COMMIT").execute(connection).await.map(drop)
}

fn not_applied(migration: &Migration, error: sqlx::Error) -> StoreError {
    let mut what = format!("apply migration {} ({})", migration.version, migration.name);
    if matches!(&error, sqlx::Error::Database(answer) if code(&**answer) == "42501") {
        what.push_str(
            ": the database's user must own the tables and may create some: GRANT USAGE, CREATE ON SCHEMA public TO that user",
        );
    }
    fault(&what, error)
}
