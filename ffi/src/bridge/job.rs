//! What C and Java say of jobs and triggers, turned into the protocol's messages. What can only be judged by the server is
//! left to it: its refusal names the field.

use fastjob_core::domain::{Backoff, CatchUpPolicy, ManagedBy, Overlap, Payload, Routing};
use fastjob_core::protocol::v1;

use super::encoding;
use crate::status::Result;

/// A job's definition. `None` is the server's default; words are those of the C header.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "each field is explained at fj_job")]
pub struct JobOptions<'a> {
    pub name: &'a str,
    pub handler: &'a str,
    pub trigger: JobTrigger<'a>,
    pub params: &'a [u8],
    pub params_encoding: Option<&'a str>,
    pub enabled: Option<bool>,
    pub overlap: Option<&'a str>,
    pub catch_up: Option<&'a str>,
    pub catch_up_threshold_ms: Option<i64>,
    pub catch_up_window_ms: Option<i64>,
    pub retries: u32,
    pub backoff: Option<&'a str>,
    pub retry_delay_ms: Option<i64>,
    pub retry_max_delay_ms: Option<i64>,
    pub retry_jitter: f64,
    pub timeout_ms: Option<i64>,
    pub start_deadline_ms: Option<i64>,
    pub cancel_grace_ms: Option<i64>,
    pub worker_lost_after_ms: Option<i64>,
    pub at_most_once: bool,
    pub priority: i32,
    pub routing: Option<&'a str>,
    pub managed_by: Option<&'a str>,
    pub source_version: Option<u64>,
    pub catch_up_runs: Option<u32>,
    pub start_at_ms: Option<i64>,
    pub end_at_ms: Option<i64>,
    pub jitter_ms: i64,
}

/// When a job fires.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "each is explained at fj_job")]
pub enum JobTrigger<'a> {
    Cron {
        expression: &'a str,
        dialect: Option<&'a str>,
        zone: Option<&'a str>,
        gap: Option<&'a str>,
        overlap: Option<&'a str>,
    },
    FixedRate {
        period_ms: i64,
        phase_ms: Option<i64>,
    },
    DailyWindow {
        weekdays: Option<&'a str>,
        from: &'a str,
        to: &'a str,
        every_ms: i64,
        zone: Option<&'a str>,
    },
    FixedDelay {
        delay_ms: i64,
    },
    At {
        instants: &'a [i64],
    },
    Api,
}

/// What a put did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// There was none.
    Created,
    /// It was another.
    Updated,
    /// It was the same.
    Unchanged,
}

/// Which job to fire, when and with what; words are those of the C header.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "each field is explained at fj_trigger_config")]
pub struct TriggerOptions<'a> {
    pub job: &'a str,
    pub params: Option<&'a [u8]>,
    pub params_encoding: Option<&'a str>,
    pub when: TriggerWhen,
    pub idempotency_key: Option<&'a str>,
    pub overlap: Option<&'a str>,
}

/// When a trigger fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TriggerWhen {
    /// At once.
    Now,
    /// At this instant, in epoch ms.
    At(i64),
    /// This many ms from now.
    After(i64),
}

impl JobOptions<'_> {
    pub(super) fn spec(&self) -> Result<v1::JobSpec> {
        let params = encoding::payload(self.params_encoding, self.params, "job.params")?;
        Ok(v1::JobSpec {
            name: self.name.to_owned(),
            handler: self.handler.to_owned(),
            trigger: Some(v1::Trigger { kind: Some(self.trigger.kind()) }),
            params: Some(wire(params)),
            enabled: self.enabled,
            overlap: overlap(self.overlap, "job.overlap")?.into(),
            catch_up: Some(self.catch_up()?),
            retry: Some(self.retry()?),
            attempt_timeout_ms: self.timeout_ms,
            start_deadline_ms: self.start_deadline_ms,
            cancel_grace_ms: self.cancel_grace_ms,
            worker_lost_after_ms: self.worker_lost_after_ms,
            at_most_once: self.at_most_once,
            priority: self.priority,
            routing: match encoding::routing(self.routing, "job.routing")? {
                Routing::LeastBusy => v1::Routing::LeastBusy,
                Routing::RoundRobin => v1::Routing::RoundRobin,
            }
            .into(),
            managed_by: match encoding::managed_by(self.managed_by, "job.managed_by")? {
                ManagedBy::Code => "code",
                ManagedBy::Console => "console",
            }
            .to_owned(),
            source_version: self.source_version,
            timing: Some(v1::Timing {
                start_at: self.start_at_ms,
                end_at: self.end_at_ms,
                jitter_ms: self.jitter_ms,
            }),
        })
    }

    fn catch_up(&self) -> Result<v1::CatchUp> {
        let policy = match encoding::catch_up(self.catch_up, "job.catch_up")? {
            CatchUpPolicy::Latest => v1::CatchUpPolicy::Latest,
            CatchUpPolicy::None => v1::CatchUpPolicy::None,
            CatchUpPolicy::All(_) => v1::CatchUpPolicy::All,
        };
        Ok(v1::CatchUp {
            policy: policy.into(),
            threshold_ms: self.catch_up_threshold_ms,
            window_ms: self.catch_up_window_ms,
            max_runs: self.catch_up_runs,
        })
    }

    fn retry(&self) -> Result<v1::Retry> {
        let backoff = match encoding::backoff(self.backoff, "job.backoff")? {
            Backoff::Fixed => v1::Backoff::Fixed,
            Backoff::Exponential => v1::Backoff::Exponential,
        };
        Ok(v1::Retry {
            retries: self.retries,
            backoff: backoff.into(),
            delay_ms: self.retry_delay_ms,
            max_delay_ms: self.retry_max_delay_ms,
            jitter: self.retry_jitter,
        })
    }
}

impl JobTrigger<'_> {
    fn kind(&self) -> v1::trigger::Kind {
        use v1::trigger::Kind;
        match *self {
            Self::Cron { expression, dialect, zone, gap, overlap } => Kind::Cron(v1::Cron {
                expression: expression.to_owned(),
                dialect: dialect.unwrap_or_default().to_owned(),
                zone: zone.unwrap_or_default().to_owned(),
                gap: gap.unwrap_or_default().to_owned(),
                overlap: overlap.unwrap_or_default().to_owned(),
            }),
            Self::FixedRate { period_ms, phase_ms } => Kind::FixedRate(v1::FixedRate { period_ms, phase_ms }),
            Self::DailyWindow { weekdays, from, to, every_ms, zone } => Kind::DailyWindow(v1::DailyWindow {
                weekdays: weekdays
                    .map(|days| days.split(',').map(str::to_owned).collect())
                    .unwrap_or_default(),
                from: from.to_owned(),
                to: to.to_owned(),
                every_ms,
                zone: zone.unwrap_or_default().to_owned(),
            }),
            Self::FixedDelay { delay_ms } => Kind::FixedDelay(v1::FixedDelay { delay_ms }),
            Self::At { instants } => Kind::At(v1::At { instants: instants.to_vec() }),
            Self::Api => Kind::Api(v1::ApiOnly {}),
        }
    }
}

impl TriggerOptions<'_> {
    /// The message, but for the request id, which the client draws.
    pub(super) fn spec(&self) -> Result<v1::TriggerSpec> {
        let params = self
            .params
            .map(|data| encoding::payload(self.params_encoding, data, "config.params"))
            .transpose()?;
        let overlap = self.overlap.map(|word| overlap(Some(word), "config.overlap")).transpose()?;
        Ok(v1::TriggerSpec {
            job: self.job.to_owned(),
            params: params.map(wire),
            when: match self.when {
                TriggerWhen::Now => None,
                TriggerWhen::At(at_ms) => Some(v1::trigger_spec::When::At(at_ms)),
                TriggerWhen::After(delay_ms) => Some(v1::trigger_spec::When::DelayMs(delay_ms)),
            },
            idempotency_key: self.idempotency_key.unwrap_or_default().to_owned(),
            overlap: overlap.map(Into::into),
            ..v1::TriggerSpec::default()
        })
    }
}

fn overlap(word: Option<&str>, field: &str) -> Result<v1::Overlap> {
    Ok(match encoding::overlap(word, field)? {
        Overlap::Skip => v1::Overlap::Skip,
        Overlap::AllowAll => v1::Overlap::AllowAll,
        Overlap::BufferOne => v1::Overlap::BufferOne,
        Overlap::BufferAll => v1::Overlap::BufferAll,
        Overlap::CancelOther => v1::Overlap::CancelOther,
        Overlap::TerminateOther => v1::Overlap::TerminateOther,
    })
}

fn wire(payload: Payload) -> v1::Payload {
    use fastjob_core::domain::Encoding;
    let encoding = match payload.encoding {
        Encoding::Json => v1::Encoding::Json,
        Encoding::Text => v1::Encoding::Text,
        Encoding::Binary => v1::Encoding::Binary,
    };
    v1::Payload { encoding: encoding.into(), data: payload.data }
}
