//! The server is killed, or stopped, and started again: nothing is lost, and nothing runs twice without a cause.

use std::time::Duration;

use fastjob_core::client::{Job, Overlap, RunState, Trigger};
use fastjob_core::clock::{Clock, SystemClock};

use super::stage::{Stage, at, end, outcomes, patiently, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_attempt_survives_the_kill_of_its_server_as_one_execution() {
    let mut stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("steady").handler("work")).await;
    let run = stage.fire("steady").await;
    let visit = gate.entered().await;
    stage.server.kill().expect("it runs");
    stage.server.start().expect("it starts again");
    until("the worker has come back by itself", async || {
        let workers = stage.client.worker_list().await.expect("the app is known");
        workers.iter().any(|worker| worker.connected && worker.running == 1).then_some(())
    })
    .await;
    visit.succeed("carried through");
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Succeeded, ""), 1));
    assert_eq!(outcomes(&run), ["succeeded"]);
    assert_eq!(run.result.expect("it has a result").data, "carried through");
    assert!(gate.has_entered().is_none(), "it was executed twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_found_no_server_is_delivered_to_the_next_one() {
    let mut stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("patient").handler("work")).await;
    let run = stage.fire("patient").await;
    let visit = gate.entered().await;
    stage.server.kill().expect("it runs");
    visit.succeed("while nobody listened");
    stage.server.start().expect("it starts again");
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Succeeded, ""), 1));
    assert_eq!(run.result.expect("it has a result").data, "while nobody listened");
    assert!(gate.has_entered().is_none(), "it was executed twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_wait_or_come_due_are_there_after_a_kill() {
    let mut stage = Stage::open().await;
    stage.put(Job::named("kept").handler("work").overlap(Overlap::AllowAll)).await;
    let waiting = stage.fire_by(Trigger::of("kept").params_text("waiting")).await;
    let soon = Trigger::of("kept").params_text("soon").delay(Duration::from_secs(1));
    let soon = stage.fire_by(soon).await;
    let far = stage.fire_by(Trigger::of("kept").delay(Duration::from_secs(86_400))).await;
    stage.server.kill().expect("it runs");
    stage.server.start().expect("it starts again");
    let (_worker, mut gate) = stage.held("work").await;
    let mut passed: Vec<_> = gate.pass(2).await.iter().map(|ctx| ctx.run_id()).collect();
    passed.sort_unstable();
    let mut expected = vec![waiting, soon];
    expected.sort_unstable();
    assert_eq!(passed, expected);
    for run in expected {
        let run = stage.ended(run).await;
        assert_eq!((end(&run), run.attempt), ((RunState::Succeeded, ""), 1));
    }
    assert_eq!(stage.run(far).await.state, RunState::Scheduled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_start_of_the_server_has_a_higher_epoch_and_the_same_token() {
    let mut stage = Stage::open().await;
    let token = stage.server.token.clone();
    let mut epochs = Vec::new();
    for _ in 0..3 {
        let located = stage.client.locate().await.expect("a server answers");
        epochs.push(located.shards[0].epoch);
        stage.server.kill().expect("it runs");
        stage.server.start().expect("it starts again");
        assert_eq!(stage.server.token, token);
    }
    assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
    let servers = stage.shown(&["server", "list"]);
    let up = servers.iter().filter(|server| server["state"] == "up").count();
    assert_eq!(up, 1, "{servers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sigterm_the_server_ends_by_itself_and_a_running_attempt_goes_on() {
    let mut stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("steady").handler("work")).await;
    let run = stage.fire("steady").await;
    let visit = gate.entered().await;
    stage.server.stop().expect("it ends in order, with code 0");
    assert!(!visit.ctx.is_cancelled());
    stage.server.start().expect("it starts again");
    visit.succeed("through both");
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Succeeded, ""), 1));
    assert!(gate.has_entered().is_none(), "it was executed twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_put_again_after_a_restart_is_unchanged() {
    use fastjob_core::client::Change;
    let mut stage = Stage::open().await;
    let job = || Job::named("same").handler("work").cron("0 0 12 * * ?").params_json(r#"{"a":1}"#).retries(2);
    let put = stage.client.job_put(job()).await.expect("it is taken");
    assert_eq!((put.change, put.revision), (Change::Created, 1));
    stage.server.kill().expect("it runs");
    stage.server.start().expect("it starts again");
    let put = stage.client.job_put(job()).await.expect("it is taken");
    assert_eq!((put.change, put.revision), (Change::Unchanged, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_for_a_run_outlives_the_restart_of_its_server() {
    let mut stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("awaited").handler("work")).await;
    let run = stage.fire("awaited").await.to_string();
    let visit = gate.entered().await;
    let mut waits = stage.server.command(&["run", "wait", &run]);
    let waits = waits.stdout(std::process::Stdio::piped()).spawn().expect("fastjob can be started");
    let client = stage.client.clone();
    let id = visit.ctx.run_id();
    let mut waiting = tokio::task::JoinSet::new();
    waiting.spawn(async move { client.run_wait(id, None).await });
    stage.server.kill().expect("it runs");
    stage.server.start().expect("it starts again");
    visit.succeed("at last");
    let answer = patiently("the client's answer", waiting.join_next()).await.expect("it waits");
    let answer = answer.expect("no panic").expect("it is answered by the second server");
    assert_eq!(end(&answer), (RunState::Succeeded, ""));
    let output = waits.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_frozen_beyond_its_lease_goes_on_without_loss_or_repeat() {
    let lease = [("FASTJOB_CLUSTER__LEASE_MS", "1500"), ("FASTJOB_CLUSTER__RENEW_MS", "400")];
    let stage = Stage::with(&lease).await;
    let (_worker, mut gate) = stage.held("work").await;
    let (_ticker, mut ticks) = stage.held("tick").await;
    stage.put(Job::named("held").handler("work")).await;
    stage.put(Job::named("ticking").handler("tick").cron("* * * * * ?").overlap(Overlap::AllowAll)).await;
    let run = stage.fire("held").await;
    let visit = gate.entered().await;
    ticks.pass(1).await;
    let dev = std::fs::read(stage.server.place.join("data/dev.json")).expect("it is written");
    let pid = serde_json::from_slice::<serde_json::Value>(&dev).expect("it is JSON")["pid"].as_i64();
    let pid = pid.and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("it is ours");
    // Twice the lease.
    tokio::time::sleep(Duration::from_secs(3)).await;
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).expect("it is ours");
    let frozen_until = SystemClock.now();
    while ticks.pass(1).await[0].tick() <= Some(frozen_until) {}
    visit.succeed("thawed");
    let run = stage.ended(run).await;
    assert_eq!((end(&run), outcomes(&run)), ((RunState::Succeeded, ""), vec!["succeeded"]));
    let newest = ticks.pass(1).await[0].tick().expect("a schedule fired it").get();
    let mut rows = stage.ledger("ticking");
    rows.retain(|row| at(&row["tick"]) <= newest);
    let seen: Vec<i64> = rows.iter().map(|row| at(&row["tick"])).collect();
    let expected: Vec<i64> = (seen[0]..=newest).step_by(1_000).collect();
    assert_eq!(seen, expected, "a tick is missing or doubled");
    // What was first sent on the stream that the worker had left meanwhile is sent again, and counts as nothing.
    let as_if_nothing = |row: &serde_json::Value| row["fail_count"] == 0 && row["lost_count"] == 0;
    assert!(rows.iter().all(as_if_nothing), "within the threshold each fires late: {rows:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_outcomes_than_fit_a_message_are_all_delivered_after_a_restart() {
    const RUNS: usize = 100;
    let mut stage = Stage::open().await;
    let (_worker, mut gate) = stage.held_by("work", |builder| builder.slots(RUNS as u32)).await;
    stage.put(Job::named("heavy").handler("work").overlap(Overlap::AllowAll)).await;
    let triggers = (0..RUNS).map(|_| Trigger::of("heavy")).collect();
    stage.client.trigger_all(triggers).await.expect("all are taken");
    let mut held = Vec::new();
    while held.len() < RUNS {
        held.push(gate.entered().await);
    }
    stage.server.kill().expect("it runs");
    let full = "x".repeat(65_536);
    let runs: Vec<_> = held.iter().map(|visit| visit.ctx.run_id()).collect();
    held.into_iter().for_each(|visit| visit.succeed(&full));
    stage.server.start().expect("it starts again");
    for run in runs {
        let run = stage.ended(run).await;
        assert_eq!((end(&run), run.attempt), ((RunState::Succeeded, ""), 1));
        assert_eq!(run.result.expect("it has a result").data.len(), full.len());
    }
    assert!(gate.has_entered().is_none(), "one was executed twice");
}
