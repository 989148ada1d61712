//! Builds every part of a server, from the store to the listeners, and stops them in reverse: the only place that
//! knows all parts.

mod first_run;
mod housekeeping;
mod overdue;
mod part;
mod readiness;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::domain::Name;
use fastjob_core::id::{Chance, ServerId};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::api::auth::{Auth, Secret};
use crate::api::{self, Api};
use crate::cluster::directory::Directory;
use crate::cluster::inbox::{InboxParts, InboxReader};
use crate::cluster::key::ClusterKey;
use crate::cluster::lease::{self, Lease, Pulse, Renewing};
use crate::cluster::peers::Peers;
use crate::cluster::{self, Cluster, OwnerTerms};
use crate::config::Config;
use crate::http::{self, HttpState, Readiness};
use crate::metrics;
use crate::owner::Shared;
use crate::owner::committer::Committer;
use crate::owner::door::Doors;
use crate::owner::waiters::Waiters;
use crate::ready::{Ready, write_ready};
use crate::rpc::{self, Pace};
use crate::store::{NewServer, ServerPhase, Store, StoreOptions};
use crate::trust::Trust;
use crate::trust::time::DatabaseTime;

use housekeeping::Housekeeping;
use overdue::Overdue;
use part::Part;

/// How to start a server, beside its configuration.
#[derive(Debug)]
pub struct Start {
    /// For one person's machine, or for service.
    pub mode: Mode,
    /// Written once every listener accepts; see [`crate::ready`].
    pub ready_file: Option<PathBuf>,
    /// Receives the administrator's token on the first start with an empty database, mode 0600.
    pub admin_token_file: Option<PathBuf>,
    /// Ends the server in order once it is cancelled.
    pub shutdown: CancellationToken,
}

/// What a server is started for.
#[derive(Debug)]
pub enum Mode {
    /// `fastjob dev`: one app, made if it is not there, whose token is printed and is the administrator's too.
    Dev {
        /// The directory of the database and of `dev.json`.
        data: PathBuf,
        /// The app.
        app: Name,
    },
    /// `fastjob serve`.
    Serve,
}

/// How often the tokens are read again though no change is known.
const REFRESH_TOKENS: Duration = Duration::from_secs(60);
/// Addresses of servers that wait for a nudge; what finds no room is found by the next renewal.
const NUDGES: usize = 64;
/// How long a server may take to renew its lease for the first time.
const FIRST_RENEWAL: Duration = Duration::from_secs(10);

/// Runs a server until `start.shutdown` is cancelled. Errors: whatever kept it from starting, or ended it.
pub async fn run(config: Config, start: Start) -> anyhow::Result<()> {
    let metrics = metrics::start()?;
    let key = config.cluster.key_file.as_deref().map(ClusterKey::read).transpose()?;
    let rpc = listen(config.rpc.address, "rpc.address").await?;
    let http = listen(config.http.address, "http.address").await?;
    let rpc_address = config.rpc.advertise.clone().unwrap_or(rpc.local_addr()?.to_string());
    let http_address = http.local_addr()?.to_string();

    let terms = lease::terms(&config.cluster);
    let time = DatabaseTime::new(Arc::new(SystemClock));
    let store = open_store(&config, &time).await?;
    let clock: Arc<dyn Clock> = Arc::new(time.clone());
    // Before it joins: a server that waits for another one's token renews no lease.
    let token = tokio::select! {
        token = first_run::prepare(&store, &start, time.now()) => token?,
        () = start.shutdown.cancelled() => return Ok(()),
    };
    if let Some(key) = &key {
        cluster::membership::belong(&store, key, terms).await?;
    }
    let server = ServerId::new(time.now(), &mut Chance::from_seed(rand::random()));
    store.server_join(&joining(server, &rpc_address, &http_address, time.now())).await?;
    cluster::reap_predecessors(&store, server).await?;

    let auth = Auth::new(store.clone(), clock.clone());
    auth.refresh().await?;

    let (trust, dead) = (Trust::new(time.clone()), CancellationToken::new());
    let (renewed, pulse) = watch::channel(Pulse::default());
    let renewing = Renewing::new(server, store.clone(), time.clone(), trust.clone(), terms, renewed);
    let lease = Lease::hold(renewing, dead.clone())?;
    first_renewal(&trust).await?;

    let (committer, committing) = Committer::new(store.clone(), server, time.clone());
    let (doors, directory, waiters) = (Doors::default(), Directory::default(), Waiters::default());
    let (shards_changed, inbox) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let housekeeping_time = time.clone();
    let watch = Overdue { doors: doors.clone(), store: store.clone(), time: time.clone() };
    let peers = Peers::new(key, clock.clone());
    let (nudges, nudged) = mpsc::channel(NUDGES);
    let reader = InboxReader::new(InboxParts {
        server,
        store: store.clone(),
        doors: doors.clone(),
        trust: trust.clone(),
        time: time.clone(),
        nudge: inbox.clone(),
    });
    let shared = Shared {
        store: store.clone(),
        committer,
        time,
        trust: trust.clone(),
        waiters: waiters.clone(),
        reads: Arc::new(Semaphore::new(owners_reading(&config))),
    };
    let terms = OwnerTerms {
        horizon_ms: config.cluster.horizon_ms,
        worker_lost_after_ms: config.defaults.worker_lost_after_ms,
    };
    let mut cluster = Cluster::new(cluster::Parts {
        server,
        shared,
        terms,
        doors: doors.clone(),
        directory: directory.clone(),
        pulse: pulse.clone(),
        nudge: shards_changed.clone(),
        nudges: Some(nudges),
    });
    cluster.step().await;

    let parts = api::Parts {
        store: store.clone(),
        doors,
        directory,
        trust: trust.clone(),
        waiters,
        auth: auth.clone(),
        clock,
        server,
        shards_changed,
        peers: peers.clone(),
        inbox,
    };
    let api = Api::new(parts);
    let housekeeper =
        Housekeeping { store: store.clone(), time: housekeeping_time, advertised: rpc_address.clone() };
    let pace = Pace::of_lease(config.cluster.lease_ms, config.defaults.worker_lost_after_ms);
    let (ready, readiness) = watch::channel(Readiness::ready());
    let http_state = HttpState { metrics, ready: readiness };
    let mut parts = [
        Part::start("committer", |_| async {
            committing.await;
            Ok(())
        }),
        Part::start("housekeeping", |stop| housekeeping::run(housekeeper, stop)),
        Part::start("overdue", |stop| overdue::run(watch, stop)),
        Part::start("tokens", |stop| refresh_tokens(auth, pulse, stop)),
        Part::start("http", |stop| http::serve(http, http_state, stop)),
        Part::start("rpc", |stop| async move { Ok(rpc::serve(rpc, api, pace, stop).await?) }),
        Part::start("nudges", |stop| async move {
            peers.pass_on(nudged, stop).await;
            Ok(())
        }),
        Part::start("inbox", |stop| async move {
            reader.run(stop).await;
            Ok(())
        }),
        // Stops before the doors close, so that workers hear on their streams where their shards went.
        Part::start("owners", |stop| cluster.run(stop)),
        Part::start("readiness", |stop| readiness::follow(trust, ready, stop)),
    ];

    announce(&start, server, rpc_address, http_address, token)?;
    let ended = tokio::select! {
        () = start.shutdown.cancelled() => Ok(()),
        () = dead.cancelled() => Err(anyhow::anyhow!("another server declared this one dead: it acts for its apps now")),
        error = part::first_to_end(&mut parts) => Err(error),
    };
    tracing::info!("stopping");
    for part in parts.iter_mut().rev() {
        part.stop().await;
    }
    drop(lease);
    if let Err(error) = cluster::mark(&store, server, ServerPhase::Dead).await {
        tracing::warn!(%error, "failed to write down that this server has left");
    }
    store.close().await;
    ended
}

async fn listen(address: SocketAddr, field: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("failed to listen on {address} ({field}): is another server running, or the address not this machine's?")
    })
}

async fn open_store(config: &Config, time: &DatabaseTime) -> anyhow::Result<Store> {
    let options =
        StoreOptions { max_connections: config.database.max_connections, clock: Arc::new(time.clone()) };
    Ok(Store::open(&config.database.engine.url(), options).await?)
}

fn joining(id: ServerId, rpc_address: &str, http_address: &str, at: Millis) -> NewServer {
    let version = env!("CARGO_PKG_VERSION").into();
    NewServer { id, rpc_address: rpc_address.into(), http_address: http_address.into(), version, at }
}

async fn first_renewal(trust: &Trust) -> anyhow::Result<()> {
    let mut renewal = trust.renewal();
    let renewed = async { while !trust.holds() && renewal.changed().await.is_ok() {} };
    tokio::time::timeout(FIRST_RENEWAL, renewed)
        .await
        .context("failed to renew the lease: the database does not answer")
}

/// How many owners may read at a time: some connections stay for calls and commits.
fn owners_reading(config: &Config) -> usize {
    usize::try_from(config.database.max_connections / 2).unwrap_or(1).max(1)
}

/// Reads the tokens again when another server has changed some, and now and then because they expire.
async fn refresh_tokens(
    auth: Auth,
    mut pulse: watch::Receiver<Pulse>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut every = tokio::time::interval(REFRESH_TOKENS);
    let mut seen = None;
    loop {
        tokio::select! {
            _ = every.tick() => seen = None,
            Ok(()) = pulse.changed() => {}
            () = stop.cancelled() => return Ok(()),
        }
        let changes = pulse.borrow_and_update().changes.tokens;
        if seen == Some(changes) {
            continue;
        }
        match auth.refresh().await {
            Ok(()) => seen = Some(changes),
            Err(error) => tracing::warn!(%error, "failed to read the tokens: the last ones read stay valid"),
        }
    }
}

/// Tells scripts by files, and people on stderr, how to reach this server.
fn announce(
    start: &Start,
    server: ServerId,
    rpc: String,
    http: String,
    token: Option<(Name, Secret)>,
) -> anyhow::Result<()> {
    let (app, token) = token.map(|(app, secret)| (app.to_string(), secret.reveal())).unzip();
    tracing::info!(%rpc, %http, %server, "ready");
    let ready = Ready { pid: std::process::id(), rpc, http, app, token, server: server.to_string() };
    if let Mode::Dev { data, .. } = &start.mode {
        let path = data.join("dev.json");
        write_ready(&path, &ready).with_context(|| format!("failed to write {}", path.display()))?;
        if let (Some(app), Some(token)) = (&ready.app, &ready.token) {
            eprintln!(
                "fastjob dev: gRPC {}  HTTP {}\n  FASTJOB_SERVERS={} FASTJOB_APP={app} FASTJOB_TOKEN={token}",
                ready.rpc, ready.http, ready.rpc
            );
        }
    }
    if let Some(path) = &start.ready_file {
        write_ready(path, &ready).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}
