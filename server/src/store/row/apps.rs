//! Rows of apps and tokens.

use fastjob_core::id::AppId;

use super::{Cells, Reader};
use crate::store::backend::{App, Token};
use crate::store::error::StoreError;

/// All columns of `fastjob_token`, as [`token`] reads them.
pub(in crate::store) const TOKEN: &str = "id, app_id, hash, note, created_at, expires_at, revoked_at";

/// A row of `fastjob_app`.
pub(in crate::store) fn app(row: &impl Cells) -> Result<App, StoreError> {
    let row = Reader::new(row, "fastjob_app", "id");
    Ok(App {
        id: AppId(row.whole("id")?),
        name: row.name("name")?,
        shards: row.number("shards")?,
        created_at: row.at("created_at")?,
    })
}

/// A row of [`TOKEN`].
pub(in crate::store) fn token(row: &impl Cells) -> Result<Token, StoreError> {
    let row = Reader::new(row, "fastjob_token", "id");
    let hash = row.bytes("hash")?;
    Ok(Token {
        id: row.id("id")?,
        app: row.maybe_whole("app_id")?.map(AppId),
        hash: hash.try_into().map_err(|_| row.corrupt("hash", "has not 32 bytes"))?,
        note: row.text("note")?.to_owned(),
        created_at: row.at("created_at")?,
        expires_at: row.maybe_at("expires_at")?,
        revoked_at: row.maybe_at("revoked_at")?,
    })
}
