//! Brings the schema up to date, in order of the migrations' numbers, under a lock of FastJob's own. Each table is there
//! or not, whatever becomes of the others: a migration writes down in `fastjob_schema` that it begins and that it is
//! applied, and one that was cut off is run once more, since all its statements can be repeated.

use fastjob_core::clock::Millis;
use sqlx::mysql::MySqlRow;

use super::link::Link;
use super::version::Flavour;
use crate::store::error::{ErrorKind, StoreError};
use crate::store::row::Reader;

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

/// All of them, in order. One that was released is never changed.
const MIGRATIONS: [Migration; 3] = [
    Migration { version: 1, name: "init", sql: include_str!("../../../migrations/mysql/0001_init.sql") },
    Migration {
        version: 2,
        name: "cluster_key",
        sql: include_str!("../../../migrations/mysql/0002_cluster_key.sql"),
    },
    Migration {
        version: 3,
        name: "policies",
        sql: include_str!("../../../migrations/mysql/0003_policies.sql"),
    },
];

/// The newest schema.
pub(super) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

/// How long another server may take to migrate, in seconds.
const MAX_WAIT: i64 = 30;

/// What the user of `database.url` must be allowed to do, for the first start and for each new version.
const RIGHTS: &str = "the user needs SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP and REFERENCES on the database";

/// What was found in `fastjob_schema`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    /// No such table.
    Nothing,
    /// The highest version, and whether all of it is there.
    Version { version: i64, applied: bool },
}

/// Applies what the database lacks. The connection is given up.
pub(super) async fn migrate(mut link: Link, flavour: Flavour, now: Millis) -> Result<(), StoreError> {
    let newest = NEWEST;
    if found(&mut link).await? == (Found::Version { version: newest, applied: true }) {
        return Ok(());
    }
    link.say(flavour.migration(), "begin to migrate").await?;
    // The end of the connection gives it back, however that comes.
    take_lock(&mut link).await?;
    let there = match found(&mut link).await? {
        Found::Nothing => {
            refuse_foreign_tables(&mut link).await?;
            link.say(SCHEMA, "create the table of migrations").await.map_err(with_rights)?;
            0
        }
        Found::Version { version, .. } if version > newest => return Err(newer(version, newest)),
        Found::Version { version, applied: true } => version,
        Found::Version { version, applied: false } => {
            tracing::warn!(version, "a migration was cut off, it is run once more");
            version - 1
        }
    };
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > there) {
        apply(&mut link, migration, now).await?;
        tracing::info!(version = migration.version, name = migration.name, "schema migrated");
    }
    Ok(())
}

async fn apply(link: &mut Link, migration: &Migration, now: Millis) -> Result<(), StoreError> {
    let what = format!("apply migration {} ({})", migration.version, migration.name);
    let begun = sqlx::query(
        "INSERT INTO fastjob_schema (version, name, begun_at) VALUES (?, ?, ?)
         ON DUPLICATE KEY UPDATE begun_at = VALUES(begun_at)",
    );
    let begun = begun.bind(migration.version).bind(migration.name).bind(now.get());
    link.execute(&what, begun).await.map_err(with_rights)?;
    link.say(migration.sql, &what).await.map_err(with_rights)?;
    let applied = sqlx::query("UPDATE fastjob_schema SET applied_at = ? WHERE version = ?");
    link.execute(&what, applied.bind(now.get()).bind(migration.version)).await.map(drop)
}

/// The database's schema; 0: none, or not all of the first one.
pub(super) async fn version(link: &mut Link) -> Result<i64, StoreError> {
    match found(link).await? {
        Found::Nothing => Ok(0),
        Found::Version { version, applied: true } => Ok(version),
        Found::Version { version, applied: false } => Ok(version - 1),
    }
}

async fn found(link: &mut Link) -> Result<Found, StoreError> {
    const WHAT: &str = "read the version of the schema";
    if tables(link, WHAT).await?.iter().all(|table| table != "fastjob_schema") {
        return Ok(Found::Nothing);
    }
    let query = sqlx::query(
        "SELECT version, applied_at IS NOT NULL AS applied FROM fastjob_schema ORDER BY version DESC LIMIT 1",
    );
    match link.one(WHAT, query).await.map_err(with_rights)? {
        None => Ok(Found::Version { version: 0, applied: true }),
        Some(row) => {
            let row = Reader::new(&row, "fastjob_schema", "version");
            Ok(Found::Version { version: row.whole("version")?, applied: row.flag("applied")? })
        }
    }
}

/// What has the names of FastJob's tables but was not made by it would be taken for its own.
async fn refuse_foreign_tables(link: &mut Link) -> Result<(), StoreError> {
    let tables = tables(link, "look for tables of others").await?;
    if tables.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the database has tables that no migration of FastJob has made ({}): give FastJob a database of its own, or drop them",
        tables.join(", ")
    );
    Err(StoreError::new(ErrorKind::Corrupt, message))
}

/// Those with FastJob's prefix.
async fn tables(link: &mut Link, what: &str) -> Result<Vec<String>, StoreError> {
    let query = sqlx::query(
        "SELECT table_name AS name FROM information_schema.tables
         WHERE table_schema = DATABASE() AND table_name LIKE 'fastjob\\_%' ORDER BY table_name",
    );
    let name = |row: &MySqlRow| Reader::new(row, "tables", "name").text("name").map(str::to_owned);
    link.all(what, query).await?.iter().map(name).collect()
}

/// Locks are the server's: the database is in the name, shortened to what a name may hold.
async fn take_lock(link: &mut Link) -> Result<(), StoreError> {
    const WHAT: &str = "wait for the lock of migrations";
    let query =
        sqlx::query("SELECT GET_LOCK(CONCAT('fastjob.', LEFT(SHA2(DATABASE(), 256), 40)), ?) AS held");
    let row = link.one(WHAT, query.bind(MAX_WAIT)).await?;
    let held = row.map(|row| Reader::new(&row, "lock", "held").maybe_whole("held")).transpose()?;
    if held.flatten() == Some(1) {
        return Ok(());
    }
    let message = format!(
        "{WHAT}: another server has migrated the schema for more than {MAX_WAIT} s: look at its log, or at SHOW PROCESSLIST"
    );
    Err(StoreError::new(ErrorKind::Busy, message))
}

fn newer(found: i64, newest: i64) -> StoreError {
    let message =
        format!("the database has schema {found}, this program knows up to {newest}: start a newer one");
    StoreError::new(ErrorKind::Newer, message)
}

fn with_rights(error: StoreError) -> StoreError {
    if error.to_string().contains("denied to user") { error.within(RIGHTS) } else { error }
}

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS fastjob_schema (
     version    BIGINT       NOT NULL PRIMARY KEY,
     name       VARCHAR(255) NOT NULL,
     begun_at   BIGINT       NOT NULL,
     applied_at BIGINT
 ) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
