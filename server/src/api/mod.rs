//! What clients may do, once, for every door: authorise, find the owner, call it, or read from the store. It neither
//! knows how a call came nor decides what becomes of jobs and runs: that is the owner's.

mod apply;
pub mod apps;
pub mod auth;
pub mod backfill;
pub mod jobs;
mod owners;
mod owners_read;
mod report;
mod room;
pub mod runs;
pub mod servers;
pub mod tokens;
mod triggers;
pub mod workers;

use std::sync::Arc;

use fastjob_core::clock::{Clock, Millis};
use fastjob_core::domain::{Refusal, RefusalKind};
use fastjob_core::id::{Chance, ServerId, ShardKey};
use fastjob_core::protocol::v1;
use tokio::sync::Notify;

use crate::cluster::directory::Directory;
use crate::cluster::peers::Peers;
use crate::owner::door::Doors;
use crate::owner::waiters::Waiters;
use crate::store::{App, ErrorKind, Store, StoreError};
use crate::trust::Trust;

pub use room::Room;

use auth::Auth;
use owners_read::OwnersRead;

/// The most items of a page.
pub const MAX_PAGE: u32 = 500;

/// A page is cut, after its first item, before its payloads exceed this: it must fit into a message.
pub const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;

/// All that clients may do. Clones are the same.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

/// What the API is made of.
pub struct Parts {
    /// Answers what needs no owner.
    pub store: Store,
    /// Of the shards owned here.
    pub doors: Doors,
    /// Of the shards owned elsewhere.
    pub directory: Directory,
    /// Whether this server may act.
    pub trust: Trust,
    /// Who waits for a run's end.
    pub waiters: Waiters,
    /// Who may do what.
    pub auth: Auth,
    /// The database's time.
    pub clock: Arc<dyn Clock>,
    /// This server.
    pub server: ServerId,
    /// Woken when there may be a new shard to claim.
    pub shards_changed: Arc<Notify>,
    /// The way to the other servers.
    pub peers: Peers,
    /// Woken when there is something in the inbox.
    pub inbox: Arc<Notify>,
}

struct Inner {
    parts: Parts,
    owners_read: OwnersRead,
}

impl std::ops::Deref for Inner {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Api {
    /// The API of these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner { parts, owners_read: OwnersRead::default() }))
    }

    /// Who may do what.
    pub fn auth(&self) -> &Auth {
        &self.0.auth
    }

    /// The database's time.
    pub fn now(&self) -> Millis {
        self.0.clock.now()
    }

    /// The clock of this server.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// This server.
    pub fn server(&self) -> ServerId {
        self.0.server
    }

    /// The shards owned here.
    pub fn doors(&self) -> &Doors {
        &self.0.doors
    }

    /// The way to the other servers.
    pub fn peers(&self) -> &Peers {
        &self.0.peers
    }

    /// Another server says that there is something to look at.
    pub fn nudged(&self, kind: v1::NudgeKind) {
        match kind {
            v1::NudgeKind::Inbox => self.0.inbox.notify_one(),
            v1::NudgeKind::Owners => self.0.shards_changed.notify_one(),
            v1::NudgeKind::Unspecified => {}
        }
    }

    /// Where the other shards are.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// Whether this server holds its lease: without it, others may act for its shards, and what it knows of the cluster may
    /// be long past.
    pub fn trusts_itself(&self) -> bool {
        self.0.trust.holds()
    }

    /// # Errors
    /// `Unavailable` if this server's lease has lapsed.
    pub fn must_trust_itself(&self) -> Result<(), Refusal> {
        if self.trusts_itself() {
            return Ok(());
        }
        Err(unavailable(
            "lease_lapsed",
            "the server could not renew its lease: it does not reach the database",
        )
        .remedy("ask another server, or repeat the call in a moment"))
    }

    /// Where the shard's owner listens, unless that is here: then it is just coming or going.
    pub fn elsewhere(&self, shard: ShardKey) -> Option<String> {
        let address = self.0.directory.owner(shard)?.address?;
        (self.0.directory.servers().first() != Some(&address)).then_some(address)
    }
}

fn shards(app: &App) -> impl Iterator<Item = ShardKey> + use<> {
    let id = app.id;
    (0..app.shards).map(move |shard| ShardKey { app: id, shard })
}

/// The head of a page that fits into a message, and at least its first item.
fn fitting<T>(mut page: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<T> {
    let mut sum = 0;
    let fits = page.iter().take_while(|item| {
        sum += bytes(item);
        sum <= MAX_PAGE_BYTES
    });
    let fitting = fits.count().max(1);
    page.truncate(fitting);
    page
}

/// Ids of what this server makes; unique, not secret.
fn chance() -> Chance {
    Chance::from_seed(rand::random())
}

fn unavailable(code: &'static str, message: &'static str) -> Refusal {
    Refusal::new(RefusalKind::Unavailable, code, message)
}

fn not_found(code: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(RefusalKind::NotFound, code, message)
}

fn store_failed(error: StoreError) -> Refusal {
    tracing::error!(error = &error as &dyn std::error::Error, "failed to answer from the store");
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Unknown | ErrorKind::Busy | ErrorKind::ReadOnly => {
            unavailable("store_failed", "the database did not answer").remedy("repeat the call in a moment")
        }
        ErrorKind::Data | ErrorKind::Corrupt | ErrorKind::Newer | ErrorKind::Defect => {
            Refusal::new(RefusalKind::Internal, "store_defect", "the database holds what it should not")
                .remedy("see the server's log")
        }
    }
}

/// An owner's reply of a kind that its call cannot have.
fn wrong_reply(reply: &impl std::fmt::Debug) -> Refusal {
    tracing::error!(?reply, "the owner's reply does not fit the call");
    Refusal::new(RefusalKind::Internal, "wrong_reply", "the owner's reply does not fit the call")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_to_what_fits_but_never_to_nothing() {
        let half = MAX_PAGE_BYTES / 2;
        assert_eq!(fitting(vec![half, half, 1, 1], |bytes| *bytes), [half, half]);
        assert_eq!(fitting(vec![MAX_PAGE_BYTES * 9, 1], |bytes| *bytes), [MAX_PAGE_BYTES * 9]);
        assert_eq!(fitting(vec![1, 2], |bytes| *bytes), [1, 2]);
        assert!(fitting(Vec::new(), |bytes: &usize| *bytes).is_empty());
    }
}
