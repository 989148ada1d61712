//! Rows of the inbox: what servers write there for an owner they cannot reach, and what an owner reads of them. Anybody
//! may write rows by plain SQL, so nothing in one is trusted.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Name, Outcome, Refusal};
use fastjob_core::id::{InboxId, RequestId};
use fastjob_core::protocol::{field, run, session, v1};
use fastjob_core::shard::{Fire, Order, When};
use prost::Message as _;
use sha2::{Digest, Sha256};

use crate::store::{App, InboxRow};

/// A trigger for its job's owner. The same trigger makes the same row, however often it is written.
pub fn of_fire(app: &App, fire: &Fire, now: Millis) -> InboxRow {
    let when = match fire.when {
        When::AfterMs(ms) => When::At(now.plus(ms)),
        when => when,
    };
    let body = run::fire_to(&Fire { when, ..fire.clone() }).encode_to_vec();
    let key = fire.idempotency_key.as_deref();
    let parts: [&[u8]; 4] =
        [b"call", fire.job.as_str().as_bytes(), fire.request.as_bytes(), key.unwrap_or_default().as_bytes()];
    InboxRow {
        kind: "call".into(),
        idempotency_key: key.map(Into::into),
        body: Some(body.into()),
        ..row(app, &fire.job, &parts, now)
    }
}

/// An outcome for the owner of its run. The same outcome makes the same row, however often it is written.
pub fn of_outcome(app: &App, job: &Name, shard: u16, outcome: &Outcome, now: Millis) -> InboxRow {
    let key = &outcome.key;
    let (attempt, token) = (key.attempt.to_be_bytes(), key.token.0.to_be_bytes());
    let parts: [&[u8]; 4] = [b"outcome", key.run.as_bytes(), &attempt, &token];
    InboxRow {
        kind: "outcome".into(),
        body: Some(session::outcome_to(outcome, shard).encode_to_vec().into()),
        run: Some(key.run),
        ..row(app, job, &parts, now)
    }
}

fn row(app: &App, job: &Name, parts: &[&[u8]], now: Millis) -> InboxRow {
    InboxRow {
        id: name_of(app, parts),
        app: app.name.as_str().into(),
        kind: String::new(),
        name: job.as_str().into(),
        idempotency_key: None,
        due_at: None,
        params: None,
        body: None,
        run: None,
        created_at: now,
        failed: None,
    }
}

/// Each part with its length, so that no two lists of parts are one text.
fn name_of(app: &App, parts: &[&[u8]]) -> InboxId {
    let mut digest = Sha256::new().chain_update(app.id.0.to_be_bytes());
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    InboxId::from_slice(&digest[..16]).expect("16 of 32 bytes")
}

/// What a row asks: junk, with the reason, if that cannot be read.
pub fn order(row: &InboxRow) -> Order {
    let read = match row.kind.as_str() {
        "trigger" => trigger(row).map(|fire| Order::Fire(Box::new(fire))),
        "call" => call(row).map(|fire| Order::Fire(Box::new(fire))),
        "outcome" => outcome(row).map(|outcome| Order::Outcome(Box::new(outcome))),
        other => {
            let shown: String = other.chars().take(32).collect();
            Err(Refusal::invalid("unknown_kind", "kind", format!("is {shown:?}")).remedy("give trigger"))
        }
    };
    read.unwrap_or_else(|refusal| Order::Junk(refusal.to_string()))
}

/// Of plain SQL: within the bounds of any trigger.
fn trigger(row: &InboxRow) -> Result<Fire, Refusal> {
    let params = row.params.as_ref().map(|text| {
        let data = text.clone().into_bytes().into();
        field::payload("params", v1::Payload { encoding: v1::Encoding::Json.into(), data })
    });
    let key = row.idempotency_key.as_deref().unwrap_or_default();
    let key = field::text("idempotency_key", key, run::MAX_KEY_CHARS)?;
    Ok(Fire {
        job: field::name("name", &row.name)?,
        params: params.transpose()?,
        when: row.due_at.map_or(Ok(When::Now), |at| field::instant("due_at", at.get()).map(When::At))?,
        idempotency_key: (!key.is_empty()).then(|| key.into()),
        request: RequestId::from_bytes(*row.id.as_bytes()),
        overlap: None,
        source: fastjob_core::domain::Source::Api,
    })
}

fn call(row: &InboxRow) -> Result<Fire, Refusal> {
    let spec = v1::TriggerSpec::decode(body(row)?).map_err(not_a("TriggerSpec"))?;
    let fire = run::fire(spec).map_err(|inner| inner.within("body"))?;
    if fire.job.as_str() == row.name {
        return Ok(fire);
    }
    Err(Refusal::invalid("name_differs", "name", "is not the job of the body").remedy("use kind trigger"))
}

fn outcome(row: &InboxRow) -> Result<Outcome, Refusal> {
    let given = v1::Outcome::decode(body(row)?).map_err(not_a("Outcome"))?;
    let (_, outcome) = session::outcome(given).map_err(|inner| inner.within("body"))?;
    if row.run == Some(outcome.key.run) {
        return Ok(outcome);
    }
    Err(Refusal::invalid("run_differs", "run_id", "is not the run of the body").remedy("use kind trigger"))
}

fn body(row: &InboxRow) -> Result<&[u8], Refusal> {
    let missing = || Refusal::invalid("body_missing", "body", "is null").remedy("use kind trigger");
    row.body.as_deref().ok_or_else(missing)
}

fn not_a(what: &'static str) -> impl Fn(prost::DecodeError) -> Refusal {
    move |error| {
        Refusal::invalid("body_junk", "body", format!("is no {what}: {error}")).remedy("use kind trigger")
    }
}

#[cfg(test)]
mod tests {
    use fastjob_core::domain::{OutcomeKind, Overlap, Payload, Source};
    use fastjob_core::id::{AppId, AttemptKey, RunId, Token};

    use super::*;

    const NOW: Millis = Millis::new(1_800_000_000_000);

    fn app() -> App {
        App { id: AppId(3), name: Name::parse("demo").expect("a name"), shards: 4, created_at: NOW }
    }

    fn fire() -> Fire {
        Fire {
            job: Name::parse("größe").expect("a name"),
            params: Some(Payload::text("p")),
            when: When::AfterMs(5_000),
            idempotency_key: Some("order-42".into()),
            request: RequestId::from_bytes([5; 16]),
            overlap: Some(Overlap::AllowAll),
            source: Source::Manual,
        }
    }

    fn outcome() -> Outcome {
        Outcome {
            key: AttemptKey { run: RunId::from_bytes([7; 16]), attempt: 2, token: Token(u64::MAX) },
            kind: OutcomeKind::Succeeded(Payload::json("[1]")),
            started_at: Some(NOW),
            ended_at: NOW.plus(1),
            retry_after_ms: Some(3),
            give_up: true,
        }
    }

    #[test]
    fn what_a_server_writes_is_what_an_owner_reads() {
        let due = When::At(NOW.plus(5_000));
        let written = of_fire(&app(), &fire(), NOW);
        assert_eq!(order(&written), Order::Fire(Box::new(Fire { when: due, ..fire() })));
        let written = of_outcome(&app(), &fire().job, 3, &outcome(), NOW);
        assert_eq!(
            (order(&written), written.run),
            (Order::Outcome(Box::new(outcome())), Some(outcome().key.run))
        );
    }

    #[test]
    fn the_same_command_has_the_same_row_and_another_one_another() {
        let id = |fire: Fire| of_fire(&app(), &fire, NOW).id;
        assert_eq!(of_fire(&app(), &fire(), NOW.plus(9)).id, id(fire()));
        let others = [
            Fire { job: Name::parse("other").expect("a name"), ..fire() },
            Fire { request: RequestId::from_bytes([6; 16]), ..fire() },
            Fire { idempotency_key: None, ..fire() },
        ];
        others.into_iter().for_each(|other| assert_ne!(id(other), id(fire())));
        let later = Outcome { key: AttemptKey { attempt: 3, ..outcome().key }, ..outcome() };
        let job = fire().job;
        let id = |outcome| of_outcome(&app(), &job, 0, &outcome, NOW).id;
        assert_ne!(id(later), id(outcome()));
    }

    #[test]
    fn a_row_of_plain_sql_is_a_trigger_whose_request_is_the_row() {
        let bare = InboxRow { kind: "trigger".into(), ..row(&app(), &fire().job, &[b"x"], NOW) };
        let Order::Fire(read) = order(&bare) else { panic!("it is a trigger") };
        assert_eq!((read.params.as_ref(), read.when, read.idempotency_key.as_ref()), (None, When::Now, None));
        assert_eq!(read.request.as_bytes(), bare.id.as_bytes());
        let full = InboxRow {
            params: Some("{\"a\": 1}".into()),
            due_at: Some(NOW),
            idempotency_key: Some("k".into()),
            ..bare
        };
        let Order::Fire(read) = order(&full) else { panic!("it is a trigger") };
        assert_eq!((read.params, read.when), (Some(Payload::json("{\"a\": 1}")), When::At(NOW)));
        assert_eq!(read.idempotency_key.as_deref(), Some("k"));
    }

    #[test]
    fn what_cannot_be_read_is_junk_that_names_the_column() {
        let bare = || InboxRow { kind: "trigger".into(), ..row(&app(), &fire().job, &[b"x"], NOW) };
        let call = || of_fire(&app(), &fire(), NOW);
        let of_outcome = || of_outcome(&app(), &fire().job, 3, &outcome(), NOW);
        let cases = [
            (InboxRow { kind: "delete\u{1}everything".repeat(9), ..bare() }, "kind"),
            (InboxRow { name: "\u{1}".into(), ..bare() }, "name"),
            (InboxRow { name: String::new(), ..bare() }, "name"),
            (InboxRow { params: Some("{".into()), ..bare() }, "params"),
            (InboxRow { params: Some(format!("\"{}\"", "x".repeat(70_000))), ..bare() }, "params"),
            (InboxRow { due_at: Some(Millis::new(-1)), ..bare() }, "due_at"),
            (InboxRow { due_at: Some(Millis::new(i64::MAX)), ..bare() }, "due_at"),
            (InboxRow { idempotency_key: Some("k".repeat(257)), ..bare() }, "idempotency_key"),
            (InboxRow { body: None, ..call() }, "body"),
            (InboxRow { body: Some(b"\xff\xff".to_vec().into()), ..call() }, "body"),
            (InboxRow { body: Some(Default::default()), ..call() }, "body"),
            (InboxRow { name: "other".into(), ..call() }, "name"),
            (InboxRow { body: None, ..of_outcome() }, "body"),
            (InboxRow { body: Some(b"junk".to_vec().into()), ..of_outcome() }, "body"),
            (InboxRow { run: None, ..of_outcome() }, "run_id"),
        ];
        for (row, column) in cases {
            let Order::Junk(reason) = order(&row) else { panic!("{row:?} is junk") };
            assert!(reason.starts_with(column), "{column}: {reason}");
        }
    }
}
