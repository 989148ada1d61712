//! Jobs: what a program says of them, and the calls about them.

use std::time::Duration;

use super::call::Again;
use super::route::Way;
use super::{Client, Error, ErrorKind, JobPut};
use crate::clock::Millis;
use crate::domain::{Dialect, GapRule, OverlapRule, Payload, Weekday};
use crate::protocol::v1;

pub use crate::protocol::v1::{Backoff, CatchUpPolicy as CatchUp, Overlap, Routing};

/// A job to be put. What is not said has the server's default; bounds are checked by the server.
#[derive(Clone, PartialEq, Debug)]
#[must_use = "a job does nothing until it is put"]
pub struct Job {
    spec: v1::JobSpec,
}

impl Job {
    /// A job of this name, 1 to 128 characters, fired by the API alone until a trigger is given.
    pub fn named(name: impl Into<String>) -> Self {
        let trigger = v1::Trigger { kind: Some(v1::trigger::Kind::Api(v1::ApiOnly {})) };
        Self { spec: v1::JobSpec { name: name.into(), trigger: Some(trigger), ..Default::default() } }
    }

    /// The name of the handler that runs it.
    pub fn handler(mut self, handler: impl Into<String>) -> Self {
        self.spec.handler = handler.into();
        self
    }

    /// Fires by a cron expression: of the dialect quartz, which has six or seven fields, seconds first, unless
    /// [`Job::dialect`] is given; in UTC unless [`Job::zone`] is.
    pub fn cron(self, expression: impl Into<String>) -> Self {
        let expression = expression.into();
        self.fires(v1::trigger::Kind::Cron(v1::Cron { expression, ..Default::default() }))
    }

    /// The IANA zone of the cron expression or the daily window, given before.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        match self.kind() {
            Some(v1::trigger::Kind::Cron(cron)) => cron.zone = zone.into(),
            Some(v1::trigger::Kind::DailyWindow(window)) => window.zone = zone.into(),
            _ => {}
        }
        self
    }

    /// How the cron expression, given before, is read.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        if let Some(v1::trigger::Kind::Cron(cron)) = self.kind() {
            cron.dialect = dialect.as_str().to_owned();
        }
        self
    }

    /// What becomes of civil times that a gap of the zone swallows. For the cron expression given before, if its seconds,
    /// minutes and hours have no `*`, range or step.
    pub fn gap(mut self, gap: GapRule) -> Self {
        if let Some(v1::trigger::Kind::Cron(cron)) = self.kind() {
            cron.gap = gap.as_str().to_owned();
        }
        self
    }

    /// In which passes of an overlap of the zone the cron expression, given before, fires. As [`Job::gap`].
    pub fn overlap_rule(mut self, overlap: OverlapRule) -> Self {
        if let Some(v1::trigger::Kind::Cron(cron)) = self.kind() {
            cron.overlap = overlap.as_str().to_owned();
        }
        self
    }

    /// Fires at an even pace, counted from the job's creation.
    pub fn every(self, period: Duration) -> Self {
        let period_ms = millis(period);
        self.fires(v1::trigger::Kind::FixedRate(v1::FixedRate { period_ms, phase_ms: None }))
    }

    /// An instant of the even pace, given before, instead of the job's creation.
    pub fn phase(mut self, phase: Millis) -> Self {
        if let Some(v1::trigger::Kind::FixedRate(rate)) = self.kind() {
            rate.phase_ms = Some(phase.get());
        }
        self
    }

    /// Fires at an even pace within a window of each day, from one time to another, both included, as `09:00` and `17:30`;
    /// in UTC unless [`Job::zone`] is given, on all days unless [`Job::weekdays`] are.
    pub fn daily_window(self, from: impl Into<String>, to: impl Into<String>, every: Duration) -> Self {
        let (from, to, every_ms) = (from.into(), to.into(), millis(every));
        self.fires(v1::trigger::Kind::DailyWindow(v1::DailyWindow {
            from,
            to,
            every_ms,
            ..Default::default()
        }))
    }

    /// The days of the daily window, given before.
    pub fn weekdays(mut self, days: impl IntoIterator<Item = Weekday>) -> Self {
        if let Some(v1::trigger::Kind::DailyWindow(window)) = self.kind() {
            window.weekdays = days.into_iter().map(|day| day.as_str().to_owned()).collect();
        }
        self
    }

    /// Fires this long after the end of the run before.
    pub fn delay(self, delay: Duration) -> Self {
        let delay_ms = millis(delay);
        self.fires(v1::trigger::Kind::FixedDelay(v1::FixedDelay { delay_ms }))
    }

    /// Fires once at this instant; said again, at that one too.
    pub fn at(mut self, instant: Millis) -> Self {
        if let Some(v1::trigger::Kind::At(at)) = self.kind() {
            at.instants.push(instant.get());
            return self;
        }
        self.fires(v1::trigger::Kind::At(v1::At { instants: vec![instant.get()] }))
    }

    /// Fires only when it is triggered.
    pub fn api(self) -> Self {
        self.fires(v1::trigger::Kind::Api(v1::ApiOnly {}))
    }

    /// What its handler gets.
    pub fn params(mut self, params: impl Into<Payload>) -> Self {
        self.spec.params = Some(super::view::wire(params.into()));
        self
    }

    /// What its handler gets: JSON text.
    pub fn params_json(self, json: impl Into<String>) -> Self {
        self.params(Payload::json(json))
    }

    /// What its handler gets: text.
    pub fn params_text(self, text: impl Into<String>) -> Self {
        self.params(Payload::text(text))
    }

    /// How long an attempt may take. Default 1 h.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.spec.attempt_timeout_ms = Some(millis(timeout));
        self
    }

    /// How long a handler may take to give way to a cancel or timeout. Default 10 s, at most 1 h.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.spec.cancel_grace_ms = Some(millis(grace));
        self
    }

    /// How often a failed run is tried again. Default 0.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retry().retries = retries;
        self
    }

    /// How long a failed run waits for its next attempt: `delay` at first, at most `longest`.
    pub fn backoff(mut self, backoff: Backoff, delay: Duration, longest: Duration) -> Self {
        let retry = self.retry();
        retry.set_backoff(backoff);
        retry.delay_ms = Some(millis(delay));
        retry.max_delay_ms = Some(millis(longest));
        self
    }

    /// Each wait for a next attempt is drawn from [1 - jitter, 1] of it. 0.0 to 1.0, default 0.
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.retry().jitter = jitter;
        self
    }

    /// What happens to a tick while an earlier run is alive. Default: it is skipped.
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.spec.set_overlap(overlap);
        self
    }

    /// What happens to ticks that were missed. Default: the newest fires.
    pub fn catch_up(mut self, policy: CatchUp) -> Self {
        self.spec.catch_up.get_or_insert_default().set_policy(policy);
        self
    }

    /// Of the missed ticks at most this many fire, the newest, one after the other. 1 to 1,000.
    pub fn catch_up_all(mut self, max_runs: u32) -> Self {
        let catch_up = self.spec.catch_up.get_or_insert_default();
        catch_up.set_policy(CatchUp::All);
        catch_up.max_runs = Some(max_runs);
        self
    }

    /// No tick lies before this instant.
    pub fn start_at(mut self, at: Millis) -> Self {
        self.spec.timing.get_or_insert_default().start_at = Some(at.get());
        self
    }

    /// No tick lies at this instant or after it.
    pub fn end_at(mut self, at: Millis) -> Self {
        self.spec.timing.get_or_insert_default().end_at = Some(at.get());
        self
    }

    /// Each tick's run is due up to this much later, but before the next tick. At most 24 h, default 0.
    pub fn tick_jitter(mut self, most: Duration) -> Self {
        self.spec.timing.get_or_insert_default().jitter_ms = millis(most);
        self
    }

    /// Which waiting run goes first: the higher. -100 to 100, default 0.
    pub fn priority(mut self, priority: i32) -> Self {
        self.spec.priority = priority;
        self
    }

    /// How a worker is chosen. Default: the least busy.
    pub fn routing(mut self, routing: Routing) -> Self {
        self.spec.set_routing(routing);
        self
    }

    /// A run not dispatched this long after it was due is skipped. Default: it waits.
    pub fn start_deadline(mut self, deadline: Duration) -> Self {
        self.spec.start_deadline_ms = Some(millis(deadline));
        self
    }

    /// After this long without contact its worker counts as lost. 1 s to 24 h; default: the server's.
    pub fn worker_lost_after(mut self, lost_after: Duration) -> Self {
        self.spec.worker_lost_after_ms = Some(millis(lost_after));
        self
    }

    /// Never dispatched again after its worker was lost.
    pub fn at_most_once(mut self) -> Self {
        self.spec.at_most_once = true;
        self
    }

    /// Fires from now on. Default: a new job does, a known one stays as it is.
    pub fn enabled(mut self) -> Self {
        self.spec.enabled = Some(true);
        self
    }

    /// Does not fire until it is enabled.
    pub fn disabled(mut self) -> Self {
        self.spec.enabled = Some(false);
        self
    }

    /// A put with a lower version than the stored one is refused. Default: not compared.
    pub fn source_version(mut self, version: u64) -> Self {
        self.spec.source_version = Some(version);
        self
    }

    /// As it is sent.
    pub fn into_spec(self) -> v1::JobSpec {
        self.spec
    }

    fn fires(mut self, kind: v1::trigger::Kind) -> Self {
        self.spec.trigger = Some(v1::Trigger { kind: Some(kind) });
        self
    }

    fn kind(&mut self) -> Option<&mut v1::trigger::Kind> {
        self.spec.trigger.as_mut()?.kind.as_mut()
    }

    fn retry(&mut self) -> &mut v1::Retry {
        self.spec.retry.get_or_insert_default()
    }
}

impl From<v1::JobSpec> for Job {
    fn from(spec: v1::JobSpec) -> Self {
        Self { spec }
    }
}

impl Client {
    /// Creates or replaces a job.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] names the field; [`ErrorKind::Conflict`] if a newer version or the console owns it.
    pub async fn job_put(&self, job: Job) -> Result<JobPut, Error> {
        self.job_put_spec(job.into_spec()).await?.try_into()
    }

    /// Creates or replaces at most 1,000 jobs: all are checked first. One result per job, in order.
    ///
    /// # Errors
    /// As [`Client::job_put`]; nothing is put then.
    pub async fn job_put_all(&self, jobs: Vec<Job>) -> Result<Vec<JobPut>, Error> {
        let specs = jobs.into_iter().map(Job::into_spec).collect();
        self.job_put_specs(specs).await?.into_iter().map(JobPut::try_from).collect()
    }

    /// As [`Client::job_put`], by messages.
    ///
    /// # Errors
    /// As [`Client::job_put`].
    pub async fn job_put_spec(&self, spec: v1::JobSpec) -> Result<v1::JobPutResult, Error> {
        let mut results = self.job_put_specs(vec![spec]).await?;
        results
            .pop()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "internal", "the server answered no result"))
    }

    /// As [`Client::job_put_all`], by messages.
    ///
    /// # Errors
    /// As [`Client::job_put_all`].
    pub async fn job_put_specs(&self, jobs: Vec<v1::JobSpec>) -> Result<Vec<v1::JobPutResult>, Error> {
        let first = jobs.first().map(|job| job.name.clone());
        let request = v1::JobPutRequest { app: self.app().to_owned(), jobs };
        let way = Way::Owner(first.as_deref());
        let reply = self.ask(Again::Safe, way, request, async |mut c, r| c.job_put(r).await).await?;
        Ok(reply.results)
    }

    /// Creates, replaces and deletes at most 1,000 jobs: all are checked first, and each shard makes all of its changes
    /// or none. One result per change, in order.
    ///
    /// # Errors
    /// As [`Client::job_put`]; [`ErrorKind::Conflict`] also if a job is at another revision than was seen.
    pub async fn job_apply(&self, changes: Vec<v1::JobChange>) -> Result<Vec<v1::JobApplied>, Error> {
        let first = changes.first().and_then(|change| change.change.clone()).map(name_of);
        let request = v1::JobApplyRequest { app: self.app().to_owned(), changes };
        let way = Way::Owner(first.as_deref());
        let reply = self.ask(Again::Safe, way, request, async |mut c, r| c.job_apply(r).await).await?;
        Ok(reply.results)
    }

    /// A job as it is stored.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn job_get(&self, name: &str) -> Result<v1::Job, Error> {
        let request = v1::JobGetRequest { app: self.app().to_owned(), name: name.to_owned() };
        self.ask(Again::Safe, Way::Owner(None), request, async |mut c, r| c.job_get(r).await).await
    }

    /// The jobs whose names come after `after` (empty: all), in order; 1 to 500 at a time.
    ///
    /// # Errors
    /// As any call's.
    pub async fn job_list(&self, after: &str, limit: u32) -> Result<Vec<v1::Job>, Error> {
        let request = v1::JobListRequest { app: self.app().to_owned(), after: after.to_owned(), limit };
        Ok(self.ask(Again::Safe, Way::Owner(None), request, async |mut c, r| c.job_list(r).await).await?.jobs)
    }

    /// Lets a job fire again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn job_enable(&self, name: &str) -> Result<v1::Job, Error> {
        let request = v1::JobSetEnabledRequest { app: self.app().to_owned(), name: name.to_owned() };
        self.ask(Again::Safe, Way::Owner(Some(name)), request, async |mut c, r| c.job_enable(r).await).await
    }

    /// Stops a job from firing by its schedule.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn job_disable(&self, name: &str) -> Result<v1::Job, Error> {
        let request = v1::JobSetEnabledRequest { app: self.app().to_owned(), name: name.to_owned() };
        self.ask(Again::Safe, Way::Owner(Some(name)), request, async |mut c, r| c.job_disable(r).await).await
    }

    /// Deletes a job; its runs stay.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; also when this very call deleted it, but the answer was lost.
    pub async fn job_delete(&self, name: &str) -> Result<(), Error> {
        let request = v1::JobDeleteRequest { app: self.app().to_owned(), name: name.to_owned() };
        self.ask(Again::Safe, Way::Owner(Some(name)), request, async |mut c, r| c.job_delete(r).await)
            .await
            .map(drop)
    }

    /// The next ticks of a job, 1 to 500, strictly after `from` (`None`: now).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn job_next(&self, name: &str, from: Option<Millis>, count: u32) -> Result<Vec<Millis>, Error> {
        let from = from.map(Millis::get);
        let request = v1::JobNextRequest { app: self.app().to_owned(), name: name.to_owned(), from, count };
        let reply =
            self.ask(Again::Safe, Way::Owner(None), request, async |mut c, r| c.job_next(r).await).await?;
        Ok(reply.ticks.into_iter().map(Millis::new).collect())
    }

    /// Runs the ticks in [from, to) again, whatever became of them: at most 10,000, all in the past. `overlap` is between
    /// these runs and all others of the job; `None`: one after the other.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] for a job without ticks.
    pub async fn job_backfill(
        &self,
        name: &str,
        from: Millis,
        to: Millis,
        overlap: Option<Overlap>,
    ) -> Result<v1::JobBackfillReply, Error> {
        let request = v1::JobBackfillRequest {
            app: self.app().to_owned(),
            name: name.to_owned(),
            from: from.get(),
            to: to.get(),
            overlap: overlap.map(Into::into),
            request_id: self.request_id(),
        };
        let way = Way::Owner(Some(name));
        self.ask(Again::Safe, way, request, async |mut c, r| c.job_backfill(r).await).await
    }

    /// One page of a job's runs and gaps with ticks in [from, to); `page` is the `next` of the one before, or empty.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn job_ledger(
        &self,
        name: &str,
        from: Millis,
        to: Millis,
        page: bytes::Bytes,
    ) -> Result<v1::JobLedgerReply, Error> {
        let (from, to) = (from.get(), to.get());
        let (app, name) = (self.app().to_owned(), name.to_owned());
        let request = v1::JobLedgerRequest {
            app,
            name,
            from,
            to,
            limit: 500,
            page,
            id: bytes::Bytes::new(),
            brief: false,
        };
        self.ask(Again::Safe, Way::Owner(None), request, async |mut c, r| c.job_ledger(r).await).await
    }

    /// As [`Client::job_ledger`], of the job with this id, living or deleted; params, results and errors are left out.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn job_ledger_brief(
        &self,
        id: bytes::Bytes,
        from: Millis,
        to: Millis,
        page: bytes::Bytes,
    ) -> Result<v1::JobLedgerReply, Error> {
        let (from, to) = (from.get(), to.get());
        let (app, name) = (self.app().to_owned(), String::new());
        let request = v1::JobLedgerRequest { app, name, from, to, limit: 500, page, id, brief: true };
        self.ask(Again::Safe, Way::Owner(None), request, async |mut c, r| c.job_ledger(r).await).await
    }

    /// One page of every job that the app ever had, deleted ones too; `name` empty: of every name. `page` is the `next`
    /// of the one before, or empty.
    ///
    /// # Errors
    /// As any call's.
    pub async fn job_list_all(&self, name: &str, page: bytes::Bytes) -> Result<v1::JobListAllReply, Error> {
        let (app, name) = (self.app().to_owned(), name.to_owned());
        let request = v1::JobListAllRequest { app, name, page, limit: 100 };
        self.ask(Again::Safe, Way::Owner(None), request, async |mut c, r| c.job_list_all(r).await).await
    }

    /// What a job was: its revisions after `after`, by its id, or by the name of its newest if the id is empty. Only an
    /// empty page is the last.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn job_history(
        &self,
        id: bytes::Bytes,
        name: &str,
        after: u64,
    ) -> Result<v1::JobHistoryReply, Error> {
        let (app, name) = (self.app().to_owned(), name.to_owned());
        let request = v1::JobHistoryRequest { app, id, name, after, limit: 500 };
        self.ask(Again::Safe, Way::Owner(None), request, async |mut c, r| c.job_history(r).await).await
    }
}

/// The job that a change is about.
pub(super) fn name_of(change: v1::job_change::Change) -> String {
    match change {
        v1::job_change::Change::Put(spec) => spec.name,
        v1::job_change::Change::Delete(name) => name,
    }
}

/// Whole milliseconds; a fraction counts as one, so that no positive duration becomes 0.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}
