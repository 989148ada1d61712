//! Looking at the database beside its servers: see [`crate::store::inspect`].

use fastjob_core::clock::Millis;
use fastjob_core::id::RunId;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::fault::fault;
use super::row::Uuid;
use super::{PostgresStore, migrate};
use crate::store::error::StoreError;
use crate::store::inspect::{Inspect, KeyedRun, Rights, Schema, Setting, Sizes, Violations};
use crate::store::row::{KEYED, keyed_run, sizes, violations};
use crate::store::scans::{Dialect, SIZES, Scan, TABLES, failed_by_reason};

const DIALECT: Dialect = Dialect { id: |column| format!("{column}::text"), integer: "BIGINT" };

impl PostgresStore {
    async fn look(&self, what: &'static str, sql: String) -> Result<Vec<PgRow>, StoreError> {
        let mut one = self.one(what).await?;
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *one).await;
        let rows = rows.map_err(|error| fault(what, error))?;
        one.done().await?;
        Ok(rows)
    }
}

impl Inspect for PostgresStore {
    async fn inspect_settings(&self) -> Result<Vec<Setting>, StoreError> {
        const WHAT: &str = "read the database's settings";
        let rows = self
            .look(
                WHAT,
                "SELECT lower(name) AS name, setting AS value FROM pg_settings
                 WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'server_version',
                                'default_transaction_isolation')
                 UNION ALL SELECT 'in_recovery', CASE WHEN pg_is_in_recovery() THEN 'on' ELSE 'off' END
                 ORDER BY name"
                    .into(),
            )
            .await?;
        let setting = |row: &PgRow| Ok(Setting { name: row.try_get("name")?, value: row.try_get("value")? });
        rows.iter().map(setting).collect::<Result<_, sqlx::Error>>().map_err(|error| fault(WHAT, error))
    }

    async fn inspect_time(&self) -> Result<Option<Millis>, StoreError> {
        const WHAT: &str = "ask the database for its time";
        let mut one = self.one(WHAT).await?;
        let now: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
            .fetch_one(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        Ok(Some(Millis::new(now)))
    }

    async fn inspect_rights(&self) -> Result<Rights, StoreError> {
        const WHAT: &str = "ask the database for the user's rights";
        let mut one = self.one(WHAT).await?;
        let (user, superuser): (String, bool) =
            sqlx::query_as("SELECT current_user::text, rolsuper FROM pg_roles WHERE rolname = current_user")
                .fetch_one(&mut *one)
                .await
                .map_err(|error| fault(WHAT, error))?;
        let missing: Vec<String> = sqlx::query_scalar(
            "SELECT r || ' on ' || t
             FROM unnest($1::text[]) AS t, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r
             WHERE to_regclass(t) IS NULL OR NOT has_table_privilege(to_regclass(t), r) ORDER BY t, r",
        )
        .bind(&TABLES[..])
        .fetch_all(&mut *one)
        .await
        .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        let powers = if superuser { vec!["SUPERUSER".to_owned()] } else { Vec::new() };
        Ok(Rights { user, missing, powers })
    }

    async fn inspect_schema(&self) -> Result<Schema, StoreError> {
        let mut one = self.one("read the version of the schema").await?;
        let found = migrate::version(&mut one).await?;
        one.done().await?;
        Ok(Schema { found, known: migrate::NEWEST })
    }

    async fn inspect_sizes(&self) -> Result<Sizes, StoreError> {
        const WHAT: &str = "count the rows";
        let rows = self.look(WHAT, SIZES.into()).await?;
        let failed = self.look(WHAT, failed_by_reason()).await?;
        let row = rows.first().expect("counts are one row");
        sizes(row, &failed)
    }

    async fn inspect_scan(&self, scan: &Scan) -> Result<Violations, StoreError> {
        violations(&self.look(scan.name, scan.sql(DIALECT)).await?)
    }

    async fn inspect_keys(&self, after: Option<RunId>, limit: u32) -> Result<Vec<KeyedRun>, StoreError> {
        const WHAT: &str = "read the idempotency keys";
        let mut one = self.one(WHAT).await?;
        let rows = sqlx::query(AssertSqlSafe(format!("{KEYED} AND id > $1 ORDER BY id LIMIT $2")))
            .bind(Uuid::of(&after.unwrap_or(RunId::from_bytes([0; 16]))))
            .bind(i64::from(limit))
            .fetch_all(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        rows.iter().map(keyed_run).collect()
    }
}
