//! Servers whose answers the test decides: Locate by hand, and every method of the service `Client` by one script.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::client::raw::Raw;
use crate::client::{Client, Options};
use crate::protocol::v1;
use crate::protocol::v1::worker_server::{Worker, WorkerServer};

/// What a server does with a call.
pub(super) enum Answer {
    Now(Result<Bytes, Status>),
    /// Nothing, for ever.
    Never,
}

type Script = Arc<dyn Fn(&str, Bytes) -> Answer + Send + Sync>;
type Boxed<A> = Pin<Box<dyn Future<Output = A> + Send>>;

/// What all servers of a cluster answer to Locate.
#[derive(Default)]
pub(super) struct Directory {
    pub(super) owners: Vec<String>,
    pub(super) servers: Vec<String>,
}

pub(super) struct Server {
    pub(super) address: String,
    /// Calls that came, in order.
    pub(super) calls: Arc<Mutex<Vec<(String, Bytes)>>>,
    stop: CancellationToken,
    server: AbortOnDropHandle<()>,
}

impl Server {
    pub(super) async fn start(
        directory: &Arc<Mutex<Directory>>,
        script: impl Fn(&str, Bytes) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        directory.lock().servers.push(address.clone());
        let calls = Arc::<Mutex<Vec<_>>>::default();
        let clients = Clients { script: Arc::new(script), calls: calls.clone() };
        let workers = WorkerServer::new(Locates(directory.clone()));
        let stop = CancellationToken::new();
        let until = stop.clone().cancelled_owned();
        let server = TaskTracker::new().spawn(async move {
            let server = tonic::transport::Server::builder().add_service(workers).add_service(clients);
            let incoming = TcpListenerStream::new(listener);
            server.serve_with_incoming_shutdown(incoming, until).await.expect("it serves");
        });
        Self { address, calls, stop, server: AbortOnDropHandle::new(server) }
    }

    /// Closes its connections and listens no more.
    pub(super) async fn end(self) {
        self.stop.cancel();
        self.server.await.expect("no panic");
    }

    pub(super) async fn client(&self) -> Client {
        let options = Options::new([self.address.clone()], "demo", "secret");
        Client::connect(options).await.expect("good options")
    }

    pub(super) fn count(&self) -> usize {
        self.calls.lock().len()
    }
}

pub(super) fn answer(message: &impl Message) -> Answer {
    Answer::Now(Ok(message.encode_to_vec().into()))
}

/// A refusal as servers send it.
pub(super) fn refuse(status: Code, code: &str) -> Answer {
    let detail = v1::ErrorDetail { code: code.to_owned(), message: code.to_owned(), ..Default::default() };
    Answer::Now(Err(Status::with_details(status, code, detail.encode_to_vec().into())))
}

#[derive(Clone)]
struct Clients {
    script: Script,
    calls: Arc<Mutex<Vec<(String, Bytes)>>>,
}

impl NamedService for Clients {
    const NAME: &'static str = "fastjob.v1.Client";
}

impl Service<http::Request<Body>> for Clients {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        assert_eq!(request.headers()["authorization"], "Bearer secret");
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let call = OneCall { method, of: self.clone() };
        Box::pin(async move { Ok(Grpc::new(Raw).unary(call, request).await) })
    }
}

struct OneCall {
    method: String,
    of: Clients,
}

impl UnaryService<Bytes> for OneCall {
    type Response = Bytes;
    type Future = Boxed<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let message = request.into_inner();
        self.of.calls.lock().push((self.method.clone(), message.clone()));
        match (self.of.script)(&self.method, message) {
            Answer::Now(answer) => Box::pin(std::future::ready(answer.map(Response::new))),
            Answer::Never => Box::pin(std::future::pending()),
        }
    }
}

struct Locates(Arc<Mutex<Directory>>);

#[tonic::async_trait]
impl Worker for Locates {
    async fn locate(&self, _: Request<v1::LocateRequest>) -> Result<Response<v1::LocateReply>, Status> {
        let directory = self.0.lock();
        let owner =
            |(shard, address): (u32, &String)| v1::ShardOwner { shard, epoch: 1, address: address.clone() };
        let shards = (0..).zip(&directory.owners).map(owner).collect();
        Ok(Response::new(v1::LocateReply { shards, servers: directory.servers.clone() }))
    }

    async fn report(&self, _: Request<v1::ReportRequest>) -> Result<Response<v1::ReportReply>, Status> {
        Err(Status::unimplemented("no worker is here"))
    }

    type SessionStream = ReceiverStream<Result<v1::ServerFrame, Status>>;

    async fn session(
        &self,
        _: Request<Streaming<v1::WorkerFrame>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        Err(Status::unimplemented("no worker is here"))
    }
}
