//! Finds the owners of the app's shards and keeps one stream to each, for as long as the worker lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::hub::{Contact, Hub};
use super::outbox::StreamId;
use super::session::{self, Left};
use crate::client::{Client, Error, Located};

struct Owners {
    hub: Arc<Hub>,
    client: Client,
    streams: JoinSet<(String, Left)>,
    /// By address.
    open: BTreeMap<String, Open>,
    /// Shards whose owner we talk to, and which its Welcome did not name, when last looked.
    unserved: BTreeSet<u32>,
    wait: Duration,
}

struct Open {
    id: StreamId,
    close: CancellationToken,
}

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// After a refusal that a retry alone will not change.
const REFUSED_WAIT: Duration = Duration::from_secs(10);
/// How often the owners are looked up while all is well.
const REFRESH: Duration = Duration::from_secs(15);

/// Runs until the worker closes; returns when its streams have ended.
pub(super) async fn keep_streams(hub: Arc<Hub>, client: Client) {
    let closing = hub.closing.clone();
    let mut owners = Owners {
        hub,
        client,
        streams: JoinSet::new(),
        open: BTreeMap::new(),
        unserved: BTreeSet::new(),
        wait: FIRST_WAIT,
    };
    tokio::select! {
        () = closing.cancelled() => {}
        () = owners.keep() => {}
    }
    for open in owners.open.values() {
        open.close.cancel();
    }
    while owners.streams.join_next().await.is_some() {}
}

impl Owners {
    async fn keep(&mut self) {
        loop {
            let pause = match self.client.locate_once().await {
                Ok(located) => self.connect(&located),
                Err(error) => self.failed(&error),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                Some(ended) = self.streams.join_next(), if !self.streams.is_empty() => self.ended(ended).await,
            }
        }
    }

    /// A stream to each owner that has none. Answers how long all may stay as it is.
    fn connect(&mut self, located: &Located) -> Duration {
        let shards = located.shards.iter().map(|of| of.shard);
        self.hub.change(|outbox, now, _| outbox.locate(shards, now));
        let mut unserved = BTreeSet::new();
        for of in located.shards.iter().filter(|of| !of.address.is_empty()) {
            let Some(open) = self.open.get(&of.address) else {
                self.open_stream(&of.address);
                continue;
            };
            // Its server came to own the shard after the stream's Hello: unless that is news, the stream begins anew.
            if self.hub.look(|outbox| outbox.is_welcomed(open.id) && !outbox.is_served(of.shard)) {
                unserved.insert(of.shard);
                if self.unserved.contains(&of.shard) {
                    open.close.cancel();
                }
            }
        }
        let all_served = unserved.is_empty();
        self.unserved = unserved;
        if !all_served || located.shards.is_empty() || located.shards.iter().any(|of| of.address.is_empty()) {
            return self.back_off();
        }
        REFRESH.mul_f64(0.5 + self.client.fraction() / 2.0)
    }

    fn open_stream(&mut self, address: &str) {
        let close = CancellationToken::new();
        let id = self.hub.next_stream();
        self.open.insert(address.to_owned(), Open { id, close: close.clone() });
        let (hub, client, address) = (self.hub.clone(), self.client.clone(), address.to_owned());
        self.streams.spawn(async move {
            let left = session::run(hub, client, &address, id, close).await;
            (address, left)
        });
    }

    /// A stream has ended: waits as long as that calls for.
    async fn ended(&mut self, ended: Result<(String, Left), tokio::task::JoinError>) {
        let pause = match ended {
            Ok((address, left)) => {
                self.open.remove(&address);
                self.after(&address, left)
            }
            Err(error) => {
                tracing::error!(%error, "a worker's stream failed");
                let gone = self.open.len() > self.streams.len();
                // Which one is not known: all begin anew.
                if gone {
                    self.streams.abort_all();
                    while self.streams.join_next().await.is_some() {}
                    self.open.clear();
                }
                self.back_off()
            }
        };
        tokio::time::sleep(pause).await;
    }

    fn after(&mut self, address: &str, left: Left) -> Duration {
        match left {
            Left::Closed => Duration::ZERO,
            Left::Moved { to, after } => {
                tracing::info!(address, to, "the server no longer owns the shards");
                self.wait = FIRST_WAIT;
                if to.is_empty() {
                    return after.mul_f64(0.5 + self.client.fraction() / 2.0);
                }
                if !self.open.contains_key(&to) {
                    self.open_stream(&to);
                }
                Duration::ZERO
            }
            Left::Broken(error) => {
                tracing::warn!(address, %error, "lost the server");
                self.wait = FIRST_WAIT;
                self.back_off()
            }
            Left::Refused(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &Error) -> Duration {
        self.hub.contact.send_if_modified(|contact| {
            let waits = matches!(contact, Contact::Waiting(_));
            if waits {
                let error = error.clone();
                *contact =
                    if error.is_final() { Contact::Refused(error) } else { Contact::Waiting(Some(error)) };
            }
            waits
        });
        if error.is_final() {
            tracing::error!(%error, "the server refuses the worker");
            return REFUSED_WAIT.mul_f64(0.5 + self.client.fraction() / 2.0);
        }
        tracing::debug!(%error, "no connection to the owner");
        self.back_off()
    }

    fn back_off(&mut self) -> Duration {
        let pause = self.wait.mul_f64(0.5 + self.client.fraction() / 2.0);
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        pause
    }
}
