//! Looking at the database beside its servers: see [`crate::store::inspect`].

use fastjob_core::clock::Millis;
use fastjob_core::id::RunId;
use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlRow;

use super::ownership::NOW;
use super::{MySqlStore, migrate};
use crate::store::error::StoreError;
use crate::store::inspect::{Inspect, KeyedRun, Rights, Schema, Setting, Sizes, Violations};
use crate::store::row::{KEYED, Reader, keyed_run, sizes, violations};
use crate::store::scans::{Dialect, SIZES, Scan, TABLES, failed_by_reason};

const DIALECT: Dialect = Dialect { id: Dialect::uuid_of_bytes, integer: "SIGNED" };
/// What servers do with every table.
const NEEDED: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];
/// What lets a user write into a database that was set read-only.
const POWERS: [&str; 4] = ["SUPER", "READ_ONLY ADMIN", "READ ONLY ADMIN", "CONNECTION_ADMIN"];

/// A right of the user, on this table, or on all for `*`.
struct Granted {
    right: String,
    table: String,
}

impl MySqlStore {
    async fn granted(&self, what: &str) -> Result<Vec<Granted>, StoreError> {
        // As the tables of rights quote a user: 'name'@'host'.
        const GRANTEE: &str = "concat('''', left(current_user(), char_length(current_user())
                   - char_length(substring_index(current_user(), '@', -1)) - 1),
               '''@''', substring_index(current_user(), '@', -1), '''')";
        let sql = format!(
            "SELECT privilege_type AS granted, '*' AS place FROM information_schema.user_privileges
             WHERE grantee = {GRANTEE}
             UNION ALL
             SELECT privilege_type, '*' FROM information_schema.schema_privileges
             WHERE grantee = {GRANTEE} AND DATABASE() LIKE table_schema
             UNION ALL
             SELECT privilege_type, table_name FROM information_schema.table_privileges
             WHERE grantee = {GRANTEE} AND table_schema = DATABASE()"
        );
        let read = |row: &MySqlRow| {
            let row = Reader::new(row, "privileges", "granted");
            Ok(Granted { right: row.text("granted")?.to_owned(), table: row.text("place")?.to_owned() })
        };
        self.all(what, sqlx::query(AssertSqlSafe(sql))).await?.iter().map(read).collect()
    }
}

impl Inspect for MySqlStore {
    async fn inspect_settings(&self) -> Result<Vec<Setting>, StoreError> {
        let rows = self
            .all(
                "read the database's settings",
                sqlx::query(
                    "SHOW GLOBAL VARIABLES WHERE Variable_name IN
                         ('innodb_doublewrite', 'innodb_flush_log_at_trx_commit', 'log_bin', 'read_only', 'sql_mode',
                          'sync_binlog', 'system_time_zone', 'time_zone', 'transaction_isolation', 'tx_isolation',
                          'version', 'wsrep_on')",
                ),
            )
            .await?;
        let setting = |row: &MySqlRow| {
            let row = Reader::new(row, "variables", "Variable_name");
            // One setting of two names.
            let name =
                row.text("Variable_name")?.to_lowercase().replace("tx_isolation", "transaction_isolation");
            Ok(Setting { name, value: row.text("Value")?.to_owned() })
        };
        rows.iter().map(setting).collect()
    }

    async fn inspect_time(&self) -> Result<Option<Millis>, StoreError> {
        let sql = AssertSqlSafe(format!("SELECT {NOW} AS at"));
        let rows = self.all("ask the database for its time", sqlx::query(sql)).await?;
        rows.first().map(|row| Reader::new(row, "time", "at").at("at")).transpose()
    }

    async fn inspect_rights(&self) -> Result<Rights, StoreError> {
        const WHAT: &str = "ask the database for the user's rights";
        let rows =
            self.all(WHAT, sqlx::query("SELECT current_user() AS user, current_role() AS role")).await?;
        let row = rows.first().map(|row| Reader::new(row, "user", "user"));
        let user = row.as_ref().map(|row| row.text("user")).transpose()?.unwrap_or_default().to_owned();
        let role = row.as_ref().map(|row| row.maybe_text("role")).transpose()?.flatten();
        let granted = self.granted(WHAT).await?;
        let has = |right: &str, table: &str| {
            granted.iter().any(|own| own.right == right && (own.table == "*" || own.table == table))
        };
        let mut missing = Vec::new();
        // What a role brings is not listed under the user.
        if role.is_none_or(|role| role.is_empty() || role == "NONE") {
            for table in TABLES {
                let lacks = NEEDED.iter().filter(|right| !has(right, table));
                missing.extend(lacks.map(|right| format!("{right} on {table}")));
            }
        }
        let powers = POWERS.iter().filter(|power| has(power, "*")).map(|power| (*power).to_owned()).collect();
        Ok(Rights { user, missing, powers })
    }

    async fn inspect_schema(&self) -> Result<Schema, StoreError> {
        let mut link = self.pool.link("read the version of the schema").await?;
        let found = migrate::version(&mut link).await?;
        link.done();
        Ok(Schema { found, known: migrate::NEWEST })
    }

    async fn inspect_sizes(&self) -> Result<Sizes, StoreError> {
        const WHAT: &str = "count the rows";
        let rows = self.all(WHAT, sqlx::query(SIZES)).await?;
        let failed = self.all(WHAT, sqlx::query(AssertSqlSafe(failed_by_reason()))).await?;
        sizes(rows.first().expect("counts are one row"), &failed)
    }

    async fn inspect_scan(&self, scan: &Scan) -> Result<Violations, StoreError> {
        violations(&self.all(scan.name, sqlx::query(AssertSqlSafe(scan.sql(DIALECT)))).await?)
    }

    async fn inspect_keys(&self, after: Option<RunId>, limit: u32) -> Result<Vec<KeyedRun>, StoreError> {
        let sql = AssertSqlSafe(format!("{KEYED} AND id > ? ORDER BY id LIMIT ?"));
        let after = after.map_or(Vec::new(), |after| after.as_bytes().to_vec());
        let query = sqlx::query(sql).bind(after).bind(limit);
        self.all("read the idempotency keys", query).await?.iter().map(keyed_run).collect()
    }
}
