//! The JSON shape of everything that is printed: the one mapping from messages. Keys in snake_case, instants RFC 3339
//! UTC with milliseconds, durations in `_ms`, absent values null.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastjob_core::client::Accepted;
use fastjob_core::id::Id;
use fastjob_core::protocol::v1;
use serde_json::{Value, json};

/// A run; `attempts` is added by [`run_with_attempts`].
pub(super) fn run(run: &v1::Run) -> Value {
    let lateness_ms = run
        .started_at
        .map(|started| started.saturating_sub(run.tick.map_or(run.due, |tick| tick + run.jitter_ms)));
    json!({
        "id": id(&run.id),
        "app": run.app,
        "job": run.job,
        "source": source(run.source()),
        "tick": run.tick.map(instant),
        "due": instant(run.due),
        "state": run_state(run.state()),
        "reason": text(&run.reason),
        "attempt": run.attempt,
        "max_attempts": run.max_attempts,
        "worker": text(&run.worker),
        "server": id(&run.server),
        "epoch": positive(run.epoch),
        "revision": run.revision,
        "fail_count": run.fail_count,
        "lost_count": run.lost_count,
        "retry_of": id(&run.retry_of),
        "params": payload(run.params.as_ref()),
        "result": payload(run.result.as_ref()),
        "error": failure(run.error.as_ref()),
        "idempotency_key": text(&run.idempotency_key),
        "created_at": instant(run.created_at),
        "dispatched_at": run.dispatched_at.map(instant),
        "started_at": run.started_at.map(instant),
        "ended_at": run.ended_at.map(instant),
        "lateness_ms": lateness_ms,
    })
}

/// A run with its attempts, oldest first, and how far it says it is.
pub(super) fn run_with_attempts(message: &v1::Run) -> Value {
    let mut shape = run(message);
    shape["attempts"] = message.attempts.iter().map(attempt).collect();
    shape["progress_percent"] = json!(message.progress_percent);
    shape["progress_note"] = text(&message.progress_note);
    shape
}

fn attempt(attempt: &v1::Attempt) -> Value {
    json!({
        "attempt": attempt.attempt,
        "token_hash": attempt.token_hash,
        "worker": text(&attempt.worker),
        "server": id(&attempt.server),
        "epoch": attempt.epoch,
        "dispatched_at": instant(attempt.dispatched_at),
        "started_at": attempt.started_at.map(instant),
        "ended_at": attempt.ended_at.map(instant),
        "outcome": attempt.outcome,
        "error": failure(attempt.error.as_ref()),
    })
}

/// A trigger that was accepted for an owner that could not be reached.
pub(super) fn accepted(accepted: &Accepted) -> Value {
    json!({ "accepted": true, "request_id": accepted.request_id() })
}

/// A line of a ledger: a run or a gap. `None`: of a kind that this version does not know.
pub(super) fn ledger_entry(entry: &v1::LedgerEntry) -> Option<Value> {
    match entry.entry.as_ref()? {
        v1::ledger_entry::Entry::Run(message) => Some(run(message)),
        v1::ledger_entry::Entry::Gap(gap) => Some(json!({
            "gap": true,
            "app": gap.app,
            "job": gap.job,
            "from": instant(gap.from),
            "to": instant(gap.to),
            "count": gap.count,
            "reason": gap.reason,
            "revision": gap.revision,
        })),
    }
}

/// A job.
pub(super) fn job(job: &v1::Job) -> Value {
    let absent = v1::JobSpec::default();
    let spec = job.spec.as_ref().unwrap_or(&absent);
    json!({
        "id": id(&job.id),
        "app": job.app,
        "name": spec.name,
        "handler": spec.handler,
        "enabled": job.enabled,
        "revision": job.revision,
        "trigger": trigger(spec.trigger.as_ref()),
        "params": payload(spec.params.as_ref()),
        "overlap": match spec.overlap() {
            v1::Overlap::Skip => "skip",
            v1::Overlap::AllowAll => "allow_all",
            v1::Overlap::BufferOne => "buffer_one",
            v1::Overlap::BufferAll => "buffer_all",
            v1::Overlap::CancelOther => "cancel_other",
            v1::Overlap::TerminateOther => "terminate_other",
        },
        "timing": timing(spec.timing.unwrap_or_default()),
        "catch_up": catch_up(spec.catch_up.unwrap_or_default()),
        "retry": retry(spec.retry.unwrap_or_default()),
        "attempt_timeout_ms": spec.attempt_timeout_ms,
        "start_deadline_ms": spec.start_deadline_ms,
        "cancel_grace_ms": spec.cancel_grace_ms,
        "worker_lost_after_ms": spec.worker_lost_after_ms,
        "at_most_once": spec.at_most_once,
        "priority": spec.priority,
        "routing": match spec.routing() {
            v1::Routing::LeastBusy => "least_busy",
            v1::Routing::RoundRobin => "round_robin",
        },
        "managed_by": text(&spec.managed_by),
        "source_version": spec.source_version,
        "next_at": job.next_at.map(instant),
        "created_at": instant(job.created_at),
        "updated_at": instant(job.updated_at),
    })
}

/// A job as it was from one edit on.
pub(super) fn revision(of: &v1::Job, revision: &v1::JobRevision) -> Value {
    let then = v1::Job {
        spec: revision.spec.clone(),
        revision: revision.revision,
        enabled: revision.spec.as_ref().is_some_and(|spec| spec.enabled()) && !revision.deleted,
        ..of.clone()
    };
    let mut shape = job(&then);
    if let Some(keys) = shape.as_object_mut() {
        for now in ["next_at", "updated_at"] {
            keys.remove(now);
        }
    }
    shape["from_at"] = instant(revision.from_at);
    shape["deleted"] = revision.deleted.into();
    shape
}

/// A job that was put, with what the put changed.
pub(super) fn job_put(change: v1::job_put_result::Change, message: &v1::Job) -> Value {
    use v1::job_put_result::Change;
    let mut shape = job(message);
    shape["change"] = match change {
        Change::Created => "created",
        Change::Updated => "updated",
        Change::Unchanged => "unchanged",
    }
    .into();
    shape
}

fn trigger(trigger: Option<&v1::Trigger>) -> Value {
    use v1::trigger::Kind;
    match trigger.and_then(|trigger| trigger.kind.as_ref()) {
        None => Value::Null,
        Some(Kind::Cron(cron)) => {
            let [dialect, zone] = [&cron.dialect, &cron.zone].map(|word| text(word));
            let [gap, overlap] = [&cron.gap, &cron.overlap].map(|word| text(word));
            let expression = &cron.expression;
            json!({"kind": "cron", "expression": expression, "dialect": dialect, "zone": zone, "gap": gap, "overlap": overlap})
        }
        Some(Kind::FixedRate(rate)) => {
            json!({"kind": "fixed_rate", "period_ms": rate.period_ms, "phase": rate.phase_ms.map(instant)})
        }
        Some(Kind::DailyWindow(window)) => {
            let v1::DailyWindow { weekdays, from, to, every_ms, zone } = window;
            json!({"kind": "daily_window", "weekdays": weekdays, "from": from, "to": to, "every_ms": every_ms, "zone": zone})
        }
        Some(Kind::FixedDelay(delay)) => json!({"kind": "fixed_delay", "delay_ms": delay.delay_ms}),
        Some(Kind::At(at)) => {
            json!({"kind": "at", "instants": at.instants.iter().copied().map(instant).collect::<Vec<_>>()})
        }
        Some(Kind::Api(_)) => json!({"kind": "api"}),
    }
}

fn catch_up(catch_up: v1::CatchUp) -> Value {
    let policy = match catch_up.policy() {
        v1::CatchUpPolicy::Latest => "latest",
        v1::CatchUpPolicy::None => "none",
        v1::CatchUpPolicy::All => "all",
    };
    json!({
        "policy": policy, "threshold_ms": catch_up.threshold_ms, "window_ms": catch_up.window_ms,
        "max_runs": catch_up.max_runs,
    })
}

fn timing(timing: v1::Timing) -> Value {
    json!({
        "start_at": timing.start_at.map(instant), "end_at": timing.end_at.map(instant),
        "jitter_ms": timing.jitter_ms,
    })
}

/// What a backfill did.
pub(super) fn backfilled(app: &str, job: &str, reply: v1::JobBackfillReply) -> Value {
    json!({"app": app, "job": job, "created": reply.created, "existed": reply.existed})
}

fn retry(retry: v1::Retry) -> Value {
    let backoff = match retry.backoff() {
        v1::Backoff::Fixed => "fixed",
        v1::Backoff::Exponential => "exponential",
    };
    json!({
        "retries": retry.retries, "backoff": backoff, "delay_ms": retry.delay_ms,
        "max_delay_ms": retry.max_delay_ms, "jitter": retry.jitter,
    })
}

/// A tick of a stored job.
pub(super) fn tick(app: &str, job: &str, at: i64) -> Value {
    json!({"app": app, "job": job, "tick": instant(at)})
}

/// An app.
pub(super) fn app(app: &v1::App) -> Value {
    let mut owners: Vec<_> = app.owners.iter().map(owner).collect();
    for (owner, state) in owners.iter_mut().zip(&app.states) {
        owner["server"] = json!(id(&state.server));
        owner["load"] = json!(state.load.map(load));
    }
    json!({"name": app.name, "shards": app.shards, "created_at": instant(app.created_at), "owners": owners})
}

/// Who owns a shard; null if nobody does.
pub(super) fn owner(owner: &v1::ShardOwner) -> Value {
    json!({"shard": owner.shard, "epoch": owner.epoch, "address": text(&owner.address)})
}

fn load(load: v1::ShardLoad) -> Value {
    json!({"waiting": load.waiting, "buffered": load.buffered, "scheduled": load.scheduled,
           "dispatched": load.dispatched})
}

/// A token, without its secret.
pub(super) fn token(token: &v1::Token) -> Value {
    json!({
        "id": id(&token.id),
        "app": text(&token.app),
        "note": text(&token.note),
        "created_at": instant(token.created_at),
        "expires_at": token.expires_at.map(instant),
        "revoked_at": token.revoked_at.map(instant),
    })
}

/// A worker.
pub(super) fn worker(worker: &v1::WorkerState) -> Value {
    let handler = |handler: &v1::Handler| json!({"name": handler.name, "version": text(&handler.version)});
    json!({
        "session": id(&worker.session),
        "worker": worker.worker,
        "sdk": worker.sdk,
        "handlers": worker.handlers.iter().map(handler).collect::<Vec<_>>(),
        "slots": worker.slots,
        "running": worker.running,
        "connected": worker.connected,
        "draining": worker.draining,
        "last_contact_at": instant(worker.last_contact_at),
        "tags": worker.tags,
        "shard": worker.shard,
    })
}

/// A server.
pub(super) fn server(server: &v1::ServerState) -> Value {
    json!({
        "id": id(&server.id),
        "rpc_address": server.rpc_address,
        "http_address": server.http_address,
        "version": server.version,
        "state": server.state,
        "renewed_at": instant(server.renewed_at),
        "renewed_ago_ms": server.renewed_ago_ms,
        "shards": server.shards,
    })
}

/// JSON as itself, text as a string, the rest as `{"base64": …}`; so too what is not what it claims to be.
fn payload(payload: Option<&v1::Payload>) -> Value {
    let Some(payload) = payload else { return Value::Null };
    let data = &payload.data;
    let read = match v1::Encoding::try_from(payload.encoding) {
        Ok(v1::Encoding::Json) if data.is_empty() => Some(Value::Null),
        Ok(v1::Encoding::Json) => serde_json::from_slice(data).ok(),
        Ok(v1::Encoding::Text) => std::str::from_utf8(data).ok().map(Value::from),
        Ok(v1::Encoding::Binary) | Err(_) => None,
    };
    read.unwrap_or_else(|| json!({"base64": STANDARD.encode(data)}))
}

fn failure(failure: Option<&v1::Failure>) -> Value {
    let Some(failure) = failure else { return Value::Null };
    json!({"class": failure.class, "message": failure.message, "trace": failure.trace})
}

pub(super) fn source(source: v1::Source) -> Value {
    match source {
        v1::Source::Unspecified => Value::Null,
        v1::Source::Cron => "cron".into(),
        v1::Source::FixedRate => "fixed_rate".into(),
        v1::Source::FixedDelay => "fixed_delay".into(),
        v1::Source::DailyWindow => "daily_window".into(),
        v1::Source::At => "at".into(),
        v1::Source::Api => "api".into(),
        v1::Source::Manual => "manual".into(),
        v1::Source::Backfill => "backfill".into(),
    }
}

pub(super) fn run_state(state: v1::RunState) -> Value {
    match state {
        v1::RunState::Unspecified => Value::Null,
        v1::RunState::Scheduled => "scheduled".into(),
        v1::RunState::Dispatched => "dispatched".into(),
        v1::RunState::Succeeded => "succeeded".into(),
        v1::RunState::Failed => "failed".into(),
        v1::RunState::Cancelled => "cancelled".into(),
        v1::RunState::Skipped => "skipped".into(),
    }
}

/// RFC 3339 with milliseconds; beyond the year 9999 the plain number.
pub(super) fn instant(ms: i64) -> Value {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(at) => format!("{at:.3}").into(),
        Err(_) => ms.into(),
    }
}

fn id(bytes: &[u8]) -> Option<String> {
    Id::<()>::from_slice(bytes).map(|id| id.to_string())
}

fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

fn positive(number: i64) -> Option<i64> {
    (number > 0).then_some(number)
}
