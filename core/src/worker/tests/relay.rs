//! Stands between a worker and its server, and can go silent: neither end hears of it.

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

pub(super) struct Relay {
    pub(super) address: String,
    silenced: watch::Sender<u64>,
    _accepting: AbortOnDropHandle<()>,
}

impl Relay {
    pub(super) async fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let silenced = watch::Sender::new(0);
        let (heard, server) = (silenced.clone(), server.to_owned());
        let accepting = TaskTracker::new().spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.expect("it listens");
                connections.spawn(carry(near, server.clone(), heard.subscribe()));
            }
        });
        Self { address, silenced, _accepting: AbortOnDropHandle::new(accepting) }
    }

    /// Nothing passes any more on the connections of now; new ones are carried.
    pub(super) fn silence(&self) {
        self.silenced.send_modify(|times| *times += 1);
    }
}

async fn carry(mut near: TcpStream, server: String, mut silenced: watch::Receiver<u64>) {
    let mut far = TcpStream::connect(server).await.expect("the server listens");
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = silenced.changed() => std::future::pending().await,
    }
}
