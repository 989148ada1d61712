//! Callers that trigger with idempotency keys, two of them with each key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastjob_core::client::{Client, Trigger};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::super::clock::now_ms;
use super::super::record::Record;
use super::{AGAIN, is_unknown};

/// From one call of a caller to its next.
const PACE: Duration = Duration::from_millis(500);

pub(super) struct Caller {
    job: &'static str,
    name: String,
    seed: u64,
    ordinals: Arc<AtomicU64>,
}

impl Caller {
    pub(super) fn new(job: &'static str, caller: usize, seed: u64, ordinals: Arc<AtomicU64>) -> Self {
        Self { job, name: format!("caller-{caller}"), seed, ordinals }
    }

    pub(super) async fn call(self, client: Client, record: Record, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let ordinal = self.ordinals.fetch_add(1, Ordering::SeqCst) / 2;
            call(&client, &record, self.job, &format!("{}-{ordinal}", self.seed), &self.name).await;
            tokio::select! {
                () = tokio::time::sleep(PACE) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// Fires a job with a key until somebody answers.
pub(super) async fn fire(client: &Client, record: &Record, job: &str, key: &str) -> Result<(), String> {
    for _ in 0..100 {
        if call(client, record, job, key, "plan").await {
            return Ok(());
        }
        tokio::time::sleep(AGAIN).await;
    }
    Err(format!("nobody answered a trigger of {job}"))
}

/// One call. Answers whether it was accepted.
async fn call(client: &Client, record: &Record, job: &str, key: &str, caller: &str) -> bool {
    let call_ms = now_ms();
    let fired = client.trigger(Trigger::of(job).key(key)).await;
    let (result, run, existed) = match &fired {
        Ok(fired) => ("accepted", Some(fired.run.id.to_string()), fired.existed),
        Err(error) if is_unknown(error) => ("unknown", None, false),
        Err(_) => ("refused", None, false),
    };
    record.add(json!({
        "kind": "trigger", "job": job, "caller": caller, "key": key, "call_ms": call_ms, "reply_ms": now_ms(),
        "result": result, "run": run, "existed": existed, "error": fired.as_ref().err().map(ToString::to_string),
    }));
    fired.is_ok()
}
