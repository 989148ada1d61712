//! A worker's stream, seen from both of its ends over a real connection.

mod bench;

use bench::{Bench, CALM, authorized, detail, hello, patiently};
use fastjob_core::id::{AttemptKey, Epoch, RunId, Token};
use fastjob_core::protocol::v1;
use fastjob_core::shard::{Frame, Message, Verdict};
use fastjob_server::owner::door::{DOOR_CAPACITY, Knock};
use fastjob_server::rpc::Pace;
use tonic::Code;
use v1::server_message::Message as ServerWord;
use v1::worker_message::Message as WorkerWord;

fn welcome() -> Frame {
    Frame::Welcome { epoch: Epoch(7), ordinal: 1, lost_after_ms: 30_000, adopted: vec![], drop: vec![] }
}

fn ack(attempt: u32) -> Frame {
    let key = AttemptKey { run: RunId::from_bytes([1; 16]), attempt, token: Token(5) };
    Frame::Ack { key, verdict: Verdict::Accepted }
}

fn wire_key(attempt: u32) -> Option<v1::AttemptKey> {
    Some(v1::AttemptKey { shard: 0, run: vec![1; 16].into(), attempt, token: 5 })
}

fn outcome(attempt: u32) -> WorkerWord {
    let kind = v1::OutcomeKind::Succeeded.into();
    WorkerWord::Outcome(v1::Outcome { key: wire_key(attempt), kind, ..v1::Outcome::default() })
}

fn credit(add: u32) -> WorkerWord {
    WorkerWord::Credit(v1::Credit { shard: 0, add })
}

#[tokio::test]
async fn a_hello_reaches_the_owner_after_its_stream_and_the_welcome_comes_back_filled() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let mut worker = bench.stream(&bench.token).await.expect("the token is valid");
    worker.say(WorkerWord::Hello(hello())).await;
    let Knock::Stream { stream, frames } = owner.knock().await else { panic!("the stream comes first") };
    let Message::Hello { stream: of, hello } = owner.message().await else { panic!("then its Hello") };
    assert_eq!((of, hello.ordinal, hello.profile.slots), (stream, 1, 8));
    frames.send(vec![welcome()]).await.expect("the stream is open");
    let Ok(Some(ServerWord::Welcome(welcome))) = worker.hear().await else { panic!("a welcome") };
    assert_eq!(welcome.shards, [v1::ShardEpoch { shard: 0, epoch: 7 }]);
    assert_eq!(welcome.server, vec![9; 16]);
    assert_eq!((welcome.ping_ms, welcome.silence_ms, welcome.protocol), (20, 60_000, 1));
    assert!(welcome.server_time > 0);
}

#[tokio::test]
async fn messages_of_a_stream_reach_the_owner_in_their_order() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let (worker, _frames) = bench.greeted(&mut owner).await;
    worker.say_all(vec![credit(8), outcome(1), outcome(2)]).await;
    worker.say_all(vec![credit(2), WorkerWord::Bye(v1::Bye {})]).await;
    let mut order = Vec::new();
    while order.len() < 5 {
        order.push(match owner.message().await {
            Message::Credit { add, .. } => format!("credit {add}"),
            Message::Outcome { outcome, .. } => format!("outcome {}", outcome.key.attempt),
            Message::Bye { .. } => "bye".to_owned(),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(order, ["credit 8", "outcome 1", "outcome 2", "credit 2", "bye"]);
}

#[tokio::test]
async fn many_frames_are_gathered_up_to_the_bound_in_their_order() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let (mut worker, frames) = bench.greeted(&mut owner).await;
    frames.send((0..1_300).map(ack).collect()).await.expect("the stream is open");
    let (mut seen, mut largest) = (Vec::new(), 0);
    while seen.len() < 1_300 {
        let frame = worker.frame().await.expect("it lives").expect("it goes on");
        largest = largest.max(frame.messages.len());
        seen.extend(frame.messages.into_iter().filter_map(|message| match message.message? {
            ServerWord::OutcomeAck(ack) => Some(ack.key?.attempt),
            _ => None,
        }));
    }
    assert_eq!(seen, (0..1_300).collect::<Vec<_>>());
    assert_eq!(largest, 512);
}

#[tokio::test]
async fn a_stream_that_does_not_begin_with_a_hello_is_refused() {
    let bench = Bench::start(CALM).await;
    let _owner = bench.own();
    let mut worker = bench.stream(&bench.token).await.expect("the token is valid");
    worker.say(credit(1)).await;
    let status = worker.refused().await;
    assert_eq!((status.code(), &*detail(&status).code), (Code::InvalidArgument, "hello_first"));
}

#[tokio::test]
async fn a_hello_of_an_unknown_protocol_is_refused_by_field() {
    let bench = Bench::start(CALM).await;
    let _owner = bench.own();
    for protocol in [0, 2] {
        let mut worker = bench.stream(&bench.token).await.expect("the token is valid");
        worker.say(WorkerWord::Hello(v1::Hello { protocol, ..hello() })).await;
        let detail = detail(&worker.refused().await);
        assert_eq!((&*detail.code, &*detail.field), ("protocol_unknown", "hello.protocol"));
        assert!(!detail.remedy.is_empty());
    }
}

#[tokio::test]
async fn a_stream_without_a_valid_token_does_not_begin() {
    let bench = Bench::start(CALM).await;
    let wrong = [&bench.token[..bench.token.len() - 1], "", "fjt_", &"x".repeat(10_000)];
    for token in wrong {
        let status = bench.stream(token).await.err().expect("it is not valid");
        assert_eq!((status.code(), &*detail(&status).code), (Code::Unauthenticated, "token_invalid"));
    }
    let no_token = tonic::Request::new(v1::LocateRequest { app: "demo".into() });
    let status = bench.workers().locate(no_token).await.expect_err("no token");
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unauthenticated, "token_missing"));
}

#[tokio::test]
async fn the_token_of_one_app_opens_no_stream_of_another() {
    let bench = Bench::start(CALM).await;
    let _owner = bench.own();
    let create = v1::AppCreateRequest { name: "other".into(), shards: 0 };
    let made = bench.admins().app_create(authorized(create, &bench.admin)).await.expect("a free name");
    let mut worker = bench.stream(&made.into_inner().token).await.expect("the token is valid");
    worker.say(WorkerWord::Hello(hello())).await;
    let status = worker.refused().await;
    assert_eq!((status.code(), &*detail(&status).code), (Code::PermissionDenied, "app_not_permitted"));
}

#[tokio::test]
async fn a_stream_ends_when_its_token_is_revoked_and_the_owner_is_told() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let (mut worker, _frames) = bench.greeted(&mut owner).await;
    let list = v1::TokenListRequest { app: "demo".into() };
    let tokens = bench.admins().token_list(authorized(list, &bench.admin)).await.expect("the admin may");
    let id = tokens.into_inner().tokens[0].id.clone();
    let revoke = v1::TokenRevokeRequest { app: "demo".into(), id };
    bench.admins().token_revoke(authorized(revoke, &bench.admin)).await.expect("it is valid");
    let status = worker.refused().await;
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unauthenticated, "token_invalid"));
    assert!(matches!(owner.message().await, Message::StreamEnded { .. }));
}

#[tokio::test]
async fn an_oversized_frame_ends_the_stream_by_name() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let (mut worker, _frames) = bench.greeted(&mut owner).await;
    let note = "x".repeat(5 * 1024 * 1024);
    worker.say(WorkerWord::Progress(v1::Progress { key: wire_key(1), percent: 1, note })).await;
    let status = worker.refused().await;
    assert_eq!((status.code(), &*detail(&status).code), (Code::InvalidArgument, "frame_too_large"));
}

/// A frame whose first field is of the wrong type.
#[derive(Clone, PartialEq, prost::Message)]
struct Junk {
    #[prost(uint64, tag = "1")]
    number: u64,
}

#[tokio::test]
async fn a_frame_that_is_none_ends_the_stream_by_name() {
    let bench = Bench::start(CALM).await;
    let mut grpc = tonic::client::Grpc::new(bench.channel());
    grpc.ready().await.expect("the server listens");
    let codec = tonic_prost::ProstCodec::<Junk, v1::ServerFrame>::default();
    let path = tonic::codegen::http::uri::PathAndQuery::from_static("/fastjob.v1.Worker/Session");
    let frames = tokio_stream::iter([Junk { number: 5 }]);
    let reply =
        grpc.streaming(authorized(frames, &bench.token), path, codec).await.expect("the token is valid");
    let status = patiently(reply.into_inner().message()).await.expect_err("it is no frame");
    assert_eq!((status.code(), &*detail(&status).code), (Code::InvalidArgument, "frame_malformed"));
}

#[tokio::test]
async fn a_worker_that_says_more_than_its_slots_allow_is_left() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let (mut worker, _frames) = bench.greeted(&mut owner).await;
    fill(&owner).await;
    worker.say_all((0..2_000).map(|_| credit(0)).collect()).await;
    assert_eq!(detail(&worker.refused().await).code, "stream_flooded");
}

async fn fill(owner: &bench::OwnerSide) {
    let key = AttemptKey { run: RunId::from_bytes([1; 16]), attempt: 1, token: Token(5) };
    for _ in 0..DOOR_CAPACITY {
        let progress = Message::Progress { key, percent: 1, note: "".into() };
        owner.door.send(progress).await.expect("the owner is there");
    }
}

#[tokio::test]
async fn a_wrong_message_ends_the_stream_and_names_the_field() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let run = vec![1; 3].into();
    let short = v1::AttemptKey { run, ..wire_key(1).expect("a key") };
    let bad_run = v1::Outcome { key: Some(short), kind: 1, ..v1::Outcome::default() };
    let elsewhere = v1::AttemptKey { shard: 5, ..wire_key(1).expect("a key") };
    let cases = [
        (WorkerWord::Outcome(bad_run), "messages[1].outcome.key.run", "bad_id"),
        (credit(9), "messages[1].credit.add", "out_of_bounds"),
        (
            WorkerWord::Progress(v1::Progress { key: Some(elsewhere), ..v1::Progress::default() }),
            "messages[1].shard",
            "shard_elsewhere",
        ),
    ];
    for (word, field, code) in cases {
        let (mut worker, _frames) = bench.greeted(&mut owner).await;
        worker.say_all(vec![credit(0), word]).await;
        let detail = detail(&worker.refused().await);
        assert_eq!((&*detail.field, &*detail.code), (field, code));
        assert!(matches!(owner.message().await, Message::Credit { .. }));
        assert!(matches!(owner.message().await, Message::StreamEnded { .. }));
    }
}

#[tokio::test]
async fn a_worker_that_does_not_answer_pings_is_left_and_its_owner_hears_of_its_last_sign() {
    let bench = Bench::start(Pace { silence_ms: 100, ..CALM }).await;
    let mut owner = bench.own();
    let before = bench.api.now();
    let (mut worker, _frames) = bench.greeted(&mut owner).await;
    let greeted = bench.api.now();
    let status = worker.refused().await;
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unavailable, "worker_silent"));
    let Message::StreamEnded { last_contact, .. } = owner.message().await else { panic!("it ended") };
    assert!(before <= last_contact && last_contact <= greeted);
}

#[tokio::test]
async fn a_worker_whose_handlers_show_no_life_is_left_although_it_beats() {
    let bench = Bench::start(Pace { lost_after_ms: 100, ..CALM }).await;
    let mut owner = bench.own();
    let (mut worker, _frames) = bench.greeted(&mut owner).await;
    let status = loop {
        match worker.frame().await {
            // The stream may have ended before the answer to its last ping.
            Ok(Some(_)) => {
                let beat =
                    v1::WorkerMessage { message: Some(WorkerWord::Beat(v1::Beat { ping: 1, life: 3 })) };
                let _ = worker.out.send(v1::WorkerFrame { messages: vec![beat] }).await;
            }
            Ok(None) => panic!("it ends with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unavailable, "worker_lifeless"));
    assert!(matches!(owner.message().await, Message::StreamEnded { .. }));
}

#[tokio::test]
async fn pings_are_answered_while_the_owner_s_queue_is_full() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let (mut worker, _frames) = bench.greeted(&mut owner).await;
    fill(&owner).await;
    worker.say(outcome(1)).await;
    let first = worker.ping().await.ordinal;
    while worker.ping().await.ordinal < first + 3 {}
    for _ in 0..DOOR_CAPACITY {
        assert!(matches!(owner.message().await, Message::Progress { .. }));
    }
    assert!(matches!(owner.message().await, Message::Outcome { .. }), "nothing was lost");
}

#[tokio::test]
async fn a_stream_that_its_owner_closed_as_too_slow_ends() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let (mut worker, frames) = bench.greeted(&mut owner).await;
    drop(frames);
    let status = worker.refused().await;
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unavailable, "stream_too_slow"));
}

#[tokio::test]
async fn a_worker_whose_owner_is_gone_is_told_to_move() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let (mut worker, frames) = bench.greeted(&mut owner).await;
    drop((owner, frames));
    let Ok(Some(ServerWord::Moved(moved))) = worker.hear().await else { panic!("it is told") };
    assert!(moved.retry_after_ms > 0);
    assert!(matches!(worker.hear().await, Ok(None)), "then the stream ends");
}

#[tokio::test]
async fn a_worker_at_the_wrong_server_is_told_where_the_owner_is() {
    let bench = Bench::start(CALM).await;
    bench.directory_says(Some("10.0.0.7:7180"));
    let mut worker = bench.stream(&bench.token).await.expect("the token is valid");
    worker.say(WorkerWord::Hello(hello())).await;
    let Ok(Some(ServerWord::Moved(moved))) = worker.hear().await else { panic!("it is told") };
    assert_eq!(moved.to, "10.0.0.7:7180");
}

/// A server with two shards, their owners, and a worker that both know.
async fn two_owners(pace: Pace) -> (Bench, [bench::OwnerSide; 2], [Frames; 2], bench::WorkerSide) {
    let bench = Bench::with_shards(2, pace).await;
    let mut owners = [bench.own_shard(0), bench.own_shard(1)];
    let worker = bench.stream(&bench.token).await.expect("the token is valid");
    worker.say(WorkerWord::Hello(hello())).await;
    let mut frames = Vec::new();
    for owner in &mut owners {
        frames.push(owner.stream().await);
        assert!(matches!(owner.message().await, Message::Hello { .. }));
    }
    (bench, owners, frames.try_into().expect("two"), worker)
}

type Frames = tokio::sync::mpsc::Sender<Vec<Frame>>;

async fn moved(worker: &mut bench::WorkerSide) -> v1::Moved {
    match worker.hear().await {
        Ok(Some(ServerWord::Moved(moved))) => moved,
        other => panic!("not a move: {other:?}"),
    }
}

#[tokio::test]
async fn when_one_owner_of_two_goes_the_worker_is_told_where_and_the_stream_stays_for_the_other() {
    let (bench, [first, mut second], [of_first, of_second], mut worker) = two_owners(CALM).await;
    bench.directory_says_all(&[Some("10.0.0.7:7180"), Some("127.0.0.1:7180")]);
    // Its last verdict is still on the way.
    of_first.send(vec![ack(1)]).await.expect("the stream is open");
    drop((first, of_first));
    let Ok(Some(ServerWord::OutcomeAck(_))) = worker.hear().await else { panic!("the verdict comes first") };
    let moved = moved(&mut worker).await;
    assert_eq!((&*moved.to, &moved.shards[..]), ("10.0.0.7:7180", &[0][..]));
    // What the worker said before it knew goes nowhere; the other owner hears what is its own.
    worker.say_all(vec![outcome(3), WorkerWord::Credit(v1::Credit { shard: 1, add: 2 })]).await;
    assert!(matches!(second.message().await, Message::Credit { add: 2, .. }));
    of_second.send(vec![ack(2)]).await.expect("the stream is open");
    assert!(matches!(worker.hear().await, Ok(Some(ServerWord::OutcomeAck(_)))));
    drop((second, of_second));
    assert_eq!(self::moved(&mut worker).await.shards, [1]);
    assert!(matches!(worker.hear().await, Ok(None)), "nothing is left");
}

#[tokio::test]
async fn a_hello_for_one_shard_reaches_its_owner_alone() {
    let (_bench, [mut first, mut second], _frames, worker) = two_owners(CALM).await;
    worker.say(WorkerWord::Hello(v1::Hello { ordinal: 2, shards: vec![1], ..hello() })).await;
    worker.say(WorkerWord::Bye(v1::Bye {})).await;
    let Message::Hello { hello, .. } = second.message().await else { panic!("a hello") };
    assert_eq!(hello.ordinal, 2);
    assert!(matches!(second.message().await, Message::Bye { .. }));
    assert!(matches!(first.message().await, Message::Bye { .. }), "it was not told of the Hello");
}

#[tokio::test]
async fn a_shard_that_comes_to_this_server_is_greeted_on_the_stream_and_one_that_is_elsewhere_is_named() {
    let bench = Bench::with_shards(3, CALM).await;
    let mut first = bench.own_shard(0);
    bench.directory_says_all(&[Some("127.0.0.1:7180"), None, Some("10.0.0.7:7180")]);
    let (mut worker, _frames) = bench.greeted(&mut first).await;
    let mut second = bench.own_shard(1);
    worker.say(WorkerWord::Hello(v1::Hello { ordinal: 2, shards: vec![1, 2], ..hello() })).await;
    let _of_second = second.stream().await;
    assert!(matches!(second.message().await, Message::Hello { .. }));
    let moved = moved(&mut worker).await;
    assert_eq!((&*moved.to, &moved.shards[..]), ("10.0.0.7:7180", &[2][..]));
    worker.say(WorkerWord::Credit(v1::Credit { shard: 1, add: 1 })).await;
    assert!(matches!(second.message().await, Message::Credit { .. }));
}

#[tokio::test]
async fn a_server_without_its_lease_does_not_ping_and_judges_no_worker() {
    let bench = Bench::start(Pace { silence_ms: 200, lost_after_ms: 200, ..CALM }).await;
    let mut owner = bench.own();
    let (mut worker, frames) = bench.greeted(&mut owner).await;
    bench.trust.end();
    // More than the silence, and two dozen pings.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    frames.send(vec![ack(1)]).await.expect("the stream is open");
    let mut pings = 0;
    loop {
        let frame = worker.frame().await.expect("it lives").expect("it goes on");
        let words = frame.messages.into_iter().filter_map(|message| message.message);
        let words: Vec<_> = words.collect();
        pings += words.iter().filter(|word| matches!(word, ServerWord::Ping(_))).count();
        if words.iter().any(|word| matches!(word, ServerWord::OutcomeAck(_))) {
            break;
        }
    }
    assert!(pings <= 2, "{pings} pings from before the lease lapsed");
    bench.trust.extend(bench.api.clock().elapsed(), std::time::Duration::from_secs(60));
    worker.ping().await;
}

#[tokio::test]
async fn a_server_without_its_lease_neither_locates_nor_takes_workers() {
    let bench = Bench::start(CALM).await;
    let _owner = bench.own();
    bench.trust.end();
    let locate = authorized(v1::LocateRequest { app: "demo".into() }, &bench.token);
    let status = bench.workers().locate(locate).await.expect_err("it does not know");
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unavailable, "lease_lapsed"));
    let mut worker = bench.stream(&bench.token).await.expect("the token is valid");
    worker.say(WorkerWord::Hello(hello())).await;
    let status = worker.refused().await;
    assert_eq!((status.code(), &*detail(&status).code), (Code::Unavailable, "lease_lapsed"));
}

#[tokio::test]
async fn a_server_that_stops_tells_its_workers_to_move() {
    let mut bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let (mut worker, _frames) = bench.greeted(&mut owner).await;
    bench.stop.cancel();
    assert!(matches!(worker.hear().await, Ok(Some(ServerWord::Moved(_)))));
    assert!(matches!(owner.message().await, Message::StreamEnded { .. }));
    bench.stopped().await;
}

#[tokio::test]
async fn a_worker_that_leaves_ends_its_stream_at_the_owner() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let (worker, frames) = bench.greeted(&mut owner).await;
    drop(worker);
    assert!(matches!(owner.message().await, Message::StreamEnded { .. }));
    patiently(frames.closed()).await;
}

#[tokio::test]
async fn a_second_hello_on_the_stream_reaches_the_owner_again() {
    let bench = Bench::start(CALM).await;
    let mut owner = bench.own();
    let (mut worker, _frames) = bench.greeted(&mut owner).await;
    worker.say(WorkerWord::Hello(v1::Hello { ordinal: 2, ..hello() })).await;
    let Message::Hello { hello: again, .. } = owner.message().await else { panic!("a hello") };
    assert_eq!(again.ordinal, 2);
    worker.say(WorkerWord::Hello(v1::Hello { session: vec![2; 16].into(), ..hello() })).await;
    assert_eq!(detail(&worker.refused().await).code, "hello_of_another");
}

#[tokio::test]
async fn locate_names_the_owner_of_each_shard_and_the_servers() {
    let bench = Bench::start(CALM).await;
    let locate = || authorized(v1::LocateRequest { app: "demo".into() }, &bench.token);
    let reply = bench.workers().locate(locate()).await.expect("the token is valid").into_inner();
    assert_eq!(reply.shards, [v1::ShardOwner { shard: 0, epoch: 0, address: String::new() }]);
    bench.directory_says(Some("10.0.0.7:7180"));
    let reply = bench.workers().locate(locate()).await.expect("the token is valid").into_inner();
    assert_eq!(reply.shards, [v1::ShardOwner { shard: 0, epoch: 7, address: "10.0.0.7:7180".into() }]);
    assert_eq!(reply.servers, ["127.0.0.1:7180"]);
}
