//! Streams: their beginning, their loss, and what the next one says.

use std::time::Duration;

use super::relay::Relay;
use super::server::{Server, ack, dispatch, key, patient, run, welcome};
use crate::client::ErrorKind;
use crate::domain::Payload;
use crate::protocol::v1;
use crate::protocol::v1::server_message::Message as Say;
use crate::protocol::v1::worker_message::Message as Heard;
use crate::worker::{AttemptKey, Completion, Event, HandlerError, Taker, Worker};

pub(super) async fn puller(server: &Server, slots: u32) -> Taker {
    let client = server.client().await;
    let builder = Worker::builder(&client).name("puller").slots(slots).start_within(Duration::ZERO);
    builder.start_pull(["work".to_owned()]).await.expect("it does not wait")
}

pub(super) async fn taken(taker: &Taker) -> AttemptKey {
    match patient(taker.next()).await {
        Some(Event::Dispatch(attempt)) => attempt.key,
        other => panic!("expected a dispatch, got {other:?}"),
    }
}

pub(super) async fn cancelled(taker: &Taker) -> AttemptKey {
    match patient(taker.next()).await {
        Some(Event::Cancel { key, .. }) => key,
        other => panic!("expected a cancel, got {other:?}"),
    }
}

pub(super) fn done() -> Completion {
    Completion::Succeeded(Payload::text("done"))
}

#[tokio::test]
async fn an_attempt_is_taken_run_reported_and_its_slot_granted_again_once_acknowledged() {
    let mut server = Server::start().await;
    let taker = puller(&server, 2).await;
    let mut stream = server.welcomed().await;
    stream.granted(2).await;
    stream.say(Say::Dispatch(dispatch(7))).await;
    let key = taken(&taker).await;
    assert_eq!(key.run, run(7));
    taker.entered(&key);
    taker.complete(&key, done());
    let outcome = stream.outcome().await;
    assert_eq!(outcome.kind(), v1::OutcomeKind::Succeeded);
    assert!(outcome.started_at >= 1_000_000 && outcome.ended_at >= outcome.started_at);
    assert_eq!(stream.credit, 1);
    stream.accept(&outcome).await;
    stream.granted(2).await;
}

#[tokio::test]
async fn after_a_broken_stream_the_next_hello_has_a_higher_ordinal_and_lists_what_runs_and_what_is_unacknowledged()
 {
    let mut server = Server::start().await;
    let taker = puller(&server, 4).await;
    let (mut stream, first) = server.stream().await;
    stream.say(Say::Welcome(welcome(5))).await;
    stream.granted(4).await;
    let of = |run| Say::Dispatch(v1::Dispatch { epoch: 5, ..dispatch(run) });
    stream.say_all(vec![of(1), of(2), of(3)]).await;
    let (one, two, three) = (taken(&taker).await, taken(&taker).await, taken(&taker).await);
    taker.entered(&two);
    taker.complete(&one, done());
    stream.outcome().await;
    drop(stream);

    let (mut stream, second) = server.stream().await;
    assert_eq!(second.session, first.session);
    assert!(second.ordinal > first.ordinal);
    assert_eq!(second.floors, [v1::ShardEpoch { shard: 0, epoch: 5 }]);
    let unacked: Vec<_> = second.unacked.iter().filter_map(|outcome| outcome.key.clone()).collect();
    assert_eq!(unacked, [key(1)]);
    let mut running: Vec<_> = second
        .running
        .iter()
        .map(|running| (running.key.clone().expect("a key").token, running.phase()))
        .collect();
    running.sort_by_key(|(token, _)| *token);
    assert_eq!(running, [(2, v1::Phase::Running), (3, v1::Phase::Queued)]);

    stream.say(Say::Welcome(welcome(5))).await;
    stream.say(ack(Some(key(1)), v1::Verdict::Duplicate)).await;
    stream.granted(2).await;
    taker.complete(&two, done());
    taker.complete(&three, done());
    assert_eq!(stream.outcome().await.key, Some(key(2)));
    assert_eq!(stream.outcome().await.key, Some(key(3)));
}

#[tokio::test]
async fn a_stored_outcome_frees_its_slot_and_is_listed_until_the_owner_judges_it() {
    let mut server = Server::start().await;
    let taker = puller(&server, 1).await;
    let mut stream = server.welcomed().await;
    stream.granted(1).await;
    stream.say(Say::Dispatch(dispatch(1))).await;
    taker.complete(&taken(&taker).await, done());
    let outcome = stream.outcome().await;
    stream.say(ack(outcome.key, v1::Verdict::Stored)).await;
    stream.granted(1).await;
    drop(stream);
    let (mut stream, hello) = server.stream().await;
    assert_eq!(hello.unacked.len(), 1);
    stream.say(Say::Welcome(welcome(1))).await;
    stream.say(ack(Some(key(1)), v1::Verdict::Accepted)).await;
    stream.granted(1).await;
    // It has read the verdict by the time it answers this.
    stream.say(Say::Ping(v1::Ping { ordinal: 1, server_time: 0 })).await;
    while !matches!(stream.hear().await, Some(Heard::Beat(_))) {}
    drop(stream);
    assert!(server.stream().await.1.unacked.is_empty());
}

#[tokio::test]
async fn a_ping_is_answered_with_its_ordinal_and_a_life_counter_that_taking_raises() {
    let mut server = Server::start().await;
    let taker = puller(&server, 1).await;
    let mut stream = server.welcomed().await;
    stream.granted(1).await;
    let mut lives = Vec::new();
    for ordinal in [4, 5] {
        stream.say(Say::Ping(v1::Ping { ordinal, server_time: 1 })).await;
        match stream.hear().await {
            Some(Heard::Beat(beat)) => {
                assert_eq!(beat.ping, ordinal);
                lives.push(beat.life);
            }
            other => panic!("expected a beat, heard {other:?}"),
        }
        assert!(taker.try_next().is_none());
    }
    assert!(lives[1] > lives[0]);
}

#[tokio::test]
async fn a_dispatch_of_a_lower_epoch_and_a_second_one_of_the_same_attempt_are_not_taken() {
    let mut server = Server::start().await;
    let taker = puller(&server, 4).await;
    let (mut stream, _) = server.stream().await;
    stream.say(Say::Welcome(welcome(9))).await;
    stream.granted(4).await;
    let of = |run, epoch| Say::Dispatch(v1::Dispatch { epoch, ..dispatch(run) });
    stream.say_all(vec![of(1, 8), of(2, 9), of(2, 9), of(3, 9)]).await;
    assert_eq!(taken(&taker).await.run, run(2));
    assert_eq!(taken(&taker).await.run, run(3));
    assert!(taker.try_next().is_none());
}

#[tokio::test]
async fn an_owner_of_a_lower_epoch_than_the_floor_is_left() {
    let mut server = Server::start().await;
    let _taker = puller(&server, 1).await;
    let (mut stream, _) = server.stream().await;
    stream.say(Say::Welcome(welcome(9))).await;
    stream.granted(1).await;
    drop(stream);
    let (mut stale, _) = server.stream().await;
    stale.say(Say::Welcome(welcome(8))).await;
    stale.left().await;
    assert_eq!(stale.credit, 0);
    let (mut stream, _) = server.stream().await;
    stream.say(Say::Welcome(welcome(10))).await;
    stream.granted(1).await;
}

#[tokio::test]
async fn a_silent_server_is_left_and_asked_for_again() {
    let mut server = Server::start().await;
    let _taker = puller(&server, 1).await;
    let (mut stream, _) = server.stream().await;
    stream.say(Say::Welcome(v1::Welcome { silence_ms: 100, ..welcome(1) })).await;
    stream.granted(1).await;
    stream.left().await;
    server.welcomed().await.granted(1).await;
}

#[tokio::test]
async fn attempts_that_the_welcome_drops_are_cancelled_not_reported_and_free_their_slots_when_they_return() {
    let mut server = Server::start().await;
    let taker = puller(&server, 2).await;
    let mut stream = server.welcomed().await;
    stream.granted(2).await;
    stream.say_all(vec![Say::Dispatch(dispatch(1)), Say::Dispatch(dispatch(2))]).await;
    let (one, two) = (taken(&taker).await, taken(&taker).await);
    drop(stream);
    let (mut stream, hello) = server.stream().await;
    assert_eq!(hello.running.len(), 2);
    let judged = v1::Welcome { adopted: vec![key(2)], drop: vec![key(1)], ..welcome(1) };
    stream.say(Say::Welcome(judged)).await;
    assert_eq!(cancelled(&taker).await, one);
    taker.complete(&one, done());
    stream.granted(1).await;
    taker.complete(&two, done());
    assert_eq!(stream.outcome().await.key, Some(key(2)));
}

#[tokio::test]
async fn an_owner_that_lost_its_memory_gets_a_hello_on_the_same_stream_and_credit_anew() {
    let mut server = Server::start().await;
    let taker = puller(&server, 3).await;
    let (mut stream, first) = server.stream().await;
    stream.say(Say::Welcome(welcome(1))).await;
    stream.granted(3).await;
    stream.say(Say::Dispatch(dispatch(1))).await;
    taken(&taker).await;
    stream.say(Say::HelloAgain(v1::HelloAgain { shard: 0 })).await;
    let again = stream.hello().await;
    assert!(again.ordinal > first.ordinal);
    assert_eq!(again.running.len(), 1);
    stream.credit = 0;
    stream.say(Say::Welcome(v1::Welcome { adopted: vec![key(1)], ..welcome(2) })).await;
    stream.granted(2).await;
}

#[tokio::test]
async fn without_contact_for_too_long_what_is_held_is_cancelled_and_reported_as_lost_at_the_next_contact() {
    let mut server = Server::start().await;
    let taker = puller(&server, 1).await;
    let (mut stream, _) = server.stream().await;
    stream.say(Say::Welcome(v1::Welcome { lost_after_ms: 50, ..welcome(1) })).await;
    stream.granted(1).await;
    stream.say(Say::Dispatch(dispatch(1))).await;
    let key = taken(&taker).await;
    drop(stream);
    assert_eq!(cancelled(&taker).await, key);
    let (mut stream, hello) = server.stream().await;
    assert_eq!(hello.running.len(), 1, "its handler has not returned, whoever owns it now");
    let gave_way = HandlerError::new("interrupted", "it was told to end");
    taker.complete(&key, Completion::Failed(gave_way));
    stream.say(Say::Welcome(v1::Welcome { adopted: vec![super::server::key(1)], ..welcome(1) })).await;
    let outcome = stream.outcome().await;
    assert_eq!(outcome.kind(), v1::OutcomeKind::Lost);
    stream.say(ack(outcome.key, v1::Verdict::Late)).await;
    stream.granted(1).await;
}

#[tokio::test]
async fn a_handler_that_succeeds_although_contact_was_lost_reports_its_success() {
    let mut server = Server::start().await;
    let taker = puller(&server, 1).await;
    let (mut stream, _) = server.stream().await;
    stream.say(Say::Welcome(v1::Welcome { lost_after_ms: 1, ..welcome(1) })).await;
    stream.granted(1).await;
    stream.say(Say::Dispatch(dispatch(1))).await;
    let key = taken(&taker).await;
    drop(stream);
    assert_eq!(cancelled(&taker).await, key);
    taker.complete(&key, done());
    let (stream, _) = server.stream().await;
    drop(stream);
    let (_, hello) = server.stream().await;
    let kinds: Vec<_> = hello.unacked.iter().map(v1::Outcome::kind).collect();
    assert_eq!(kinds, [v1::OutcomeKind::Succeeded]);
}

#[tokio::test]
async fn a_server_that_moved_keeps_the_stream_until_its_outcomes_are_acknowledged() {
    let mut server = Server::start().await;
    let taker = puller(&server, 2).await;
    let mut stream = server.welcomed().await;
    stream.granted(2).await;
    stream.say(Say::Dispatch(dispatch(1))).await;
    let key = taken(&taker).await;
    taker.complete(&key, done());
    let outcome = stream.outcome().await;
    stream.say(Say::Moved(v1::Moved { retry_after_ms: 10, ..Default::default() })).await;
    stream.accept(&outcome).await;
    stream.left().await;
    assert!(server.stream().await.1.unacked.is_empty());
}

#[tokio::test]
async fn a_start_that_the_server_refuses_says_why() {
    for (status, kind) in [
        (tonic::Status::unauthenticated("no such token"), ErrorKind::Unauthenticated),
        (tonic::Status::permission_denied("another app's"), ErrorKind::NotPermitted),
        (tonic::Status::invalid_argument("no such app name"), ErrorKind::Invalid),
    ] {
        let server = Server::with(vec![0], Some(status)).await;
        let started = Worker::builder(&server.client().await).start_pull(["work".to_owned()]);
        assert_eq!(patient(started).await.expect_err("refused").kind, kind);
    }
}

#[tokio::test]
async fn a_start_without_any_server_ends_within_its_bound() {
    let server = Server::with(vec![0], Some(tonic::Status::unavailable("booting"))).await;
    let builder = Worker::builder(&server.client().await).start_within(Duration::from_millis(50));
    let error = patient(builder.start_pull(["work".to_owned()])).await.expect_err("none");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.message.contains("booting"), "{error}");
}

#[tokio::test]
async fn a_stop_says_bye_lets_handlers_end_and_waits_for_their_acknowledgements() {
    let mut server = Server::start().await;
    let taker = puller(&server, 1).await;
    let mut stream = server.welcomed().await;
    stream.granted(1).await;
    stream.say(Say::Dispatch(dispatch(1))).await;
    let key = taken(&taker).await;
    let story = async {
        while !matches!(stream.hear().await, Some(Heard::Bye(_))) {}
        taker.complete(&key, done());
        let outcome = stream.outcome().await;
        stream.accept(&outcome).await;
        stream.left().await;
    };
    let (stopped, ()) = patient(async { tokio::join!(taker.stop(Duration::from_secs(60)), story) }).await;
    stopped.expect("all is acknowledged");
    assert!(taker.next().await.is_none());
    taker.join_blocking();
}

#[tokio::test]
async fn a_dropped_worker_leaves_its_stream() {
    let mut server = Server::start().await;
    let taker = puller(&server, 1).await;
    let mut stream = server.welcomed().await;
    stream.granted(1).await;
    drop(taker);
    stream.left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_take_comes_back_with_a_batch_and_when_it_is_woken() {
    let mut server = Server::start().await;
    let taker = std::sync::Arc::new(puller(&server, 2).await);
    let mut stream = server.welcomed().await;
    stream.granted(2).await;
    let blocked = taker.clone();
    let thread = std::thread::spawn(move || {
        let mut count = 0;
        while count < 2 {
            count += blocked.take(10, Duration::from_secs(60)).len();
        }
        blocked.take(10, Duration::from_secs(60)).len()
    });
    stream.say_all(vec![Say::Dispatch(dispatch(1)), Say::Dispatch(dispatch(2))]).await;
    taker.wake();
    // Each wake ends one take at most; it may have been the one before.
    while !thread.is_finished() {
        taker.wake();
        tokio::task::yield_now().await;
    }
    assert_eq!(thread.join().expect("no panic"), 0);
}

#[tokio::test]
async fn a_connection_that_went_silent_is_not_used_for_the_next_stream() {
    let mut server = Server::start().await;
    let relay = Relay::before(&server.address).await;
    server.address = relay.address.clone();
    server.owns(0, 1);
    let _taker = puller(&server, 1).await;
    let (mut stream, _) = server.stream().await;
    stream.say(Say::Welcome(v1::Welcome { silence_ms: 500, ..welcome(1) })).await;
    stream.granted(1).await;
    relay.silence();
    let next = tokio::time::timeout(Duration::from_secs(8), server.stream()).await;
    next.expect("it does not wait until the connection is known to be dead");
}
