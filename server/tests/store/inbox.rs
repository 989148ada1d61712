//! Commands that wait for an owner.

use bytes::Bytes;
use fastjob_core::clock::Millis;
use fastjob_core::domain::OutcomeKind;
use fastjob_core::id::{InboxId, RunId};
use fastjob_core::protocol::v1;
use fastjob_core::shard::{InboxFailed, Needs, Rows};
use fastjob_server::store::InboxRow;
use prost::Message as _;

use crate::bundle::{Bundle, START};

crate::on_every_backend! {
    a_command_reads_back_and_one_put_twice_is_one
    commands_are_read_oldest_first_by_the_owner_of_a_shard_alone
    what_names_no_app_is_read_by_all_and_can_be_set_aside
    a_turn_carries_commands_out_and_sets_others_aside
    outcomes_of_a_run_are_found_and_junk_among_them_is_passed_over
}

fn trigger(on: &Bundle, app: &str) -> InboxRow {
    InboxRow {
        id: on.id(),
        app: app.into(),
        kind: "trigger".into(),
        name: "greet".into(),
        idempotency_key: None,
        due_at: None,
        params: None,
        body: None,
        run: None,
        created_at: START,
        failed: None,
    }
}

fn ids(rows: &[InboxRow]) -> Vec<InboxId> {
    rows.iter().map(|row| row.id).collect()
}

async fn a_command_reads_back_and_one_put_twice_is_one(on: Bundle) {
    let full = InboxRow {
        idempotency_key: Some("order-42".into()),
        due_at: Some(Millis::new(-5)),
        params: Some("{\"größe\": \"\\\\n\"}".into()),
        body: Some(Bytes::from_static(b"\0\xff\\x")),
        run: Some(on.id()),
        ..trigger(&on, "demo")
    };
    let bare = trigger(&on, "demo");
    on.inbox_put(&[full.clone(), bare.clone()]).await.unwrap();
    on.inbox_put(&[InboxRow { name: "other".into(), ..full.clone() }]).await.unwrap();
    on.inbox_put(&[]).await.unwrap();
    assert_eq!(on.inbox_read(on.server, 9).await.unwrap(), [full, bare]);
}

async fn commands_are_read_oldest_first_by_the_owner_of_a_shard_alone(on: Bundle) {
    let late = InboxRow { created_at: START.plus(2), ..trigger(&on, "demo") };
    let early = InboxRow { created_at: START.plus(1), ..trigger(&on, "demo") };
    on.inbox_put(&[late.clone(), early.clone()]).await.unwrap();
    assert_eq!(ids(&on.inbox_read(on.server, 9).await.unwrap()), [early.id, late.id]);
    assert_eq!(ids(&on.inbox_read(on.server, 1).await.unwrap()), [early.id]);
    let other = on.join().await;
    assert!(on.inbox_read(other, 9).await.unwrap().is_empty());
}

async fn what_names_no_app_is_read_by_all_and_can_be_set_aside(on: Bundle) {
    let (lost, known) = (trigger(&on, "no\u{1}app"), trigger(&on, "demo"));
    on.inbox_put(&[lost.clone(), known.clone()]).await.unwrap();
    let other = on.join().await;
    assert_eq!(ids(&on.inbox_read(other, 9).await.unwrap()), [lost.id]);
    on.inbox_refuse(&[lost.id, known.id], START.plus(7), "no such app").await.unwrap();
    on.inbox_refuse(&[lost.id], START.plus(8), "again").await.unwrap();
    assert_eq!(ids(&on.inbox_read(on.server, 9).await.unwrap()), [known.id], "an app's own are its owner's");
    let failed = InboxRow { failed: Some((START.plus(7), "no such app".into())), ..lost.clone() };
    assert_eq!(on.inbox_failed(&lost.app, 9).await.unwrap(), [failed]);
    assert!(on.inbox_failed("demo", 9).await.unwrap().is_empty());
}

async fn a_turn_carries_commands_out_and_sets_others_aside(on: Bundle) {
    let (done, bad, later) = (trigger(&on, "demo"), trigger(&on, "demo"), trigger(&on, "demo"));
    on.inbox_put(&[done.clone(), bad.clone(), later.clone()]).await.unwrap();
    let failed = InboxFailed { id: bad.id, at: START.plus(3), reason: "no such job".into() };
    let gone = InboxFailed { id: on.id(), ..failed.clone() };
    let rows =
        Rows { inbox_done: vec![done.id, on.id()], inbox_failed: vec![failed, gone], ..Rows::default() };
    on.commit(rows).await;
    assert_eq!(ids(&on.inbox_read(on.server, 9).await.unwrap()), [later.id]);
    let aside = on.inbox_failed("demo", 9).await.unwrap();
    assert_eq!(aside, [InboxRow { failed: Some((START.plus(3), "no such job".into())), ..bad }]);
}

async fn outcomes_of_a_run_are_found_and_junk_among_them_is_passed_over(on: Bundle) {
    let run: RunId = on.id();
    let key =
        v1::AttemptKey { shard: 0, run: Bytes::copy_from_slice(run.as_bytes()), attempt: 1, token: u64::MAX };
    let said = v1::Outcome { key: Some(key), kind: v1::OutcomeKind::Succeeded.into(), ..Default::default() };
    let outcome = |body: Vec<u8>, run| InboxRow {
        kind: "outcome".into(),
        body: Some(body.into()),
        run: Some(run),
        ..trigger(&on, "demo")
    };
    let good = outcome(said.encode_to_vec(), run);
    let junk = outcome(b"\xff\xff".to_vec(), run);
    let others = outcome(said.encode_to_vec(), on.id());
    let elsewhere = InboxRow { app: "other".into(), ..outcome(said.encode_to_vec(), run) };
    on.inbox_put(&[good.clone(), junk, others, elsewhere]).await.unwrap();
    let needs = Needs { outcomes_of: [run].into(), ..Needs::default() };
    let facts = on.facts(on.shard, &needs).await.unwrap();
    let [(id, outcome)] = &facts.outcomes[..] else { panic!("{:?}", facts.outcomes) };
    assert_eq!((*id, outcome.key.run, outcome.key.attempt), (good.id, run, 1));
    assert!(matches!(outcome.kind, OutcomeKind::Succeeded(_)), "{outcome:?}");
}
