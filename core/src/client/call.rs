//! The way of a call: to the owner if it is known, else to whoever answers, again while nobody does and time is left.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use super::route::Way;
use super::{Client, Error, ErrorKind};
use crate::clock::{Clock, SystemClock};
use crate::protocol::v1::admin_client::AdminClient;
use crate::protocol::v1::client_client::ClientClient;
use crate::protocol::v1::worker_client::WorkerClient;

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

/// The code of an error that no server has sent.
pub(super) const UNREACHABLE: &str = ErrorKind::Unavailable.code();

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

impl Client {
    /// One call of the service `Client`.
    pub(super) async fn ask<Q, A, F>(
        &self,
        again: Again,
        way: Way<'_>,
        request: Q,
        call: impl Fn(ClientClient<Channel>, Request<Q>) -> F,
    ) -> Result<A, Error>
    where
        Q: Clone + prost::Message,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        self.ask_for(again, way, Duration::ZERO, request, call).await
    }

    /// As [`Client::ask`], where the server itself may take `longer` to answer.
    pub(super) async fn ask_for<Q, A, F>(
        &self,
        again: Again,
        way: Way<'_>,
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
        self.again_within(again, way, self.call_timeout() + longer, |channel, left| async move {
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
        self.again_within(again, Way::Any, self.call_timeout(), |channel, left| async move {
            let client = AdminClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
            Ok(call(client, self.request(request.clone(), left)).await?.into_inner())
        })
        .await
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

    fn call_timeout(&self) -> Duration {
        self.inner.options.call_timeout
    }

    /// Makes a call again, elsewhere, while no server is available and time is left: `budget` in all.
    pub(super) async fn again_within<A, F>(
        &self,
        again: Again,
        way: Way<'_>,
        budget: Duration,
        call: impl Fn(Channel, Duration) -> F,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<A, Error>>,
    {
        let until = SystemClock.elapsed().saturating_add(budget);
        let mut wait = FIRST_WAIT;
        let mut before = None;
        loop {
            let left = until.saturating_sub(SystemClock.elapsed());
            let tried = OnceLock::new();
            let error = match tokio::time::timeout(left, self.once(again, way, left, &tried, &call)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => {
                    if let Some(address) = tried.get() {
                        self.leave_connection(address);
                    }
                    return Err(before.map_or_else(late, |error| self.unreachable(error)));
                }
            };
            if error.kind == ErrorKind::Timeout
                && let Some(address) = tried.get()
            {
                self.leave_connection(address);
            }
            if error.kind != ErrorKind::Unavailable {
                return Err(error);
            }
            self.forget_owners();
            let pause = wait.mul_f64(0.5 + self.fraction() / 2.0);
            let left = until.saturating_sub(SystemClock.elapsed());
            if again == Again::Unsafe || pause >= left {
                return Err(self.unreachable(error));
            }
            tokio::time::sleep(pause).await;
            before = Some(error);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// One call at one server, which `tried` then holds; given up early only if the shard's owner stands still and is
    /// replaced meanwhile.
    async fn once<A, F>(
        &self,
        again: Again,
        way: Way<'_>,
        left: Duration,
        tried: &OnceLock<String>,
        call: impl Fn(Channel, Duration) -> F,
    ) -> Result<A, Error>
    where
        F: Future<Output = Result<A, Error>>,
    {
        let at = self.server_for(way).await?;
        let _ = tried.set(at.address.clone());
        let channel = self.inner.channels.get(&at.address)?;
        let answer = if again == Again::Safe && at.is_owner {
            tokio::select! {
                answer = call(channel, left) => answer,
                () = self.is_replaced(way, &at.address) => {
                    Err(Error::new(ErrorKind::Unavailable, UNREACHABLE, "no answer before it was replaced"))
                }
            }
        } else {
            call(channel, left).await
        };
        match &answer {
            Err(error) if error.code == UNREACHABLE => self.has_failed(&at.address, error),
            _ => self.has_answered(&at.address),
        }
        answer
    }

    /// An error that says where the call went and why it failed there.
    fn unreachable(&self, mut error: Error) -> Error {
        if error.code == UNREACHABLE {
            let failures = self.failures();
            if !failures.is_empty() {
                error.message = format!("no server could be reached: {failures}");
            }
        }
        if error.remedy.is_empty() {
            let servers = self.inner.options.servers.join(" or ");
            error.remedy = format!("check that a server listens at {servers}");
        }
        error
    }

    pub(crate) fn fraction(&self) -> f64 {
        self.inner.chance.lock().next_fraction()
    }
}

impl Error {
    /// Whether no server has said so: the connection may be dead.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.code == UNREACHABLE || self.kind == ErrorKind::Timeout
    }

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

fn late() -> Error {
    Error::from(Status::new(Code::DeadlineExceeded, "no answer in time"))
}
