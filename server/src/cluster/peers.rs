//! The other servers, to be called: a call for the owner of a shard is handed on, once. It knows nothing of owners;
//! whoever calls names the address.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastjob_core::clock::Clock;
use fastjob_core::domain::Refusal;
use fastjob_core::protocol::v1::forward_reply::Reply;
use fastjob_core::protocol::v1::peer_client::PeerClient;
use fastjob_core::protocol::{refusal, v1};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::key::ClusterKey;

/// How long a connection may take.
const CONNECT_WAIT: Duration = Duration::from_secs(1);
/// How long a call that is handed on may take, connecting included.
pub const FORWARD_WAIT: Duration = Duration::from_secs(5);
/// How long a nudge may take: what it saves is a second.
const NUDGE_WAIT: Duration = Duration::from_secs(1);
/// Connections to other servers that are kept.
const MAX_CHANNELS: usize = 256;
/// Different codes of refusals that are kept; a cluster of one version knows fewer.
const MAX_CODES: usize = 1_000;
/// The largest message between servers: a client's, and what its definitions grow by when every default is written out.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// A refused key is told to people this often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// The code of a refusal by a server that does not own the shard.
pub const NOT_OWNER: &str = "not_owner";

/// The way to the other servers of the cluster. Clones are the same.
#[derive(Clone)]
pub struct Peers(Arc<Inner>);

struct Inner {
    /// `None`: this server is alone.
    key: Option<ClusterKey>,
    clock: Arc<dyn Clock>,
    channels: Mutex<HashMap<String, Channel>>,
    codes: Mutex<HashSet<&'static str>>,
    told: Seldom,
}

/// Why a call could not be handed on.
#[derive(Clone, PartialEq, Debug)]
pub enum Unforwarded {
    /// That server does not own the shard. Nothing was done.
    NotOwner,
    /// It could not be reached, or did not answer in time: whether the call took effect is not known.
    Unreachable(String),
    /// The owner refuses the call.
    Refused(Refusal),
}

impl Peers {
    /// Servers that know each other by this key; without one, nobody is called.
    pub fn new(key: Option<ClusterKey>, clock: Arc<dyn Clock>) -> Self {
        let (channels, codes, told) = (Mutex::default(), Mutex::default(), Seldom::default());
        Self(Arc::new(Inner { key, clock, channels, codes, told }))
    }

    /// The key of the cluster.
    pub fn key(&self) -> Option<&ClusterKey> {
        self.0.key.as_ref()
    }

    /// Hands a call on to the server at this address.
    pub async fn forward(&self, address: &str, request: v1::ForwardRequest) -> Result<Reply, Unforwarded> {
        let Some(key) = &self.0.key else {
            return Err(Unforwarded::Unreachable("this server has no cluster key".into()));
        };
        let mut client = self.client(address)?;
        let call = client.forward(self.signed(key, request, FORWARD_WAIT));
        let answer = match tokio::time::timeout(FORWARD_WAIT, call).await {
            Ok(Ok(reply)) => {
                let reply = reply.into_inner().reply;
                reply.ok_or_else(|| {
                    Unforwarded::Unreachable("it answered what this version does not know".into())
                })
            }
            Ok(Err(status)) => Err(self.unforwarded(address, &status)),
            Err(_) => Err(Unforwarded::Unreachable(format!("no answer within {} s", FORWARD_WAIT.as_secs()))),
        };
        if matches!(answer, Err(Unforwarded::Unreachable(_))) {
            self.leave_connection(address);
        }
        answer
    }

    /// Tells the server at this address where to look now. Nothing depends on it.
    pub async fn nudge(&self, address: &str, kinds: &[v1::NudgeKind]) {
        let (Some(key), Ok(mut client)) = (&self.0.key, self.client(address)) else { return };
        let kinds = kinds.iter().map(|kind| (*kind).into()).collect();
        let call = client.nudge(self.signed(key, v1::NudgeRequest { kinds }, NUDGE_WAIT));
        if !matches!(tokio::time::timeout(NUDGE_WAIT, call).await, Ok(Ok(_))) {
            self.leave_connection(address);
        }
    }

    /// The next call is made on a new connection: of a link that went silent nothing else would tell for minutes.
    fn leave_connection(&self, address: &str) {
        self.0.channels.lock().remove(address);
    }

    /// Nudges the servers at these addresses to look for shards, until `stop`.
    pub async fn pass_on(&self, mut addresses: mpsc::Receiver<String>, stop: CancellationToken) {
        while let Some(Some(address)) = stop.run_until_cancelled(addresses.recv()).await {
            self.nudge(&address, &[v1::NudgeKind::Owners]).await;
        }
        // The last are those of a server that stops: its shards are free until their successors hear of it.
        while let Ok(address) = addresses.try_recv() {
            self.nudge(&address, &[v1::NudgeKind::Owners]).await;
        }
    }

    fn signed<T>(&self, key: &ClusterKey, message: T, wait: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", key.header());
        request.set_timeout(wait);
        request
    }

    fn client(&self, address: &str) -> Result<PeerClient<Channel>, Unforwarded> {
        let channel = self.channel(address).map_err(|error| Unforwarded::Unreachable(error.to_string()))?;
        Ok(PeerClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// Connects when it is first used, and again after a failure.
    fn channel(&self, address: &str) -> Result<Channel, tonic::transport::Error> {
        let mut channels = self.0.channels.lock();
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        if channels.len() >= MAX_CHANNELS {
            channels.clear();
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let channel = endpoint.connect_timeout(CONNECT_WAIT).tcp_nodelay(true).connect_lazy();
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    fn unforwarded(&self, address: &str, status: &Status) -> Unforwarded {
        let Some(detail) = refusal::detail_of(status) else {
            return Unforwarded::Unreachable(status.message().to_owned());
        };
        if status.code() == Code::Unavailable && detail.code == NOT_OWNER {
            return Unforwarded::NotOwner;
        }
        if status.code() == Code::Unauthenticated {
            if self.0.told.now(&*self.0.clock) {
                tracing::error!(
                    address,
                    "another server refuses this server's cluster key: give all servers of the cluster the same \
                     cluster.key_file"
                );
            }
            return Unforwarded::Unreachable("it refuses this server's cluster key".into());
        }
        Unforwarded::Refused(Refusal {
            kind: refusal::kind(status.code()),
            code: self.code(detail.code),
            message: detail.message.into(),
            field: detail.field.into(),
            remedy: detail.remedy.into(),
        })
    }

    /// A refusal's code is a word of the program. Those of other servers are kept for the life of the process, each once.
    fn code(&self, code: String) -> &'static str {
        let mut codes = self.0.codes.lock();
        if let Some(known) = codes.get(&*code) {
            return known;
        }
        if codes.len() >= MAX_CODES {
            return "refused";
        }
        let code: &'static str = code.leak();
        codes.insert(code);
        code
    }
}

/// Lets something be told once, and again after a while.
#[derive(Default)]
pub struct Seldom {
    /// In milliseconds of the clock's `elapsed`; 0: never.
    last: AtomicU64,
}

impl Seldom {
    /// Whether to tell it now.
    pub fn now(&self, clock: &dyn Clock) -> bool {
        let now = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let last = self.last.load(Ordering::Relaxed);
        let due = last == 0 || now.saturating_sub(last) >= TELL_EVERY.as_secs() * 1_000;
        due && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use fastjob_core::clock::{ManualClock, Millis};

    use super::*;

    #[test]
    fn what_goes_on_failing_is_told_once_a_minute() {
        let clock = ManualClock::at(Millis::new(0));
        let seldom = Seldom::default();
        let told = [0, 1, 58_000, 2_000, 1_000].map(|ms| {
            clock.advance(ms);
            seldom.now(&clock)
        });
        assert_eq!(told, [true, false, false, true, false]);
    }

    #[test]
    fn the_codes_of_other_servers_are_kept_once_each_and_not_without_end() {
        let peers = Peers::new(None, Arc::new(ManualClock::at(Millis::new(0))));
        assert!(std::ptr::eq(peers.code("job_not_found".into()), peers.code("job_not_found".into())));
        for n in 0..MAX_CODES {
            peers.code(format!("code_{n}"));
        }
        assert_eq!(peers.code("one_more".into()), "refused");
    }
}
