//! Renews this server's lease, on a thread and connection of its own, so that neither a blocked pool nor a busy executor
//! can starve it. Each renewal also measures the database's clock, and observes the other servers; what it shows is told
//! to whoever follows the [`Pulse`]. It declares nobody dead itself.

use std::thread;
use std::time::Duration;

use fastjob_core::clock::Clock;
use fastjob_core::cluster::{LeaseTerms, Seen, Watch};
use fastjob_core::id::{Chance, ServerId};
use fastjob_core::mutant::mutant;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::failpoint::failpoint;
use crate::metrics;
use crate::store::{Changes, Renewal, Server, ServerPhase, Store};
use crate::trust::Trust;
use crate::trust::time::DatabaseTime;

/// The configured terms.
pub fn terms(config: &config::Cluster) -> LeaseTerms {
    let ms =
        |ms: i64| Duration::from_millis(u64::try_from(ms).expect("the configuration has no negative times"));
    LeaseTerms {
        lease: ms(config.lease_ms),
        renew: ms(config.renew_ms),
        margin: ms(config::Cluster::MARGIN_MS),
    }
}

/// What the last renewal showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pulse {
    /// What this server's own row says.
    pub phase: ServerPhase,
    /// Of everything that is seldom read.
    pub changes: Changes,
    /// Others that are dead and not yet declared so. Empty after a renewal that failed.
    pub dead: Vec<Seen>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { phase: ServerPhase::Up, changes: Changes::default(), dead: Vec::new() }
    }
}

/// Renews one lease, one renewal after the other.
pub struct Renewing {
    server: ServerId,
    store: Store,
    time: DatabaseTime,
    trust: Trust,
    terms: LeaseTerms,
    pulse: watch::Sender<Pulse>,
    watch: Watch,
    chance: Chance,
    seq: u64,
    /// A renewal without an answer may have been written: then the row is one ahead.
    unsure: bool,
}

/// This server was declared dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeclaredDead;

impl Renewing {
    /// The lease of `server`, whose row has seq 0.
    pub fn new(
        server: ServerId,
        store: Store,
        time: DatabaseTime,
        trust: Trust,
        terms: LeaseTerms,
        pulse: watch::Sender<Pulse>,
    ) -> Self {
        let chance = Chance::from_seed(rand::random());
        Self {
            server,
            store,
            time,
            trust,
            terms,
            pulse,
            watch: Watch::new(terms),
            chance,
            seq: 0,
            unsure: false,
        }
    }

    /// Renews once; returns how long to wait before the next.
    ///
    /// # Errors
    /// The server was declared dead: its trust is over.
    pub async fn renew(&mut self) -> Result<Duration, DeclaredDead> {
        loop {
            let sent = self.time.elapsed();
            // Where no other server can take over, a slow disk is better waited for.
            let patience =
                if self.store.is_exclusive() { self.terms.trusted() } else { self.terms.patience() };
            let renewal = self.store.server_renew(self.server, self.seq);
            match tokio::time::timeout(patience, renewal).await {
                Ok(Ok(Some(renewal))) => {
                    let wait = self.renewed(sent, renewal);
                    if mutant("expiry_by_wall_clock") {
                        self.expire_by_wall_clock().await;
                    }
                    return Ok(wait);
                }
                Ok(Ok(None)) if self.unsure => (self.seq, self.unsure) = (self.seq + 1, false),
                Ok(Ok(None)) => {
                    tracing::error!(server = %self.server, "this server was declared dead by another");
                    self.trust.end();
                    return Err(DeclaredDead);
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "failed to renew the lease");
                    return Ok(self.failed());
                }
                Err(_) => {
                    tracing::warn!(
                        ?patience,
                        "failed to renew the lease: the database did not answer in time"
                    );
                    return Ok(self.failed());
                }
            }
        }
    }

    fn renewed(&mut self, sent: Duration, renewal: Renewal) -> Duration {
        failpoint("inside_renewal");
        (self.seq, self.unsure) = (self.seq + 1, false);
        let answered = self.time.elapsed();
        let left_out = |lapse| {
            tracing::warn!(
                ?lapse,
                "the database's clock was set ahead: the ticks that it left out count as missed"
            );
            self.trust.left_out(lapse);
        };
        match renewal.now {
            Some(database) => self.time.measured(sent, database, left_out),
            None => self.time.measured_here(left_out),
        }
        let lapsed = self.seq > 1 && !self.trust.holds();
        self.trust.extend(sent, self.terms.trusted());
        if lapsed && self.trust.holds() {
            tracing::warn!("the lease is held again: this server goes on after a time without trust");
        }
        metrics::renewal_took(answered - sent);
        let others: Vec<Seen> =
            renewal.others.iter().map(|(server, seq, _)| Seen { server: *server, seq: *seq }).collect();
        let dead = self.watch.renewed(sent, answered, &others);
        self.pulse.send_replace(Pulse { phase: renewal.phase, changes: renewal.changes, dead });
        self.watch.next_renewal(answered).saturating_sub(answered)
    }

    /// A planted bug: deaths are computed from what the clocks say.
    async fn expire_by_wall_clock(&mut self) {
        let (now, lease_ms) =
            (self.time.now(), i64::try_from(self.terms.lease.as_millis()).unwrap_or(i64::MAX));
        let expired = |row: &Server| {
            row.id != self.server && row.phase != ServerPhase::Dead && now.since(row.renewed_at) > lease_ms
        };
        let servers = self.store.server_list().await.unwrap_or_default();
        let dead = servers.iter().filter(|row| expired(row)).map(|row| Seen { server: row.id, seq: row.seq });
        let dead: Vec<Seen> = dead.collect();
        self.pulse.send_modify(|pulse| pulse.dead = dead);
    }

    fn failed(&mut self) -> Duration {
        self.unsure = true;
        self.watch.failed();
        self.pulse.send_modify(|pulse| pulse.dead.clear());
        self.terms.pause(&mut self.chance)
    }

    async fn renew_always(mut self, stop: CancellationToken, dead: CancellationToken) {
        loop {
            let Ok(wait) = self.renew().await else { return dead.cancel() };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// Keeps a lease until it is dropped.
pub struct Lease {
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl Lease {
    /// Starts renewing. `dead` is cancelled if others declare the server dead.
    pub fn hold(renewing: Renewing, dead: CancellationToken) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new()
            .name("lease".into())
            .spawn(move || runtime.block_on(renewing.renew_always(stopped, dead)))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
