//! Who calls, and what they may do. A permission is a value that only this module makes; every method of the API takes
//! the one it needs, so that none can be called without.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fastjob_core::clock::{Clock, Millis};
use fastjob_core::domain::{Name, Refusal, RefusalKind};
use fastjob_core::id::{AppId, TokenId};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;

use crate::store::{App, Store, StoreError, Token};

/// What every secret begins with, so that scanners of leaked secrets find them.
const PREFIX: &str = "fjt_";
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;
/// The tokens are read for one that is not known at most this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A longer header is no token of ours.
const MAX_BEARER_BYTES: usize = 256;

/// The apps and valid tokens, as last read from the store.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    table: ArcSwap<Table>,
    /// Held while reading, so that an older reading never replaces a newer one.
    refreshing: Mutex<()>,
    /// When the tokens were last read for one that is not known; held while reading, so that all who ask see the result.
    looked_again: Mutex<Option<Duration>>,
}

#[derive(Default)]
struct Table {
    /// By the first bytes of the hash: the rest is compared in constant time.
    tokens: HashMap<[u8; 8], Vec<Token>>,
    apps: HashMap<AppId, Arc<App>>,
    names: HashMap<Name, AppId>,
}

/// A valid token: its bearer may ask what concerns no app.
#[derive(Clone)]
pub struct Caller {
    auth: Auth,
    token: TokenId,
    hash: [u8; 32],
    app: Option<AppId>,
}

/// May do all within one app.
#[derive(Clone, Debug)]
pub struct Authorized {
    app: Arc<App>,
}

/// May do all.
#[derive(Clone, Copy, Debug)]
pub struct Admin {
    _made_here: (),
}

impl Auth {
    /// A table that is empty until the first [`Auth::refresh`].
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        let table = ArcSwap::default();
        Self(Arc::new(Inner {
            store,
            clock,
            table,
            refreshing: Mutex::new(()),
            looked_again: Mutex::new(None),
        }))
    }

    /// Reads the apps and valid tokens again: after each change through this server. On an error the table stays as it is.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let _order = self.0.refreshing.lock().await;
        let tokens = self.0.store.token_valid(self.0.clock.now()).await?;
        let apps = self.0.store.app_list().await?;
        let mut table = Table::default();
        for token in tokens {
            table.tokens.entry(bucket(&token.hash)).or_default().push(token);
        }
        for app in apps {
            table.names.insert(app.name.clone(), app.id);
            table.apps.insert(app.id, Arc::new(app));
        }
        self.0.table.store(Arc::new(table));
        Ok(())
    }

    /// Who bears this `authorization` header.
    ///
    /// # Errors
    /// `Unauthenticated`, the same for a token that is unknown, revoked or expired.
    pub async fn caller(&self, authorization: Option<&[u8]>) -> Result<Caller, Refusal> {
        let header = authorization.ok_or_else(|| {
            unauthenticated("token_missing", "the call carries no token")
                .remedy("send the metadata `authorization: Bearer <token>`")
        })?;
        let secret = bearer(header).ok_or_else(invalid_token)?;
        let hash: [u8; 32] = Sha256::digest(secret).into();
        if self.find(&hash).is_none() {
            self.look_again().await;
        }
        let token = self.find(&hash).ok_or_else(invalid_token)?;
        Ok(Caller { auth: self.clone(), token: token.id, hash, app: token.app })
    }

    /// Another server may have made the token a moment ago. Whoever tries tokens cannot make this server read more often.
    async fn look_again(&self) {
        let mut looked = self.0.looked_again.lock().await;
        let now = self.0.clock.elapsed();
        if looked.is_some_and(|at| now.saturating_sub(at) < LOOK_AGAIN) {
            return;
        }
        *looked = Some(now);
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "failed to read the tokens for one that is not known");
        }
    }

    fn find(&self, hash: &[u8; 32]) -> Option<Token> {
        let now = self.0.clock.now();
        let table = self.0.table.load();
        let candidates = table.tokens.get(&bucket(hash))?;
        candidates.iter().find(|token| bool::from(token.hash.ct_eq(hash)) && is_valid(token, now)).cloned()
    }

    fn app(&self, name: &str) -> Option<Arc<App>> {
        let table = self.0.table.load();
        table.apps.get(table.names.get(name)?).cloned()
    }

    fn app_with_id(&self, id: AppId) -> Option<Arc<App>> {
        self.0.table.load().apps.get(&id).cloned()
    }
}

impl Caller {
    /// The permission for an app.
    ///
    /// # Errors
    /// `NotPermitted` for the token of another app, whether the app exists or not; `NotFound` for the administrator.
    pub async fn of_app(&self, app: &str) -> Result<Authorized, Refusal> {
        match self.app {
            Some(own) => match self.auth.app_with_id(own) {
                Some(own) if own.name.as_str() == app => Ok(Authorized { app: own }),
                _ => Err(Refusal {
                    field: "app".into(),
                    ..Refusal::new(
                        RefusalKind::NotPermitted,
                        "app_not_permitted",
                        "the token is not one of this app",
                    )
                }
                .remedy("use a token of the app that the call names")),
            },
            None => self.existing(app).await.map(|app| Authorized { app }),
        }
    }

    /// The permission for everything.
    ///
    /// # Errors
    /// `NotPermitted` for the token of an app.
    pub fn admin(&self) -> Result<Admin, Refusal> {
        if self.app.is_none() {
            return Ok(Admin { _made_here: () });
        }
        Err(Refusal::new(RefusalKind::NotPermitted, "admin_only", "only the administrator may do this")
            .remedy("use the administrator's token"))
    }

    /// The apps the caller may see.
    pub(super) fn apps(&self) -> Vec<Arc<App>> {
        let table = self.auth.0.table.load();
        let mut apps: Vec<_> =
            table.apps.values().filter(|app| self.app.is_none_or(|own| own == app.id)).cloned().collect();
        apps.sort_by(|a, b| a.name.cmp(&b.name));
        apps
    }

    /// Names the token.
    pub fn token(&self) -> TokenId {
        self.token
    }

    /// The token is still valid.
    pub fn is_valid(&self) -> bool {
        self.auth.find(&self.hash).is_some_and(|token| token.id == self.token)
    }

    async fn existing(&self, name: &str) -> Result<Arc<App>, Refusal> {
        if let Some(app) = self.auth.app(name) {
            return Ok(app);
        }
        // Another server may have created it a moment ago.
        self.auth.refresh().await.map_err(super::store_failed)?;
        self.auth.app(name).ok_or_else(|| {
            Refusal {
                field: "app".into(),
                ..Refusal::new(RefusalKind::NotFound, "app_not_found", "there is no such app")
            }
            .remedy("create it, or see the list of apps")
        })
    }
}

impl Authorized {
    /// The app.
    pub fn app(&self) -> &App {
        &self.app
    }
}

/// A new secret. It is shown once; the store keeps its hash.
pub struct Secret(String);

impl Secret {
    /// Drawn from the operating system's randomness.
    pub fn new() -> Self {
        let random: [u8; SECRET_BYTES] = rand::random();
        Self(random.iter().fold(PREFIX.to_owned(), |mut secret, byte| {
            write!(secret, "{byte:02x}").expect("a string takes all that is written");
            secret
        }))
    }

    /// A secret that was shown before.
    pub fn known(secret: String) -> Self {
        Self(secret)
    }

    /// SHA-256 of the secret, as the store keeps it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    /// The secret itself, for the one who asked for it.
    pub fn reveal(self) -> String {
        self.0
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::new()
    }
}

fn bearer(header: &[u8]) -> Option<&str> {
    if header.len() > MAX_BEARER_BYTES {
        return None;
    }
    let (scheme, secret) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && secret.starts_with(PREFIX)).then_some(secret)
}

fn bucket(hash: &[u8; 32]) -> [u8; 8] {
    hash[..8].try_into().expect("8 of 32 bytes")
}

fn is_valid(token: &Token, now: Millis) -> bool {
    token.revoked_at.is_none() && token.expires_at.is_none_or(|expires_at| now < expires_at)
}

fn unauthenticated(code: &'static str, message: &'static str) -> Refusal {
    Refusal::new(RefusalKind::Unauthenticated, code, message)
}

fn invalid_token() -> Refusal {
    unauthenticated("token_invalid", "the token is unknown, revoked or expired")
        .remedy("use a valid token; the administrator can create one")
}
