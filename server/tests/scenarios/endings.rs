//! How runs end by their handlers: errors and retries, giving up, timeouts, cancels, panics.

use std::time::Duration;

use fastjob_core::client::{Backoff, ErrorKind, Job, RunState, Trigger};
use fastjob_core::domain::Failure;
use fastjob_core::protocol::v1;
use fastjob_core::worker::{CancelReason, Context, HandlerError};

use super::stage::{Stage, end, outcomes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_run_is_tried_again_after_its_backoff_and_each_attempt_is_kept() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    let (delay, longest) = (Duration::from_millis(100), Duration::from_millis(150));
    stage
        .put(Job::named("flaky").handler("work").retries(3).backoff(Backoff::Exponential, delay, longest))
        .await;
    let run = stage.fire("flaky").await;
    for attempt in 1..=3 {
        let visit = gate.entered().await;
        assert_eq!((visit.ctx.run_id(), visit.ctx.attempt(), visit.ctx.max_attempts()), (run, attempt, 4));
        assert_eq!(visit.ctx.idempotency_key(), run.to_string());
        visit.fail(HandlerError::new("Weather", format!("rain {attempt}")));
    }
    gate.entered().await.succeed("sun");
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Succeeded, ""), 4));
    let message = run.message();
    assert_eq!((message.fail_count, message.lost_count), (3, 0));
    assert_eq!(outcomes(&run), ["failed", "failed", "failed", "succeeded"]);
    let said: Vec<&str> = message
        .attempts
        .iter()
        .filter_map(|attempt| Some(attempt.error.as_ref()?.message.as_str()))
        .collect();
    assert_eq!(said, ["rain 1", "rain 2", "rain 3"]);
    for (pair, wait) in message.attempts.windows(2).zip([100, 150, 150]) {
        let waited = pair[1].dispatched_at - pair[0].ended_at.expect("it has ended");
        assert!(waited >= wait, "attempt {} came after {waited} ms, not {wait}", pair[1].attempt);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_out_of_attempts_fails_with_its_last_error() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    let none = Duration::ZERO;
    stage.put(Job::named("hopeless").handler("work").retries(1).backoff(Backoff::Fixed, none, none)).await;
    let run = stage.fire("hopeless").await;
    gate.entered().await.fail(HandlerError::new("First", "the first error"));
    gate.entered().await.fail(HandlerError::new("Second", "the second error"));
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Failed, "error"), 2));
    let error = run.error.clone().expect("it has an error");
    assert_eq!((&*error.class, &*error.message), ("Second", "the second error"));
    assert_eq!((run.result.clone(), run.message().fail_count), (None, 2));
    assert_eq!(outcomes(&run), ["failed", "failed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_gives_up_or_asks_for_time_is_heard() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    let none = Duration::ZERO;
    stage.put(Job::named("judged").handler("work").retries(5).backoff(Backoff::Fixed, none, none)).await;
    let run = stage.fire("judged").await;
    let wait = Duration::from_millis(300);
    gate.entered().await.fail(HandlerError::message("not now").retry_after(wait));
    gate.entered().await.fail(HandlerError::message("never").give_up());
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Failed, "error"), 2));
    let attempts = &run.message().attempts;
    let waited = attempts[1].dispatched_at - attempts[0].ended_at.expect("it has ended");
    assert!(waited >= 300, "the second attempt came after {waited} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_over_its_timeout_is_cancelled_and_the_run_fails_as_timed_out() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    let timeout = Duration::from_millis(200);
    stage.put(Job::named("stuck").handler("work").timeout(timeout)).await;
    let run = stage.fire("stuck").await;
    let visit = gate.entered().await;
    visit.ctx.cancelled().await;
    assert_eq!(visit.ctx.cancel_reason(), Some(CancelReason::Timeout));
    let run = stage.ended(run).await;
    assert_eq!(end(&run), (RunState::Failed, "timeout"));
    assert_eq!(outcomes(&run), ["timeout"]);
    let message = run.message();
    assert!(message.ended_at >= message.dispatched_at.map(|at| at + 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_ignores_its_timeout_loses_its_run_after_the_grace() {
    let stage = Stage::open().await;
    let (release, released) = tokio::sync::watch::channel(());
    let _worker = stage
        .worker(|builder| {
            builder.handler("deaf", move |_: Context| {
                let mut released = released.clone();
                async move {
                    let _ = released.changed().await;
                    Ok("too late")
                }
            })
        })
        .await;
    let (timeout, grace) = (Duration::from_millis(100), Duration::from_millis(100));
    stage.put(Job::named("deaf").handler("deaf").timeout(timeout).cancel_grace(grace)).await;
    let run = stage.fire("deaf").await;
    assert_eq!(end(&stage.ended(run).await), (RunState::Failed, "timeout"));
    drop(release);
    assert_eq!(end(&stage.run(run).await), (RunState::Failed, "timeout"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_that_waits_never_starts() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("later").handler("work")).await;
    let run = stage.fire_by(Trigger::of("later").delay(Duration::from_secs(3_600))).await;
    let cancelled = stage.client.run_cancel(run).await.expect("it is open");
    assert_eq!(end(&cancelled), (RunState::Cancelled, "requested"));
    let run = stage.run(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Cancelled, "requested"), 0));
    let again = stage.client.run_cancel(run.id).await.expect_err("it has ended");
    assert_eq!((again.kind, &*again.code), (ErrorKind::Conflict, "run_ended"));
    let other = stage.fire("later").await;
    assert_eq!(gate.entered().await.ctx.run_id(), other);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_that_runs_is_told_and_ends_when_its_handler_gives_way() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("long").handler("work").retries(9)).await;
    let run = stage.fire("long").await;
    let visit = gate.entered().await;
    let asked = stage.client.run_cancel(run).await.expect("it is open");
    assert!(matches!(asked.state, RunState::Dispatched | RunState::Cancelled));
    visit.ctx.cancelled().await;
    assert_eq!(visit.ctx.cancel_reason(), Some(CancelReason::Requested));
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Cancelled, "requested"), 1));
    assert_eq!(outcomes(&run), ["cancelled"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_whose_handler_does_not_give_way_ends_after_the_grace() {
    let stage = Stage::open().await;
    let (entered, mut enters) = tokio::sync::mpsc::unbounded_channel();
    let _worker = stage
        .worker(|builder| {
            builder.handler("deaf", move |_: Context| {
                let _ = entered.send(());
                std::future::pending::<Result<(), HandlerError>>()
            })
        })
        .await;
    stage.put(Job::named("deaf").handler("deaf").cancel_grace(Duration::from_millis(100))).await;
    let run = stage.fire("deaf").await;
    enters.recv().await.expect("the worker lives");
    stage.client.run_cancel(run).await.expect("it is open");
    assert_eq!(end(&stage.ended(run).await), (RunState::Cancelled, "requested"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_handler_fails_its_attempt_alone() {
    let stage = Stage::open().await;
    let _worker = stage
        .worker(|builder| {
            builder.handler("careless", async |ctx: Context| {
                assert!(ctx.params().bytes() != b"bad", "it was bad");
                Ok("good")
            })
        })
        .await;
    stage.put(Job::named("careless").handler("careless")).await;
    let bad = stage.fire_by(Trigger::of("careless").params_text("bad")).await;
    let bad = stage.ended(bad).await;
    assert_eq!(end(&bad), (RunState::Failed, "error"));
    let error = bad.error.clone().expect("it has an error");
    assert!(error.message.contains("it was bad"), "{error:?}");
    let good = stage.fire_by(Trigger::of("careless").params_text("good")).await;
    assert_eq!(end(&stage.ended(good).await), (RunState::Succeeded, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_shown_while_a_run_runs() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("slow").handler("work")).await;
    let run = stage.fire("slow").await;
    let visit = gate.entered().await;
    visit.ctx.progress(42, "halfway and a bit");
    let shown: v1::Run = super::stage::until("the progress is shown", async || {
        let run = stage.run(run).await.into_message();
        (run.progress_percent == Some(42)).then_some(run)
    })
    .await;
    assert_eq!(shown.progress_note, "halfway and a bit");
    visit.succeed("done");
    assert_eq!(end(&stage.ended(run).await), (RunState::Succeeded, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_run_may_be_made_again_and_names_its_origin() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("order").handler("work")).await;
    let run = stage.fire_by(Trigger::of("order").params_text("42")).await;
    let visit = gate.entered().await;
    let early = stage.client.run_retry(run).await.expect_err("it runs");
    assert_eq!((early.kind, &*early.code), (ErrorKind::Conflict, "run_not_ended"));
    visit.fail(HandlerError::message("out of stock"));
    stage.ended(run).await;
    let again = stage.client.run_retry(run).await.expect("it has ended");
    assert_ne!(again.id, run);
    assert_eq!(again.message().retry_of, run.as_bytes().as_slice());
    let visit = gate.entered().await;
    assert_eq!((visit.ctx.run_id(), visit.ctx.params().text()), (again.id, Ok("42")));
    visit.succeed("done");
    assert_eq!(end(&stage.ended(again.id).await), (RunState::Succeeded, ""));
    assert_eq!(end(&stage.run(run).await), (RunState::Failed, "error"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_attempts_left_more_words_than_a_message_holds_can_still_be_seen() {
    const RETRIES: u32 = 300;
    let stage = Stage::open().await;
    let _worker = stage
        .worker(|builder| {
            builder.handler("wordy", async |ctx: Context| {
                let words =
                    Failure::new("Wordy", &format!("attempt {}", ctx.attempt()), &"x".repeat(16 * 1024));
                Err::<(), _>(HandlerError::from(words))
            })
        })
        .await;
    let none = Duration::ZERO;
    stage
        .put(Job::named("wordy").handler("wordy").retries(RETRIES).backoff(Backoff::Fixed, none, none))
        .await;
    let run = stage.fire("wordy").await;
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Failed, "error"), RETRIES + 1));
    let attempts = &run.message().attempts;
    assert_eq!(attempts.len(), RETRIES as usize + 1, "each attempt is kept");
    let last = attempts.last().and_then(|attempt| attempt.error.clone()).expect("it has an error");
    assert_eq!((last.message, last.trace.len()), (format!("attempt {}", RETRIES + 1), 16 * 1024));
    assert_eq!(stage.one(&["run", "get", &run.id.to_string()])["attempt"], RETRIES + 1);
}
