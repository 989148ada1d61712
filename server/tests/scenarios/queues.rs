//! Runs wait, visibly, for a worker that can take them; which of them goes first is their job's to say.

use std::time::Duration;

use fastjob_core::client::{Job, Overlap, RunState, Trigger};
use fastjob_core::worker::Context;
use serde_json::Value;

use super::stage::{Stage, end, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_an_unknown_handler_waits_visibly_and_runs_once_a_worker_comes() {
    let stage = Stage::open().await;
    let _other =
        stage.worker(|builder| builder.handler("other", async |_: Context| Ok("not this one"))).await;
    stage.put(Job::named("early").handler("unknown")).await;
    let run = stage.fire("early").await;
    let waiting = stage.shown(&["run", "list", "--state", "scheduled"]);
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert_eq!((&waiting[0]["job"], &waiting[0]["worker"]), (&"early".into(), &Value::Null));
    let (_worker, mut gate) = stage.held("unknown").await;
    let visit = gate.entered().await;
    assert_eq!((visit.ctx.run_id(), visit.ctx.attempt()), (run, 1));
    visit.succeed("done");
    assert_eq!(end(&stage.ended(run).await), (RunState::Succeeded, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_two_workers_gets_the_runs_of_its_own_handler() {
    let stage = Stage::open().await;
    let answering = |answer: &'static str| move |_: Context| async move { Ok(answer) };
    let _left =
        stage.worker(|builder| builder.name("left").handler("sow", answering("sown by the left"))).await;
    let _right =
        stage.worker(|builder| builder.name("right").handler("reap", answering("reaped by the right"))).await;
    stage.put(Job::named("spring").handler("sow").overlap(Overlap::AllowAll)).await;
    stage.put(Job::named("autumn").handler("reap").overlap(Overlap::AllowAll)).await;
    for _ in 0..3 {
        for (job, worker, said) in
            [("spring", "left", "sown by the left"), ("autumn", "right", "reaped by the right")]
        {
            let run = stage.fire(job).await;
            let run = stage.ended(run).await;
            assert_eq!(run.message().worker, worker);
            assert_eq!(run.result.expect("it has a result").data, said);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_waiting_runs_the_one_of_higher_priority_goes_first() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held_by("work", |builder| builder.slots(1)).await;
    for (job, priority) in [("low", -5), ("middle", 0), ("high", 5)] {
        stage.put(Job::named(job).handler("work").priority(priority).overlap(Overlap::AllowAll)).await;
    }
    stage.fire("middle").await;
    let occupying = gate.entered().await;
    for job in ["low", "middle", "high", "low", "high"] {
        stage.fire(job).await;
    }
    occupying.succeed("made room");
    let order: Vec<String> = gate.pass(5).await.iter().map(|ctx| ctx.job().to_owned()).collect();
    assert_eq!(order, ["high", "high", "middle", "low", "low"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_found_no_worker_by_its_start_deadline_is_skipped() {
    let stage = Stage::open().await;
    let deadline = Duration::from_millis(200);
    stage.put(Job::named("fresh").handler("nobody's").start_deadline(deadline)).await;
    let run = stage.fire("fresh").await;
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Skipped, "start_deadline"), 0));
    let ended = run.message().ended_at.expect("it has ended");
    assert!(ended >= run.due.get() + 200, "skipped {} ms after it was due", ended - run.due.get());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_runs_than_slots_wait_and_none_is_lost() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held_by("work", |builder| builder.slots(3)).await;
    stage.put(Job::named("many").handler("work").overlap(Overlap::AllowAll)).await;
    let triggers = (0..20).map(|_| Trigger::of("many")).collect();
    let fired = stage.client.trigger_all(triggers).await.expect("all are taken");
    let held = [gate.entered().await, gate.entered().await, gate.entered().await];
    until("the rest waits", async || {
        let waiting = stage.shown(&["run", "list", "--state", "scheduled"]).len();
        (waiting == 17).then_some(())
    })
    .await;
    assert!(gate.has_entered().is_none(), "more runs than slots");
    held.into_iter().for_each(|visit| visit.succeed("done"));
    gate.pass(17).await;
    for fired in fired {
        let run = stage.ended(fired.expect("each is taken").run.id).await;
        assert_eq!((end(&run), run.attempt), ((RunState::Succeeded, ""), 1));
    }
}
