//! Apps and their tokens.

use fastjob_core::clock::Millis;
use fastjob_core::id::{AppId, TokenId};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use super::PostgresStore;
use super::fault::fault;
use super::ownership::{owners_changed, tokens_changed};
use super::row::{Uuid, without_nul};
use crate::store::backend::{App, Apps, NewApp, NewToken, Token};
use crate::store::error::StoreError;
use crate::store::row::{self, TOKEN};

/// Tokens of an app that may be valid at a time: the old one and the new one of a rotation.
const MAX_VALID: i64 = 2;

impl Apps for PostgresStore {
    async fn app_create(&self, app: &NewApp) -> Result<Option<App>, StoreError> {
        const WHAT: &str = "create an app";
        let mut write = self.write(WHAT).await?;
        let id: Option<i64> = sqlx::query_scalar(
            "INSERT INTO fastjob_app (name, shards, created_at) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO NOTHING RETURNING id",
        )
        .bind(app.name.as_str())
        .bind(i32::from(app.shards))
        .bind(app.created_at.get())
        .fetch_optional(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        let Some(id) = id.map(AppId) else {
            write.done().await?;
            return Ok(None);
        };
        sqlx::query(
            "INSERT INTO fastjob_app_owner (app_id, shard, epoch)
             SELECT $1, shard, 0 FROM generate_series(0, $2 - 1) AS shard",
        )
        .bind(id.0)
        .bind(i32::from(app.shards))
        .execute(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        token_insert(&mut write, &NewToken { app: Some(id), ..app.token.clone() }).await?;
        owners_changed(&mut write).await?;
        write.commit().await?;
        Ok(Some(App { id, name: app.name.clone(), shards: app.shards, created_at: app.created_at }))
    }

    async fn app_list(&self) -> Result<Vec<App>, StoreError> {
        const WHAT: &str = "list the apps";
        let mut one = self.one(WHAT).await?;
        let rows = sqlx::query("SELECT id, name, shards, created_at FROM fastjob_app ORDER BY name")
            .fetch_all(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        rows.iter().map(row::app).collect()
    }

    async fn admin_token_init(&self, token: &NewToken) -> Result<bool, StoreError> {
        const WHAT: &str = "write the administrator's token";
        let mut write = self.write(WHAT).await?;
        one_at_a_time(&mut write).await?;
        let there: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM fastjob_token WHERE app_id IS NULL)")
                .fetch_one(&mut *write)
                .await
                .map_err(|error| fault(WHAT, error))?;
        if there {
            write.done().await?;
            return Ok(false);
        }
        token_insert(&mut write, &NewToken { app: None, ..token.clone() }).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn token_create(&self, token: &NewToken) -> Result<bool, StoreError> {
        const WHAT: &str = "create a token";
        let mut write = self.write(WHAT).await?;
        one_at_a_time(&mut write).await?;
        let valid: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM fastjob_token
             WHERE app_id IS NOT DISTINCT FROM $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
        )
        .bind(token.app.map(|app| app.0))
        .bind(token.created_at.get())
        .fetch_one(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        if valid >= MAX_VALID {
            write.done().await?;
            return Ok(false);
        }
        token_insert(&mut write, token).await?;
        write.commit().await?;
        Ok(true)
    }

    async fn token_list(&self, app: Option<AppId>) -> Result<Vec<Token>, StoreError> {
        const WHAT: &str = "list the tokens";
        let mut one = self.one(WHAT).await?;
        let sql = format!(
            "SELECT {TOKEN} FROM fastjob_token WHERE app_id IS NOT DISTINCT FROM $1 ORDER BY created_at, id"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(app.map(|app| app.0))
            .fetch_all(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        rows.iter().map(row::token).collect()
    }

    async fn token_revoke(
        &self,
        app: Option<AppId>,
        token: TokenId,
        now: Millis,
    ) -> Result<bool, StoreError> {
        const WHAT: &str = "revoke a token";
        let mut write = self.write(WHAT).await?;
        let done = sqlx::query(
            "UPDATE fastjob_token SET revoked_at = $3
             WHERE id = $1 AND app_id IS NOT DISTINCT FROM $2 AND revoked_at IS NULL
               AND (expires_at IS NULL OR expires_at > $3)",
        )
        .bind(Uuid::of(&token))
        .bind(app.map(|app| app.0))
        .bind(now.get())
        .execute(&mut *write)
        .await
        .map_err(|error| fault(WHAT, error))?;
        tokens_changed(&mut write).await?;
        write.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    async fn token_valid(&self, now: Millis) -> Result<Vec<Token>, StoreError> {
        const WHAT: &str = "read the valid tokens";
        let mut one = self.one(WHAT).await?;
        let sql = format!(
            "SELECT {TOKEN} FROM fastjob_token
             WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1) ORDER BY created_at, id"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(now.get())
            .fetch_all(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        rows.iter().map(row::token).collect()
    }
}

/// Whoever counts tokens before writing one waits here for the other to commit: the counter is written by all of them.
async fn one_at_a_time(write: &mut PgConnection) -> Result<(), StoreError> {
    let locked =
        sqlx::query("SELECT seq FROM fastjob_change WHERE kind = 'tokens' FOR UPDATE").execute(write);
    locked.await.map(drop).map_err(|error| fault("wait for another token to be written", error))
}

async fn token_insert(write: &mut PgConnection, token: &NewToken) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO fastjob_token (id, app_id, hash, note, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(Uuid::of(&token.id))
    .bind(token.app.map(|app| app.0))
    .bind(&token.hash[..])
    .bind(without_nul(&token.note))
    .bind(token.created_at.get())
    .bind(token.expires_at.map(Millis::get))
    .execute(&mut *write)
    .await
    .map_err(|error| fault("write a token", error))?;
    tokens_changed(write).await
}
