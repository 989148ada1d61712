//! Rust handlers: what they return, how they fail, and what happens to those that do not end.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::server::{Server, Stream, dispatch, key, patient};
use crate::protocol::v1;
use crate::protocol::v1::server_message::Message as Say;
use crate::worker::{CancelReason, Context, HandlerError, LateHandlers, Worker, WorkerBuilder};

/// A worker of one slot whose stream has granted it.
async fn started(
    server: &mut Server,
    build: impl FnOnce(WorkerBuilder) -> WorkerBuilder,
) -> (Worker, Stream) {
    let client = server.client().await;
    let builder = build(Worker::builder(&client).slots(1)).start_within(Duration::ZERO);
    let worker = builder.start().await.expect("it does not wait");
    let mut stream = server.welcomed().await;
    stream.granted(1).await;
    (worker, stream)
}

async fn outcome_of(stream: &mut Stream, sent: v1::Dispatch) -> v1::Outcome {
    stream.say(Say::Dispatch(sent)).await;
    stream.outcome().await
}

#[tokio::test]
async fn a_handler_gets_its_parameters_and_its_text_is_the_result() {
    let mut server = Server::start().await;
    let (_worker, mut stream) = started(&mut server, |builder| {
        builder.handler("work", async |ctx: Context| {
            assert_eq!(ctx.idempotency_key(), ctx.run_id().to_string());
            Ok(format!("hello {}", ctx.params().text()?))
        })
    })
    .await;
    let params = v1::Payload { encoding: v1::Encoding::Text.into(), data: "world".into() };
    let outcome = outcome_of(&mut stream, v1::Dispatch { params: Some(params), ..dispatch(1) }).await;
    assert_eq!(outcome.kind(), v1::OutcomeKind::Succeeded);
    let result = outcome.result.expect("a result");
    assert_eq!((result.encoding(), &result.data[..]), (v1::Encoding::Text, &b"hello world"[..]));
}

#[tokio::test]
async fn a_panic_fails_the_attempt_and_the_worker_goes_on() {
    let mut server = Server::start().await;
    let (_worker, mut stream) = started(&mut server, |builder| {
        builder.handler("work", async |ctx: Context| {
            assert!(ctx.job() != "bad", "a bad job");
            Ok(())
        })
    })
    .await;
    let outcome = outcome_of(&mut stream, v1::Dispatch { job: "bad".to_owned(), ..dispatch(1) }).await;
    assert_eq!(outcome.kind(), v1::OutcomeKind::Failed);
    let error = outcome.error.clone().expect("an error");
    assert_eq!((&*error.class, &*error.message), ("panic", "a bad job"));
    stream.accept(&outcome).await;
    stream.granted(1).await;
    assert_eq!(outcome_of(&mut stream, dispatch(2)).await.kind(), v1::OutcomeKind::Succeeded);
}

#[tokio::test]
async fn an_error_carries_its_class_and_what_to_do_about_it() {
    let mut server = Server::start().await;
    let (_worker, mut stream) = started(&mut server, |builder| {
        builder.handler("work", async |_: Context| {
            Err::<(), _>(HandlerError::from("x".parse::<u8>().expect_err("no number")))
                .map_err(|error| error.give_up().retry_after(Duration::from_secs(2)))
        })
    })
    .await;
    let outcome = outcome_of(&mut stream, dispatch(1)).await;
    assert!(outcome.give_up);
    assert_eq!(outcome.retry_after_ms, Some(2_000));
    assert!(outcome.error.expect("an error").class.ends_with("ParseIntError"));
}

#[tokio::test]
async fn a_result_that_is_too_large_fails_the_attempt() {
    let mut server = Server::start().await;
    let (_worker, mut stream) =
        started(&mut server, |builder| builder.handler("work", async |_: Context| Ok(vec![0; 65 * 1024])))
            .await;
    let outcome = outcome_of(&mut stream, dispatch(1)).await;
    assert_eq!(outcome.error.expect("an error").class, "result_too_large");
}

#[tokio::test]
async fn a_handler_that_gives_way_to_a_cancel_is_reported_as_cancelled() {
    let mut server = Server::start().await;
    let (_worker, mut stream) = started(&mut server, |builder| {
        builder.handler("work", async |ctx: Context| {
            ctx.progress(10, "waits");
            ctx.cancelled().await;
            assert_eq!(ctx.cancel_reason(), Some(CancelReason::Requested));
            Err::<(), _>(HandlerError::message("gave way"))
        })
    })
    .await;
    stream.say(Say::Dispatch(dispatch(1))).await;
    let cancel =
        v1::Cancel { key: Some(key(1)), reason: v1::CancelReason::Requested.into(), grace_ms: 60_000 };
    stream.say(Say::Cancel(cancel)).await;
    let outcome = stream.outcome().await;
    assert_eq!(outcome.kind(), v1::OutcomeKind::Cancelled);
    assert_eq!(outcome.error.expect("an error").message, "gave way");
}

#[tokio::test]
async fn a_handler_past_timeout_and_grace_is_reported_and_dropped_and_its_slot_is_granted_again() {
    let mut server = Server::start().await;
    let (_worker, mut stream) = started(&mut server, |builder| {
        builder.handler("work", async |_: Context| std::future::pending::<Result<(), HandlerError>>().await)
    })
    .await;
    let outcome = outcome_of(&mut stream, v1::Dispatch { timeout_ms: 10, grace_ms: 10, ..dispatch(1) }).await;
    assert_eq!(outcome.kind(), v1::OutcomeKind::TimedOut);
    stream.accept(&outcome).await;
    stream.granted(1).await;
}

#[tokio::test]
async fn a_late_handler_that_is_waited_for_keeps_its_slot_until_it_returns() {
    let mut server = Server::start().await;
    let release = Arc::new(Notify::new());
    let held = release.clone();
    let (worker, mut stream) = started(&mut server, |builder| {
        builder.late_handlers(LateHandlers::Wait).handler("work", move |_: Context| {
            let held = held.clone();
            async move {
                held.notified().await;
                Ok(())
            }
        })
    })
    .await;
    let outcome = outcome_of(&mut stream, v1::Dispatch { timeout_ms: 10, grace_ms: 10, ..dispatch(1) }).await;
    stream.accept(&outcome).await;
    // By the answer to the ping the verdict is read; had it freed the slot, credit would have come before.
    stream.say(Say::Ping(v1::Ping { ordinal: 1, server_time: 0 })).await;
    let answer = stream.hear().await;
    assert!(matches!(answer, Some(v1::worker_message::Message::Beat(_))), "{answer:?}");
    assert_eq!(stream.credit, 0);
    release.notify_one();
    stream.granted(1).await;
    drop(worker);
}

#[tokio::test]
async fn a_stop_without_grace_cancels_what_runs_and_reports_it() {
    let mut server = Server::start().await;
    let entered = Arc::new(Notify::new());
    let enters = entered.clone();
    let (worker, mut stream) = started(&mut server, |builder| {
        builder.handler("work", move |ctx: Context| {
            let enters = enters.clone();
            async move {
                enters.notify_one();
                ctx.cancelled().await;
                Err::<(), _>(HandlerError::message("stopped early"))
            }
        })
    })
    .await;
    stream.say(Say::Dispatch(dispatch(1))).await;
    patient(entered.notified()).await;
    let story = async {
        let outcome = stream.outcome().await;
        assert_eq!(outcome.kind(), v1::OutcomeKind::Failed);
        stream.accept(&outcome).await;
        stream.left().await;
    };
    let (stopped, ()) = patient(async { tokio::join!(worker.stop(Duration::ZERO), story) }).await;
    stopped.expect("all is acknowledged");
    worker.stopped().await;
}
