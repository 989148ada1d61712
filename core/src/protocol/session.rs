//! What workers and owners tell each other, on the wire.
//!
//! A message that cannot be right is refused, but an outcome is never lost for what a handler put into it: a result
//! that cannot be kept becomes a failure that says so, and texts are cut to their bounds.

use std::collections::HashSet;
use std::sync::Arc;

use super::{field, run, v1};
use crate::clock::Millis;
use crate::domain::{
    Failure, HandlerOffer, Hello, Name, Outcome, OutcomeKind, Payload, Refusal, Trigger, WorkerProfile,
};
use crate::id::{AttemptKey, Epoch, ServerId, Token};
use crate::shard::{CancelReason, Dispatch, Frame, Verdict, WorkerState};

/// The version of the protocol that this code speaks.
pub const PROTOCOL: u32 = 1;
/// The longest name of a worker, SDK, version, tag or label, in characters.
const MAX_TEXT_CHARS: usize = 128;
/// The most tags, and the most labels, of a worker.
const MAX_TAGS: usize = 100;
/// The longest note of a progress, in characters.
const MAX_NOTE_CHARS: usize = 1_024;

/// A Hello as it came: for every shard of the app.
#[derive(Clone, PartialEq, Debug)]
pub struct AppHello {
    /// Which app.
    pub app: Name,
    profile: WorkerProfile,
    ordinal: u64,
    floors: Vec<(u16, Epoch)>,
    running: Vec<(u16, AttemptKey)>,
    unacked: Vec<(u16, Outcome)>,
    shards: Vec<u16>,
}

/// Reads a Hello.
///
/// # Errors
/// The first wrong field, as `handlers[2].name`.
pub fn hello(hello: v1::Hello) -> Result<AppHello, Refusal> {
    if hello.protocol != PROTOCOL {
        let message = format!("is {}, and this server speaks {PROTOCOL}", hello.protocol);
        return Err(Refusal::invalid("protocol_unknown", "protocol", message)
            .remedy("use a worker and a server of neighbouring versions"));
    }
    let most_attempts = WorkerProfile::MAX_SLOTS as usize;
    field::items("running", hello.running.len(), 0..=most_attempts)?;
    field::items("unacked", hello.unacked.len(), 0..=most_attempts)?;
    field::items("floors", hello.floors.len(), 0..=usize::from(u16::MAX) + 1)?;
    field::items("shards", hello.shards.len(), 0..=usize::from(u16::MAX) + 1)?;
    let mut floors = Vec::with_capacity(hello.floors.len());
    for (at, floor) in hello.floors.iter().enumerate() {
        let shard = shard(floor.shard).map_err(|inner| inner.within(&format!("floors[{at}]")))?;
        floors.push((shard, Epoch(floor.epoch)));
    }
    let mut running = Vec::with_capacity(hello.running.len());
    for (at, attempt) in hello.running.iter().enumerate() {
        running.push(key(attempt.key.as_ref()).map_err(|inner| inner.within(&format!("running[{at}].key")))?);
    }
    let mut unacked = Vec::with_capacity(hello.unacked.len());
    for (at, given) in hello.unacked.into_iter().enumerate() {
        unacked.push(outcome(given).map_err(|inner| inner.within(&format!("unacked[{at}]")))?);
    }
    let shards = hello.shards.iter().map(|&number| shard(number).map_err(|inner| inner.within("shards")));
    let shards = shards.collect::<Result<_, _>>()?;
    let slots = field::number("slots", hello.slots.into(), 1..=WorkerProfile::MAX_SLOTS.into())?;
    let profile = WorkerProfile {
        session: field::id("session", &hello.session)?,
        name: field::shared_text("worker", &hello.worker, MAX_TEXT_CHARS)?,
        sdk: field::shared_text("sdk", &hello.sdk, MAX_TEXT_CHARS)?,
        handlers: handlers(&hello.handlers)?,
        slots: u32::try_from(slots).expect("it is at most 100,000"),
        tags: tags(&hello.tags)?,
        labels: labels(&hello.labels)?,
    };
    let app = field::name("app", &hello.app)?;
    Ok(AppHello { app, profile, ordinal: hello.ordinal, floors, running, unacked, shards })
}

impl AppHello {
    /// What one shard's owner hears of it.
    pub fn of_shard(&self, shard: u16) -> Hello {
        Hello {
            profile: self.profile.clone(),
            ordinal: self.ordinal,
            floor: of(&self.floors, shard).copied().max(),
            running: of(&self.running, shard).copied().collect(),
            unacked: of(&self.unacked, shard).cloned().collect(),
        }
    }

    /// The shards whose owners are to hear it; empty: all.
    pub fn shards(&self) -> &[u16] {
        &self.shards
    }

    /// Who says it.
    pub fn profile(&self) -> &WorkerProfile {
        &self.profile
    }
}

fn of<T>(items: &[(u16, T)], shard: u16) -> impl Iterator<Item = &T> {
    items.iter().filter(move |(of, _)| *of == shard).map(|(_, item)| item)
}

/// Reads the number of a shard.
pub fn shard(shard: u32) -> Result<u16, Refusal> {
    u16::try_from(shard).map_err(|_| {
        Refusal::invalid("out_of_bounds", "shard", format!("is {shard}"))
            .remedy("give a shard of the Welcome")
    })
}

/// Reads the name of an attempt, and of its shard.
pub fn key(key: Option<&v1::AttemptKey>) -> Result<(u16, AttemptKey), Refusal> {
    let key = key.ok_or_else(|| {
        Refusal::invalid("key_missing", "", "is missing").remedy("name the attempt as its Dispatch did")
    })?;
    let run = field::id("run", &key.run)?;
    Ok((shard(key.shard)?, AttemptKey { run, attempt: key.attempt, token: Token(key.token) }))
}

/// Reads an outcome, and the shard of its attempt.
pub fn outcome(given: v1::Outcome) -> Result<(u16, Outcome), Refusal> {
    let (shard, key) = key(given.key.as_ref()).map_err(|inner| inner.within("key"))?;
    let error = given.error.map(|error| Failure::new(&error.class, &error.message, &error.trace));
    let kind = match field::word("kind", given.kind)? {
        v1::OutcomeKind::Succeeded => success(given.result),
        v1::OutcomeKind::Failed => OutcomeKind::Failed(error.unwrap_or_default()),
        v1::OutcomeKind::TimedOut => OutcomeKind::TimedOut(error.unwrap_or_default()),
        v1::OutcomeKind::Cancelled => OutcomeKind::Cancelled(error.unwrap_or_default()),
        v1::OutcomeKind::Lost => OutcomeKind::Lost(error.unwrap_or_default()),
        v1::OutcomeKind::Unspecified => {
            return Err(
                Refusal::invalid("unknown_value", "kind", "is unspecified").remedy("say how it ended")
            );
        }
    };
    let outcome = Outcome {
        key,
        kind,
        started_at: (given.started_at > 0).then(|| estimate(given.started_at)),
        ended_at: estimate(given.ended_at),
        retry_after_ms: given.retry_after_ms.map(|ms| ms.clamp(0, Trigger::MAX_PERIOD_MS)),
        give_up: given.give_up,
    };
    Ok((shard, outcome))
}

/// An outcome for the wire.
pub fn outcome_to(outcome: &Outcome, shard: u16) -> v1::Outcome {
    let (kind, result, error) = match &outcome.kind {
        OutcomeKind::Succeeded(result) => (v1::OutcomeKind::Succeeded, Some(result), None),
        OutcomeKind::Failed(error) => (v1::OutcomeKind::Failed, None, Some(error)),
        OutcomeKind::TimedOut(error) => (v1::OutcomeKind::TimedOut, None, Some(error)),
        OutcomeKind::Cancelled(error) => (v1::OutcomeKind::Cancelled, None, Some(error)),
        OutcomeKind::Lost(error) => (v1::OutcomeKind::Lost, None, Some(error)),
    };
    v1::Outcome {
        key: Some(key_to(&outcome.key, shard)),
        kind: kind.into(),
        result: result.map(field::payload_to),
        error: error.map(run::failure),
        started_at: outcome.started_at.map_or(0, Millis::get),
        ended_at: outcome.ended_at.get(),
        retry_after_ms: outcome.retry_after_ms,
        give_up: outcome.give_up,
    }
}

fn success(result: Option<v1::Payload>) -> OutcomeKind {
    match result.map_or(Ok(Payload::default()), |result| field::payload("result", result)) {
        Ok(result) => OutcomeKind::Succeeded(result),
        Err(refusal) => OutcomeKind::Failed(Failure::new("fastjob.BadResult", &refusal.to_string(), "")),
    }
}

/// An instant as a worker estimates it: whatever it says, it is an instant.
fn estimate(ms: i64) -> Millis {
    Millis::new(ms.clamp(0, field::MAX_INSTANT))
}

/// Reads a progress: shard, attempt, percent and note.
pub fn progress(progress: &v1::Progress) -> Result<(u16, AttemptKey, u8, Arc<str>), Refusal> {
    let (shard, key) = key(progress.key.as_ref()).map_err(|inner| inner.within("key"))?;
    let percent = u8::try_from(progress.percent.min(100)).expect("it is at most 100");
    let end = progress.note.char_indices().nth(MAX_NOTE_CHARS).map_or(progress.note.len(), |(at, _)| at);
    Ok((shard, key, percent, progress.note[..end].into()))
}

fn handlers(given: &[v1::Handler]) -> Result<Vec<HandlerOffer>, Refusal> {
    field::items("handlers", given.len(), 0..=WorkerProfile::MAX_HANDLERS)?;
    let mut names = HashSet::with_capacity(given.len());
    let mut offers = Vec::with_capacity(given.len());
    for (at, handler) in given.iter().enumerate() {
        let within = |inner: Refusal| inner.within(&format!("handlers[{at}]"));
        let name = field::name("name", &handler.name).map_err(within)?;
        let version = field::shared_text("version", &handler.version, MAX_TEXT_CHARS).map_err(within)?;
        if !names.insert(name.clone()) {
            let message = format!("{name} was offered before");
            return Err(within(Refusal::invalid("handler_twice", "name", message).remedy("offer it once")));
        }
        offers.push(HandlerOffer { name, version });
    }
    Ok(offers)
}

fn tags(given: &[String]) -> Result<Vec<Arc<str>>, Refusal> {
    field::items("tags", given.len(), 0..=MAX_TAGS)?;
    given.iter().map(|tag| field::shared_text("tags", tag, MAX_TEXT_CHARS)).collect()
}

/// A key and its value.
type Label = (Arc<str>, Arc<str>);

fn labels(given: &[v1::Label]) -> Result<Vec<Label>, Refusal> {
    field::items("labels", given.len(), 0..=MAX_TAGS)?;
    given
        .iter()
        .map(|label| {
            let key = field::shared_text("labels.key", &label.key, MAX_TEXT_CHARS)?;
            Ok((key, field::shared_text("labels.value", &label.value, MAX_TEXT_CHARS)?))
        })
        .collect()
}

/// What a server adds to an owner's Welcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Greeting {
    /// Who speaks.
    pub server: ServerId,
    /// How often it pings.
    pub ping_ms: i64,
    /// After how long without a word the worker leaves.
    pub silence_ms: i64,
}

/// A frame of the owner of `shard`, for the wire.
pub fn frame(frame: Frame, shard: u16, greeting: &Greeting, now: Millis) -> v1::ServerMessage {
    use v1::server_message::Message;
    message(match frame {
        Frame::Welcome { epoch, ordinal, lost_after_ms, adopted, drop } => Message::Welcome(v1::Welcome {
            shards: vec![v1::ShardEpoch { shard: shard.into(), epoch: epoch.0 }],
            server: greeting.server.as_bytes().to_vec().into(),
            server_time: now.get(),
            ping_ms: greeting.ping_ms,
            silence_ms: greeting.silence_ms,
            lost_after_ms,
            adopted: adopted.iter().map(|key| key_to(key, shard)).collect(),
            drop: drop.iter().map(|key| key_to(key, shard)).collect(),
            protocol: PROTOCOL,
            ordinal,
        }),
        Frame::Dispatch(dispatch) => Message::Dispatch(dispatch_to(*dispatch, shard)),
        Frame::Cancel { key, reason, grace_ms } => {
            let reason = match reason {
                CancelReason::Requested => v1::CancelReason::Requested,
                CancelReason::Timeout => v1::CancelReason::Timeout,
                CancelReason::Superseded => v1::CancelReason::Superseded,
            };
            Message::Cancel(v1::Cancel { key: Some(key_to(&key, shard)), reason: reason.into(), grace_ms })
        }
        Frame::Ack { key, verdict } => Message::OutcomeAck(ack(&key, verdict, shard)),
        Frame::HelloAgain => Message::HelloAgain(v1::HelloAgain { shard: shard.into() }),
        Frame::Wanting => Message::Wanting(v1::Wanting { shard: shard.into() }),
        Frame::Recalled { credit } => Message::Recalled(v1::Recalled { shard: shard.into(), credit }),
    })
}

/// What became of an outcome, for the wire.
pub fn ack(key: &AttemptKey, verdict: Verdict, shard: u16) -> v1::OutcomeAck {
    let verdict = match verdict {
        Verdict::Accepted => v1::Verdict::Accepted,
        Verdict::Duplicate => v1::Verdict::Duplicate,
        Verdict::Late => v1::Verdict::Late,
        Verdict::Unknown => v1::Verdict::Unknown,
    };
    v1::OutcomeAck { key: Some(key_to(key, shard)), verdict: verdict.into() }
}

/// A message for the wire.
pub fn message(message: v1::server_message::Message) -> v1::ServerMessage {
    v1::ServerMessage { message: Some(message) }
}

fn dispatch_to(dispatch: Dispatch, shard: u16) -> v1::Dispatch {
    let idempotency_key = match &dispatch.idempotency_key {
        Some(key) => key.to_string(),
        None => dispatch.key.run.to_string(),
    };
    v1::Dispatch {
        key: Some(key_to(&dispatch.key, shard)),
        epoch: dispatch.epoch.0,
        job: dispatch.job.as_str().into(),
        handler: dispatch.handler.as_str().into(),
        params: Some(field::payload_to(&dispatch.params)),
        tick: dispatch.tick.map(Millis::get),
        due: dispatch.due.get(),
        previous_tick: dispatch.previous_tick.map(Millis::get),
        timeout_ms: dispatch.timeout_ms,
        grace_ms: dispatch.grace_ms,
        max_attempts: dispatch.max_attempts,
        revision: dispatch.revision,
        source: run::source(dispatch.source).into(),
        idempotency_key,
        lost_after_ms: dispatch.lost_after_ms,
    }
}

/// The name of an attempt for the wire.
pub fn key_to(key: &AttemptKey, shard: u16) -> v1::AttemptKey {
    v1::AttemptKey {
        shard: shard.into(),
        run: key.run.as_bytes().to_vec().into(),
        attempt: key.attempt,
        token: key.token.0,
    }
}

/// A worker for the wire.
pub fn worker(worker: &WorkerState, shard: u16) -> v1::WorkerState {
    let profile = &worker.profile;
    v1::WorkerState {
        session: profile.session.as_bytes().to_vec().into(),
        worker: profile.name.to_string(),
        sdk: profile.sdk.to_string(),
        handlers: profile.handlers.iter().map(handler_to).collect(),
        slots: profile.slots,
        running: worker.running,
        connected: worker.connected,
        draining: worker.draining,
        last_contact_at: worker.last_contact.get(),
        tags: profile.tags.iter().map(ToString::to_string).collect(),
        shard: shard.into(),
    }
}

fn handler_to(offer: &HandlerOffer) -> v1::Handler {
    v1::Handler { name: offer.name.as_str().into(), version: offer.version.to_string() }
}
