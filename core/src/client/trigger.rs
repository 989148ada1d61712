//! Firing jobs.

use std::time::Duration;

use super::call::Again;
use super::job::millis;
use super::route::Way;
use super::view::{self, Fired};
use super::{Client, Error, ErrorKind, Overlap};
use crate::clock::Millis;
use crate::domain::Payload;
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
    /// As [`Client::trigger`].
    pub async fn trigger_spec(&self, spec: v1::TriggerSpec) -> Result<(v1::Run, bool), Error> {
        let result = self.trigger_specs(vec![spec]).await?.pop();
        opened(result.unwrap_or_default())
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
        Some(v1::trigger_result::Result::Accepted(_)) => Err(Error::new(
            ErrorKind::Unavailable,
            "accepted",
            "the owner could not be reached: the trigger is stored and will fire",
        )),
        None => Err(Error::new(ErrorKind::Internal, "internal", "the server answered an empty result")),
    }
}
