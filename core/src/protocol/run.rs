//! Runs, attempts and gaps on the wire, and what fires them.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::{field, job, v1};
use crate::clock::Millis;
use crate::domain::{
    Assignment, Attempt, Ended, FailReason, Failure, Gap, Name, Refusal, Run, Source, State, Trigger,
};
use crate::id::Token;
use crate::shard::{Fire, Triggered, When};

use super::refusal::detail;

/// The most triggers of a request.
pub const MAX_TRIGGERS: usize = 1_000;
/// The longest idempotency key, in characters.
pub const MAX_KEY_CHARS: usize = 256;

/// Reads a trigger.
///
/// # Errors
/// The first wrong field, as `params.encoding`.
pub fn fire(spec: v1::TriggerSpec) -> Result<Fire, Refusal> {
    let when = match spec.when {
        None => When::Now,
        Some(v1::trigger_spec::When::At(at)) => When::At(field::instant("at", at)?),
        Some(v1::trigger_spec::When::DelayMs(ms)) => {
            When::AfterMs(field::number("delay_ms", ms, 0..=Trigger::MAX_PERIOD_MS)?)
        }
    };
    let key = field::text("idempotency_key", &spec.idempotency_key, MAX_KEY_CHARS)?;
    Ok(Fire {
        job: field::name("job", &spec.job)?,
        params: spec.params.map(|params| field::payload("params", params)).transpose()?,
        when,
        idempotency_key: (!key.is_empty()).then(|| key.into()),
        request: field::id("request_id", &spec.request_id)?,
        overlap: spec.overlap.map(|overlap| job::overlap("overlap", overlap)).transpose()?,
        source: if spec.manual { Source::Manual } else { Source::Api },
    })
}

/// A trigger for the wire.
pub fn fire_to(fire: &Fire) -> v1::TriggerSpec {
    v1::TriggerSpec {
        job: fire.job.as_str().into(),
        params: fire.params.as_ref().map(field::payload_to),
        when: match fire.when {
            When::Now => None,
            When::At(at) => Some(v1::trigger_spec::When::At(at.get())),
            When::AfterMs(ms) => Some(v1::trigger_spec::When::DelayMs(ms)),
        },
        idempotency_key: fire.idempotency_key.as_deref().unwrap_or_default().into(),
        request_id: field::id_to(&fire.request),
        overlap: fire.overlap.map(|overlap| job::overlap_to(overlap).into()),
        manual: fire.source == Source::Manual,
    }
}

/// The result of one trigger for the wire.
pub fn triggered(result: &Result<Triggered, Refusal>, app: &Name) -> v1::TriggerResult {
    use v1::trigger_result::Result as Wire;
    match result {
        Ok(done) => v1::TriggerResult { existed: done.existed, result: Some(Wire::Run(run(&done.run, app))) },
        Err(refusal) => v1::TriggerResult { existed: false, result: Some(Wire::Error(detail(refusal))) },
    }
}

/// A run for the wire, without its attempts and progress.
pub fn run(run: &Run, app: &Name) -> v1::Run {
    let assignment = run.assignment.as_ref();
    v1::Run {
        id: run.id.as_bytes().to_vec().into(),
        app: app.as_str().into(),
        job: run.job_name.as_str().into(),
        source: source(run.source).into(),
        tick: run.tick.map(Millis::get),
        due: run.due.get(),
        state: state(run.state).into(),
        reason: run.state.reason().into(),
        attempt: run.attempt,
        max_attempts: run.max_attempts(),
        worker: assignment.map(|to| to.worker.to_string()).unwrap_or_default(),
        server: assignment.map(|to| to.server.as_bytes().to_vec().into()).unwrap_or_default(),
        epoch: assignment.map(|to| to.epoch.0).unwrap_or_default(),
        revision: run.revision,
        fail_count: run.fail_count,
        lost_count: run.lost_count,
        retry_of: run.retry_of.map(|id| id.as_bytes().to_vec().into()).unwrap_or_default(),
        params: Some(field::payload_to(&run.params)),
        result: run.result.as_ref().map(field::payload_to),
        error: run.error.as_ref().map(failure),
        idempotency_key: run.idempotency_key.as_deref().unwrap_or_default().into(),
        created_at: run.created_at.get(),
        dispatched_at: assignment.map(|to| to.dispatched_at.get()),
        started_at: run.started_at.map(Millis::get),
        ended_at: run.ended_at.map(Millis::get),
        attempts: Vec::new(),
        progress_percent: None,
        progress_note: String::new(),
        fire_key: run.fire_key.to_string(),
        jitter_ms: run.jitter_ms,
    }
}

/// The same without what may be large: params, result and error.
pub fn brief(run: v1::Run) -> v1::Run {
    v1::Run { params: None, result: None, error: None, ..run }
}

/// All attempts of a run for the wire, oldest first: the superseded ones, then the one that its row holds.
pub fn attempts(run: &Run, superseded: &[Attempt]) -> Vec<v1::Attempt> {
    superseded.iter().map(attempt).chain(current_attempt(run)).collect()
}

fn attempt(attempt: &Attempt) -> v1::Attempt {
    v1::Attempt {
        started_at: attempt.started_at.map(Millis::get),
        ended_at: Some(attempt.ended_at.get()),
        outcome: attempt.end.as_str().into(),
        error: attempt.error.as_ref().map(failure),
        ..given(attempt.key.attempt, &attempt.assignment)
    }
}

fn current_attempt(run: &Run) -> Option<v1::Attempt> {
    let outcome = match run.state {
        State::Scheduled | State::Ended(Ended::Skipped(_)) => return None,
        State::Dispatched => "running",
        State::Ended(Ended::Succeeded) => "succeeded",
        State::Ended(Ended::Cancelled(_)) => "cancelled",
        State::Ended(Ended::Failed(FailReason::Error)) => "failed",
        State::Ended(Ended::Failed(FailReason::Timeout)) => "timeout",
        State::Ended(Ended::Failed(FailReason::Lost | FailReason::Quarantined)) => "lost",
    };
    Some(v1::Attempt {
        started_at: run.started_at.map(Millis::get),
        ended_at: run.ended_at.map(Millis::get),
        outcome: outcome.into(),
        // The row keeps the error of the last attempt that failed, which this one need not be.
        error: run
            .error
            .as_ref()
            .filter(|_| matches!(run.state, State::Ended(Ended::Failed(_))))
            .map(failure),
        ..given(run.attempt, run.assignment.as_ref()?)
    })
}

fn given(ordinal: u32, assignment: &Assignment) -> v1::Attempt {
    v1::Attempt {
        attempt: ordinal,
        token_hash: token_hash(assignment.token),
        worker: assignment.worker.to_string(),
        server: assignment.server.as_bytes().to_vec().into(),
        epoch: assignment.epoch.0,
        dispatched_at: assignment.dispatched_at.get(),
        ..v1::Attempt::default()
    }
}

/// Names an attempt's token without giving it away: the first 16 hex digits of the SHA-256 of its 8 bytes, big endian.
pub fn token_hash(token: Token) -> String {
    let digest = Sha256::digest(token.0.to_be_bytes());
    digest.iter().take(8).fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes all that is written");
        hex
    })
}

/// A gap for the wire.
pub fn gap(gap: &Gap, app: &Name, job: &Name) -> v1::Gap {
    v1::Gap {
        app: app.as_str().into(),
        job: job.as_str().into(),
        from: gap.from.get(),
        to: gap.to.get(),
        count: gap.count,
        reason: gap.reason.as_str().into(),
        revision: gap.revision,
    }
}

/// The states of a filter, as the words of the store.
///
/// # Errors
/// The first that is unknown or unspecified, as `states[2]`.
pub fn states(given: &[i32]) -> Result<Vec<&'static str>, Refusal> {
    field::items("states", given.len(), 0..=16)?;
    let mut states = Vec::with_capacity(given.len());
    for (at, &value) in given.iter().enumerate() {
        states.push(state_word(value).map_err(|inner| inner.within(&format!("states[{at}]")))?);
    }
    Ok(states)
}

fn state_word(value: i32) -> Result<&'static str, Refusal> {
    Ok(match field::word("", value)? {
        v1::RunState::Scheduled => "scheduled",
        v1::RunState::Dispatched => "dispatched",
        v1::RunState::Succeeded => "succeeded",
        v1::RunState::Failed => "failed",
        v1::RunState::Cancelled => "cancelled",
        v1::RunState::Skipped => "skipped",
        v1::RunState::Unspecified => {
            return Err(
                Refusal::invalid("unknown_value", "", "is unspecified").remedy("leave it out for all")
            );
        }
    })
}

pub(super) fn failure(failure: &Failure) -> v1::Failure {
    v1::Failure {
        class: failure.class.to_string(),
        message: failure.message.to_string(),
        trace: failure.trace.to_string(),
    }
}

pub(super) fn source(source: Source) -> v1::Source {
    match source {
        Source::Cron => v1::Source::Cron,
        Source::FixedRate => v1::Source::FixedRate,
        Source::FixedDelay => v1::Source::FixedDelay,
        Source::DailyWindow => v1::Source::DailyWindow,
        Source::At => v1::Source::At,
        Source::Api => v1::Source::Api,
        Source::Manual => v1::Source::Manual,
        Source::Backfill => v1::Source::Backfill,
    }
}

fn state(state: State) -> v1::RunState {
    match state {
        State::Scheduled => v1::RunState::Scheduled,
        State::Dispatched => v1::RunState::Dispatched,
        State::Ended(Ended::Succeeded) => v1::RunState::Succeeded,
        State::Ended(Ended::Failed(_)) => v1::RunState::Failed,
        State::Ended(Ended::Cancelled(_)) => v1::RunState::Cancelled,
        State::Ended(Ended::Skipped(_)) => v1::RunState::Skipped,
    }
}
