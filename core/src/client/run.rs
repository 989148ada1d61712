//! Asking about runs, waiting for them, ending and repeating them.

use std::time::Duration;

use bytes::Bytes;

use super::call::Again;
use super::job::millis;
use super::route::Way;
use super::view::Run;
use super::{Accepted, Client, Error, ErrorKind};
use crate::clock::{Clock, SystemClock};
use crate::id::RunId;
use crate::protocol::v1;

/// Which runs to list.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RunFilter {
    /// Of this job; empty: of every job.
    pub job: String,
    /// In one of these states; empty: in every state.
    pub states: Vec<v1::RunState>,
    /// Older than this one: page by giving the last id seen.
    pub before: Option<RunId>,
    /// 1 to 500; 0: the server's default, 100.
    pub limit: u32,
}

/// How long one call waits for a run: the server's bound.
const LONG_POLL: Duration = Duration::from_secs(60);

impl Client {
    /// A run, with its attempts in its message.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`].
    pub async fn run_get(&self, id: RunId) -> Result<Run, Error> {
        self.run_get_by(v1::run_get_request::By::Id(bytes(id))).await
    }

    /// The run of a job that was triggered with this idempotency key.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`].
    pub async fn run_by_key(&self, job: &str, key: &str) -> Result<Run, Error> {
        let key = v1::JobKey { job: job.to_owned(), idempotency_key: key.to_owned() };
        self.run_get_by(v1::run_get_request::By::Key(key)).await
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// As any call's.
    pub async fn run_list(&self, filter: RunFilter) -> Result<Vec<Run>, Error> {
        let request = v1::RunListRequest {
            app: self.app().to_owned(),
            job: filter.job,
            states: filter.states.into_iter().map(Into::into).collect(),
            limit: filter.limit,
            before: filter.before.map(bytes).unwrap_or_default(),
        };
        let reply =
            self.ask(Again::Safe, Way::Owner(None), request, async |mut c, r| c.run_list(r).await).await?;
        reply.runs.into_iter().map(Run::try_from).collect()
    }

    /// The run once it has ended, or as it is after `timeout` (`None`: waits as long as it takes).
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`].
    pub async fn run_wait(&self, id: RunId, timeout: Option<Duration>) -> Result<Run, Error> {
        self.wait_by(v1::run_get_request::By::Id(bytes(id)), timeout).await
    }

    /// As [`Client::run_wait`], for the run that an accepted trigger makes.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`] if there is none after `timeout`.
    pub async fn run_wait_accepted(
        &self,
        accepted: &Accepted,
        timeout: Option<Duration>,
    ) -> Result<Run, Error> {
        self.wait_by(accepted.by(), timeout).await
    }

    /// The run that an accepted trigger has made.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`] if it has made none yet.
    pub async fn run_by_accepted(&self, accepted: &Accepted) -> Result<Run, Error> {
        self.run_get_by(accepted.by()).await
    }

    async fn wait_by(&self, by: v1::run_get_request::By, timeout: Option<Duration>) -> Result<Run, Error> {
        use v1::run_get_request::By;
        let until = timeout.map(|timeout| SystemClock.elapsed().saturating_add(timeout));
        let app = self.app().to_owned();
        let request = match by {
            By::Id(id) => v1::RunWaitRequest { app, id, ..Default::default() },
            By::Request(request) => v1::RunWaitRequest { app, request: Some(request), ..Default::default() },
            By::Key(key) => v1::RunWaitRequest { app, key: Some(key), ..Default::default() },
        };
        loop {
            let left = until.map_or(LONG_POLL, |until| until.saturating_sub(SystemClock.elapsed()));
            let wait = left.min(LONG_POLL);
            let is_over = || until.is_some_and(|until| SystemClock.elapsed() >= until);
            let request = v1::RunWaitRequest { timeout_ms: millis(wait), ..request.clone() };
            let may_come = request.id.is_empty();
            let way = Way::Owner(None);
            match self.ask_for(Again::Safe, way, wait, request, async |mut c, r| c.run_wait(r).await).await {
                Err(error) if may_come && error.kind == ErrorKind::NotFound && !is_over() => {}
                Err(error) => return Err(error),
                Ok(run) => {
                    let run = Run::try_from(run)?;
                    if run.state.is_ended() || is_over() {
                        return Ok(run);
                    }
                }
            }
        }
    }

    /// Asks for a run's end: one that waits is cancelled, the handler of one that runs is told to give way.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`].
    pub async fn run_cancel(&self, id: RunId) -> Result<Run, Error> {
        let request = v1::RunCancelRequest { app: self.app().to_owned(), id: bytes(id) };
        self.ask(Again::Safe, Way::Owner(None), request, async |mut c, r| c.run_cancel(r).await)
            .await?
            .try_into()
    }

    /// Makes a new run of a finished one.
    ///
    /// # Errors
    /// [`super::ErrorKind::NotFound`]; [`super::ErrorKind::Conflict`] if it has not ended.
    pub async fn run_retry(&self, id: RunId) -> Result<Run, Error> {
        let request =
            v1::RunRetryRequest { app: self.app().to_owned(), id: bytes(id), request_id: self.request_id() };
        self.ask(Again::Safe, Way::Owner(None), request, async |mut c, r| c.run_retry(r).await)
            .await?
            .try_into()
    }

    pub(super) async fn run_get_by(&self, by: v1::run_get_request::By) -> Result<Run, Error> {
        let request = v1::RunGetRequest { app: self.app().to_owned(), by: Some(by) };
        self.ask(Again::Safe, Way::Owner(None), request, async |mut c, r| c.run_get(r).await)
            .await?
            .try_into()
    }
}

fn bytes(id: RunId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}
