//! The server is killed, or stopped, and started again: nothing is lost, and nothing runs twice without a cause.

use std::time::Duration;

use fastjob_core::client::{Job, Overlap, RunState, Trigger};

use super::stage::{Stage, end, outcomes, until};

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
