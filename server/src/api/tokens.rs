//! Tokens: created, seen and revoked by the administrator. An app has at most two that are valid, for rotation.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Refusal, RefusalKind};
use fastjob_core::id::TokenId;
use fastjob_core::protocol::field;

use super::auth::{Admin, Authorized, Secret};
use super::{Api, chance, not_found, store_failed};
use crate::store::{NewToken, Token};

/// The longest note, in characters.
pub const MAX_NOTE_CHARS: usize = 128;

/// Whose tokens.
#[derive(Clone, Copy, Debug)]
pub enum TokensOf<'a> {
    /// An app's.
    App(&'a Authorized),
    /// The administrator's own.
    Administrator,
}

impl Api {
    /// Creates a token.
    ///
    /// # Errors
    /// `Conflict` if there are two that are valid.
    pub async fn token_create(
        &self,
        _: Admin,
        of: TokensOf<'_>,
        note: &str,
        expires_at: Option<Millis>,
    ) -> Result<(Token, Secret), Refusal> {
        let now = self.now();
        field::text("note", note, MAX_NOTE_CHARS)?;
        if expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(
                Refusal::invalid("out_of_bounds", "expires_at", "is past").remedy("give an instant to come")
            );
        }
        let secret = Secret::new();
        let new = NewToken {
            id: TokenId::new(now, &mut chance()),
            app: of.app(),
            hash: secret.hash(),
            note: note.into(),
            created_at: now,
            expires_at,
        };
        if !self.0.store.token_create(&new).await.map_err(store_failed)? {
            return Err(Refusal::new(RefusalKind::Conflict, "too_many_tokens", "there are two valid tokens")
                .remedy("revoke one of them first"));
        }
        self.0.auth.refresh().await.map_err(store_failed)?;
        let NewToken { id, app, hash, note, created_at, expires_at } = new;
        Ok((Token { id, app, hash, note, created_at, expires_at, revoked_at: None }, secret))
    }

    /// The tokens, oldest first; without their secrets.
    pub async fn token_list(&self, _: Admin, of: TokensOf<'_>) -> Result<Vec<Token>, Refusal> {
        self.0.store.token_list(of.app()).await.map_err(store_failed)
    }

    /// Revokes a token: calls with it are refused from now on, and its streams end.
    ///
    /// # Errors
    /// `NotFound` if there is no such valid token; `Conflict` for the administrator's last one.
    pub async fn token_revoke(&self, _: Admin, of: TokensOf<'_>, id: TokenId) -> Result<(), Refusal> {
        let now = self.now();
        if let TokensOf::Administrator = of {
            let tokens = self.0.store.token_list(None).await.map_err(store_failed)?;
            let valid = |token: &&Token| {
                token.id != id && token.revoked_at.is_none() && token.expires_at.is_none_or(|at| now < at)
            };
            if !tokens.iter().any(|token| valid(&token)) {
                let message = "the administrator would have no token";
                return Err(Refusal::new(RefusalKind::Conflict, "last_admin_token", message)
                    .remedy("create another one first"));
            }
        }
        if !self.0.store.token_revoke(of.app(), id, now).await.map_err(store_failed)? {
            return Err(not_found("token_not_found", format!("there is no valid token {id}"))
                .remedy("see the list of tokens"));
        }
        self.0.auth.refresh().await.map_err(store_failed)
    }
}

impl TokensOf<'_> {
    fn app(self) -> Option<fastjob_core::id::AppId> {
        match self {
            Self::App(by) => Some(by.app().id),
            Self::Administrator => None,
        }
    }
}
