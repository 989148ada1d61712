//! A server without doors to the outside: renewals and steps are the test's to call.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fastjob_core::clock::{Clock, ManualClock, Millis};
use fastjob_core::cluster::LeaseTerms;
use fastjob_core::domain::Name;
use fastjob_core::id::{AppId, Id, ServerId, ShardKey};
use fastjob_server::cluster::directory::Directory;
use fastjob_server::cluster::lease::{DeclaredDead, Pulse, Renewing};
use fastjob_server::cluster::{Cluster, OwnerTerms, Parts};
use fastjob_server::owner::Shared;
use fastjob_server::owner::committer::Committer;
use fastjob_server::owner::door::Doors;
use fastjob_server::owner::waiters::Waiters;
use fastjob_server::store::{NewApp, NewServer, NewToken, Owned, Store, StoreOptions};
use fastjob_server::trust::Trust;
use fastjob_server::trust::time::DatabaseTime;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

pub(crate) const LEASE_MS: i64 = 4_000;
const START: Millis = Millis::new(1_800_000_000_000);
/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The database, its clock, and the servers' common knowledge.
pub(crate) struct Place {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    _dir: tempfile::TempDir,
}

pub(crate) struct Node {
    pub(crate) id: ServerId,
    pub(crate) trust: Trust,
    pub(crate) cluster: Cluster,
    pub(crate) doors: Doors,
    pub(crate) directory: Directory,
    pub(crate) nudged: mpsc::Receiver<String>,
    renewing: Renewing,
    store: Store,
    _committing: JoinSet<()>,
}

impl Place {
    /// A database with one app of so many shards.
    pub(crate) async fn with_shards(shards: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let options = StoreOptions { clock: clock.clone(), ..StoreOptions::default() };
        let url = format!("sqlite:{}", dir.path().join("fastjob.db").display());
        let store = Store::open(&url, options).await.unwrap();
        let place = Self { store, clock, _dir: dir };
        place.app("demo", shards).await;
        place
    }

    pub(crate) async fn app(&self, name: &str, shards: u16) -> AppId {
        let token = NewToken {
            id: Id::from_bytes(rand::random()),
            app: None,
            hash: rand::random(),
            note: "first".into(),
            created_at: START,
            expires_at: None,
        };
        let app = NewApp { name: Name::parse(name).unwrap(), shards, token, created_at: START };
        self.store.app_create(&app).await.unwrap().unwrap().id
    }

    /// A server that has joined and renewed once; it has not looked around.
    pub(crate) async fn join(&self, number: u8) -> Node {
        let id = ServerId::from_bytes([number; 16]);
        let address = format!("server-{number}:7180");
        let joining = NewServer {
            id,
            rpc_address: address,
            http_address: "none".into(),
            version: "0".into(),
            at: self.clock.now(),
        };
        self.store.server_join(&joining).await.unwrap();
        let mut node = self.node(id);
        node.renew().await.unwrap();
        node
    }

    fn node(&self, id: ServerId) -> Node {
        let time = DatabaseTime::new(self.clock.clone());
        let trust = Trust::new(time.clone());
        let (renewed, pulse) = watch::channel(Pulse::default());
        let ms = Duration::from_millis;
        let lease = ms(LEASE_MS.unsigned_abs());
        let terms = LeaseTerms { lease, renew: ms(1_000), margin: ms(250) };
        let renewing = Renewing::new(id, self.store.clone(), time.clone(), trust.clone(), terms, renewed);
        let (committer, commits) = Committer::new(self.store.clone(), id, time.clone());
        let mut committing = JoinSet::new();
        committing.spawn(commits);
        let (doors, directory) = (Doors::default(), Directory::default());
        let (nudges, nudged) = mpsc::channel(16);
        let shared = Shared {
            store: self.store.clone(),
            committer,
            time,
            trust: trust.clone(),
            waiters: Waiters::default(),
            reads: Arc::new(Semaphore::new(4)),
        };
        let cluster = Cluster::new(Parts {
            server: id,
            shared,
            terms: OwnerTerms { horizon_ms: 15_000, worker_lost_after_ms: 30_000 },
            doors: doors.clone(),
            directory: directory.clone(),
            pulse,
            nudge: Arc::new(Notify::new()),
            nudges: Some(nudges),
        });
        let store = self.store.clone();
        Node { id, trust, cluster, doors, directory, nudged, renewing, store, _committing: committing }
    }

    pub(crate) async fn owners(&self) -> Vec<Owned> {
        self.store.owner_list().await.unwrap()
    }

    /// The shards that a server owns by the rows.
    pub(crate) async fn owned_by(&self, server: ServerId) -> BTreeSet<ShardKey> {
        let owned = self.owners().await.into_iter();
        owned.filter(|owned| owned.server == Some(server)).map(|owned| owned.shard).collect()
    }
}

impl Node {
    pub(crate) async fn renew(&mut self) -> Result<Duration, DeclaredDead> {
        self.renewing.renew().await
    }

    /// A renewal, and what follows from it.
    pub(crate) async fn beat(&mut self) {
        self.renew().await.unwrap();
        self.cluster.step().await;
    }

    /// Steps until it owns so many shards by the rows, and has a door for each.
    pub(crate) async fn until_it_owns(&mut self, count: usize) {
        let id = self.id;
        self.until(async |node| {
            let owned = node.store.owner_list().await.unwrap();
            let owned = owned.iter().filter(|owned| owned.server == Some(id)).count();
            (owned, node.doors.len()) == (count, count)
        })
        .await;
    }

    async fn until(&mut self, is_so: impl AsyncFn(&Self) -> bool) {
        let stepping = async {
            while !is_so(self).await {
                self.beat().await;
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, stepping).await.expect("it never came to that");
    }
}
