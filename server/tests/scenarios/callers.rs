//! Several callers, the same call twice, lists and ledgers by pages.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use fastjob_core::client::{ErrorKind, Job, Overlap, RunFilter, RunState, Trigger};
use fastjob_core::protocol::v1;
use fastjob_core::worker::{Context, HandlerError, Worker};
use prost::Message;

use super::stage::{Stage, client_of, end, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_yields_the_same_run_and_with_other_parameters_a_conflict_that_names_it() {
    let stage = Stage::open().await;
    stage.put(Job::named("order").handler("work").overlap(Overlap::AllowAll)).await;
    let order = || Trigger::of("order").key("order-42").params_json(r#"{"item":"book"}"#);
    let first = stage.client.trigger(order()).await.expect("it is taken");
    let second = stage.client.trigger(order()).await.expect("it is the same");
    assert_eq!((first.existed, second.existed), (false, true));
    assert_eq!(first.run.id, second.run.id);
    let other = stage.client.trigger(Trigger::of("order").key("order-42").params_json("{}")).await;
    let other = other.expect_err("it contradicts the first");
    assert_eq!((other.kind, &*other.code), (ErrorKind::Conflict, "idempotency_conflict"));
    assert!(other.message.contains(&first.run.id.to_string()), "{other}");

    let run = first.run.id.to_string();
    let said = stage.cli(&["job", "run", "order", "--key", "order-42", "--params", "{}"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.err.contains(&run), "{said:?}");
    assert_eq!(stage.one(&["run", "get", "--job", "order", "--key", "order-42"])["id"], run);
    assert_eq!(stage.shown(&["run", "list", "--job", "order"]).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_holds_after_its_run_has_ended_and_after_a_restart_of_the_server() {
    let mut stage = Stage::open().await;
    let _worker = stage.worker(|builder| builder.handler("work", async |_: Context| Ok("done"))).await;
    stage.put(Job::named("order").handler("work")).await;
    let run = stage.fire_by(Trigger::of("order").key("k")).await;
    stage.ended(run).await;
    stage.server.kill().expect("it runs");
    stage.server.start().expect("it starts again");
    let again = stage.client.trigger(Trigger::of("order").key("k")).await.expect("it is the same");
    assert_eq!((again.existed, again.run.id, again.run.state), (true, run, RunState::Succeeded));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_with_clients_of_two_apps_serves_both_apart() {
    let stage = Stage::open().await;
    let created = stage.one(&["app", "create", "second"]);
    assert_eq!(created["app"], "second");
    let second = client_of(&stage.server, "second", &text(&created["token"])).await;
    let answering = |app: &'static str| move |_: Context| async move { Ok(app) };
    let _first_worker = stage.worker(|builder| builder.handler("work", answering("first"))).await;
    let builder = Worker::builder(&second).handler("work", answering("second"));
    let _second_worker = builder.start().await.expect("the worker is welcomed");
    for client in [&stage.client, &second] {
        client.job_put(Job::named("same").handler("work")).await.expect("it is taken");
    }
    for (client, app) in [(&stage.client, "first"), (&second, "second")] {
        let run = client.trigger(Trigger::of("same")).await.expect("it is fired").run.id;
        let run = client.run_wait(run, Some(super::stage::PATIENCE)).await.expect("it is known");
        assert_eq!(run.result.clone().expect("it has a result").data, app);
        assert_eq!(client.run_list(RunFilter::default()).await.expect("the app is known").len(), 1);
        assert_eq!(client.worker_list().await.expect("the app is known").len(), 1);
    }
    let first_run = &stage.client.run_list(RunFilter::default()).await.expect("the app is known")[0];
    let foreign = second.run_get(first_run.id).await.expect_err("it is the other app's");
    assert_eq!(foreign.kind, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_listed_newest_first_by_job_and_state_and_by_pages() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held_by("work", |builder| builder.slots(1)).await;
    for job in ["a", "b"] {
        stage.put(Job::named(job).handler("work").overlap(Overlap::AllowAll)).await;
    }
    let failed = stage.fire("a").await;
    gate.entered().await.fail(HandlerError::message("no"));
    stage.ended(failed).await;
    let succeeded = stage.fire("a").await;
    gate.entered().await.succeed("yes");
    stage.ended(succeeded).await;
    let running = stage.fire("b").await;
    let _visit = gate.entered().await;
    let waiting = stage.fire("a").await;
    let cancelled = stage.fire("b").await;
    stage.client.run_cancel(cancelled).await.expect("it waits");

    let listed = |arguments: &[&str]| -> Vec<String> {
        let arguments: Vec<&str> = ["run", "list"].iter().chain(arguments).copied().collect();
        stage.shown(&arguments).iter().map(|row| text(&row["id"])).collect()
    };
    let ids = |runs: &[fastjob_core::id::RunId]| runs.iter().map(ToString::to_string).collect::<Vec<_>>();
    let all = ids(&[cancelled, waiting, running, succeeded, failed]);
    assert_eq!(listed(&[]), all);
    assert_eq!(listed(&["--job", "a"]), ids(&[waiting, succeeded, failed]));
    assert_eq!(listed(&["--state", "failed"]), ids(&[failed]));
    assert_eq!(listed(&["--state", "scheduled,dispatched"]), ids(&[waiting, running]));
    assert_eq!(listed(&["--job", "b", "--state", "cancelled", "--state", "skipped"]), ids(&[cancelled]));
    assert_eq!(listed(&["--limit", "2"]), all[..2]);
    assert_eq!(listed(&["--before", &all[1]]), all[2..]);
    assert_eq!(listed(&["--job", "nobody's"]), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_of_many_runs_of_one_instant_comes_whole_by_pages() {
    let stage = Stage::open().await;
    stage.put(Job::named("many").handler("nobody's").overlap(Overlap::AllowAll)).await;
    let fired = stage.client.trigger_all((0..600).map(|_| Trigger::of("many")).collect()).await;
    let ids: BTreeSet<String> = fired
        .expect("all are taken")
        .into_iter()
        .map(|fired| fired.expect("each is taken").run.id.to_string())
        .collect();
    assert_eq!(ids.len(), 600);
    let rows = stage.ledger("many");
    assert_eq!(rows.len(), 600, "a row is missing or doubled");
    assert_eq!(rows.iter().map(|row| text(&row["id"])).collect::<BTreeSet<_>>(), ids);

    let (mut page, mut seen) = (Bytes::new(), Vec::new());
    loop {
        let request = v1::JobLedgerRequest {
            app: stage.server.app.clone(),
            name: "many".into(),
            from: 0,
            to: i64::from(i32::MAX) * 1_000,
            limit: 7,
            page,
            ..v1::JobLedgerRequest::default()
        };
        let wait = Duration::from_secs(10);
        let reply = stage.client.call_raw("JobLedger", request.encode_to_vec().into(), wait).await;
        let reply = v1::JobLedgerReply::decode(reply.expect("it is answered")).expect("it is a reply");
        assert!(reply.entries.len() <= 7);
        seen.extend(reply.entries);
        page = reply.next;
        if page.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), 600, "a row is missing or doubled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_batch_of_triggers_each_has_its_own_answer() {
    let stage = Stage::open().await;
    let _worker = stage.worker(|builder| builder.handler("work", async |_: Context| Ok("done"))).await;
    stage.put(Job::named("known").handler("work").overlap(Overlap::AllowAll)).await;
    let batch = ["known", "unknown", "known"].map(Trigger::of).to_vec();
    let answers = stage.client.trigger_all(batch).await.expect("the call is answered");
    assert_eq!(answers.len(), 3);
    let unknown = answers[1].as_ref().expect_err("there is no such job");
    assert_eq!((unknown.kind, &*unknown.code), (ErrorKind::NotFound, "job_not_found"));
    for answer in [&answers[0], &answers[2]] {
        let run = answer.as_ref().expect("the job is known").run.id;
        assert_eq!(end(&stage.ended(run).await), (RunState::Succeeded, ""));
    }
}
