//! The near end of the floor's stream: a server of one session that hands frames on, and the frames it sends.

use std::sync::Mutex;

use anyhow::Context;
use bytes::Bytes;
use fastjob_core::id::RunId;
use fastjob_core::protocol::v1;
use fastjob_core::protocol::v1::server_message::Message as ToWorker;
use fastjob_core::protocol::v1::worker_message::Message as FromWorker;
use fastjob_core::protocol::v1::worker_server::{Worker, WorkerServer};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use super::rows::{EndedRun, NewRun};

/// Frames that may wait for the connection.
const FRAMES: usize = 64;

/// The stream as the worker opened it.
pub(crate) struct Session {
    outgoing: mpsc::Sender<Result<v1::ServerFrame, Status>>,
    incoming: Streaming<v1::WorkerFrame>,
}

/// The way to the worker.
pub(crate) struct Stream {
    outgoing: mpsc::Sender<Result<v1::ServerFrame, Status>>,
}

/// What comes from the worker, read by a task of its own.
pub(crate) struct Received {
    frames: mpsc::Receiver<Vec<EndedRun>>,
}

/// Where a worker may connect, and the stream once one has.
pub(crate) struct Listener {
    /// "http://127.0.0.1:port".
    pub(crate) address: String,
    connected: oneshot::Receiver<Session>,
}

impl Listener {
    /// Listens on loopback; the serving task joins `tasks`.
    pub(crate) async fn open(tasks: &mut JoinSet<()>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("failed to listen")?;
        let address = format!("http://{}", listener.local_addr()?);
        let (connect, connected) = oneshot::channel();
        let session = OneSession { connect: Mutex::new(Some(connect)) };
        let connections = TcpListenerStream::new(listener).map(|connection| {
            connection.inspect(|connection| {
                // Frames are small: they must not wait for each other.
                let _ = connection.set_nodelay(true);
            })
        });
        tasks.spawn(async move {
            let server = tonic::transport::Server::builder().add_service(WorkerServer::new(session));
            let _ = server.serve_with_incoming(connections).await;
        });
        Ok(Self { address, connected })
    }

    /// Waits for the worker.
    pub(crate) async fn accept(self) -> anyhow::Result<Session> {
        let mut session = self.connected.await.context("failed to meet the worker")?;
        let hello = session.incoming.next().await.context("the worker left")??;
        anyhow::ensure!(!hello.messages.is_empty(), "the worker said nothing");
        Ok(session)
    }
}

struct OneSession {
    connect: Mutex<Option<oneshot::Sender<Session>>>,
}

#[tonic::async_trait]
impl Worker for OneSession {
    async fn locate(&self, _: Request<v1::LocateRequest>) -> Result<Response<v1::LocateReply>, Status> {
        Err(Status::unimplemented("the floor has no servers to name"))
    }

    async fn report(&self, _: Request<v1::ReportRequest>) -> Result<Response<v1::ReportReply>, Status> {
        Err(Status::unimplemented("the floor has no other servers"))
    }

    type SessionStream = ReceiverStream<Result<v1::ServerFrame, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::WorkerFrame>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let connect = self.connect.lock().map(|mut connect| connect.take()).ok().flatten();
        let connect = connect.ok_or_else(|| Status::resource_exhausted("the floor has one session"))?;
        let (outgoing, frames) = mpsc::channel(FRAMES);
        let _ = connect.send(Session { outgoing, incoming: request.into_inner() });
        Ok(Response::new(ReceiverStream::new(frames)))
    }
}

impl Session {
    /// Both directions; the reading task joins `tasks`.
    pub(crate) fn split(self, tasks: &mut JoinSet<()>) -> (Stream, Received) {
        let (hand_on, frames) = mpsc::channel(FRAMES);
        let mut incoming = self.incoming;
        tasks.spawn(async move {
            while let Some(Ok(frame)) = incoming.next().await {
                let outcomes =
                    frame.messages.into_iter().filter_map(|message| ended(message.message?)).collect();
                if hand_on.send(outcomes).await.is_err() {
                    break;
                }
            }
        });
        (Stream { outgoing: self.outgoing }, Received { frames })
    }

    /// One message there and one back.
    pub(crate) async fn ping(&mut self) -> anyhow::Result<()> {
        let message = Some(ToWorker::Ping(v1::Ping { ordinal: 1, server_time: 0 }));
        let frame = v1::ServerFrame { messages: vec![v1::ServerMessage { message }] };
        self.outgoing.send(Ok(frame)).await.context("the worker left")?;
        self.incoming.next().await.context("the worker left")??;
        Ok(())
    }
}

impl Stream {
    /// Sends dispatches and acknowledgements in one frame.
    pub(crate) async fn send(
        &self,
        runs: &[NewRun],
        ended: &[EndedRun],
        params: &Bytes,
        now: i64,
    ) -> anyhow::Result<()> {
        let mut messages = Vec::with_capacity(runs.len() + ended.len());
        messages.extend(ended.iter().map(|run| ToWorker::OutcomeAck(acknowledged(run))));
        messages.extend(runs.iter().map(|run| ToWorker::Dispatch(dispatch(run, params, now))));
        if messages.is_empty() {
            return Ok(());
        }
        let messages =
            messages.into_iter().map(|message| v1::ServerMessage { message: Some(message) }).collect();
        self.outgoing.send(Ok(v1::ServerFrame { messages })).await.context("the worker left")
    }
}

impl Received {
    /// The outcomes of the next frame.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Vec<EndedRun>> {
        self.frames.recv().await.context("the worker left")
    }

    /// The outcomes of the next frame, if it is here.
    pub(crate) fn ready(&mut self) -> Option<Vec<EndedRun>> {
        self.frames.try_recv().ok()
    }
}

fn ended(message: FromWorker) -> Option<EndedRun> {
    let FromWorker::Outcome(outcome) = message else { return None };
    let key = outcome.key?;
    Some(EndedRun {
        id: RunId::from_slice(&key.run)?,
        token: key.token.cast_signed(),
        started_at: outcome.started_at,
        ended_at: outcome.ended_at,
    })
}

fn key(id: &RunId, token: i64) -> v1::AttemptKey {
    let run = Bytes::copy_from_slice(id.as_bytes());
    v1::AttemptKey { shard: 0, run, attempt: 1, token: token.cast_unsigned() }
}

fn acknowledged(run: &EndedRun) -> v1::OutcomeAck {
    v1::OutcomeAck { key: Some(key(&run.id, run.token)), verdict: v1::Verdict::Accepted.into() }
}

fn dispatch(run: &NewRun, params: &Bytes, now: i64) -> v1::Dispatch {
    v1::Dispatch {
        key: Some(key(&run.id, run.token)),
        epoch: now,
        job: "bench".to_owned(),
        handler: "bench".to_owned(),
        params: Some(v1::Payload { encoding: v1::Encoding::Text.into(), data: params.clone() }),
        due: now,
        timeout_ms: 3_600_000,
        grace_ms: 10_000,
        max_attempts: 1,
        revision: 1,
        source: v1::Source::Api.into(),
        idempotency_key: run.fire_key.clone(),
        ..Default::default()
    }
}
