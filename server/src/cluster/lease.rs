//! Renews this server's lease, on a thread and connection of its own, so that neither a blocked pool nor a busy executor
//! can starve it. Each renewal also measures the database's clock.

use std::thread;
use std::time::Duration;

use fastjob_core::clock::Clock;
use fastjob_core::id::ServerId;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::failpoint::failpoint;
use crate::metrics;
use crate::store::Store;
use crate::trust::Trust;
use crate::trust::time::DatabaseTime;

/// How a lease is held.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTerms {
    /// Trust lasts this long from a renewal.
    pub lease: Duration,
    /// From one renewal to the next.
    pub renew: Duration,
    /// Taken off the lease, for what the clocks may differ.
    pub margin: Duration,
}

impl LeaseTerms {
    /// The configured terms.
    pub fn of(config: &config::Cluster) -> Self {
        let ms = |ms: i64| {
            Duration::from_millis(u64::try_from(ms).expect("the configuration has no negative times"))
        };
        Self {
            lease: ms(config.lease_ms),
            renew: ms(config.renew_ms),
            margin: ms(config::Cluster::MARGIN_MS),
        }
    }
}

/// Keeps a lease until it is dropped.
pub struct Lease {
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl Lease {
    /// Starts renewing the lease of `server`, whose row has seq 0. `dead` is cancelled if others declared it dead.
    pub fn hold(
        server: ServerId,
        store: Store,
        time: DatabaseTime,
        trust: Trust,
        terms: LeaseTerms,
        dead: CancellationToken,
    ) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let renewing = Renewing { server, store, time, trust, terms, dead, stop: stop.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = thread::Builder::new()
            .name("lease".into())
            .spawn(move || runtime.block_on(renewing.renew_always()))?;
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

struct Renewing {
    server: ServerId,
    store: Store,
    time: DatabaseTime,
    trust: Trust,
    terms: LeaseTerms,
    dead: CancellationToken,
    stop: CancellationToken,
}

impl Renewing {
    async fn renew_always(self) {
        let mut seq = 0;
        // A renewal without an answer may have been written: then the row is one ahead.
        let mut unsure = false;
        loop {
            let (sent, sent_at) = (self.time.elapsed(), self.time.now());
            match self.store.server_renew(self.server, seq).await {
                Ok(Some(renewal)) => {
                    failpoint("inside_renewal");
                    (seq, unsure) = (seq + 1, false);
                    if let Some(database) = renewal.now {
                        self.time.measured(sent_at, database);
                    }
                    self.trust.extend(sent, self.terms.lease - self.terms.margin);
                    metrics::renewal_took(self.time.elapsed() - sent);
                }
                Ok(None) if unsure => {
                    (seq, unsure) = (seq + 1, false);
                    continue;
                }
                Ok(None) => {
                    tracing::error!(server = %self.server, "this server was declared dead by another");
                    self.trust.end();
                    self.dead.cancel();
                    return;
                }
                Err(error) => {
                    unsure = true;
                    tracing::warn!(%error, "failed to renew the lease");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.terms.renew) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }
}
