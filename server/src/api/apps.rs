//! Apps: created by the administrator, seen by their tokens.

use std::sync::Arc;

use fastjob_core::domain::{Name, Refusal, RefusalKind};
use fastjob_core::id::TokenId;
use fastjob_core::protocol::field;

use super::auth::{Admin, Authorized, Caller, Secret};
use super::{Api, chance, shards, store_failed};
use crate::cluster::directory::Owner;
use crate::store::{App, NewApp, NewToken};

/// The most shards of an app.
pub const MAX_SHARDS: i64 = 256;

/// An app and who owns its shards.
#[derive(Clone, PartialEq, Debug)]
pub struct AppSeen {
    /// Its row.
    pub app: Arc<App>,
    /// In order of shard.
    pub owners: Vec<Owner>,
}

impl Api {
    /// Creates an app and its first token; `shards` of 0 means 1.
    ///
    /// # Errors
    /// `Conflict` if the name is taken.
    pub async fn app_create(&self, _: Admin, name: Name, shards: u32) -> Result<(App, Secret), Refusal> {
        let shards = if shards == 0 { 1 } else { field::number("shards", shards.into(), 1..=MAX_SHARDS)? };
        let now = self.now();
        let secret = Secret::new();
        let token = NewToken {
            id: TokenId::new(now, &mut chance()),
            app: None,
            hash: secret.hash(),
            note: "first".into(),
            created_at: now,
            expires_at: None,
        };
        let shards = u16::try_from(shards).expect("it is at most 256");
        let new = NewApp { name, shards, token, created_at: now };
        let created = self.0.store.app_create(&new).await.map_err(store_failed)?;
        let app = created.ok_or_else(|| {
            let message = format!("there is an app {:?}", new.name);
            Refusal { field: "name".into(), ..Refusal::new(RefusalKind::Conflict, "app_exists", message) }
                .remedy("choose another name")
        })?;
        self.0.auth.refresh().await.map_err(store_failed)?;
        self.0.shards_changed.notify_one();
        Ok((app, secret))
    }

    /// The apps that the caller may see, in order of name.
    pub fn app_list(&self, by: &Caller) -> Vec<AppSeen> {
        by.apps().into_iter().map(|app| AppSeen { owners: self.owners(&app), app }).collect()
    }

    /// Who owns each shard of the app, in order of shard.
    pub fn locate(&self, by: &Authorized) -> Vec<Owner> {
        self.owners(by.app())
    }

    /// Addresses of the servers that are up, this one first.
    pub fn servers_up(&self, _: &Authorized) -> Vec<String> {
        self.0.directory.servers()
    }

    fn owners(&self, app: &App) -> Vec<Owner> {
        shards(app)
            .map(|shard| self.0.directory.owner(shard).unwrap_or_else(|| Owner::nobody(shard)))
            .collect()
    }
}
