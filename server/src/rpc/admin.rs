//! What the administrator calls.

use fastjob_core::clock::Millis;
use fastjob_core::protocol::v1::admin_server::Admin;
use fastjob_core::protocol::{field, v1};
use tonic::{Request, Response, Status};

use super::{answer, client, of_admin, refused};
use crate::api::Api;
use crate::api::auth::{Authorized, Caller};
use crate::api::tokens::TokensOf;
use crate::store::Token;

type Answer<T> = Result<Response<T>, Status>;

/// The service `Admin`.
pub(super) struct AdminDoor {
    api: Api,
}

impl AdminDoor {
    pub(super) fn new(api: Api) -> Self {
        Self { api }
    }
}

#[tonic::async_trait]
impl Admin for AdminDoor {
    async fn app_create(&self, request: Request<v1::AppCreateRequest>) -> Answer<v1::AppCreateReply> {
        let (caller, admin, message) = of_admin(&self.api, request).await?;
        let name = field::name("name", &message.name).map_err(refused)?;
        let (app, secret) = self.api.app_create(admin, name, message.shards).await.map_err(refused)?;
        let by = caller.of_app(app.name.as_str()).await.map_err(refused)?;
        let app = client::app(self.api.app_get(&by));
        answer(v1::AppCreateReply { app: Some(app), token: secret.reveal() })
    }

    async fn token_create(&self, request: Request<v1::TokenCreateRequest>) -> Answer<v1::TokenCreateReply> {
        let (caller, admin, message) = of_admin(&self.api, request).await?;
        let app = named(&caller, &message.app).await?;
        let expires_at = message.expires_at.map(|at| field::instant("expires_at", at)).transpose();
        let expires_at = expires_at.map_err(refused)?;
        let made = self.api.token_create(admin, of(app.as_ref()), &message.note, expires_at).await;
        let (token, secret) = made.map_err(refused)?;
        answer(v1::TokenCreateReply { token: Some(shown(token, &message.app)), secret: secret.reveal() })
    }

    async fn token_list(&self, request: Request<v1::TokenListRequest>) -> Answer<v1::TokenListReply> {
        let (caller, admin, message) = of_admin(&self.api, request).await?;
        let app = named(&caller, &message.app).await?;
        let tokens = self.api.token_list(admin, of(app.as_ref())).await.map_err(refused)?;
        let tokens = tokens.into_iter().map(|token| shown(token, &message.app)).collect();
        answer(v1::TokenListReply { tokens })
    }

    async fn token_revoke(&self, request: Request<v1::TokenRevokeRequest>) -> Answer<v1::TokenRevokeReply> {
        let (caller, admin, message) = of_admin(&self.api, request).await?;
        let app = named(&caller, &message.app).await?;
        let id = field::id("id", &message.id).map_err(refused)?;
        self.api.token_revoke(admin, of(app.as_ref()), id).await.map_err(refused)?;
        answer(v1::TokenRevokeReply {})
    }

    async fn server_drain(&self, request: Request<v1::ServerDrainRequest>) -> Answer<v1::ServerDrainReply> {
        let (_, admin, message) = of_admin(&self.api, request).await?;
        self.api.server_drain(admin, &message.server).await.map_err(refused)?;
        answer(v1::ServerDrainReply {})
    }

    async fn app_move(&self, request: Request<v1::AppMoveRequest>) -> Answer<v1::AppMoveReply> {
        let (caller, admin, message) = of_admin(&self.api, request).await?;
        let by = caller.of_app(&message.app).await.map_err(refused)?;
        let shards = self.api.app_move(admin, &by, message.shard, &message.to).await.map_err(refused)?;
        answer(v1::AppMoveReply { shards })
    }
}

/// The app of that name; none is named for the administrator's own tokens.
async fn named(caller: &Caller, app: &str) -> Result<Option<Authorized>, Status> {
    if app.is_empty() {
        return Ok(None);
    }
    caller.of_app(app).await.map(Some).map_err(refused)
}

fn of(app: Option<&Authorized>) -> TokensOf<'_> {
    app.map_or(TokensOf::Administrator, TokensOf::App)
}

fn shown(token: Token, app: &str) -> v1::Token {
    v1::Token {
        id: token.id.as_bytes().to_vec().into(),
        app: app.into(),
        note: token.note,
        created_at: token.created_at.get(),
        expires_at: token.expires_at.map(Millis::get),
        revoked_at: token.revoked_at.map(Millis::get),
    }
}
