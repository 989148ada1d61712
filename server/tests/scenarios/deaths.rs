//! Workers die, drain and come back. An attempt is never given up without a recorded cause.

use std::time::Duration;

use fastjob_core::client::{Job, RunState};
use fastjob_core::worker::HandlerError;
use rustix::process::Signal;
use tokio::task::JoinSet;

use super::stage::{Stage, end, outcomes, patiently, until};
use super::worker_process::WorkerProcess;

const LOST_AFTER: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_run_of_a_killed_worker_goes_to_another_one_and_the_loss_is_recorded() {
    let stage = Stage::open().await;
    let killed = WorkerProcess::start(&stage.server, "work");
    stage.put(Job::named("borne").handler("work").worker_lost_after(LOST_AFTER)).await;
    let run = stage.fire("borne").await;
    assert_eq!(killed.entered(), run.to_string());
    let (_worker, mut gate) = stage.held("work").await;
    killed.kill();
    let visit = gate.entered().await;
    assert_eq!((visit.ctx.run_id(), visit.ctx.attempt()), (run, 2));
    visit.succeed("carried on");
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Succeeded, ""), 2));
    assert_eq!((run.message().lost_count, run.message().fail_count), (1, 0));
    assert_eq!(outcomes(&run), ["lost", "succeeded"]);
    let attempts = &run.message().attempts;
    assert_ne!(attempts[0].worker, attempts[1].worker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_may_run_once_at_most_fails_when_its_worker_is_lost() {
    let stage = Stage::open().await;
    let killed = WorkerProcess::start(&stage.server, "work");
    stage
        .put(Job::named("once").handler("work").worker_lost_after(LOST_AFTER).at_most_once().retries(3))
        .await;
    let run = stage.fire("once").await;
    killed.entered();
    let (_worker, mut gate) = stage.held("work").await;
    killed.kill();
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Failed, "lost"), 1));
    assert_eq!(run.message().lost_count, 1);
    assert_eq!(outcomes(&run), ["lost"]);
    assert!(gate.has_entered().is_none(), "it was sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_took_three_workers_with_it_is_quarantined() {
    let stage = Stage::open().await;
    stage.put(Job::named("deadly").handler("work").worker_lost_after(LOST_AFTER).retries(9)).await;
    let run = stage.fire("deadly").await;
    for _ in 0..3 {
        let worker = WorkerProcess::start(&stage.server, "work");
        assert_eq!(worker.entered(), run.to_string());
        worker.kill();
    }
    let (_worker, mut gate) = stage.held("work").await;
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Failed, "quarantined"), 3));
    assert_eq!(run.message().lost_count, 3);
    assert_eq!(outcomes(&run), ["lost", "lost", "lost"]);
    assert!(gate.has_entered().is_none(), "it was sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_finishes_what_it_runs_and_takes_nothing_more() {
    let stage = Stage::open().await;
    let (worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("first").handler("work")).await;
    stage.put(Job::named("second").handler("work")).await;
    let first = stage.fire("first").await;
    let visit = gate.entered().await;
    let mut stopping = JoinSet::new();
    stopping.spawn(async move { worker.stop(Duration::from_secs(30)).await });
    until("the server knows that the worker drains", async || {
        let workers = stage.client.worker_list().await.expect("the app is known");
        workers.iter().any(|worker| worker.draining).then_some(())
    })
    .await;
    let second = stage.fire("second").await;
    visit.succeed("finished");
    let first = stage.ended(first).await;
    assert_eq!((end(&first), first.attempt), ((RunState::Succeeded, ""), 1));
    let stopped = patiently("the worker stops", stopping.join_next()).await.expect("it was told to");
    stopped.expect("no panic").expect("it ends in order");
    assert!(gate.has_entered().is_none(), "a draining worker took a run");
    let (_next, mut gate) = stage.held("work").await;
    let visit = gate.entered().await;
    assert_eq!((visit.ctx.run_id(), visit.ctx.attempt()), (second, 1));
    visit.succeed("by the next one");
    assert_eq!(end(&stage.ended(second).await), (RunState::Succeeded, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_worker_cancels_what_does_not_end_within_its_grace_and_reports_it() {
    let stage = Stage::open().await;
    let (worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("long").handler("work").retries(1)).await;
    let run = stage.fire("long").await;
    let visit = gate.entered().await;
    worker.stop(Duration::from_millis(50)).await.expect("it ends in order");
    assert!(visit.ctx.is_cancelled());
    let (_next, mut gate) = stage.held("work").await;
    let visit = gate.entered().await;
    assert_eq!((visit.ctx.run_id(), visit.ctx.attempt()), (run, 2));
    visit.fail(HandlerError::message("so be it"));
    let run = stage.ended(run).await;
    assert_eq!(end(&run), (RunState::Failed, "error"));
    assert_eq!(outcomes(&run), ["failed", "failed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_worker_loses_its_run_to_another_one_and_comes_back_with_free_hands() {
    let stage = Stage::open().await;
    let frozen = WorkerProcess::start(&stage.server, "work");
    stage.put(Job::named("borne").handler("work").worker_lost_after(LOST_AFTER)).await;
    let run = stage.fire("borne").await;
    assert_eq!(frozen.entered(), run.to_string());
    let (worker, mut gate) = stage.held("work").await;
    frozen.signal(Signal::STOP);
    let visit = gate.entered().await;
    assert_eq!((visit.ctx.run_id(), visit.ctx.attempt()), (run, 2));
    frozen.signal(Signal::CONT);
    until("the thawed worker is back", async || {
        let workers = stage.client.worker_list().await.expect("the app is known");
        (workers.len() == 2 && workers.iter().all(|worker| worker.connected)).then_some(())
    })
    .await;
    visit.succeed("carried on");
    let run = stage.ended(run).await;
    assert_eq!((end(&run), outcomes(&run)), ((RunState::Succeeded, ""), vec!["lost", "succeeded"]));
    worker.stop(Duration::ZERO).await.expect("it ends in order");
    let next = stage.fire("borne").await;
    assert_eq!(frozen.entered(), next.to_string(), "the thawed worker takes runs again");
}
