//! The first secrets. No secret has a default: each is drawn at random, and shown once.

use std::path::Path;

use anyhow::Context as _;
use fastjob_core::clock::Millis;
use fastjob_core::domain::Name;
use fastjob_core::id::{Chance, TokenId};

use super::{Mode, Start};
use crate::api::auth::Secret;
use crate::ready::{Ready, write_private};
use crate::store::{NewApp, NewToken, Store};

/// Makes what a first start needs. For `fastjob dev`: its app, and the token it shows.
pub(super) async fn prepare(
    store: &Store,
    start: &Start,
    now: Millis,
) -> anyhow::Result<Option<(Name, Secret)>> {
    match &start.mode {
        Mode::Dev { data, app } => {
            let secret = dev_token(store, data, now).await?;
            dev_app(store, app, now).await?;
            Ok(Some((app.clone(), secret)))
        }
        Mode::Serve => {
            admin_token(store, start.admin_token_file.as_deref(), now).await?;
            Ok(None)
        }
    }
}

/// The token of the last start if it is still valid, so that workers and scripts find the server again; else a new one.
async fn dev_token(store: &Store, data: &Path, now: Millis) -> anyhow::Result<Secret> {
    let known = std::fs::read(data.join("dev.json"))
        .ok()
        .and_then(|text| serde_json::from_slice::<Ready>(&text).ok());
    let valid: Vec<_> =
        store.token_valid(now).await?.into_iter().filter(|token| token.app.is_none()).collect();
    if let Some(secret) = known.and_then(|ready| ready.token).map(Secret::known)
        && valid.iter().any(|token| token.hash == secret.hash())
    {
        return Ok(secret);
    }
    for token in valid {
        store.token_revoke(None, token.id, now).await?;
    }
    let secret = Secret::new();
    store.token_create(&new_token(&secret, "fastjob dev", now)).await?;
    Ok(secret)
}

async fn dev_app(store: &Store, name: &Name, now: Millis) -> anyhow::Result<()> {
    if store.app_list().await?.iter().any(|app| app.name == *name) {
        return Ok(());
    }
    // An app is made with a token; here the administrator's serves it, so that one is revoked unseen.
    let token = new_token(&Secret::new(), "never shown", now);
    let id = token.id;
    if let Some(app) =
        store.app_create(&NewApp { name: name.clone(), shards: 1, token, created_at: now }).await?
    {
        store.token_revoke(Some(app.id), id, now).await?;
    }
    Ok(())
}

/// On an empty database the administrator's token is drawn and written to the file; without a file there is no way to
/// show it, so the start is refused.
async fn admin_token(store: &Store, file: Option<&Path>, now: Millis) -> anyhow::Result<()> {
    if !store.token_list(None).await?.is_empty() {
        return Ok(());
    }
    let file = file.context(
        "the database is new and has no administrator: name a file for its token with --admin-token-file",
    )?;
    let secret = Secret::new();
    let token = new_token(&secret, "administrator", now);
    // The file first: a token that nobody can read would lock everyone out.
    write_private(file, format!("{}\n", secret.reveal()).as_bytes())
        .with_context(|| format!("failed to write {}", file.display()))?;
    store.admin_token_init(&token).await?;
    tracing::info!(file = %file.display(), "the administrator's token was written");
    Ok(())
}

fn new_token(secret: &Secret, note: &str, now: Millis) -> NewToken {
    NewToken {
        id: TokenId::new(now, &mut Chance::from_seed(rand::random())),
        app: None,
        hash: secret.hash(),
        note: note.into(),
        created_at: now,
        expires_at: None,
    }
}
