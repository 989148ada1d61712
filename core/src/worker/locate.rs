//! Finds the owners of the app's shards and keeps one stream to each, for as long as the worker lives; while one cannot
//! be reached, another server hears what it should know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::hub::{Contact, Hub};
use super::outbox::StreamId;
use super::places::{Place, Places};
use super::servers::{FIRST_WAIT, LONGEST_WAIT, Open, Server};
use super::session::{self, Left};
use crate::client::{Client, Error, Located};
use crate::clock::{Clock, SystemClock};
use crate::protocol::v1;

struct Owners {
    hub: Arc<Hub>,
    client: Client,
    places: Places,
    /// By address.
    servers: BTreeMap<String, Server>,
    streams: JoinSet<(String, Left)>,
    asks: JoinSet<Asked>,
    locate: Turn,
    report: Turn,
    /// Before the next Locate, while something is missing.
    wait: Duration,
}

/// Something that is asked again and again, one at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// No earlier than then.
    Due(Duration),
    Asked,
}

/// What one question to a server has brought.
enum Asked {
    Locate(Result<Located, Error>),
    Report(Result<(), Error>),
}

/// Between two Locates while an owner is missing: it is part of every takeover.
const LONGEST_LOCATE_WAIT: Duration = Duration::from_secs(1);
/// After a refusal that a retry alone will not change.
const REFUSED_WAIT: Duration = Duration::from_secs(10);
/// How often the owners are looked up while all is well.
const REFRESH: Duration = Duration::from_secs(15);
/// Between two reports through other servers.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Runs until the worker closes; returns when its streams have ended.
pub(super) async fn keep_streams(hub: Arc<Hub>, client: Client) {
    let closing = hub.closing.clone();
    let mut owners = Owners::new(hub, client);
    tokio::select! {
        () = closing.cancelled() => {}
        () = owners.keep() => {}
    }
    for open in owners.servers.values().filter_map(|server| server.open.as_ref()) {
        open.close.cancel();
    }
    owners.asks.shutdown().await;
    while owners.streams.join_next().await.is_some() {}
}

impl Owners {
    fn new(hub: Arc<Hub>, client: Client) -> Self {
        Self {
            hub,
            client,
            places: Places::default(),
            servers: BTreeMap::new(),
            streams: JoinSet::new(),
            asks: JoinSet::new(),
            locate: Turn::Due(Duration::ZERO),
            report: Turn::Due(Duration::ZERO),
            wait: FIRST_WAIT,
        }
    }

    async fn keep(&mut self) {
        let hub = self.hub.clone();
        loop {
            let now = SystemClock.elapsed();
            self.follow_moves(now);
            self.connect(now);
            self.ask(now);
            let pause = self.next_look().saturating_sub(now);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = hub.routes.notified() => {}
                Some(ended) = self.streams.join_next() => self.ended(ended),
                Some(asked) = self.asks.join_next() => self.answered(asked),
            }
        }
    }

    /// Owners have said that they own shards no more.
    fn follow_moves(&mut self, now: Duration) {
        for moved in self.hub.change(|outbox, _, _| outbox.take_moves()) {
            let Some((address, open)) = self.opened(moved.stream) else { continue };
            open.leaving |= moved.shards.is_empty();
            // It is answered: once Locate names this server again, Hello is said at once.
            open.greeted.retain(|shard, _| !moved.shards.contains(shard));
            let address = address.to_owned();
            let to = if moved.to == address { "" } else { &*moved.to };
            tracing::info!(address, to, shards = ?moved.shards, "the server does not own the shards any more");
            // Of the other shards the server knows no more than any.
            let here: Vec<_> = self.places.at(&address).collect();
            let named = |shard: &u32| moved.shards.is_empty() || moved.shards.contains(shard);
            for shard in here.into_iter().filter(named) {
                self.places.moved(shard, to, now);
            }
            if to.is_empty() {
                let after = self.jittered(moved.after.min(LONGEST_WAIT));
                self.locate_by(now + after);
            }
        }
    }

    fn opened(&mut self, stream: StreamId) -> Option<(&str, &mut Open)> {
        self.servers.iter_mut().find_map(|(address, server)| {
            let open = server.open.as_mut().filter(|open| open.id == stream)?;
            Some((&**address, open))
        })
    }

    /// A stream to each owner that has none, and a Hello on the streams whose server came to own more.
    fn connect(&mut self, now: Duration) {
        let missing = self.unserved();
        for (address, shards) in missing {
            let server = self.servers.entry(address.clone()).or_default();
            match &mut server.open {
                None if server.not_before <= now => self.open_stream(&address, &shards, now),
                None => {}
                Some(open) => {
                    for shard in open.to_greet(&shards, now) {
                        open.greeted.insert(shard, now);
                        let stream = open.id;
                        self.hub.change(|outbox, _, _| outbox.ask_again(stream, shard));
                    }
                }
            }
        }
        let places = &self.places;
        self.servers.retain(|address, server| {
            server.open.is_some() || server.not_before > now || places.at(address).next().is_some()
        });
    }

    /// By address: the shards that are there and not served from there, if anything can be done about it.
    fn unserved(&self) -> BTreeMap<String, Vec<u32>> {
        let mut unserved: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        self.hub.look(|outbox| {
            for (shard, place) in self.places.all().filter(|(_, place)| !place.address.is_empty()) {
                let open = self.servers.get(&place.address).and_then(|server| server.open.as_ref());
                let waits = open.is_none_or(|open| {
                    !open.leaving && outbox.is_welcomed(open.id) && outbox.stream_of(shard) != Some(open.id)
                });
                if waits {
                    unserved.entry(place.address.clone()).or_default().push(shard);
                }
            }
        });
        unserved
    }

    /// Whether every shard is served on the stream to its owner.
    fn is_served(&self) -> bool {
        let stream = |place: &Place| Some(self.servers.get(&place.address)?.open.as_ref()?.id);
        self.hub.look(|outbox| {
            self.places.all().all(|(shard, place)| {
                stream(place).is_some_and(|stream| outbox.stream_of(shard) == Some(stream))
            })
        })
    }

    fn open_stream(&mut self, address: &str, shards: &[u32], now: Duration) {
        let close = CancellationToken::new();
        let id = self.hub.next_stream();
        let greeted = shards.iter().map(|shard| (*shard, now)).collect();
        let open = Open { id, close: close.clone(), leaving: false, greeted };
        self.servers.entry(address.to_owned()).or_default().open = Some(open);
        let (hub, client, address) = (self.hub.clone(), self.client.clone(), address.to_owned());
        self.streams.spawn(async move {
            let left = session::run(hub, client, &address, id, close).await;
            (address, left)
        });
    }

    /// Asks what is due.
    fn ask(&mut self, now: Duration) {
        if self.locate.is_due(now) {
            self.locate = Turn::Asked;
            let (client, silent) = (self.client.clone(), self.silent());
            self.asks.spawn(async move { Asked::Locate(client.locate_once(&silent).await) });
        }
        if self.report.is_due(now)
            && let Some(report) = self.hub.look(|outbox| outbox.report_elsewhere(now))
        {
            self.report = Turn::Asked;
            let shards = report.shards();
            let owners = self.places.all().filter(|(shard, _)| shards.contains(shard));
            let owners: Vec<_> = owners.map(|(_, place)| place.address.clone()).collect();
            let (hub, client) = (self.hub.clone(), self.client.clone());
            self.asks.spawn(async move {
                Asked::Report(super::report::through_another(&hub, &client, report, &owners).await)
            });
        }
    }

    /// Servers whose Welcome is awaited: another one may know who replaced them.
    fn silent(&self) -> Vec<String> {
        self.hub.look(|outbox| {
            let awaited =
                |server: &Server| server.open.as_ref().is_some_and(|open| !outbox.is_welcomed(open.id));
            let silent = self.servers.iter().filter(|(_, server)| awaited(server));
            silent.map(|(address, _)| address.clone()).collect()
        })
    }

    /// When there may be something to do, if nothing happens before.
    fn next_look(&self) -> Duration {
        let mut next = Duration::MAX;
        if let Turn::Due(at) = self.locate {
            next = at;
        }
        if let Turn::Due(at) = self.report
            && let Some(due) = self.hub.look(|outbox| outbox.report_due())
        {
            next = next.min(due.max(at));
        }
        for (address, shards) in self.unserved() {
            let Some(server) = self.servers.get(&address) else { continue };
            next = next.min(match &server.open {
                None => server.not_before,
                Some(open) => open.next_greeting(&shards),
            });
        }
        next
    }

    fn answered(&mut self, asked: Result<Asked, JoinError>) {
        let now = SystemClock.elapsed();
        match asked {
            Ok(Asked::Locate(Ok(located))) => self.located(&located.shards, now),
            Ok(Asked::Locate(Err(error))) => {
                self.failed(&error);
                let pause = if error.is_final() { self.jittered(REFUSED_WAIT) } else { self.back_off() };
                self.locate = Turn::Due(now + pause);
            }
            Ok(Asked::Report(told)) => {
                if let Err(error) = told {
                    tracing::debug!(%error, "no other server took the report");
                }
                self.report = Turn::Due(now + self.jittered(REPORT_EVERY));
            }
            Err(error) => {
                tracing::error!(%error, "a question to a server failed");
                let again = Turn::Due(now + self.back_off());
                (self.locate, self.report) = (again, again);
            }
        }
    }

    fn located(&mut self, shards: &[v1::ShardOwner], now: Duration) {
        let numbers = shards.iter().map(|of| of.shard);
        self.hub.change(|outbox, now, _| outbox.locate(numbers, now));
        for shard in self.places.learn(shards, now) {
            self.owner_changed(shard, now);
        }
        let missing = self.places.is_incomplete()
            || self.unserved().keys().any(|address| self.servers.contains_key(address));
        let pause = if missing {
            self.back_off()
        } else {
            self.wait = FIRST_WAIT;
            // An owner that stands still is replaced before it welcomes anybody.
            self.jittered(if self.is_served() { REFRESH } else { LONGEST_LOCATE_WAIT })
        };
        self.locate = Turn::Due(now + pause);
    }

    /// A higher epoch was told: a stream to another server carries the shard no longer, and the new owner is tried at once.
    fn owner_changed(&mut self, shard: u32, now: Duration) {
        let Some((_, place)) = self.places.all().find(|(number, _)| *number == shard) else { return };
        let at = self.servers.get_mut(&place.address);
        let to = at.and_then(|server| {
            server.not_before = now;
            server.open.as_ref().map(|open| open.id)
        });
        self.hub.change(|outbox, now, _| {
            if let Some(stream) = outbox.stream_of(shard).filter(|stream| Some(*stream) != to) {
                outbox.retire(stream, &[shard], now);
            }
        });
    }

    fn ended(&mut self, ended: Result<(String, Left), JoinError>) {
        let now = SystemClock.elapsed();
        // What a stream's last frame said is followed before the stream is forgotten.
        self.follow_moves(now);
        let (address, left) = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                tracing::error!(%error, "a worker's stream failed");
                // Which one is not known: all begin anew.
                self.streams.abort_all();
                self.servers.clear();
                let pause = self.back_off();
                return self.locate_by(now + pause);
            }
        };
        let first = self.jittered(FIRST_WAIT);
        let final_pause = self.jittered(REFUSED_WAIT);
        let Some(server) = self.servers.get_mut(&address) else { return };
        server.open = None;
        match left {
            Left::Closed => {}
            Left::Moved { served: true } => server.rest(now + first),
            Left::Moved { served: false } => server.back_off(now, first),
            Left::Broken(error) => {
                tracing::warn!(address, %error, "lost the server");
                self.client.has_failed(&address, &error);
                server.rest(now + first);
                self.wait = FIRST_WAIT;
                self.locate_by(now + first);
            }
            Left::Refused(error) => {
                server.back_off(now, first);
                if error.is_unanswered() {
                    self.client.leave_connection(&address);
                }
                if error.is_final() {
                    server.not_before = now + final_pause;
                }
                self.failed(&error);
                let pause = self.back_off();
                self.locate_by(now + pause);
            }
        }
    }

    fn failed(&mut self, error: &Error) {
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
        } else {
            tracing::debug!(%error, "no connection to the owner");
        }
    }

    /// Asks for the owners no later than then.
    fn locate_by(&mut self, at: Duration) {
        if let Turn::Due(before) = self.locate {
            self.locate = Turn::Due(before.min(at));
        }
    }

    fn back_off(&mut self) -> Duration {
        let pause = self.jittered(self.wait);
        self.wait = (self.wait * 2).min(LONGEST_LOCATE_WAIT);
        pause
    }

    fn jittered(&self, wait: Duration) -> Duration {
        wait.mul_f64(0.5 + self.client.fraction() / 2.0)
    }
}

impl Turn {
    fn is_due(self, now: Duration) -> bool {
        matches!(self, Self::Due(at) if at <= now)
    }
}
