//! This server among the others: its lease, whom it declares dead, the shards it claims and hands over, the owners it runs
//! for them, and who owns the rest. Servers learn of each other from the database alone; a nudge only makes one look
//! sooner.

mod claims;
pub mod command;
pub mod directory;
mod hand_over;
pub mod inbox;
pub mod key;
pub mod lease;
pub mod membership;
pub mod peers;
pub mod reach;
mod view;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fastjob_core::clock::Clock;
use fastjob_core::cluster::{Placement, Shedding};
use fastjob_core::id::{AppId, ServerId, ShardKey};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::metrics::{self, AppLabels};
use crate::owner::door::{Door, Doors};
use crate::owner::{Ended, Shared};
use crate::store::{ServerPhase, Store, StoreError};

use directory::Directory;
use hand_over::Leaving;
use lease::Pulse;
use view::View;

/// The cluster is read again after this long, though nothing is known to have changed.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// As [`LOOK_EVERY`], while there are shards without an owner.
const LOOK_FOR_FREE_EVERY: Duration = Duration::from_secs(5);
/// The pause after the database failed, or another server was faster.
const AGAIN: Duration = Duration::from_millis(500);
/// Shards that one transaction releases.
const RELEASE_BATCH: usize = 2_000;
/// Shards that one transaction claims: few enough that on SQLite, whose one writer renews the lease too, the lease does not
/// wait for long.
const CLAIM_BATCH: usize = 250;
/// Tries to mark a server that renews its lease meanwhile.
const MARK_TRIES: usize = 10;

/// What the owners of this server are told.
#[derive(Clone, Copy, Debug)]
pub struct OwnerTerms {
    /// How far ahead runs are written.
    pub horizon_ms: i64,
    /// For jobs that name none.
    pub worker_lost_after_ms: i64,
}

/// What a [`Cluster`] is made of.
pub struct Parts {
    /// This server.
    pub server: ServerId,
    /// What its owners share.
    pub shared: Shared,
    /// What its owners are told.
    pub terms: OwnerTerms,
    /// Gets a door for each shard that is owned here.
    pub doors: Doors,
    /// Gets what is seen of the others.
    pub directory: Directory,
    /// What the lease's renewals show.
    pub pulse: watch::Receiver<Pulse>,
    /// Wakes this server to look at once.
    pub nudge: Arc<Notify>,
    /// Takes the addresses of servers that have a shard to claim now. Without it they learn it from their next renewal.
    pub nudges: Option<mpsc::Sender<String>>,
}

/// Claims shards, runs their owners, and hands them over, until it is told to stop.
pub struct Cluster {
    parts: Parts,
    labels: AppLabels,
    /// The label of each app, by its row.
    apps: HashMap<AppId, Arc<str>>,
    view: View,
    placement: Option<Placement>,
    looked: Option<Looked>,
    stand: Stand,
    running: HashMap<ShardKey, Running>,
    owners: JoinSet<(ShardKey, Ended)>,
    leaving: Leaving,
    shedding: Shedding,
}

/// What this server is to the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stand {
    /// It takes shards.
    Member,
    /// It gives all shards up, and stays.
    Draining,
    /// It gives all shards up, and ends.
    Stopping,
}

/// The last look.
#[derive(Clone, Copy, Debug)]
struct Looked {
    at: Duration,
    /// The counter that a renewal had shown before it.
    changes: u64,
}

struct Running {
    door: Door,
    stop: CancellationToken,
}

/// Declares dead every server of this database but `server`, if the store itself proves that they are gone.
pub async fn reap_predecessors(store: &Store, server: ServerId) -> Result<(), StoreError> {
    if !store.is_exclusive() {
        return Ok(());
    }
    for other in store.server_list().await? {
        if other.id != server && other.phase != ServerPhase::Dead {
            store.server_mark(other.id, other.seq, ServerPhase::Dead).await?;
        }
    }
    Ok(())
}

/// Marks a server that may be renewing its lease meanwhile; tells whether it was done: not if it is dead or unknown.
pub async fn mark(store: &Store, server: ServerId, phase: ServerPhase) -> Result<bool, StoreError> {
    for _ in 0..MARK_TRIES {
        let servers = store.server_list().await?;
        let Some(row) = servers.into_iter().find(|row| row.id == server && row.phase != ServerPhase::Dead)
        else {
            return Ok(false);
        };
        if store.server_mark(server, row.seq, phase).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Cluster {
    /// A server that owns nothing yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            labels: AppLabels::default(),
            apps: HashMap::new(),
            view: View::default(),
            placement: None,
            looked: None,
            stand: Stand::Member,
            running: HashMap::new(),
            owners: JoinSet::new(),
            leaving: Leaving::default(),
            shedding: Shedding::default(),
        }
    }

    /// Does what is due, until it is told to stop; then gives all shards up.
    ///
    /// # Errors
    /// An owner's loop panicked.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            let wait = self.step().await;
            if stop.run_until_cancelled(self.rest(wait)).await.transpose()?.is_none() {
                break;
            }
        }
        self.stop().await
    }

    /// Does all that is due now; returns how long there is nothing to do unless something happens. An error of the
    /// database is logged, and tried again.
    pub async fn step(&mut self) -> Duration {
        match self.try_step().await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!(%error, "failed to look after the shards, trying again");
                self.looked = None;
                AGAIN
            }
        }
    }

    async fn try_step(&mut self) -> Result<Duration, StoreError> {
        let pulse = self.parts.pulse.borrow_and_update().clone();
        self.declare_dead(&pulse).await?;
        if pulse.phase == ServerPhase::Draining && self.stand == Stand::Member {
            tracing::info!("this server was asked to drain: it hands its shards over and takes no others");
            self.stand = Stand::Draining;
        }
        if self.look_is_due(&pulse) {
            self.look(pulse.changes.owners).await?;
            self.adopt().await?;
            self.honour_desires();
        }
        match self.stand {
            Stand::Member => self.shed(),
            // Better a draining owner than none.
            Stand::Draining if self.is_alone() => {}
            Stand::Draining | Stand::Stopping => self.leave_all(),
        }
        let released = self.release().await?;
        let claimed = self.claim().await?;
        metrics::shards_owned(self.running.len());
        Ok([released, claimed].into_iter().flatten().fold(self.look_every(), Duration::min))
    }

    /// Waits until there may be something to do, at most this long.
    async fn rest(&mut self, wait: Duration) -> anyhow::Result<()> {
        let wake = tokio::time::sleep(wait);
        tokio::pin!(wake);
        loop {
            tokio::select! {
                () = &mut wake => return Ok(()),
                Ok(()) = self.parts.pulse.changed() => return Ok(()),
                () = self.parts.nudge.notified() => {
                    self.looked = None;
                    return Ok(());
                }
                Some(ended) = self.owners.join_next() => {
                    let (shard, ended) = ended.context("an owner's loop panicked")?;
                    self.owner_ended(shard, ended);
                    if self.leaving.is_ready() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Gives all shards up, and waits for the owners.
    async fn stop(mut self) -> anyhow::Result<()> {
        self.stand = Stand::Stopping;
        if self.parts.shared.trust.holds() && !self.is_alone() {
            let marked = mark(&self.parts.shared.store, self.parts.server, ServerPhase::Draining).await;
            if let Err(error) = marked {
                tracing::warn!(%error, "failed to write down that this server is draining");
            }
        }
        // Whatever the database does: the owners stop.
        self.leave_all();
        let since = self.parts.shared.time.elapsed();
        loop {
            let wait = self.step().await;
            if self.has_left(since) {
                return Ok(());
            }
            self.rest(wait.min(AGAIN)).await?;
        }
    }

    /// Compare-and-set on the seq that was seen: one that came back is left alone.
    async fn declare_dead(&mut self, pulse: &Pulse) -> Result<(), StoreError> {
        for seen in &pulse.dead {
            let marked =
                self.parts.shared.store.server_mark(seen.server, seen.seq, ServerPhase::Dead).await?;
            if marked {
                tracing::warn!(server = %seen.server, seq = seen.seq, "declared a server dead: it has not renewed for a lease");
                self.looked = None;
            }
        }
        Ok(())
    }

    fn look_is_due(&self, pulse: &Pulse) -> bool {
        let elapsed = self.parts.shared.time.elapsed();
        self.looked.is_none_or(|looked| {
            looked.changes != pulse.changes.owners || elapsed.saturating_sub(looked.at) >= self.look_every()
        })
    }

    fn look_every(&self) -> Duration {
        if self.view.has_free() { LOOK_FOR_FREE_EVERY } else { LOOK_EVERY }
    }

    /// Reads who owns what; `changes` is what the last renewal had shown.
    async fn look(&mut self, changes: u64) -> Result<(), StoreError> {
        let Parts { shared, directory, server, .. } = &self.parts;
        let at = shared.time.elapsed();
        let owners = shared.store.owner_list().await?;
        let servers = shared.store.server_list().await?;
        if owners.iter().any(|owned| !self.apps.contains_key(&owned.shard.app)) {
            for app in shared.store.app_list().await? {
                self.apps.entry(app.id).or_insert_with(|| self.labels.label(app.name.as_str()));
            }
        }
        self.view.read(owners, servers, at);
        self.placement = None;
        let now = shared.time.now();
        let shown = self.view.shards().map(|owned| self.view.shown(owned, now)).collect();
        directory.fill(shown, self.view.addresses_up(*server));
        self.looked = Some(Looked { at, changes });
        Ok(())
    }

    /// No other server takes shards.
    fn is_alone(&self) -> bool {
        !self.view.others_up(self.parts.server)
    }

    fn placement(&mut self) -> &Placement {
        self.placement.get_or_insert_with(|| self.view.placement())
    }

    /// The directory shows these shards as the view has them now.
    fn show(&mut self, shards: &[ShardKey]) {
        self.placement = None;
        let now = self.parts.shared.time.now();
        let shown = shards.iter().filter_map(|shard| self.view.shard(*shard));
        self.parts.directory.correct(shown.map(|owned| self.view.shown(owned, now)));
    }
}
