//! Accepts connections within bounds: their number, the time for a request's head and for its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Open connections; more wait to be accepted.
const MAX_CONNECTIONS: usize = 512;
/// From a connection's first byte, or its last answer, to the end of a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest life of a connection.
const CONNECTION_LIFE: Duration = Duration::from_secs(600);
/// The largest head of a request.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long open requests may take to end once the server stops.
pub(super) const DRAIN: Duration = Duration::from_secs(5);
/// The pause after an accept that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves every connection until `shutdown`.
pub(super) async fn accept(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepted => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let served = connection(stream, router.clone(), shutdown.clone());
                connections.spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an HTTP connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "HTTP requests were cut off by the stop");
    }
    Ok(())
}

/// One connection to its end. Its errors are the client's, and of no interest but to the curious.
async fn connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    let serving = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::time::timeout(CONNECTION_LIFE, async {
        tokio::select! {
            ended = serving.as_mut() => ended,
            () = shutdown.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.as_mut().await
            }
        }
    });
    match ended.await {
        Ok(Err(error)) => tracing::debug!(%error, "an HTTP connection broke"),
        Ok(Ok(())) => {}
        Err(_) => tracing::debug!("an HTTP connection reached the end of its life"),
    }
}
