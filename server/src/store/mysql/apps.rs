//! Apps and their tokens. Whoever writes tokens locks their counter of changes first, so that what is counted stays so.

use fastjob_core::clock::Millis;
use fastjob_core::id::{AppId, ShardKey, TokenId};

use super::MySqlStore;
use super::bulk::{Bulk, List};
use super::fault::{fault, is_duplicate};
use super::link::Link;
use super::ownership::{owners_changed, tokens_changed};
use crate::store::backend::{App, Apps, NewApp, NewToken, Token};
use crate::store::error::StoreError;
use crate::store::row::{self, Reader, TOKEN};
use crate::store::values;

/// Tokens of an app that may be valid at a time: the old one and the new one of a rotation.
const MAX_VALID: i64 = 2;

const SHARDS: Bulk = Bulk {
    what: "shards of a new app",
    head: &["INSERT INTO fastjob_app_owner (epoch, app_id, shard) SELECT 0, v.c1, v.c2 FROM"],
    list: List::Table("nn"),
    tail: "",
};

impl Apps for MySqlStore {
    async fn app_create(&self, app: &NewApp) -> Result<Option<App>, StoreError> {
        const WHAT: &str = "create an app";
        let mut write = self.write(WHAT).await?;
        let insert = sqlx::query("INSERT INTO fastjob_app (name, shards, created_at) VALUES (?, ?, ?)")
            .bind(app.name.as_str())
            .bind(app.shards)
            .bind(app.created_at.get());
        let id = match insert.execute(&mut *write).await {
            Ok(done) => AppId(done.last_insert_id().cast_signed()),
            Err(error) if is_duplicate(&error) => {
                write.rollback().await;
                return Ok(None);
            }
            Err(error) => return Err(write.judge(fault, WHAT, error)),
        };
        let shards: Vec<ShardKey> = (0..app.shards).map(|shard| ShardKey { app: id, shard }).collect();
        SHARDS.write(&mut write, &shards, values::shard).await?;
        tokens_changed(&mut write).await?;
        token_insert(&mut write, &NewToken { app: Some(id), ..app.token.clone() }).await?;
        owners_changed(&mut write).await?;
        write.commit(WHAT).await?;
        Ok(Some(App { id, name: app.name.clone(), shards: app.shards, created_at: app.created_at }))
    }

    async fn app_list(&self) -> Result<Vec<App>, StoreError> {
        let query = sqlx::query("SELECT id, name, shards, created_at FROM fastjob_app ORDER BY name");
        self.all("list the apps", query).await?.iter().map(row::app).collect()
    }

    async fn admin_token_init(&self, token: &NewToken) -> Result<bool, StoreError> {
        const WHAT: &str = "write the administrator's token";
        let mut write = self.write(WHAT).await?;
        tokens_changed(&mut write).await?;
        let query = sqlx::query("SELECT 1 FROM fastjob_token WHERE app_id IS NULL LIMIT 1");
        if write.one(WHAT, query).await?.is_some() {
            write.rollback().await;
            return Ok(false);
        }
        token_insert(&mut write, &NewToken { app: None, ..token.clone() }).await?;
        write.commit(WHAT).await?;
        Ok(true)
    }

    async fn token_create(&self, token: &NewToken) -> Result<bool, StoreError> {
        const WHAT: &str = "create a token";
        let mut write = self.write(WHAT).await?;
        tokens_changed(&mut write).await?;
        let query = sqlx::query(
            "SELECT COUNT(*) AS valid FROM fastjob_token
             WHERE app_id <=> ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)",
        );
        let query = query.bind(token.app.map(|app| app.0)).bind(token.created_at.get());
        let valid = match write.one(WHAT, query).await? {
            Some(row) => Reader::new(&row, "fastjob_token", "valid").whole("valid")?,
            None => 0,
        };
        if valid >= MAX_VALID {
            write.rollback().await;
            return Ok(false);
        }
        token_insert(&mut write, token).await?;
        write.commit(WHAT).await?;
        Ok(true)
    }

    async fn token_list(&self, app: Option<AppId>) -> Result<Vec<Token>, StoreError> {
        let sql = format!("SELECT {TOKEN} FROM fastjob_token WHERE app_id <=> ? ORDER BY created_at, id");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(app.map(|app| app.0));
        self.all("list the tokens", query).await?.iter().map(row::token).collect()
    }

    async fn token_revoke(
        &self,
        app: Option<AppId>,
        token: TokenId,
        now: Millis,
    ) -> Result<bool, StoreError> {
        const WHAT: &str = "revoke a token";
        let mut write = self.write(WHAT).await?;
        tokens_changed(&mut write).await?;
        let query = sqlx::query(
            "UPDATE fastjob_token SET revoked_at = ?
             WHERE id = ? AND app_id <=> ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)",
        )
        .bind(now.get())
        .bind(&token.as_bytes()[..])
        .bind(app.map(|app| app.0))
        .bind(now.get());
        let revoked = write.execute(WHAT, query).await?;
        write.commit(WHAT).await?;
        Ok(revoked == 1)
    }

    async fn token_valid(&self, now: Millis) -> Result<Vec<Token>, StoreError> {
        let sql = format!(
            "SELECT {TOKEN} FROM fastjob_token
             WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?) ORDER BY created_at, id"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now.get());
        self.all("read the valid tokens", query).await?.iter().map(row::token).collect()
    }
}

async fn token_insert(write: &mut Link, token: &NewToken) -> Result<(), StoreError> {
    let query = sqlx::query(
        "INSERT INTO fastjob_token (id, app_id, hash, note, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(&token.id.as_bytes()[..])
    .bind(token.app.map(|app| app.0))
    .bind(&token.hash[..])
    .bind(&*token.note)
    .bind(token.created_at.get())
    .bind(token.expires_at.map(Millis::get));
    write.execute("write a token", query).await.map(drop)
}
