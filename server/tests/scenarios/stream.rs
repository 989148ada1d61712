//! A worker played by hand: what a stream may say wrongly, and what becomes of the attempts on it.

use bytes::{Buf, BufMut, Bytes};
use fastjob_core::client::{Job, RunState};
use fastjob_core::protocol::v1;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status, Streaming};
use v1::server_message::Message as ServerWord;
use v1::worker_message::Message as WorkerWord;

use super::stage::{Stage, end, outcomes, patiently};

const SESSION: [u8; 16] = [7; 16];

/// One stream, whose frames are bytes.
struct ByHand {
    frames: mpsc::Sender<Bytes>,
    said: Streaming<Bytes>,
}

impl ByHand {
    /// A stream that has said Hello, with these attempts running, and has been welcomed.
    async fn open(stage: &Stage, ordinal: u64, running: Vec<v1::AttemptKey>) -> (Self, v1::Welcome) {
        let mut stream = Self::silent(stage).await;
        let phase = v1::Phase::Running.into();
        let running =
            running.into_iter().map(|key| v1::RunningAttempt { key: Some(key), phase }).collect::<Vec<_>>();
        stream.say(WorkerWord::Hello(v1::Hello { ordinal, running, ..hello() })).await;
        match stream.hears().await {
            ServerWord::Welcome(welcome) => (stream, welcome),
            other => panic!("{other:?}"),
        }
    }

    async fn silent(stage: &Stage) -> Self {
        let (frames, outbound) = mpsc::channel(8);
        let endpoint = Endpoint::from_shared(format!("http://{}", stage.server.rpc)).expect("an address");
        let mut client = tonic::client::Grpc::new(endpoint.connect().await.expect("the server listens"));
        client.ready().await.expect("the connection holds");
        let mut request = Request::new(ReceiverStream::new(outbound));
        let bearer = format!("Bearer {}", stage.server.token).parse().expect("a header");
        request.metadata_mut().insert("authorization", bearer);
        let path = PathAndQuery::from_static("/fastjob.v1.Worker/Session");
        let opened = patiently("the stream opens", client.streaming(request, path, Raw)).await;
        Self { frames, said: opened.expect("the token is valid").into_inner() }
    }

    async fn say(&self, word: WorkerWord) {
        let frame = v1::WorkerFrame { messages: vec![v1::WorkerMessage { message: Some(word) }] };
        self.send(frame.encode_to_vec().into()).await;
    }

    async fn send(&self, frame: Bytes) {
        self.frames.send(frame).await.expect("the stream is open");
    }

    /// The next word that is no ping and does not ask for credit.
    async fn hears(&mut self) -> ServerWord {
        loop {
            let frame =
                patiently("a frame", self.said.message()).await.expect("it lives").expect("it goes on");
            let frame = v1::ServerFrame::decode(frame).expect("it is a frame");
            let words: Vec<_> = frame.messages.into_iter().filter_map(|message| message.message).collect();
            let passed_over =
                |word: &ServerWord| matches!(word, ServerWord::Ping(_) | ServerWord::Wanting(_));
            let mut words = words.into_iter().filter(|word| !passed_over(word));
            if let Some(word) = words.next() {
                assert_eq!(words.count(), 0, "the test reads one word a frame");
                return word;
            }
        }
    }

    async fn verdict(&mut self) -> v1::Verdict {
        match self.hears().await {
            ServerWord::OutcomeAck(ack) => ack.verdict(),
            other => panic!("{other:?}"),
        }
    }

    async fn dispatched(&mut self) -> v1::AttemptKey {
        match self.hears().await {
            ServerWord::Dispatch(dispatch) => dispatch.key.expect("an attempt has its key"),
            other => panic!("{other:?}"),
        }
    }

    /// Why the stream ended.
    async fn refused(mut self) -> (Code, v1::ErrorDetail) {
        let status: Status = loop {
            match patiently("the end of the stream", self.said.message()).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without a status"),
                Err(status) => break status,
            }
        };
        let detail = v1::ErrorDetail::decode(status.details()).expect("it has details");
        (status.code(), detail)
    }
}

fn hello() -> v1::Hello {
    v1::Hello {
        app: "demo".into(),
        session: SESSION.to_vec().into(),
        ordinal: 1,
        worker: "by hand".into(),
        sdk: "test".into(),
        protocol: 1,
        handlers: vec![v1::Handler { name: "work".into(), version: String::new() }],
        slots: 4,
        ..v1::Hello::default()
    }
}

fn success(key: v1::AttemptKey) -> WorkerWord {
    let kind = v1::OutcomeKind::Succeeded.into();
    WorkerWord::Outcome(v1::Outcome { key: Some(key), kind, ..v1::Outcome::default() })
}

const CREDIT: WorkerWord = WorkerWord::Credit(v1::Credit { shard: 0, add: 1 });

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_attempt_and_token_of_the_dispatch_settle_a_run() {
    let stage = Stage::open().await;
    let (mut worker, _) = ByHand::open(&stage, 1, vec![]).await;
    stage.put(Job::named("job").handler("work")).await;
    worker.say(CREDIT).await;
    let run = stage.fire("job").await;
    let key = worker.dispatched().await;
    let other = |change: fn(&mut v1::AttemptKey)| {
        let mut key = key.clone();
        change(&mut key);
        success(key)
    };
    let table = [
        (other(|key| key.run = vec![1; 16].into()), v1::Verdict::Unknown),
        (other(|key| key.token = key.token.wrapping_add(1)), v1::Verdict::Late),
        (other(|key| key.attempt += 1), v1::Verdict::Late),
        (success(key.clone()), v1::Verdict::Accepted),
        (success(key.clone()), v1::Verdict::Duplicate),
        (other(|key| key.token = key.token.wrapping_add(1)), v1::Verdict::Late),
    ];
    for (outcome, verdict) in table {
        if verdict == v1::Verdict::Accepted {
            assert_eq!(stage.run(run).await.state, RunState::Dispatched, "a wrong outcome settled the run");
        }
        worker.say(outcome).await;
        assert_eq!(worker.verdict().await, verdict);
    }
    let failed = v1::OutcomeKind::Failed.into();
    worker
        .say(WorkerWord::Outcome(v1::Outcome { key: Some(key), kind: failed, ..v1::Outcome::default() }))
        .await;
    assert_eq!(worker.verdict().await, v1::Verdict::Late, "another outcome of the same attempt");
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Succeeded, ""), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_frame_ends_its_stream_alone_and_the_attempt_goes_on_with_the_next_stream() {
    let stage = Stage::open().await;
    let (other, mut gate) = stage.held("other").await;
    stage.put(Job::named("job").handler("work")).await;
    stage.put(Job::named("beside").handler("other")).await;
    let beside = stage.fire("beside").await;
    let visit = gate.entered().await;
    let (mut worker, _) = ByHand::open(&stage, 1, vec![]).await;
    worker.say(CREDIT).await;
    let run = stage.fire("job").await;
    let key = worker.dispatched().await;

    let malformed = || Bytes::from_static(b"\x0a\xff\xff\xff\xff\x0fno such length");
    let empty = || v1::WorkerFrame { messages: vec![v1::WorkerMessage { message: None }] };
    let half = || v1::Outcome { key: None, kind: 1, ..v1::Outcome::default() };
    let half = || v1::WorkerMessage { message: Some(WorkerWord::Outcome(half())) };
    let half = || v1::WorkerFrame { messages: vec![half()] };
    let much = || v1::WorkerMessage { message: Some(WorkerWord::Credit(v1::Credit { shard: 0, add: 5 })) };
    let much = || v1::WorkerFrame { messages: vec![much()] };
    let oversized = || Bytes::from(vec![0x0a; 4 * 1024 * 1024 + 1]);
    let table = [
        (malformed(), "frame_malformed", ""),
        (empty().encode_to_vec().into(), "unknown_message", "messages[0]"),
        (half().encode_to_vec().into(), "key_missing", "messages[0].outcome.key"),
        (much().encode_to_vec().into(), "out_of_bounds", "messages[0].credit.add"),
        (oversized(), "frame_too_large", ""),
    ];
    let mut ordinal = 1;
    for (frame, code, field) in table {
        worker.send(frame).await;
        let (status, detail) = worker.refused().await;
        assert_eq!((status, &*detail.code), (Code::InvalidArgument, code));
        assert!(detail.field.starts_with(field), "{detail:?}");
        assert!(!detail.remedy.is_empty() && !detail.message.is_empty(), "{detail:?}");
        ordinal += 1;
        let (next, welcome) = ByHand::open(&stage, ordinal, vec![key.clone()]).await;
        assert_eq!((welcome.adopted, welcome.drop), (vec![key.clone()], vec![]), "after {code}");
        worker = next;
    }
    worker.say(success(key)).await;
    assert_eq!(worker.verdict().await, v1::Verdict::Accepted);
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt, outcomes(&run)), ((RunState::Succeeded, ""), 1, vec!["succeeded"]));
    assert!(other.is_connected() && !visit.ctx.is_cancelled(), "another worker was disturbed");
    visit.succeed("undisturbed");
    assert_eq!(end(&stage.ended(beside).await), (RunState::Succeeded, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hello_with_what_cannot_be_is_refused_by_field() {
    let stage = Stage::open().await;
    let named = |name: &str| v1::Handler { name: name.into(), version: String::new() };
    let unknown = || v1::AttemptKey { shard: 0, run: vec![9; 16].into(), attempt: 1, token: 1 };
    let table: [(v1::Hello, &str); 7] = [
        (v1::Hello { protocol: 9, ..hello() }, "hello.protocol"),
        (v1::Hello { slots: 0, ..hello() }, "hello.slots"),
        (v1::Hello { session: vec![1; 15].into(), ..hello() }, "hello.session"),
        (v1::Hello { handlers: vec![named("")], ..hello() }, "hello.handlers[0].name"),
        (v1::Hello { handlers: vec![named("a"), named("a")], ..hello() }, "hello.handlers[1].name"),
        (v1::Hello { worker: "w".repeat(129), ..hello() }, "hello.worker"),
        (v1::Hello { app: "a\u{7}".into(), ..hello() }, "hello.app"),
    ];
    for (hello, field) in table {
        let worker = ByHand::silent(&stage).await;
        worker.say(WorkerWord::Hello(hello)).await;
        let (status, detail) = worker.refused().await;
        assert_eq!((status, &*detail.field), (Code::InvalidArgument, field));
        assert!(!detail.remedy.is_empty());
    }
    let (_worker, welcome) = ByHand::open(&stage, 1, vec![unknown()]).await;
    assert_eq!((welcome.adopted, welcome.drop), (vec![], vec![unknown()]), "an attempt that is no run's");
}

/// Frames as they are on the wire.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, frame: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(frame);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
