//! Firing jobs.

use std::time::Duration;

use super::call::Again;
use super::job::millis;
use super::route::Way;
use super::view::{self, Fired};
use super::{Client, Error, ErrorKind, Overlap};
use crate::clock::{Clock, Millis, SystemClock};
use crate::domain::Payload;
use crate::id::RequestId;
use crate::protocol::v1;

/// One firing of a job.
#[derive(Clone, PartialEq, Debug)]
#[must_use = "a trigger does nothing until it is given to a client"]
pub struct Trigger {
    spec: v1::TriggerSpec,
}

impl Trigger {
    /// Fires this job, at once, with the job's own parameters.
    pub fn of(job: impl Into<String>) -> Self {
        Self { spec: v1::TriggerSpec { job: job.into(), ..Default::default() } }
    }

    /// What the handler gets in place of the job's parameters.
    pub fn params(mut self, params: impl Into<Payload>) -> Self {
        self.spec.params = Some(view::wire(params.into()));
        self
    }

    /// Parameters of JSON text.
    pub fn params_json(self, json: impl Into<String>) -> Self {
        self.params(Payload::json(json))
    }

    /// Parameters of text.
    pub fn params_text(self, text: impl Into<String>) -> Self {
        self.params(Payload::text(text))
    }

    /// An idempotency key of at most 256 characters: a second trigger of the job with it yields the same run.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.spec.idempotency_key = key.into();
        self
    }

    /// No earlier than this instant.
    pub fn at(mut self, instant: Millis) -> Self {
        self.spec.when = Some(v1::trigger_spec::When::At(instant.get()));
        self
    }

    /// No earlier than this much from now.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.spec.when = Some(v1::trigger_spec::When::DelayMs(millis(delay)));
        self
    }

    /// In place of the job's own.
    pub fn overlap(mut self, overlap: Overlap) -> Self {
        self.spec.overlap = Some(overlap.into());
        self
    }

    /// A person did it: the run's source is "manual".
    pub fn manual(mut self) -> Self {
        self.spec.manual = true;
        self
    }

    /// As it is sent, but for its request id.
    pub fn into_spec(self) -> v1::TriggerSpec {
        self.spec
    }
}

impl From<v1::TriggerSpec> for Trigger {
    fn from(spec: v1::TriggerSpec) -> Self {
        Self { spec }
    }
}

/// What became of a trigger.
#[derive(Clone, PartialEq, Debug)]
pub enum Triggered {
    /// Its run, and whether that existed before.
    Run(Box<v1::Run>, bool),
    /// The job's owner could not be reached: the trigger is durable, and its run is made later.
    Accepted(Accepted),
}

/// A trigger that is durable, though its run is not known yet.
#[derive(Clone, PartialEq, Debug)]
pub struct Accepted {
    pub(super) spec: v1::TriggerSpec,
}

impl Accepted {
    /// The trigger of this request, which carried no idempotency key.
    pub fn of_request(job: impl Into<String>, request: RequestId) -> Self {
        let request_id = bytes::Bytes::copy_from_slice(request.as_bytes());
        Self { spec: v1::TriggerSpec { job: job.into(), request_id, ..Default::default() } }
    }

    /// As text, as the command line shows it.
    pub fn request_id(&self) -> String {
        request_text(&self.spec.request_id)
    }

    /// How its run is asked for.
    pub(super) fn by(&self) -> v1::run_get_request::By {
        let (job, spec) = (self.spec.job.clone(), &self.spec);
        if spec.idempotency_key.is_empty() {
            let request_id = spec.request_id.clone();
            return v1::run_get_request::By::Request(v1::JobRequest { job, request_id });
        }
        v1::run_get_request::By::Key(v1::JobKey { job, idempotency_key: spec.idempotency_key.clone() })
    }

    fn unknown(&self) -> Error {
        unknown(&self.spec.request_id)
    }
}

fn unknown(request: &[u8]) -> Error {
    let message = "the job's owner was not reached: the trigger is stored and will fire, but has no run yet";
    Error::new(ErrorKind::Timeout, "accepted", message).with_remedy(format!(
        "do not trigger again; ask for the run by its job and the request id {}",
        request_text(request)
    ))
}

fn request_text(request: &[u8]) -> String {
    RequestId::from_slice(request).map(|id| id.to_string()).unwrap_or_default()
}

/// How often the run of an accepted trigger is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(300);

impl Client {
    /// The most triggers of one call.
    pub const MAX_TRIGGERS: usize = 1_000;

    /// Fires a job. However often the call has to be sent, it makes one run.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] if its key was used with other parameters.
    pub async fn trigger(&self, trigger: Trigger) -> Result<Fired, Error> {
        let (run, existed) = self.trigger_spec(trigger.into_spec()).await?;
        Fired::new(run, existed)
    }

    /// Fires at most [`Client::MAX_TRIGGERS`] jobs. One result each, in order.
    ///
    /// # Errors
    /// When the whole call failed; what is wrong with one trigger is in its result.
    pub async fn trigger_all(&self, triggers: Vec<Trigger>) -> Result<Vec<Result<Fired, Error>>, Error> {
        let specs = triggers.into_iter().map(Trigger::into_spec).collect();
        let results = self.trigger_specs(specs).await?;
        Ok(results.into_iter().map(|result| opened(result).and_then(|(run, e)| Fired::new(run, e))).collect())
    }

    /// As [`Client::trigger`], by messages: the run, and whether it existed before.
    ///
    /// # Errors
    /// As [`Client::trigger`]. While the job's owner cannot be reached, a server may accept the trigger for it: then the
    /// run is waited for, and if it is not known after [`super::Options::call_timeout`], the error's code is `accepted`:
    /// the job will be fired all the same.
    pub async fn trigger_spec(&self, spec: v1::TriggerSpec) -> Result<(v1::Run, bool), Error> {
        match self.trigger_once(spec).await? {
            Triggered::Run(run, existed) => Ok((*run, existed)),
            Triggered::Accepted(accepted) => Ok((self.run_of(&accepted).await?, false)),
        }
    }

    /// As [`Client::trigger_spec`], without waiting for the run of a trigger that was accepted.
    ///
    /// # Errors
    /// As [`Client::trigger`].
    pub async fn trigger_once(&self, mut spec: v1::TriggerSpec) -> Result<Triggered, Error> {
        if spec.request_id.is_empty() {
            spec.request_id = self.request_id();
        }
        let result = self.trigger_specs(vec![spec.clone()]).await?.pop().unwrap_or_default();
        match result.result {
            Some(v1::trigger_result::Result::Accepted(_)) => Ok(Triggered::Accepted(Accepted { spec })),
            _ => opened(result).map(|(run, existed)| Triggered::Run(Box::new(run), existed)),
        }
    }

    /// The run of an accepted trigger, once the job's owner has made it.
    async fn run_of(&self, accepted: &Accepted) -> Result<v1::Run, Error> {
        let until = SystemClock.elapsed().saturating_add(self.inner.options.call_timeout);
        loop {
            match self.run_get_by(accepted.by()).await {
                Err(error) if error.kind == ErrorKind::NotFound => {}
                found => return found.map(super::Run::into_message),
            }
            if SystemClock.elapsed() >= until {
                return Err(accepted.unknown());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// As [`Client::trigger_all`], by messages. A request id is made for those that have none.
    ///
    /// # Errors
    /// As [`Client::trigger_all`].
    pub async fn trigger_specs(
        &self,
        mut triggers: Vec<v1::TriggerSpec>,
    ) -> Result<Vec<v1::TriggerResult>, Error> {
        let most = Self::MAX_TRIGGERS;
        if triggers.len() > most {
            let message = format!("{} triggers are too many for one call", triggers.len());
            return Err(
                Error::invalid("too_many", "triggers", message).with_remedy(format!("give at most {most}"))
            );
        }
        for trigger in &mut triggers {
            if trigger.request_id.is_empty() {
                trigger.request_id = self.request_id();
            }
        }
        let sent = triggers.len();
        let first = triggers.first().map(|trigger| trigger.job.clone());
        let request = v1::TriggerRequest { app: self.app().to_owned(), triggers };
        let way = Way::Owner(first.as_deref());
        let results = self.ask(Again::Safe, way, request, async |mut c, r| c.trigger(r).await).await?.results;
        if results.len() != sent {
            let message = format!("the server answered {} results for {sent} triggers", results.len());
            return Err(Error::new(ErrorKind::Internal, "internal", message));
        }
        Ok(results)
    }
}

fn opened(result: v1::TriggerResult) -> Result<(v1::Run, bool), Error> {
    match result.result {
        Some(v1::trigger_result::Result::Run(run)) => Ok((run, result.existed)),
        Some(v1::trigger_result::Result::Error(detail)) => Err(Error::from_detail(detail)),
        Some(v1::trigger_result::Result::Accepted(request)) => Err(unknown(&request)),
        None => Err(Error::new(ErrorKind::Internal, "internal", "the server answered an empty result")),
    }
}
