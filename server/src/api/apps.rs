//! Apps: created by the administrator, seen by their tokens.

use std::sync::Arc;

use fastjob_core::domain::{Name, Refusal, RefusalKind};
use fastjob_core::id::TokenId;
use fastjob_core::protocol::field;
use fastjob_core::shard::Load;

use super::auth::{Admin, Authorized, Caller, Secret};
use super::{Api, chance, shards, store_failed};
use crate::cluster::directory::Owner;
use crate::store::{App, Desired, NewApp, NewToken, ServerPhase};

/// The most shards of an app.
pub const MAX_SHARDS: i64 = 256;

/// An owner that was asked to hand a shard over does so in this time, or not at all.
const MOVE_WITHIN_MS: i64 = 30_000;

/// An app and who owns its shards.
#[derive(Clone, PartialEq, Debug)]
pub struct AppSeen {
    /// Its row.
    pub app: Arc<App>,
    /// In order of shard.
    pub owners: Vec<Owner>,
    /// What each of these holds in memory; `None` unless it is this server.
    pub loads: Vec<Option<Load>>,
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
        by.apps().into_iter().map(|app| self.seen(app)).collect()
    }

    /// The app of the caller.
    pub fn app_get(&self, by: &Authorized) -> AppSeen {
        self.seen(Arc::new(by.app().clone()))
    }

    /// Asks the owners of the app's shards, or of one of them, to hand them over to a server that is up. Answers how many
    /// are not there yet.
    ///
    /// # Errors
    /// `NotFound` for an unknown server, `Conflict` for one that takes no shards, `Invalid` for an unknown shard.
    pub async fn app_move(
        &self,
        _: Admin,
        by: &Authorized,
        shard: Option<u32>,
        to: &str,
    ) -> Result<u32, Refusal> {
        let last = i64::from(by.app().shards) - 1;
        let shard = shard.map(|shard| field::number("shard", shard.into(), 0..=last)).transpose()?;
        let to = self.server_named(to).await.map_err(|inner| inner.within("to"))?;
        if to.phase != ServerPhase::Up {
            let message = format!("the server is {}: it takes no shards", to.phase.as_str());
            let conflict = Refusal::new(RefusalKind::Conflict, "server_not_up", message);
            return Err(Refusal { field: "to".into(), ..conflict }
                .remedy("name a server that `server list` shows as up"));
        }
        let owners = self.0.store.owner_list().await.map_err(store_failed)?;
        let elsewhere: Vec<_> = owners
            .into_iter()
            .filter(|owned| owned.shard.app == by.app().id && owned.server != Some(to.id))
            .map(|owned| owned.shard)
            .filter(|key| shard.is_none_or(|shard| i64::from(key.shard) == shard))
            .collect();
        if !elsewhere.is_empty() {
            let desired = Desired { server: to.id, until: self.now().plus(MOVE_WITHIN_MS) };
            self.0.store.shards_desire(&elsewhere, desired).await.map_err(store_failed)?;
            self.0.shards_changed.notify_one();
        }
        Ok(u32::try_from(elsewhere.len()).expect("an app has at most 256 shards"))
    }

    /// Who owns each shard of the app, in order of shard.
    pub fn locate(&self, by: &Authorized) -> Vec<Owner> {
        self.owners(by.app())
    }

    /// Addresses of the servers that are up, this one first.
    pub fn servers_up(&self, _: &Authorized) -> Vec<String> {
        self.0.directory.servers()
    }

    fn seen(&self, app: Arc<App>) -> AppSeen {
        let owners = self.owners(&app);
        let loads = owners.iter().map(|owner| self.0.doors.get(owner.shard)?.load()).collect();
        AppSeen { app, owners, loads }
    }

    fn owners(&self, app: &App) -> Vec<Owner> {
        shards(app)
            .map(|shard| self.0.directory.owner(shard).unwrap_or_else(|| Owner::nobody(shard)))
            .collect()
    }
}
