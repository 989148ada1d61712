//! Somebody who edits all the time, and repeats each edit until it is answered, so that every revision is known.

use std::time::Duration;

use fastjob_core::client::{CatchUp, Client, Job, Overlap};
use fastjob_core::protocol::v1;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::super::clock::{Chance, now_ms};
use super::super::record::Record;
use super::jobs::{self, LOST_AFTER};
use super::{AGAIN, is_unknown};

/// The shortest and longest wait between two edits.
const PAUSE_MS: (u64, u64) = (500, 2_500);
/// How often an edit is repeated: as long as a plan may last.
const TRIES: usize = 1_000;

pub(super) struct Editor {
    client: Client,
    record: Record,
    chance: Chance,
}

impl Editor {
    pub(super) fn new(client: Client, record: Record, chance: Chance) -> Self {
        Self { client, record, chance }
    }

    pub(super) async fn edit(mut self, stop: CancellationToken) {
        let mut enabled = true;
        loop {
            let pause = Duration::from_millis(PAUSE_MS.0 + self.chance.below(PAUSE_MS.1 - PAUSE_MS.0));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            let done = if self.chance.below(2) == 0 {
                enabled = !enabled;
                set_enabled(&self.client, &self.record, "toggled", enabled).await
            } else {
                let edited = self.edited();
                put(&self.client, &self.record, edited, now_ms()).await
            };
            if let Err(why) = done {
                eprintln!("chaos: {why}");
                return;
            }
        }
    }

    /// The job "edited", with another rule.
    fn edited(&mut self) -> v1::JobSpec {
        let rules = ["* * * * * ?", "0/2 * * * * ?", "1/3 * * * * ?"];
        let job = Job::named("edited").handler("quick").overlap(Overlap::AllowAll);
        let job = match self.chance.below(4) {
            0 => job.every(Duration::from_millis(1_000 + 250 * self.chance.below(8))),
            _ => job.cron(*self.chance.one_of(&rules)),
        };
        jobs::given_up(job, CatchUp::Latest)
    }
}

/// Puts a job until somebody answers.
pub(super) async fn put(
    client: &Client,
    record: &Record,
    spec: v1::JobSpec,
    call_ms: i64,
) -> Result<(), String> {
    for _ in 0..TRIES {
        match client.job_put_spec(spec.clone()).await {
            Ok(result) => {
                let job = result.job.ok_or("a put was answered without its job")?;
                return noted(record, "put", &job, call_ms);
            }
            Err(error) if is_unknown(&error) => tokio::time::sleep(AGAIN).await,
            Err(error) => return Err(format!("failed to put {}: {error}", spec.name)),
        }
    }
    Err(format!("nobody answered a put of {}", spec.name))
}

/// Enables or disables a job until somebody answers.
pub(super) async fn set_enabled(
    client: &Client,
    record: &Record,
    name: &str,
    enabled: bool,
) -> Result<(), String> {
    let call_ms = now_ms();
    let mut last = String::new();
    for _ in 0..TRIES {
        let done = if enabled { client.job_enable(name).await } else { client.job_disable(name).await };
        match done {
            Ok(job) => return noted(record, if enabled { "enable" } else { "disable" }, &job, call_ms),
            Err(error) if is_unknown(&error) => {
                last = error.to_string();
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(format!("failed to change {name}: {error}")),
        }
    }
    Err(format!("nobody answered a change of {name}: {last}"))
}

fn noted(record: &Record, change: &str, job: &v1::Job, call_ms: i64) -> Result<(), String> {
    let spec = job.spec.as_ref().ok_or("a job was answered without its definition")?;
    record.revision(json!({
        "kind": "revision", "change": change, "job": spec.name, "revision": job.revision, "enabled": job.enabled,
        "trigger": rule(spec)?, "overlap": if spec.overlap() == Overlap::Skip { "skip" } else { "allow_all" },
        "retries": spec.retry.unwrap_or_default().retries, "catch_up": catch_up(spec),
        "lost_after_ms": spec.worker_lost_after_ms.unwrap_or(LOST_AFTER.as_millis() as i64),
        "created_ms": job.created_at, "at_ms": job.updated_at, "call_ms": call_ms, "reply_ms": now_ms(),
    }));
    Ok(())
}

fn catch_up(spec: &v1::JobSpec) -> Value {
    let given = spec.catch_up.unwrap_or_default();
    let policy = if given.policy() == CatchUp::None { "none" } else { "latest" };
    json!({"policy": policy, "threshold_ms": given.threshold_ms.unwrap_or(60_000)})
}

fn rule(spec: &v1::JobSpec) -> Result<Value, String> {
    use v1::trigger::Kind;
    match spec.trigger.as_ref().and_then(|trigger| trigger.kind.as_ref()) {
        Some(Kind::Cron(cron)) => Ok(json!({"kind": "cron", "expression": cron.expression})),
        Some(Kind::FixedRate(rate)) => {
            Ok(json!({"kind": "fixed_rate", "period_ms": rate.period_ms, "phase_ms": rate.phase_ms}))
        }
        Some(Kind::FixedDelay(delay)) => Ok(json!({"kind": "fixed_delay", "delay_ms": delay.delay_ms})),
        Some(Kind::Api(_)) => Ok(json!({"kind": "api"})),
        _ => Err(format!("job {} has a trigger that no plan knows", spec.name)),
    }
}
