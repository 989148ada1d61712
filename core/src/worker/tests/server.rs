//! A server for one worker under test: real gRPC on the loopback, every frame by the test's own hand.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, Streaming};

use crate::client::{Client, Options};
use crate::id::RunId;
use crate::protocol::v1;
use crate::protocol::v1::server_message::Message as Say;
use crate::protocol::v1::worker_message::Message as Heard;
use crate::protocol::v1::worker_server::{Worker, WorkerServer};

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Server {
    pub(super) address: String,
    /// What Locate answers, at this server and at those of its cluster.
    pub(super) directory: Arc<Mutex<Directory>>,
    /// What other servers' workers told this one.
    pub(super) reports: mpsc::Receiver<v1::ReportRequest>,
    streams: mpsc::Receiver<Stream>,
    _server: AbortOnDropHandle<()>,
    _stop: DropGuard,
}

/// What servers know of each other, by the test's hand.
#[derive(Default)]
pub(super) struct Directory {
    pub(super) owners: Vec<v1::ShardOwner>,
    pub(super) servers: Vec<String>,
    pub(super) refusal: Option<Status>,
    /// What reports are answered with.
    pub(super) verdict: v1::Verdict,
    pub(super) reached: Vec<u32>,
}

/// One stream of the worker, by its server's side.
pub(super) struct Stream {
    frames: mpsc::Sender<Result<v1::ServerFrame, Status>>,
    incoming: Streaming<v1::WorkerFrame>,
    waiting: VecDeque<Heard>,
    /// Credit granted so far, less what was used by dispatches.
    pub(super) credit: u32,
}

struct Service {
    directory: Arc<Mutex<Directory>>,
    streams: mpsc::Sender<Stream>,
    reports: mpsc::Sender<v1::ReportRequest>,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::with(vec![0], None).await
    }

    /// One that owns these shards in epoch 1.
    pub(super) async fn with(shards: Vec<u32>, refusal: Option<Status>) -> Self {
        let server = Self::listen(Arc::default()).await;
        server.directory.lock().refusal = refusal;
        shards.into_iter().for_each(|shard| server.owns(shard, 1));
        server
    }

    /// Several that know of each other; nobody owns anything yet.
    pub(super) async fn cluster<const N: usize>() -> [Self; N] {
        let directory = Arc::<Mutex<Directory>>::default();
        let mut servers = Vec::new();
        for _ in 0..N {
            servers.push(Self::listen(directory.clone()).await);
        }
        servers.try_into().unwrap_or_else(|_| panic!("so many were made"))
    }

    async fn listen(directory: Arc<Mutex<Directory>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        directory.lock().servers.push(address.clone());
        let (sender, streams) = mpsc::channel(8);
        let (report, reports) = mpsc::channel(8);
        let stop = CancellationToken::new();
        let service = Service { directory: directory.clone(), streams: sender, reports: report };
        let stopped = stop.clone();
        let server = tokio_util::task::TaskTracker::new().spawn(async move {
            let server = tonic::transport::Server::builder().add_service(WorkerServer::new(service));
            let until = stopped.cancelled_owned();
            server
                .serve_with_incoming_shutdown(TcpListenerStream::new(listener), until)
                .await
                .expect("it serves");
        });
        let (_server, _stop) = (AbortOnDropHandle::new(server), stop.drop_guard());
        Self { address, directory, reports, streams, _server, _stop }
    }

    /// From now on, as Locate tells.
    pub(super) fn owns(&self, shard: u32, epoch: i64) {
        let mut directory = self.directory.lock();
        directory.owners.retain(|of| of.shard != shard);
        directory.owners.push(v1::ShardOwner { shard, epoch, address: self.address.clone() });
        directory.owners.sort_by_key(|of| of.shard);
    }

    pub(super) async fn client(&self) -> Client {
        Client::connect(Options::new([self.address.clone()], "demo", "secret")).await.expect("good options")
    }

    /// The worker's next stream with its Hello.
    pub(super) async fn stream(&mut self) -> (Stream, v1::Hello) {
        let mut stream = patient(self.streams.recv()).await.expect("the server lives");
        let hello = stream.hello().await;
        (stream, hello)
    }

    /// The next stream, welcomed as by an owner of shard 0 in epoch 1.
    pub(super) async fn welcomed(&mut self) -> Stream {
        self.welcomed_for(&[0], 1).await
    }

    /// The next stream, welcomed by the owners of these shards.
    pub(super) async fn welcomed_for(&mut self, shards: &[u32], epoch: i64) -> Stream {
        let (mut stream, _) = self.stream().await;
        for &shard in shards {
            stream.say(Say::Welcome(welcome_for(shard, epoch))).await;
        }
        stream
    }

    pub(super) async fn reported(&mut self) -> v1::ReportRequest {
        patient(self.reports.recv()).await.expect("the server lives")
    }

    /// Whether a stream has come that nobody took yet.
    pub(super) fn has_stream(&self) -> bool {
        !self.streams.is_empty()
    }
}

impl Stream {
    pub(super) async fn say(&mut self, message: Say) {
        self.say_all(vec![message]).await;
    }

    pub(super) async fn say_all(&mut self, messages: Vec<Say>) {
        let dispatches = messages.iter().filter(|message| matches!(message, Say::Dispatch(_))).count();
        self.credit = self.credit.saturating_sub(u32::try_from(dispatches).expect("few"));
        let messages =
            messages.into_iter().map(|message| v1::ServerMessage { message: Some(message) }).collect();
        self.frames.send(Ok(v1::ServerFrame { messages })).await.expect("the stream is open");
    }

    /// What the worker says next; `None` once it has left.
    pub(super) async fn hear(&mut self) -> Option<Heard> {
        loop {
            if let Some(heard) = self.waiting.pop_front() {
                if let Heard::Credit(credit) = &heard {
                    self.credit += credit.add;
                }
                return Some(heard);
            }
            let frame = patient(self.incoming.message()).await.ok().flatten()?;
            self.waiting.extend(frame.messages.into_iter().filter_map(|message| message.message));
        }
    }

    /// Waits until the worker has granted this much and nothing used it.
    pub(super) async fn granted(&mut self, credit: u32) {
        while self.credit < credit {
            match self.hear().await.expect("the worker stays") {
                Heard::Credit(_) => {}
                other => panic!("expected credit, heard {other:?}"),
            }
        }
        assert_eq!(self.credit, credit);
    }

    pub(super) async fn hello(&mut self) -> v1::Hello {
        match self.hear().await {
            Some(Heard::Hello(hello)) => hello,
            other => panic!("expected Hello, heard {other:?}"),
        }
    }

    /// The next outcome; credit, beats and progress that come before it are taken note of.
    pub(super) async fn outcome(&mut self) -> v1::Outcome {
        loop {
            match self.hear().await.expect("the worker stays") {
                Heard::Outcome(outcome) => return outcome,
                Heard::Credit(_) | Heard::Beat(_) | Heard::Progress(_) | Heard::Bye(_) => {}
                other => panic!("expected an outcome, heard {other:?}"),
            }
        }
    }

    pub(super) async fn accept(&mut self, outcome: &v1::Outcome) {
        self.say(ack(outcome.key.clone(), v1::Verdict::Accepted)).await;
    }

    /// Waits until the worker has left.
    pub(super) async fn left(&mut self) {
        while self.hear().await.is_some() {}
    }
}

#[tonic::async_trait]
impl Worker for Service {
    async fn locate(&self, request: Request<v1::LocateRequest>) -> Result<Response<v1::LocateReply>, Status> {
        assert_eq!(request.metadata().get("authorization").expect("a token"), "Bearer secret");
        let directory = self.directory.lock();
        if let Some(refusal) = &directory.refusal {
            return Err(refusal.clone());
        }
        let (shards, servers) = (directory.owners.clone(), directory.servers.clone());
        Ok(Response::new(v1::LocateReply { shards, servers }))
    }

    async fn report(&self, request: Request<v1::ReportRequest>) -> Result<Response<v1::ReportReply>, Status> {
        let report = request.into_inner();
        let reply = {
            let directory = self.directory.lock();
            let verdict = directory.verdict.into();
            let outcomes = report.outcomes.iter();
            let acks = outcomes.map(|outcome| v1::OutcomeAck { key: outcome.key.clone(), verdict }).collect();
            v1::ReportReply { acks, reached: directory.reached.clone(), server_time: 1_000_000 }
        };
        self.reports.send(report).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(reply))
    }

    type SessionStream = ReceiverStream<Result<v1::ServerFrame, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::WorkerFrame>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        assert_eq!(request.metadata().get("authorization").expect("a token"), "Bearer secret");
        let (frames, outgoing) = mpsc::channel(64);
        let stream = Stream { frames, incoming: request.into_inner(), waiting: VecDeque::new(), credit: 0 };
        self.streams.send(stream).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

pub(super) fn welcome(epoch: i64) -> v1::Welcome {
    welcome_for(0, epoch)
}

pub(super) fn welcome_for(shard: u32, epoch: i64) -> v1::Welcome {
    v1::Welcome {
        shards: vec![v1::ShardEpoch { shard, epoch }],
        server_time: 1_000_000,
        ping_ms: 1_000,
        silence_ms: 60_000,
        lost_after_ms: 60_000,
        protocol: 1,
        ..Default::default()
    }
}

pub(super) fn key(run: u8) -> v1::AttemptKey {
    v1::AttemptKey { shard: 0, run: vec![run; 16].into(), attempt: 1, token: u64::from(run) }
}

pub(super) fn dispatch(run: u8) -> v1::Dispatch {
    v1::Dispatch {
        key: Some(key(run)),
        epoch: 1,
        job: "job".to_owned(),
        handler: "work".to_owned(),
        timeout_ms: 3_600_000,
        grace_ms: 10_000,
        max_attempts: 1,
        ..Default::default()
    }
}

/// As [`dispatch`], of another shard and epoch.
pub(super) fn dispatch_of(shard: u32, run: u8, epoch: i64) -> Say {
    let key = Some(v1::AttemptKey { shard, ..key(run) });
    Say::Dispatch(v1::Dispatch { key, epoch, ..dispatch(run) })
}

pub(super) fn ack(key: Option<v1::AttemptKey>, verdict: v1::Verdict) -> Say {
    Say::OutcomeAck(v1::OutcomeAck { key, verdict: verdict.into() })
}

pub(super) fn run(run: u8) -> RunId {
    RunId::from_bytes([run; 16])
}

/// The future's answer, or the test's failure.
pub(super) async fn patient<A>(future: impl Future<Output = A>) -> A {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}
