//! From the rows to a shard's memory: the one path of start, takeover and repair.

use std::sync::Arc;
use std::time::Duration;

use fastjob_core::clock::{Clock, Millis};
use fastjob_core::id::Chance;
use fastjob_core::mutant::mutant;
use fastjob_core::shard::{Frame, Message, Shard};

use super::{Owner, Turn};
use crate::failpoint::failpoint;
use crate::store::StoreError;
use crate::trust::Lapse;

/// Runs of one page.
const PAGE: u32 = 1_000;
/// Wait before a boot that met an error is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// A sequence that no other owner has.
pub(super) fn chance() -> Chance {
    Chance::from_seed(rand::random())
}

impl Owner {
    /// Reads the shard, however often it takes. `false`: told to stop.
    pub(super) async fn boot(&mut self) -> bool {
        let (stop, reads) = (self.stop.clone(), Arc::clone(&self.shared.reads));
        while let Some(turn) = stop.run_until_cancelled(reads.acquire()).await {
            let turn = turn.expect("nobody closes it");
            match self.read_open_runs().await {
                Ok(shard) => {
                    self.shard = shard;
                    return true;
                }
                Err(error) => {
                    tracing::warn!(shard = %self.settings.shard, %error, "failed to read the shard, trying again");
                    drop(turn);
                    self.pause().await;
                }
            }
        }
        false
    }

    async fn read_open_runs(&self) -> Result<Shard, StoreError> {
        let mut shard = Shard::new(self.settings.clone(), chance());
        let until = self.shared.time.now().plus(self.settings.horizon_ms);
        let mut after = None;
        loop {
            let mut page = self.shared.store.open_page(self.settings.shard, until, after, PAGE).await?;
            if mutant("timer_as_truth") {
                page.runs.clear();
                page.more = false;
            }
            failpoint("during_boot");
            let more = page.more;
            after = page.runs.last().map(|run| run.id);
            shard.open(page, until);
            if !more {
                break;
            }
        }
        shard.booted(self.shared.time.now());
        Ok(shard)
    }

    /// After a commit of unknown fate: nobody outside knows of the turn, so its callers are told to ask again.
    pub(super) async fn reload(&mut self) -> Turn {
        self.refuse_calls();
        self.reload_keeping_calls().await
    }

    /// Raises the epoch, so that a commit still under way lands before this point or not at all; then boots again, and
    /// asks the workers for a new Hello.
    pub(super) async fn reload_keeping_calls(&mut self) -> Turn {
        loop {
            if self.stop.is_cancelled() {
                return Turn::Done;
            }
            let turn = self.shared.reads.acquire().await.expect("nobody closes it");
            let (shard, epoch, now) = (self.settings.shard, self.settings.epoch, self.shared.time.now());
            let raised = self.shared.store.epoch_raise(shard, self.settings.server, epoch, now).await;
            drop(turn);
            match raised {
                Ok(Some(claimed)) => {
                    self.settings.epoch = claimed.epoch;
                    self.missed(claimed.outage_from, now);
                    break;
                }
                Ok(None) => return Turn::Fenced,
                Err(error) => {
                    tracing::warn!(%shard, %error, "failed to raise the epoch, trying again");
                    self.pause().await;
                }
            }
        }
        if self.boot().await {
            tracing::info!(shard = %self.settings.shard, epoch = self.settings.epoch.0, "shard read again");
            self.greet_again();
        }
        Turn::Done
    }

    /// Notes a time whose ticks nobody saw. It stays noted until a committed turn has made up for it.
    pub(super) fn missed(&mut self, from: Option<Millis>, until: Millis) {
        if let Some(from) = from {
            let from = self.outage.map_or(from, |noted| noted.from.min(from));
            self.outage = Some(Lapse { from, until });
        }
        self.own.retain(|message| !matches!(message, Message::Outage { .. }));
        if let Some(Lapse { from, until }) = self.outage {
            self.own.push(Message::Outage { from, until });
        }
    }

    fn greet_again(&mut self) {
        self.streams.retain(|_, frames| frames.try_send(vec![Frame::HelloAgain]).is_ok());
    }

    async fn pause(&self) {
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = self.stop.cancelled() => {}
        }
    }
}
