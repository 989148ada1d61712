//! New connections: how many there are, and how long one may say nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// The most connections at a time; those above are closed at once.
pub(super) const MAX_CONNECTIONS: usize = 20_000;
/// A new connection must have begun to speak HTTP/2 after this long.
pub(super) const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// What HTTP/2 begins with.
const PREFACE_BYTES: usize = 24;
/// After a failed accept (no file descriptors left), the next one waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A connection that counts, until it is closed.
pub(super) struct Connection {
    tcp: TcpStream,
    /// Bytes of the preface still to come, and until when.
    handshake: Option<(usize, Pin<Box<Sleep>>)>,
    _place: OwnedSemaphorePermit,
}

/// The connections of a listener, at most [`MAX_CONNECTIONS`]; each must begin to speak HTTP/2 within `handshake_wait`.
pub(super) fn bounded(
    listener: TcpListener,
    handshake_wait: Duration,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accepted = futures_util::stream::unfold(listener, |listener| async move {
        loop {
            match listener.accept().await {
                Ok((tcp, _)) => return Some((tcp, listener)),
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    accepted.filter_map(move |tcp| {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(most = MAX_CONNECTIONS, "closed a new connection: there are too many");
            return None;
        };
        // Frames are small and wait for nothing; without it they would be delayed, not lost.
        let _ = tcp.set_nodelay(true);
        let handshake = Some((PREFACE_BYTES, Box::pin(tokio::time::sleep(handshake_wait))));
        Some(Ok(Connection { tcp, handshake, _place: place }))
    })
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(cx, buffer);
        let Some((missing, deadline)) = &mut self.handshake else { return read };
        *missing = missing.saturating_sub(buffer.filled().len() - before);
        if *missing == 0 {
            self.handshake = None;
            return read;
        }
        if read.is_pending() && deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no HTTP/2 in time")));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.tcp.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn connected(wait: Duration) -> (TcpStream, Connection) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let mut connections = Box::pin(bounded(listener, wait));
        let (client, server) = tokio::join!(TcpStream::connect(address), connections.next());
        (client.expect("it listens"), server.expect("it goes on").expect("it accepts"))
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_is_given_up() {
        let (_client, mut connection) = connected(Duration::from_millis(20)).await;
        let error = connection.read(&mut [0; 64]).await.expect_err("nothing comes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_that_has_begun_to_speak_is_kept() {
        let (mut client, mut connection) = connected(Duration::from_secs(20)).await;
        client.write_all(&[b'x'; PREFACE_BYTES]).await.expect("it is open");
        connection.read_exact(&mut [0; PREFACE_BYTES]).await.expect("it came");
        assert!(connection.handshake.is_none());
    }
}
