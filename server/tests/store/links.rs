//! Connections that go silent: neither end hears of it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::bundle::{Bundle, open};

crate::on_every_server_backend! {
    of_connections_that_went_silent_together_one_is_waited_out
}

/// Far less than what one sentence may take.
const AT_ONCE: Duration = Duration::from_secs(5);

async fn of_connections_that_went_silent_together_one_is_waited_out(on: Bundle) {
    let relay = Relay::before(&on.url()).await;
    let store = open(&relay.url, on.clock.clone()).await.unwrap();
    let asked = tokio::join!(
        store.app_list(),
        store.app_list(),
        store.app_list(),
        store.app_list(),
        store.app_list()
    );
    for answer in [asked.0, asked.1, asked.2, asked.3, asked.4] {
        assert_eq!(answer.unwrap().len(), 1);
    }
    relay.silence();
    let error = store.app_list().await.unwrap_err();
    assert!(error.to_string().contains("no answer"), "{error}");
    for _ in 0..4 {
        let answer = tokio::time::timeout(AT_ONCE, store.app_list()).await;
        assert_eq!(answer.expect("it has a new connection").unwrap().len(), 1);
    }
}

/// Stands between a store and its database.
struct Relay {
    url: String,
    silenced: watch::Sender<u64>,
    _accepting: AbortOnDropHandle<()>,
}

impl Relay {
    async fn before(url: &str) -> Self {
        let (before, rest) = url.split_once('@').unwrap();
        let (address, database) = rest.split_once('/').unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{before}@{}/{database}", listener.local_addr().unwrap());
        let silenced = watch::Sender::new(0);
        let heard = silenced.clone();
        let accepting = tokio_util::task::TaskTracker::new().spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                connections.spawn(carry(near, address, heard.subscribe()));
            }
        });
        Self { url, silenced, _accepting: AbortOnDropHandle::new(accepting) }
    }

    /// Nothing passes any more on the connections of now; new ones are carried.
    fn silence(&self) {
        self.silenced.send_modify(|times| *times += 1);
    }
}

async fn carry(mut near: TcpStream, address: SocketAddr, mut silenced: watch::Receiver<u64>) {
    let mut far = TcpStream::connect(address).await.unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = silenced.changed() => std::future::pending().await,
    }
}
