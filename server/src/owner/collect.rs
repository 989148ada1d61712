//! The first step of a turn: wait for something to do, then gather what is there.

use std::time::Duration;

use fastjob_core::clock::Clock;
use fastjob_core::shard::{Message, Ticket};

use super::Owner;
use super::door::Knock;
use crate::trust::Look;

/// Messages of one turn.
const BATCH: usize = 2_000;
/// Wait before a turn that could not load its facts is tried again.
const LOAD_AGAIN: Duration = Duration::from_millis(200);
/// The longest sleep: a bound for clocks that were moved.
const MAX_SLEEP: Duration = Duration::from_secs(3_600);

impl Owner {
    /// The messages of the next turn; empty if an instant is due. `None`: stop.
    pub(super) async fn collect(&mut self) -> Option<Vec<Message>> {
        loop {
            if self.stop.is_cancelled() {
                return None;
            }
            match self.shared.trust.look(&mut self.seen) {
                Look::Trusted => {}
                Look::Regained(lapse) => {
                    tracing::debug!(shard = %self.settings.shard, ?lapse, "went on after a time without trust");
                    self.missed(Some(lapse.from), lapse.until);
                }
                Look::Lapsed => {
                    self.trust_regained().await;
                    continue;
                }
            }
            if let Some(message) = self.suspects.pop_front() {
                return Some(vec![message]);
            }
            let mut batch = std::mem::take(&mut self.own);
            if batch.is_empty() && !self.is_due() && !self.wait(&mut batch).await {
                continue;
            }
            while batch.len() < BATCH
                && let Ok(knock) = self.door.try_recv()
            {
                self.take(knock, &mut batch);
            }
            // Trust may have ended during the wait: what is gathered is kept for when it is back.
            if !self.shared.trust.holds() {
                self.own = batch;
                continue;
            }
            return Some(batch);
        }
    }

    fn is_due(&self) -> bool {
        self.shard.next_wake().is_some_and(|wake| wake <= self.shared.time.now())
    }

    /// Waits for a message or the next due instant; `false`: look around again.
    async fn wait(&mut self, batch: &mut Vec<Message>) -> bool {
        let wake = self.shard.next_wake().map(|wake| self.shared.time.until(wake));
        let sleep = wake.unwrap_or(MAX_SLEEP).min(MAX_SLEEP);
        tokio::select! {
            knock = self.door.recv() => match knock {
                Some(knock) => self.take(knock, batch),
                None => self.stop.cancel(),
            },
            () = tokio::time::sleep(sleep) => {}
            Ok(()) = self.missed.changed() => {}
            () = self.stop.cancelled() => {}
        }
        !self.stop.is_cancelled()
    }

    async fn trust_regained(&self) {
        let mut renewal = self.shared.trust.renewal();
        if self.shared.trust.holds() {
            return;
        }
        tokio::select! {
            _ = renewal.changed() => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn take(&mut self, knock: Knock, batch: &mut Vec<Message>) {
        match knock {
            Knock::Message(message) => {
                if let Message::StreamEnded { stream, .. } = &message {
                    self.streams.remove(stream);
                }
                batch.push(message);
            }
            Knock::Call(call, caller) => {
                self.next_ticket += 1;
                let ticket = Ticket(self.next_ticket);
                self.calls.insert(ticket, caller);
                batch.push(Message::Call { ticket, call });
            }
            Knock::Stream { stream, frames } => {
                self.streams.insert(stream, frames);
            }
        }
    }

    /// A turn came to nothing before it decided: its messages come first in the next.
    pub(super) async fn put_back(&mut self, batch: Vec<Message>) {
        self.own.splice(0..0, batch);
        tokio::select! {
            () = tokio::time::sleep(LOAD_AGAIN) => {}
            () = self.stop.cancelled() => {}
        }
    }
}
