//! Apps, tokens, workers and servers: what operators ask and administrators change.

use bytes::Bytes;

use super::call::Again;
use super::route::Way;
use super::{Client, Error};
use crate::clock::Millis;
use crate::id::TokenId;
use crate::protocol::v1;

impl Client {
    /// Creates an app with this many shards (0: the default, 1), which never change. Answers its first token, shown once.
    ///
    /// # Errors
    /// [`super::ErrorKind::Conflict`] if it exists; [`super::ErrorKind::NotPermitted`] unless the token is the administrator's.
    pub async fn app_create(&self, name: &str, shards: u32) -> Result<v1::AppCreateReply, Error> {
        let request = v1::AppCreateRequest { name: name.to_owned(), shards };
        self.administer(Again::Unsafe, request, async |mut c, r| c.app_create(r).await).await
    }

    /// The apps that the token may see.
    ///
    /// # Errors
    /// As any call's.
    pub async fn app_list(&self) -> Result<Vec<v1::App>, Error> {
        Ok(self
            .ask(Again::Safe, Way::Owner(None), v1::AppListRequest {}, async |mut c, r| c.app_list(r).await)
            .await?
            .apps)
    }

    /// The workers that the app's owners know.
    ///
    /// # Errors
    /// As any call's.
    pub async fn worker_list(&self) -> Result<Vec<v1::WorkerState>, Error> {
        let request = v1::WorkerListRequest { app: self.app().to_owned() };
        Ok(self
            .ask(Again::Safe, Way::Owner(None), request, async |mut c, r| c.worker_list(r).await)
            .await?
            .workers)
    }

    /// The servers of the cluster.
    ///
    /// # Errors
    /// As any call's.
    pub async fn server_list(&self) -> Result<Vec<v1::ServerState>, Error> {
        Ok(self
            .ask(Again::Safe, Way::Owner(None), v1::ServerListRequest {}, async |mut c, r| {
                c.server_list(r).await
            })
            .await?
            .servers)
    }

    /// Asks a server, named by its id or gRPC address, to hand its shards over and take no others; it stays up.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`]; [`super::ErrorKind::Conflict`] if it is dead or no other server is up;
    /// [`super::ErrorKind::NotPermitted`] unless the token is the administrator's.
    pub async fn server_drain(&self, server: &str) -> Result<(), Error> {
        let request = v1::ServerDrainRequest { server: server.to_owned() };
        self.administer(Again::Safe, request, async |mut c, r| c.server_drain(r).await).await.map(drop)
    }

    /// Asks the owners of the app's shards, or of one of them, to hand them over to the server of this id or gRPC address.
    /// Answers how many are to move; they do within a second or two.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`]; [`super::ErrorKind::Conflict`] if the server is dead or draining;
    /// [`super::ErrorKind::NotPermitted`] unless the token is the administrator's.
    pub async fn app_move(&self, shard: Option<u32>, to: &str) -> Result<u32, Error> {
        let request = v1::AppMoveRequest { app: self.app().to_owned(), shard, to: to.to_owned() };
        Ok(self.administer(Again::Safe, request, async |mut c, r| c.app_move(r).await).await?.shards)
    }

    /// Creates a token of an app. Its secret is shown this once.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotPermitted`] unless the token is the administrator's.
    pub async fn token_create(
        &self,
        app: &str,
        note: &str,
        expires_at: Option<Millis>,
    ) -> Result<v1::TokenCreateReply, Error> {
        let expires_at = expires_at.map(Millis::get);
        let request = v1::TokenCreateRequest { app: app.to_owned(), note: note.to_owned(), expires_at };
        self.administer(Again::Unsafe, request, async |mut c, r| c.token_create(r).await).await
    }

    /// The tokens of an app, without their secrets.
    ///
    /// # Errors
    /// As [`Client::token_create`].
    pub async fn token_list(&self, app: &str) -> Result<Vec<v1::Token>, Error> {
        let request = v1::TokenListRequest { app: app.to_owned() };
        Ok(self.administer(Again::Safe, request, async |mut c, r| c.token_list(r).await).await?.tokens)
    }

    /// Ends a token; streams that began with it end too.
    ///
    /// # Errors
    /// As [`Client::token_create`], and [`super::ErrorKind::NotFound`].
    pub async fn token_revoke(&self, app: &str, id: TokenId) -> Result<(), Error> {
        let id = Bytes::copy_from_slice(id.as_bytes());
        let request = v1::TokenRevokeRequest { app: app.to_owned(), id };
        self.administer(Again::Safe, request, async |mut c, r| c.token_revoke(r).await).await.map(drop)
    }
}
