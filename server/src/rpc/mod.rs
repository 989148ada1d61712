//! The gRPC door: a skin over [`crate::api`] and the streams of workers. It reads what comes, hands it on, and shows
//! what comes back; it decides nothing.

mod accept;
mod admin;
mod client;
mod contact;
mod end;
mod link;
mod links;
mod peer;
mod session;
mod worker;

use std::time::Duration;

use fastjob_core::domain::Refusal;
use fastjob_core::protocol::refusal;
use fastjob_core::protocol::v1::admin_server::AdminServer;
use fastjob_core::protocol::v1::client_server::ClientServer;
use fastjob_core::protocol::v1::peer_server::PeerServer;
use fastjob_core::protocol::v1::worker_server::WorkerServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::api::Api;
use crate::api::auth::{Admin, Authorized, Caller};
use crate::cluster::peers;

/// The largest message either way.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Calls of one connection that are worked on at a time.
const MAX_CALLS_PER_CONNECTION: usize = 1_024;
/// Streams of one connection, of workers and calls.
const MAX_STREAMS_PER_CONNECTION: u32 = 2_048;
/// Bytes that may be under way to this side, of a stream and of a connection: with less, a full frame waits for its
/// receiver's leave half way.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;
/// Bytes of the headers of a call.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// A connection that hears nothing is asked, and closed if it does not answer.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// How long it has for that answer.
const KEEPALIVE_WAIT: Duration = Duration::from_secs(10);
/// After a shutdown, calls and streams have this long to end.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// How often workers and servers hear from each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// The server pings this often.
    pub ping_ms: i64,
    /// Hearing nothing for this long, either side leaves the stream.
    pub silence_ms: i64,
    /// A worker whose handlers' side gives no sign of life for this long is lost.
    pub lost_after_ms: i64,
}

impl Pace {
    /// The pace under a lease: a worker leaves a server whose lease is about to end.
    pub fn of_lease(lease_ms: i64, lost_after_ms: i64) -> Self {
        Self { ping_ms: 1_000, silence_ms: (lease_ms / 4 * 3).min(3_000), lost_after_ms }
    }
}

/// Serves until `shutdown`; then streams are told to move and calls may end, for 5 s at most.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    pace: Pace,
    shutdown: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let streams = TaskTracker::new();
    let worker = worker::WorkerDoor::new(api.clone(), pace, streams.clone(), shutdown.clone());
    let serving = Server::builder()
        .concurrency_limit_per_connection(MAX_CALLS_PER_CONNECTION)
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_WAIT))
        .add_service(
            WorkerServer::new(worker)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            ClientServer::new(client::ClientDoor::new(api.clone()))
                .max_decoding_message_size(MAX_MESSAGE_BYTES),
        )
        .add_service(
            PeerServer::new(peer::PeerDoor::new(api.clone()))
                .max_decoding_message_size(peers::MAX_MESSAGE_BYTES),
        )
        .add_service(
            AdminServer::new(admin::AdminDoor::new(api)).max_decoding_message_size(MAX_MESSAGE_BYTES),
        )
        .serve_with_incoming_shutdown(
            accept::bounded(listener, accept::HANDSHAKE_WAIT),
            shutdown.clone().cancelled_owned(),
        );
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SHUTDOWN_WAIT).await;
    };
    let served = tokio::select! {
        served = serving => served,
        () = late => Ok(()),
    };
    // Also when the listener failed, so that no stream outlives its door.
    shutdown.cancel();
    streams.close();
    if tokio::time::timeout(SHUTDOWN_WAIT, streams.wait()).await.is_err() {
        tracing::warn!(streams = streams.len(), "some worker streams did not end in time");
    }
    served
}

/// Who calls.
fn caller<T>(api: &Api, request: &Request<T>) -> impl Future<Output = Result<Caller, Refusal>> + use<T> {
    let (auth, header) = (api.auth().clone(), request.metadata().get("authorization").cloned());
    async move { auth.caller(header.as_ref().map(|value| value.as_bytes())).await }
}

/// A call within one app: its permission and its message.
async fn of_app<T>(api: &Api, request: Request<T>, app: fn(&T) -> &str) -> Result<(Authorized, T), Status> {
    let caller = caller(api, &request).await.map_err(refused)?;
    let message = request.into_inner();
    let by = caller.of_app(app(&message)).await.map_err(refused)?;
    Ok((by, message))
}

/// A call of the administrator: who calls, the permission, and the message.
async fn of_admin<T>(api: &Api, request: Request<T>) -> Result<(Caller, Admin, T), Status> {
    let caller = caller(api, &request).await.map_err(refused)?;
    let admin = caller.admin().map_err(refused)?;
    Ok((caller, admin, request.into_inner()))
}

fn refused(refusal: Refusal) -> Status {
    refusal::status(&refusal)
}

fn answer<T>(message: T) -> Result<Response<T>, Status> {
    Ok(Response::new(message))
}
