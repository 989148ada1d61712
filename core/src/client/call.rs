//! The way of a call: to the owner if it is known, else to whoever answers, again while nobody does and time is left.

use std::future::Future;
use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use super::{Client, Error, ErrorKind};
use crate::clock::{Clock, SystemClock};
use crate::protocol::v1;
use crate::protocol::v1::admin_client::AdminClient;
use crate::protocol::v1::client_client::ClientClient;
use crate::protocol::v1::worker_client::WorkerClient;

/// What Locate said last. Empty: ask.
#[derive(Default)]
pub(super) struct Route {
    owners: Vec<String>,
    servers: Vec<String>,
}

/// Where an app's shards and all servers are.
#[derive(Clone, PartialEq, Debug)]
pub struct Located {
    /// The owner of each shard, in order of shard; one without an owner has an empty address.
    pub shards: Vec<v1::ShardOwner>,
    /// "host:port" of every server that is up.
    pub servers: Vec<String>,
}

/// Whether the same request may be sent twice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// It changes nothing, or the second one finds what the first has done.
    Safe,
    /// The second one would do it a second time.
    Unsafe,
}

/// The largest message either side sends: 4 MiB.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long one server may take for Locate before another one is asked.
const LOCATE_TIMEOUT: Duration = Duration::from_secs(3);

impl Client {
    /// Asks any server where the app's shards are.
    ///
    /// # Errors
    /// As the server refuses it, or [`ErrorKind::Unavailable`] after [`super::Options::call_timeout`].
    pub async fn locate(&self) -> Result<Located, Error> {
        self.again(Again::Safe, Duration::ZERO, |_| async { self.locate_once().await }).await
    }

    /// One call of the service `Client`.
    pub(super) async fn ask<Q, A, F>(
        &self,
        again: Again,
        request: Q,
        call: impl Fn(ClientClient<Channel>, Request<Q>) -> F,
    ) -> Result<A, Error>
    where
        Q: Clone + prost::Message,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.ask_for(again, Duration::ZERO, request, call).await
    }

    /// As [`Client::ask`], where the server itself may take `longer` to answer.
    pub(super) async fn ask_for<Q, A, F>(
        &self,
        again: Again,
        longer: Duration,
        request: Q,
        call: impl Fn(ClientClient<Channel>, Request<Q>) -> F,
    ) -> Result<A, Error>
    where
        Q: Clone + prost::Message,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        must_fit(request.encoded_len())?;
        let (call, request) = (&call, &request);
        self.again(again, longer, |left| async move {
            let channel = self.owner().await?;
            let client = ClientClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
            Ok(call(client, self.request(request.clone(), left)).await?.into_inner())
        })
        .await
    }

    /// One call of the service `Admin`, which any server takes.
    pub(super) async fn administer<Q, A, F>(
        &self,
        again: Again,
        request: Q,
        call: impl Fn(AdminClient<Channel>, Request<Q>) -> F,
    ) -> Result<A, Error>
    where
        Q: Clone + prost::Message,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        must_fit(request.encoded_len())?;
        let (call, request) = (&call, &request);
        self.again(again, Duration::ZERO, |left| async move {
            let client = AdminClient::new(self.any_server()?).max_decoding_message_size(MAX_MESSAGE_BYTES);
            Ok(call(client, self.request(request.clone(), left)).await?.into_inner())
        })
        .await
    }

    /// One Locate at one server drawn among all known.
    pub(crate) async fn locate_once(&self) -> Result<Located, Error> {
        let request = self.request(v1::LocateRequest { app: self.app().to_owned() }, LOCATE_TIMEOUT);
        let mut worker = WorkerClient::new(self.any_server()?);
        let reply = match tokio::time::timeout(LOCATE_TIMEOUT, worker.locate(request)).await {
            Ok(reply) => reply?.into_inner(),
            Err(_) => {
                return Err(Error::new(ErrorKind::Unavailable, "unavailable", "no answer to Locate in time"));
            }
        };
        let mut route = self.inner.route.lock();
        route.owners = reply.shards.iter().map(|s| s.address.clone()).filter(|a| !a.is_empty()).collect();
        route.servers = reply.servers.clone();
        Ok(Located { shards: reply.shards, servers: reply.servers })
    }

    /// The connection for a worker's stream to this address.
    pub(crate) fn stream_to(&self, address: &str) -> Result<WorkerClient<Channel>, Error> {
        let channel = self.inner.channels.get(address)?;
        Ok(WorkerClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
    }

    /// A request that says who calls.
    pub(crate) fn authorized<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.inner.bearer.clone());
        request
    }

    pub(super) fn request<Q>(&self, message: Q, timeout: Duration) -> Request<Q> {
        let mut request = self.authorized(message);
        request.set_timeout(timeout);
        request
    }

    /// Where a call goes: an owner of the app's shards (which sends it on if it owns another shard), else any server.
    pub(super) async fn owner(&self) -> Result<Channel, Error> {
        if self.app().is_empty() {
            return self.any_server();
        }
        if self.inner.route.lock().owners.is_empty() {
            self.locate_once().await?;
        }
        let owner = {
            let route = self.inner.route.lock();
            pick(&route.owners, self.draw()).map(str::to_owned)
        };
        match owner {
            Some(owner) => self.inner.channels.get(&owner),
            None => self.any_server(),
        }
    }

    fn any_server(&self) -> Result<Channel, Error> {
        let address = {
            let route = self.inner.route.lock();
            let seeds = &self.inner.options.servers;
            let known = seeds.len() + route.servers.len();
            let drawn = usize::try_from(self.draw() % known as u64).expect("less than the number of servers");
            seeds.iter().chain(&route.servers).nth(drawn).cloned().expect("drawn within the servers")
        };
        self.inner.channels.get(&address)
    }

    /// Makes a call again, elsewhere, while no server is available and time is left.
    pub(super) async fn again<A, F>(
        &self,
        again: Again,
        longer: Duration,
        call: impl Fn(Duration) -> F,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<A, Error>>,
    {
        self.again_within(again, self.inner.options.call_timeout + longer, call).await
    }

    /// As [`Client::again`], taking at most `budget` in all.
    pub(super) async fn again_within<A, F>(
        &self,
        again: Again,
        budget: Duration,
        call: impl Fn(Duration) -> F,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<A, Error>>,
    {
        let until = SystemClock.elapsed().saturating_add(budget);
        let mut wait = FIRST_WAIT;
        let mut before = None;
        loop {
            let left = until.saturating_sub(SystemClock.elapsed());
            let error = match tokio::time::timeout(left, call(left)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => {
                    let servers = &self.inner.options.servers;
                    return Err(before.map_or_else(late, |error| unreachable(error, servers)));
                }
            };
            if error.kind != ErrorKind::Unavailable {
                return Err(error);
            }
            self.inner.route.lock().owners.clear();
            let pause = wait.mul_f64(0.5 + self.fraction() / 2.0);
            let left = until.saturating_sub(SystemClock.elapsed());
            if again == Again::Unsafe || pause >= left {
                return Err(unreachable(error, &self.inner.options.servers));
            }
            tokio::time::sleep(pause).await;
            before = Some(error);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    pub(crate) fn fraction(&self) -> f64 {
        self.inner.chance.lock().next_fraction()
    }
}

impl Error {
    /// Whether the same call by the same caller is refused wherever it goes.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unauthenticated | ErrorKind::NotPermitted | ErrorKind::Invalid | ErrorKind::NotFound
        )
    }
}

/// A server reads no larger message: it would refuse it in words of its transport.
pub(super) fn must_fit(bytes: usize) -> Result<(), Error> {
    if bytes <= MAX_MESSAGE_BYTES {
        return Ok(());
    }
    let message = format!("the call has {bytes} bytes, and a message holds {MAX_MESSAGE_BYTES}");
    Err(Error::invalid("message_too_large", "", message)
        .with_remedy("give fewer jobs or triggers in one call, or smaller parameters"))
}

fn pick(addresses: &[String], drawn: u64) -> Option<&str> {
    let at = drawn.checked_rem(addresses.len() as u64)?;
    usize::try_from(at).ok().and_then(|at| addresses.get(at)).map(String::as_str)
}

fn late() -> Error {
    Error::from(Status::new(Code::DeadlineExceeded, "no answer in time"))
}

fn unreachable(mut error: Error, servers: &[String]) -> Error {
    if error.remedy.is_empty() {
        error.remedy = format!("check that a server listens at {}", servers.join(" or "));
    }
    error
}
