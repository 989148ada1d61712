//! What a server does once after its start, or once a day: it tries the address that it gives to others, and removes the
//! rows of servers that are long gone.

use std::time::Duration;

use fastjob_core::clock::Clock as _;
use tokio_util::sync::CancellationToken;

use crate::cluster::reach;
use crate::store::Store;
use crate::trust::time::DatabaseTime;

/// How often servers that are gone are looked for.
const EVERY: Duration = Duration::from_secs(24 * 3_600);
/// A server that renewed last so long ago, was declared dead and owns nothing is forgotten.
const FORGET_AFTER_MS: i64 = 7 * 24 * 3_600_000;
/// Rows that one statement removes.
const MAX_FORGOTTEN: u32 = 1_000;

/// What it needs.
pub(super) struct Housekeeping {
    pub(super) store: Store,
    pub(super) time: DatabaseTime,
    /// Where others are told to reach this server.
    pub(super) advertised: String,
}

/// Until `stop`.
pub(super) async fn run(keeping: Housekeeping, stop: CancellationToken) -> anyhow::Result<()> {
    let kept = async {
        keeping.try_address().await;
        let mut every = tokio::time::interval(EVERY);
        loop {
            every.tick().await;
            keeping.forget_servers().await;
        }
    };
    tokio::select! {
        () = kept => Ok(()),
        () = stop.cancelled() => Ok(()),
    }
}

impl Housekeeping {
    /// A warning only: others may reach what this machine cannot.
    async fn try_address(&self) {
        if let Err(why) = reach::one(&self.advertised).await {
            tracing::warn!(
                address = %self.advertised, why,
                "this server does not reach itself at the address that it gives to workers, clients and other servers: \
                 check rpc.advertise, and whether its port is open"
            );
        }
    }

    async fn forget_servers(&self) {
        let before = self.time.now().plus(-FORGET_AFTER_MS);
        match self.store.servers_forget(before, MAX_FORGOTTEN).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "forgot servers that were dead for a week"),
            Err(error) => {
                tracing::warn!(%error, "failed to forget servers that are gone; tried again tomorrow")
            }
        }
    }
}
