//! Jobs fire by their triggers, and what they do is recorded.

use std::time::Duration;

use fastjob_core::client::{Job, Overlap, RunState, Source, Trigger};
use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::worker::Context;
use tokio::sync::mpsc;

use super::stage::{Stage, at, end, patiently, tally, until};

const SECOND: &str = "* * * * * ?";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cron_job_fires_into_its_handler_and_the_result_is_recorded() {
    let stage = Stage::open().await;
    let (seen, mut entered) = mpsc::unbounded_channel();
    let _worker = stage
        .worker(|builder| {
            builder.handler("greet", move |ctx: Context| {
                let seen = seen.clone();
                async move {
                    let text = format!("hello {} at {:?}", ctx.params().text()?, ctx.tick().map(Millis::get));
                    let _ = seen.send(ctx);
                    Ok(text)
                }
            })
        })
        .await;
    stage.put(Job::named("greeting").handler("greet").cron(SECOND).params_text("world")).await;
    let first = patiently("the first tick", entered.recv()).await.expect("the worker lives");
    let second = patiently("the second tick", entered.recv()).await.expect("the worker lives");

    let tick = first.tick().expect("a schedule fired it");
    assert_eq!(tick.get() % 1_000, 0);
    assert_eq!(second.tick(), Some(tick.plus(1_000)));
    assert_eq!(second.data_interval(), Some((tick, tick.plus(1_000))));
    assert_eq!((first.job(), first.handler(), first.source()), ("greeting", "greet", Source::Cron));
    assert_eq!((first.attempt(), first.max_attempts(), first.revision()), (1, 1, 1));
    assert_eq!(first.idempotency_key(), first.run_id().to_string());

    let run = stage.ended(first.run_id()).await;
    assert_eq!(end(&run), (RunState::Succeeded, ""));
    let result = run.result.clone().expect("it has a result").data;
    assert_eq!(result, format!("hello world at Some({})", tick.get()));
    let message = run.message();
    let started = message.started_at.expect("it was started");
    assert!(started >= tick.get() - 250, "started at {started}, before its tick {tick:?}");
    assert!(message.dispatched_at >= Some(tick.get()) && message.ended_at >= message.dispatched_at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_rate_job_fires_on_the_grid_of_its_creation() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    let job = stage.put(Job::named("paced").handler("work").every(Duration::from_secs(1))).await;
    let ticks: Vec<i64> =
        gate.pass(3).await.iter().map(|ctx| ctx.tick().expect("a schedule fired it").get()).collect();
    assert_eq!((ticks[0] - job.created_at) % 1_000, 0);
    assert_eq!((ticks[1] - ticks[0], ticks[2] - ticks[1]), (1_000, 1_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fixed_delay_chain_has_one_run_at_a_time_each_due_its_delay_after_the_end_before() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("chain").handler("work").delay(Duration::from_millis(100))).await;
    let mut ended_at = None;
    for _ in 0..4 {
        let visit = gate.entered().await;
        assert!(gate.has_entered().is_none(), "two runs of a chain at once");
        let (due, id) = (visit.ctx.due().get(), visit.ctx.run_id());
        assert_eq!(ended_at.map(|ended: i64| ended + 100), ended_at.map(|_| due));
        assert_eq!(visit.ctx.tick(), None);
        visit.succeed("link");
        ended_at = stage.ended(id).await.message().ended_at;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_with_instants_fires_once_at_each_and_then_has_no_next() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    let (first, second) = (SystemClock.now().plus(300), SystemClock.now().plus(700));
    let job = Job::named("twice").handler("work").at(first).at(second).overlap(Overlap::AllowAll);
    stage.put(job).await;
    let passed = gate.pass(2).await;
    assert_eq!(passed.iter().map(Context::tick).collect::<Vec<_>>(), [Some(first), Some(second)]);
    assert_eq!(passed[0].source(), Source::At);
    for ctx in passed {
        stage.ended(ctx.run_id()).await;
    }
    assert!(stage.client.job_next("twice", None, 10).await.expect("the job is known").is_empty());
    assert_eq!(tally(&stage.ledger("twice")), [("succeeded -".to_owned(), 2)].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_may_be_for_later_and_brings_its_own_parameters() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("called").handler("work").params_text("the job's")).await;
    let later = SystemClock.now().plus(400);
    let run = stage.fire_by(Trigger::of("called").at(later).params_text("the call's")).await;
    assert_eq!(stage.run(run).await.state, RunState::Scheduled);
    let visit = gate.entered().await;
    assert_eq!((visit.ctx.run_id(), visit.ctx.due()), (run, later));
    assert_eq!((visit.ctx.params().text(), visit.ctx.source()), (Ok("the call's"), Source::Api));
    assert!(SystemClock.now().since(later) >= -250, "it started before it was due");
    visit.succeed("done");
    stage.ended(run).await;

    let run = stage.fire_by(Trigger::of("called").delay(Duration::from_millis(50)).manual()).await;
    let visit = gate.entered().await;
    assert_eq!((visit.ctx.params().text(), visit.ctx.source()), (Ok("the job's"), Source::Manual));
    visit.succeed("done");
    let run = stage.ended(run).await;
    assert_eq!(run.due.get(), run.message().created_at + 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticks_while_a_run_lives_are_skipped_and_stay_in_the_ledger() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("slow").handler("work").cron(SECOND)).await;
    let visit = gate.entered().await;
    let first = visit.ctx.tick().expect("a schedule fired it").get();
    let skipped = until("two ticks are skipped", async || {
        let rows = stage.shown(&["run", "list", "--job", "slow", "--state", "skipped"]);
        (rows.len() >= 2).then_some(rows)
    })
    .await;
    assert!(skipped.iter().all(|row| row["reason"] == "overlap" && row["attempt"] == 0), "{skipped:?}");
    let mut ticks: Vec<i64> = skipped.iter().map(|row| at(&row["tick"])).collect();
    ticks.sort_unstable();
    assert_eq!(&ticks[..2], [first + 1_000, first + 2_000]);
    visit.succeed("at last");
    let next = gate.entered().await;
    assert!(next.ctx.tick() > Some(Millis::new(ticks[1])), "a skipped tick was fired later");
    let mut rows = stage.ledger("slow");
    rows.retain(|row| at(&row["tick"]) < next.ctx.tick().expect("a schedule fired it").get());
    let ledger: Vec<i64> = rows.iter().map(|row| at(&row["tick"])).collect();
    assert_eq!(ledger, (0..ledger.len() as i64).map(|n| first + n * 1_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_a_job_that_allows_it_go_on_side_by_side() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("wide").handler("work").cron(SECOND).overlap(Overlap::AllowAll)).await;
    let (first, second) = (gate.entered().await, gate.entered().await);
    assert_ne!(first.ctx.run_id(), second.ctx.run_id());
    for visit in [first, second] {
        let run = visit.ctx.run_id();
        assert_eq!(stage.run(run).await.state, RunState::Dispatched);
        visit.succeed("done");
        assert_eq!(end(&stage.ended(run).await), (RunState::Succeeded, ""));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_obeys_the_overlap_policy_unless_it_brings_its_own() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("single").handler("work")).await;
    stage.fire("single").await;
    let first = gate.entered().await;
    let refused = stage.fire("single").await;
    assert_eq!(end(&stage.ended(refused).await), (RunState::Skipped, "overlap"));
    let beside = stage.fire_by(Trigger::of("single").overlap(Overlap::AllowAll)).await;
    let second = gate.entered().await;
    assert_eq!(second.ctx.run_id(), beside);
    first.succeed("done");
    second.succeed("done");
    assert_eq!(end(&stage.ended(beside).await), (RunState::Succeeded, ""));
}
