//! The first secrets. No secret has a default: each is drawn at random, and shown once.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use fastjob_core::clock::Millis;
use fastjob_core::domain::Name;
use fastjob_core::id::{Chance, TokenId};

use super::{Mode, Start};
use crate::api::auth::Secret;
use crate::ready::{Draft, Ready};
use crate::store::{ErrorKind, NewApp, NewToken, Store, Token};

/// How long a server without a file for the administrator's token waits until another one has written it.
const FIRST_TOKEN: Duration = Duration::from_secs(30);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);

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

/// On an empty database the administrator's token is drawn and written to the file. Of several servers that start
/// together one does so; without a file there is no way to show a token, so a server waits for another one's.
async fn admin_token(store: &Store, file: Option<&Path>, now: Millis) -> anyhow::Result<()> {
    let known = store.token_list(None).await?;
    match file {
        Some(file) if known.is_empty() => write_admin_token(store, file, now).await,
        Some(file) => publish_left(file, &known),
        None if known.is_empty() => wait_for_admin_token(store).await,
        None => Ok(()),
    }
}

async fn write_admin_token(store: &Store, file: &Path, now: Millis) -> anyhow::Result<()> {
    let secret = Secret::new();
    let token = new_token(&secret, "administrator", now);
    let failed = || format!("failed to write {}", file.display());
    // The draft first, and it stays if the answer is unknown: a token that nobody can read would lock everyone out.
    let draft = Draft::write(file, format!("{}\n", secret.reveal()).as_bytes()).with_context(failed)?;
    let written = match store.admin_token_init(&token).await {
        Err(error) if error.kind() != ErrorKind::Unknown => {
            draft.discard();
            return Err(error.into());
        }
        answer => answer?,
    };
    if !written {
        draft.discard();
        tracing::info!("another server has written the administrator's token: see its --admin-token-file");
        return Ok(());
    }
    draft.publish().with_context(failed)?;
    tracing::info!(file = %file.display(), "the administrator's token was written");
    Ok(())
}

/// A server that died between the token's commit and its file's rename left a draft that holds it.
fn publish_left(file: &Path, known: &[Token]) -> anyhow::Result<()> {
    if file.exists() {
        return Ok(());
    }
    for (draft, content) in Draft::left(file) {
        let hash = Secret::known(content.trim().to_owned()).hash();
        if known.iter().any(|token| token.revoked_at.is_none() && token.hash == hash) {
            draft.publish().with_context(|| format!("failed to write {}", file.display()))?;
            tracing::info!(file = %file.display(), "the administrator's token of an earlier start was written");
            return Ok(());
        }
    }
    Ok(())
}

async fn wait_for_admin_token(store: &Store) -> anyhow::Result<()> {
    const REMEDY: &str =
        "the database is new and has no administrator: name a file for its token with --admin-token-file";
    anyhow::ensure!(!store.is_exclusive(), REMEDY);
    tracing::info!("waiting for another server to write the administrator's token");
    let written = async {
        loop {
            tokio::time::sleep(LOOK).await;
            if !store.token_list(None).await?.is_empty() {
                return anyhow::Ok(());
            }
        }
    };
    let waited = tokio::time::timeout(FIRST_TOKEN, written).await;
    waited.with_context(|| {
        format!(
            "no other server has written the administrator's token in {} s; {REMEDY}",
            FIRST_TOKEN.as_secs()
        )
    })?
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

#[cfg(test)]
mod tests {
    use std::fs;

    use futures_util::future::join_all;

    use super::*;
    use crate::store::StoreOptions;

    const NOW: Millis = Millis::new(1_800_000_000_000);

    async fn store(place: &Path) -> Store {
        let url = format!("sqlite:{}", place.join("fastjob.db").display());
        Store::open(&url, StoreOptions::default()).await.unwrap()
    }

    fn names(place: &Path) -> Vec<String> {
        let entries = fs::read_dir(place).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut tokens: Vec<String> = names.filter(|name| name.contains("token")).collect();
        tokens.sort();
        tokens
    }

    async fn is_valid(store: &Store, file: &Path) -> bool {
        let secret = Secret::known(fs::read_to_string(file).unwrap().trim().to_owned());
        store.token_valid(NOW).await.unwrap().iter().any(|token| token.hash == secret.hash())
    }

    #[tokio::test]
    async fn of_servers_that_start_together_one_writes_the_token_and_no_other_leaves_a_file() {
        let place = tempfile::tempdir().unwrap();
        let store = store(place.path()).await;
        let files: Vec<_> = (0..8).map(|n| place.path().join(format!("token-{n}"))).collect();
        // As after a look that found no token: from there on the race is open.
        let started = join_all(files.iter().map(|file| write_admin_token(&store, file, NOW))).await;
        assert!(started.iter().all(Result::is_ok), "{started:?}");
        let left = names(place.path());
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(is_valid(&store, &place.path().join(&left[0])).await);
        for file in &files {
            admin_token(&store, Some(file), NOW).await.unwrap();
        }
        assert_eq!(names(place.path()), left, "a later start writes nothing");
    }

    #[tokio::test]
    async fn a_token_whose_server_died_before_its_file_was_in_place_is_found_by_the_next_start() {
        let place = tempfile::tempdir().unwrap();
        let store = store(place.path()).await;
        let file = place.path().join("token");
        let secret = Secret::new();
        store.admin_token_init(&new_token(&secret, "administrator", NOW)).await.unwrap();
        fs::write(place.path().join("token.4711.new"), secret.reveal()).unwrap();
        fs::write(place.path().join("token.4712.new"), Secret::new().reveal()).unwrap();
        admin_token(&store, Some(&file), NOW).await.unwrap();
        assert_eq!(names(place.path()), ["token", "token.4712.new"]);
        assert!(is_valid(&store, &file).await);
    }

    #[tokio::test]
    async fn without_a_file_a_server_that_is_alone_by_nature_is_refused_at_once() {
        let place = tempfile::tempdir().unwrap();
        let store = store(place.path()).await;
        let error = admin_token(&store, None, NOW).await.unwrap_err();
        assert!(error.to_string().contains("--admin-token-file"), "{error}");
    }

    #[tokio::test]
    async fn a_token_is_not_made_if_its_file_cannot_be() {
        let place = tempfile::tempdir().unwrap();
        let store = store(place.path()).await;
        let error = admin_token(&store, Some(&place.path().join("none/token")), NOW).await.unwrap_err();
        assert!(error.to_string().contains("none/token"), "{error}");
        assert!(store.token_list(None).await.unwrap().is_empty());
    }
}
