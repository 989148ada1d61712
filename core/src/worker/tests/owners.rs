//! Several owners: a stream to each, shards that move, and what another server hears when one cannot be reached.

use std::time::Duration;

use super::server::{Server, Stream, ack, dispatch_of, key, patient, run, welcome_for};
use super::streams::{done, puller, taken};
use crate::protocol::v1;
use crate::protocol::v1::server_message::Message as Say;
use crate::protocol::v1::worker_message::Message as Heard;
use crate::worker::Event;

fn moved(to: &Server, shards: &[u32]) -> Say {
    Say::Moved(v1::Moved { to: to.address.clone(), retry_after_ms: 10, shards: shards.to_vec() })
}

/// Waits until the worker has heard all that was said before.
async fn heard_out(stream: &mut Stream) {
    stream.say(Say::Ping(v1::Ping { ordinal: 9, server_time: 1_000_000 })).await;
    while !matches!(stream.hear().await.expect("the worker stays"), Heard::Beat(_)) {}
}

fn unacked(hello: &v1::Hello) -> Vec<v1::AttemptKey> {
    hello.unacked.iter().filter_map(|outcome| outcome.key.clone()).collect()
}

#[tokio::test]
async fn a_worker_follows_moved_at_once_with_the_outcomes_that_the_old_owner_has_not_acknowledged() {
    let [mut a, mut b] = Server::cluster().await;
    a.owns(0, 5);
    let taker = puller(&a, 2).await;
    let mut old = a.welcomed_for(&[0], 5).await;
    old.granted(2).await;
    old.say_all(vec![dispatch_of(0, 1, 5), dispatch_of(0, 2, 5)]).await;
    let one = taken(&taker).await;
    taken(&taker).await;
    taker.complete(&one, done());
    old.outcome().await;
    // Locate still tells of the old owner.
    old.say_all(vec![moved(&b, &[]), dispatch_of(0, 3, 5)]).await;
    let (mut new, hello) = b.stream().await;
    assert_eq!(unacked(&hello), [key(1)]);
    assert_eq!(hello.running.len(), 1);
    new.say_all(vec![Say::Welcome(welcome_for(0, 6)), ack(Some(key(1)), v1::Verdict::Accepted)]).await;
    new.granted(1).await;
    old.left().await;
    assert!(taker.try_next().is_none(), "what the old owner sent after it had moved is not begun");
}

#[tokio::test]
async fn when_one_shard_of_a_stream_moves_the_others_stay_on_it() {
    let [mut a, mut b] = Server::cluster().await;
    a.owns(0, 5);
    a.owns(1, 5);
    let taker = puller(&a, 4).await;
    let mut old = a.welcomed_for(&[0, 1], 5).await;
    old.granted(4).await;
    b.owns(0, 6);
    old.say(moved(&b, &[0])).await;
    let mut new = b.welcomed_for(&[0], 6).await;
    new.granted(2).await;
    old.say_all(vec![dispatch_of(0, 1, 5), dispatch_of(1, 2, 5)]).await;
    new.say(dispatch_of(0, 3, 6)).await;
    let mut runs = [taken(&taker).await.run, taken(&taker).await.run];
    runs.sort();
    assert_eq!(runs, [run(2), run(3)]);
    assert!(taker.try_next().is_none());
    heard_out(&mut old).await;
    assert!(!a.has_stream() && !b.has_stream());
}

#[tokio::test]
async fn a_shard_that_a_server_comes_to_own_is_greeted_on_the_stream_there_is() {
    let [mut a, mut b] = Server::cluster().await;
    a.owns(0, 5);
    b.owns(1, 5);
    let taker = puller(&a, 4).await;
    let mut of_a = a.welcomed_for(&[0], 5).await;
    let mut of_b = b.welcomed_for(&[1], 5).await;
    of_a.granted(2).await;
    of_b.granted(2).await;
    of_a.say(dispatch_of(0, 1, 5)).await;
    taken(&taker).await;
    b.owns(0, 6);
    of_a.say(moved(&b, &[0])).await;
    let hello = of_b.hello().await;
    assert_eq!((&hello.shards[..], hello.running.len()), (&[0][..], 1));
    of_b.say(Say::Welcome(v1::Welcome { ordinal: hello.ordinal, ..welcome_for(0, 6) })).await;
    // Two as before for its own shard, and the slot of the other that nothing holds.
    of_b.granted(3).await;
    of_a.left().await;
}

#[tokio::test]
async fn three_owners_together_are_granted_no_more_than_the_slots() {
    let [mut a, mut b, mut c] = Server::cluster().await;
    for (shard, server) in [&a, &b, &c].into_iter().enumerate() {
        server.owns(u32::try_from(shard).expect("few"), 5);
    }
    let taker = puller(&a, 4).await;
    let mut streams =
        [a.welcomed_for(&[0], 5).await, b.welcomed_for(&[1], 5).await, c.welcomed_for(&[2], 5).await];
    for stream in &mut streams {
        while stream.credit == 0 {
            assert!(matches!(stream.hear().await, Some(Heard::Credit(_))));
        }
        heard_out(stream).await;
    }
    assert_eq!(streams.iter().map(|stream| stream.credit).sum::<u32>(), 4);
    streams[0].say(dispatch_of(0, 1, 5)).await;
    taker.complete(&taken(&taker).await, done());
    streams[0].outcome().await;
    for stream in &mut streams {
        // What was granted behind the first beat is before the second.
        heard_out(stream).await;
        heard_out(stream).await;
    }
    assert_eq!(streams.iter().map(|stream| stream.credit).sum::<u32>(), 3, "it is not acknowledged");
}

#[tokio::test]
async fn an_outcome_stays_until_it_is_acknowledged_over_three_streams() {
    let mut server = Server::start().await;
    let taker = puller(&server, 1).await;
    let mut stream = server.welcomed().await;
    stream.granted(1).await;
    stream.say(dispatch_of(0, 1, 1)).await;
    taker.complete(&taken(&taker).await, done());
    for _ in 0..3 {
        drop(stream);
        let (next, hello) = server.stream().await;
        assert_eq!(unacked(&hello), [key(1)]);
        stream = next;
        stream.say(Say::Welcome(welcome_for(0, 1))).await;
        heard_out(&mut stream).await;
    }
    stream.say(ack(Some(key(1)), v1::Verdict::Duplicate)).await;
    stream.granted(1).await;
    drop(stream);
    assert!(server.stream().await.1.unacked.is_empty());
}

#[tokio::test]
async fn while_the_owner_cannot_be_reached_another_server_hears_what_runs_and_how_it_ended() {
    let [mut a, mut b] = Server::cluster().await;
    a.owns(0, 5);
    {
        let mut directory = a.directory.lock();
        directory.verdict = v1::Verdict::Stored;
        directory.reached = vec![0];
    }
    let taker = puller(&a, 1).await;
    let (mut stream, hello) = a.stream().await;
    // Contact through the other server counts: without it the attempt would be given up after 3 s.
    stream.say(Say::Welcome(v1::Welcome { lost_after_ms: 3_000, ..welcome_for(0, 5) })).await;
    stream.granted(1).await;
    stream.say(dispatch_of(0, 1, 5)).await;
    let attempt = taken(&taker).await;
    drop((a, stream));

    for _ in 0..4 {
        let report = b.reported().await;
        assert_eq!((report.session, report.running), (hello.session.clone(), vec![key(1)]));
    }
    taker.complete(&attempt, done());
    let report = loop {
        let report = b.reported().await;
        if !report.outcomes.is_empty() {
            break report;
        }
    };
    assert_eq!(report.outcomes[0].kind(), v1::OutcomeKind::Succeeded);
    assert!(taker.try_next().is_none(), "the attempt was not cancelled");

    b.owns(0, 6);
    let (mut stream, hello) = b.stream().await;
    assert_eq!(unacked(&hello), [key(1)], "it was stored, and the new owner has not judged it");
    stream.say(Say::Welcome(welcome_for(0, 6))).await;
    stream.granted(1).await;
}

#[tokio::test]
async fn an_owner_that_stands_still_before_its_welcome_is_left_once_another_has_taken_over() {
    let [mut a, mut b] = Server::cluster().await;
    a.owns(0, 5);
    let _taker = puller(&a, 1).await;
    let (_still, _) = a.stream().await;
    b.owns(0, 6);
    let new = tokio::time::timeout(Duration::from_secs(5), b.welcomed_for(&[0], 6));
    new.await.expect("it does not wait for the Welcome").granted(1).await;
}

#[tokio::test]
async fn a_lower_epoch_than_the_one_known_is_not_followed() {
    let [a, mut b] = Server::cluster().await;
    b.owns(0, 7);
    let _taker = puller(&a, 1).await;
    let mut stream = b.welcomed_for(&[0], 7).await;
    stream.granted(1).await;
    // A server that is cut off from its database tells of what was.
    a.owns(0, 6);
    drop(stream);
    let mut stream = b.welcomed_for(&[0], 7).await;
    stream.granted(1).await;
    assert!(!a.has_stream());
}

#[tokio::test]
async fn a_start_that_reaches_no_server_names_each_and_why() {
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = unused.local_addr().expect("it is bound").to_string();
    drop(unused);
    let seeds = [address.clone(), "no-such-host.invalid:7180".to_owned()];
    let options = crate::client::Options::new(seeds.clone(), "demo", "secret");
    let client = crate::client::Client::connect(options).await.expect("good options");
    let builder = crate::worker::Worker::builder(&client).start_within(Duration::from_secs(3));
    let error = patient(builder.start_pull(["work".to_owned()])).await.expect_err("nobody listens");
    for seed in seeds {
        assert!(error.message.contains(&format!("{seed} (")), "{error}");
    }
    assert!(error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn handlers_go_on_while_their_shard_moves() {
    let [mut a, mut b] = Server::cluster().await;
    a.owns(0, 5);
    let taker = puller(&a, 1).await;
    let mut old = a.welcomed_for(&[0], 5).await;
    old.granted(1).await;
    old.say(dispatch_of(0, 1, 5)).await;
    let attempt = taken(&taker).await;
    old.say(moved(&b, &[])).await;
    let mut new = b.welcomed_for(&[0], 6).await;
    taker.complete(&attempt, done());
    let outcome = new.outcome().await;
    new.accept(&outcome).await;
    new.granted(1).await;
    assert!(!matches!(taker.try_next(), Some(Event::Cancel { .. })));
}
