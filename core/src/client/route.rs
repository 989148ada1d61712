//! Which server a call goes to: what Locate said last, and which servers answer.

use std::time::Duration;

use super::call::UNREACHABLE;
use super::servers::Servers;
use super::{Client, Error, ErrorKind};
use crate::clock::{Clock, SystemClock};
use crate::domain;
use crate::protocol::v1;

pub(super) struct Route {
    /// By shard, an empty address for one without an owner. Empty: ask.
    owners: Vec<String>,
    servers: Servers,
}

/// Where an app's shards and all servers are.
#[derive(Clone, PartialEq, Debug)]
pub struct Located {
    /// The owner of each shard, in order of shard; one without an owner has an empty address.
    pub shards: Vec<v1::ShardOwner>,
    /// "host:port" of every server that is up.
    pub servers: Vec<String>,
}

/// Whom a call is for.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
    /// Any server.
    Any,
    /// An owner of the app's shards: that of the job, if one is named. Any server sends it on if need be.
    Owner(Option<&'a str>),
}

/// The server that a call goes to.
pub(super) struct At {
    pub(super) address: String,
    /// Whether it is the one that the call is for.
    pub(super) is_owner: bool,
}

/// How long one server may take for Locate or a report before another one is asked.
const ONE_SERVER_TIMEOUT: Duration = Duration::from_secs(3);
/// A call that the owner has not answered for this long makes sure that it still is the owner; then after twice as long.
const DOUBT_AFTER: Duration = Duration::from_secs(3);

impl Route {
    pub(super) fn new(seeds: Vec<String>) -> Self {
        Self { owners: Vec::new(), servers: Servers::new(seeds) }
    }

    fn learn(&mut self, located: &Located) {
        self.owners = located.shards.iter().map(|of| of.address.clone()).collect();
        self.servers.learn(&located.servers);
    }

    /// The owner of the job's shard, or any owner if none is named.
    fn owner(&self, job: Option<&str>, drawn: u64) -> Option<&str> {
        let known = |owner: &&String| !owner.is_empty();
        if let Some(job) = job
            && let Ok(shards) = u16::try_from(self.owners.len())
        {
            let owner = self.owners.get(usize::from(domain::shard_of(job, shards)));
            return owner.filter(known).map(String::as_str);
        }
        let count = self.owners.iter().filter(known).count() as u64;
        let at = usize::try_from(drawn.checked_rem(count)?).ok()?;
        self.owners.iter().filter(known).nth(at).map(String::as_str)
    }

    fn owns(&self, job: Option<&str>, address: &str) -> bool {
        match job {
            Some(_) => self.owner(job, 0) == Some(address),
            None => self.owners.iter().any(|owner| owner == address),
        }
    }
}

impl Client {
    /// Asks any server where the app's shards are.
    ///
    /// # Errors
    /// As the server refuses it, or [`ErrorKind::Unavailable`] after [`super::Options::call_timeout`].
    pub async fn locate(&self) -> Result<Located, Error> {
        let timeout = self.inner.options.call_timeout;
        self.again_within(super::call::Again::Safe, Way::Any, timeout, |_, _| self.locate_once(&[])).await
    }

    /// One Locate at one server drawn among all known, at one of `but` only if there is no other.
    pub(crate) async fn locate_once(&self, but: &[String]) -> Result<Located, Error> {
        let drawn = self.any_server(but).or_else(|_| self.any_server(&[]));
        self.locate_at(&drawn?).await
    }

    async fn locate_at(&self, address: &str) -> Result<Located, Error> {
        let request = v1::LocateRequest { app: self.app().to_owned() };
        let request = self.request(request, ONE_SERVER_TIMEOUT);
        let mut worker = self.stream_to(address)?;
        let reply = self.within(address, async move { worker.locate(request).await }).await?;
        let located = Located { shards: reply.shards, servers: reply.servers };
        self.inner.route.lock().learn(&located);
        Ok(located)
    }

    /// One report at one server drawn among all known but these.
    pub(crate) async fn report_once(
        &self,
        report: v1::ReportRequest,
        but: &[String],
    ) -> Result<v1::ReportReply, Error> {
        let address = self.any_server(but)?;
        let request = self.request(report, ONE_SERVER_TIMEOUT);
        let mut worker = self.stream_to(&address)?;
        self.within(&address, async move { worker.report(request).await }).await
    }

    /// One call at one server, which rests afterwards if it cannot be reached in time or is not ready.
    async fn within<A>(
        &self,
        address: &str,
        call: impl Future<Output = Result<tonic::Response<A>, tonic::Status>>,
    ) -> Result<A, Error> {
        let reply = match tokio::time::timeout(ONE_SERVER_TIMEOUT, call).await {
            Ok(reply) => reply.map_err(Error::from),
            Err(_) => Err(Error::new(ErrorKind::Unavailable, UNREACHABLE, "no answer in time")),
        };
        match reply {
            Ok(reply) => {
                self.has_answered(address);
                Ok(reply.into_inner())
            }
            Err(mut error) if matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Timeout) => {
                self.has_failed(address, &error);
                error.kind = ErrorKind::Unavailable;
                if error.code == UNREACHABLE {
                    error.message = format!("no server could be reached: {}", self.failures());
                }
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Where the next try of a call goes.
    pub(super) async fn server_for(&self, way: Way<'_>) -> Result<At, Error> {
        if let Way::Owner(job) = way
            && !self.app().is_empty()
        {
            if self.inner.route.lock().owners.is_empty() {
                self.locate_once(&[]).await?;
            }
            let (now, drawn) = (SystemClock.elapsed(), self.draw());
            let route = self.inner.route.lock();
            // An owner that cannot be reached from here may be reached from another server.
            if let Some(owner) = route.owner(job, drawn).filter(|owner| !route.servers.rests(owner, now)) {
                return Ok(At { address: owner.to_owned(), is_owner: true });
            }
        }
        Ok(At { address: self.any_server(&[])?, is_owner: false })
    }

    /// Returns once another server says that this one does not own what the call is for.
    pub(super) async fn is_replaced(&self, way: Way<'_>, address: &str) {
        let Way::Owner(job) = way else { return std::future::pending().await };
        let mut wait = DOUBT_AFTER;
        loop {
            tokio::time::sleep(wait.mul_f64(0.5 + self.fraction() / 2.0)).await;
            if let Ok(other) = self.any_server(&[address.to_owned()])
                && self.locate_at(&other).await.is_ok()
                && !self.inner.route.lock().owns(job, address)
            {
                return;
            }
            wait = wait.saturating_mul(2);
        }
    }

    fn any_server(&self, but: &[String]) -> Result<String, Error> {
        let now = SystemClock.elapsed();
        let drawn = self.inner.route.lock().servers.draw(but, now, &mut self.inner.chance.lock());
        drawn.ok_or_else(|| Error::new(ErrorKind::Unavailable, UNREACHABLE, "no other server is known"))
    }

    pub(super) fn forget_owners(&self) {
        self.inner.route.lock().owners.clear();
    }

    pub(super) fn has_answered(&self, address: &str) {
        self.inner.route.lock().servers.answered(address);
    }

    /// No answer came from this server, or that it is not ready.
    pub(crate) fn has_failed(&self, address: &str, why: &Error) {
        if why.is_unanswered() {
            self.leave_connection(address);
        }
        self.inner.route.lock().servers.failed(address, why.message.clone(), SystemClock.elapsed());
    }

    /// Nothing new is sent on the connection that there is to this server.
    pub(crate) fn leave_connection(&self, address: &str) {
        self.inner.channels.leave(address);
    }

    /// The servers that failed last time they were asked, each with its reason.
    pub(super) fn failures(&self) -> String {
        self.inner.route.lock().servers.failures()
    }
}
