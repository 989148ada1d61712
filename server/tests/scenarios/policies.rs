//! What becomes of runs by the policies of their jobs: overlap, life, jitter, backfill.

use std::time::Duration;

use fastjob_core::client::{Job, Overlap, RunState, Source, Trigger};
use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::worker::CancelReason;

use super::stage::{Stage, at, end, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buffered_runs_follow_one_another_also_over_a_restart_of_the_server() {
    let mut stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("queue").handler("work").overlap(Overlap::BufferAll)).await;
    let runs = [stage.fire("queue").await, stage.fire("queue").await, stage.fire("queue").await];
    let first = gate.entered().await;
    assert_eq!(first.ctx.run_id(), runs[0]);
    assert_eq!(stage.run(runs[2]).await.state, RunState::Scheduled);
    stage.server.kill().expect("it runs");
    stage.server.start().expect("it starts again");
    first.succeed("done");
    for run in &runs[1..] {
        let visit = gate.entered().await;
        assert_eq!(visit.ctx.run_id(), *run);
        assert!(gate.has_entered().is_none(), "one runs at a time");
        visit.succeed("done");
    }
    assert_eq!(end(&stage.ended(runs[2]).await), (RunState::Succeeded, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buffer_one_keeps_one_and_skips_the_others() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("pair").handler("work").overlap(Overlap::BufferOne)).await;
    let runs = [stage.fire("pair").await, stage.fire("pair").await, stage.fire("pair").await];
    assert_eq!(end(&stage.ended(runs[2]).await), (RunState::Skipped, "overlap"));
    gate.pass(2).await;
    assert_eq!(end(&stage.ended(runs[1]).await), (RunState::Succeeded, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_run_cancels_the_older_one_and_starts_when_that_has_given_way() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("newest").handler("work").overlap(Overlap::CancelOther)).await;
    let older = stage.fire("newest").await;
    let visit = gate.entered().await;
    let newer = stage.fire("newest").await;
    assert_eq!(gate.entered().await.ctx.run_id(), newer);
    assert_eq!(visit.ctx.cancel_reason(), Some(CancelReason::Requested));
    assert_eq!(end(&stage.ended(older).await), (RunState::Cancelled, "overlap"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_run_takes_the_place_of_an_older_one_at_once() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held_by("work", |builder| builder.slots(2)).await;
    stage.put(Job::named("usurper").handler("work").overlap(Overlap::TerminateOther)).await;
    let older = stage.fire("usurper").await;
    let visit = gate.entered().await;
    let newer = stage.fire("usurper").await;
    assert_eq!(end(&stage.ended(older).await), (RunState::Cancelled, "overlap"));
    let second = gate.entered().await;
    assert_eq!(second.ctx.run_id(), newer);
    assert_eq!(visit.ctx.cancel_reason(), Some(CancelReason::Requested));
    second.succeed("done");
    assert_eq!(end(&stage.ended(newer).await), (RunState::Succeeded, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_runs_the_ticks_of_a_range_again_in_order_and_marks_them() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.one(&["job", "put", "hourly", "--handler", "work", "--cron", "0 0 * * * ?"]);
    let range = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T03:00:00Z"];
    let shown = stage.one(&[&["job", "backfill", "hourly"][..], &range].concat());
    assert_eq!((&shown["created"], &shown["existed"]), (&3.into(), &0.into()));
    for hour in 0..3 {
        let visit = gate.entered().await;
        let tick = Millis::new(1_767_225_600_000 + hour * 3_600_000);
        assert_eq!(visit.ctx.data_interval(), Some((tick.plus(-3_600_000), tick)));
        assert!(visit.ctx.is_backfilled());
        assert_eq!(visit.ctx.source(), Source::Backfill);
        assert!(gate.has_entered().is_none(), "one runs at a time");
        visit.succeed("done");
    }
    let done = async || {
        let ledger = stage.ledger("hourly");
        let done = ledger.iter().filter(|row| row["source"] == "backfill" && row["state"] == "succeeded");
        (done.count() == 3).then_some(())
    };
    until("the backfill is done", done).await;
    let refused = stage.cli(&["job", "backfill", "hourly", "--from", "2026-01-02", "--to", "2026-01-01"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    let empty = ["--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"];
    let refused = stage.cli(&[&["job", "backfill", "hourly"][..], &empty].concat());
    assert!(refused.code == 2 && refused.err.contains("to: is not later than `from`"), "{refused:?}");
    let ahead = ["--from", "2026-01-01T00:00:00Z", "--to", "2090-01-01T00:00:00Z"];
    let refused = stage.cli(&[&["job", "backfill", "hourly"][..], &ahead].concat());
    assert!(refused.code == 2 && refused.err.contains("lies in the future"), "{refused:?}");
    stage.put(Job::named("called").handler("work")).await;
    let refused = stage.cli(&[&["job", "backfill", "called"][..], &range].concat());
    assert!(refused.code == 4 && refused.err.contains("has no ticks"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticks_lie_within_the_life_of_their_job_and_runs_within_its_jitter() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    let now = SystemClock.now();
    let start = Millis::new(now.get() / 1_000 * 1_000 + 2_000);
    let job = Job::named("brief").handler("work").cron("* * * * * ?").overlap(Overlap::AllowAll);
    let job = job.start_at(start).end_at(start.plus(3_000)).tick_jitter(Duration::from_secs(60));
    stage.put(job).await;
    let mut ticks = Vec::new();
    for ctx in gate.pass(3).await {
        let tick = ctx.tick().expect("a schedule fired it");
        let off = ctx.due().since(tick);
        assert!((0..1_000).contains(&off), "{off} ms after its tick, which is a second before the next");
        let run = stage.ended(ctx.run_id()).await;
        assert_eq!(run.message().jitter_ms, off);
        ticks.push(tick);
    }
    ticks.sort_unstable();
    assert_eq!(ticks, [start, start.plus(1_000), start.plus(2_000)]);
    let shown = stage.one(&["job", "get", "brief"]);
    assert_eq!(at(&shown["timing"]["end_at"]), start.plus(3_000).get());
    assert!(shown["next_at"].is_null());
    let refused = stage.cli(&[
        "job",
        "put",
        "backwards",
        "--handler",
        "work",
        "--every",
        "5s",
        "--start-at",
        "2030-01-01T00:00:00Z",
        "--end-at",
        "2030-01-01T00:00:00Z",
    ]);
    assert!(refused.code == 2 && refused.err.contains("timing.end_at"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_may_ask_to_wait_where_its_job_would_skip() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("single").handler("work")).await;
    stage.fire("single").await;
    let first = gate.entered().await;
    let waits = stage.fire_by(Trigger::of("single").overlap(Overlap::BufferOne)).await;
    assert_eq!(stage.run(waits).await.state, RunState::Scheduled);
    first.succeed("done");
    assert_eq!(gate.entered().await.ctx.run_id(), waits);
}
