//! A TCP proxy that stands before one address and can be told, while it runs, to spoil some of what passes: by who
//! connected, and by direction.

mod commits;
mod peers;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use commits::Commits;
pub(crate) use peers::Peers;

const CHUNK: usize = 64 * 1024;

/// What becomes of the bytes of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Flow {
    #[default]
    Passes,
    /// Nothing passes; what was sent arrives once the link is healed, as TCP has it.
    Held,
    /// Each chunk comes so much later.
    Late(Duration),
}

/// How a connection is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// Both ends see a reset.
    Reset,
    /// The target sees the end; who connected hears nothing more.
    HalfOpen,
}

/// What a proxy does to connections of some peers.
#[derive(Clone, Debug, Default)]
struct Rules {
    /// Each for peers whose name begins so.
    flows: Vec<(String, Flow, Flow)>,
    /// Counts cuts: a connection that saw an older number is cut.
    cuts: u64,
    cut: Option<(String, Cut)>,
    /// Answers to renewals of a lease are held.
    mutes_renewals: bool,
    target: Option<SocketAddr>,
}

/// The proxy.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    rules: Arc<watch::Sender<Rules>>,
    shared: Arc<Shared>,
}

struct Shared {
    peers: Peers,
    /// Bytes until the next connection is reset; negative: never.
    bytes_left: AtomicI64,
    /// Answers to a COMMIT until one is swallowed with its connection; negative: never.
    commits_left: AtomicI64,
    swallowed: AtomicI64,
    connections: TaskTracker,
}

impl Proxy {
    /// Listens on a free port. Nothing can be reached through it until it has a target.
    pub(crate) async fn listen(peers: Peers) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("failed to listen for a proxy: {error}");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            peers,
            bytes_left: AtomicI64::new(-1),
            commits_left: AtomicI64::new(-1),
            swallowed: AtomicI64::new(0),
            connections: TaskTracker::new(),
        });
        let rules = Arc::new(watch::Sender::new(Rules::default()));
        let (accepting, heard) = (Arc::clone(&shared), Arc::clone(&rules));
        shared.connections.spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let shared = Arc::clone(&accepting);
                let rules = heard.subscribe();
                accepting.connections.spawn(async move { carry(stream, peer, rules, &shared).await });
            }
        });
        Ok(Self { address, rules, shared })
    }

    /// Where it leads.
    pub(crate) fn leads_to(&self, target: SocketAddr) {
        self.rules.send_modify(|rules| rules.target = Some(target));
    }

    /// From now on: for peers whose name begins with `peer`, what they send, and what is sent to them.
    pub(crate) fn set(&self, peer: &str, up: Flow, down: Flow) {
        self.rules.send_modify(|rules| {
            rules.flows.retain(|(name, _, _)| name != peer);
            if (up, down) != (Flow::Passes, Flow::Passes) {
                rules.flows.push((peer.to_owned(), up, down));
            }
        });
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        self.rules.send_modify(|rules| {
            rules.flows.clear();
            rules.mutes_renewals = false;
        });
        self.shared.bytes_left.store(-1, Ordering::SeqCst);
        self.shared.commits_left.store(-1, Ordering::SeqCst);
    }

    /// From now on renewals of a lease reach the database, and nobody hears what it says to them.
    pub(crate) fn mute_renewals(&self) {
        self.rules.send_modify(|rules| rules.mutes_renewals = true);
    }

    /// Ends every connection of these peers.
    pub(crate) fn cut(&self, peer: &str, how: Cut) {
        self.rules.send_modify(|rules| {
            rules.cuts += 1;
            rules.cut = Some((peer.to_owned(), how));
        });
    }

    /// Resets the connection that carries the n-th byte from now.
    pub(crate) fn cut_after(&self, bytes: i64) {
        self.shared.bytes_left.store(bytes, Ordering::SeqCst);
    }

    /// Swallows the database's answer to the n-th COMMIT from now, and resets its connection.
    pub(crate) fn swallow_commit(&self, nth: i64) {
        self.shared.commits_left.store(nth, Ordering::SeqCst);
    }

    /// Answers to a COMMIT that were swallowed so far.
    pub(crate) fn swallowed(&self) -> i64 {
        self.shared.swallowed.load(Ordering::SeqCst)
    }
}

impl Rules {
    fn flow(&self, peer: &str, direction: Direction) -> Flow {
        let of = self.flows.iter().rev().find(|(name, _, _)| peer.starts_with(name.as_str()));
        match (of, direction) {
            (None, _) => Flow::Passes,
            (Some((_, up, _)), Direction::Up) => *up,
            (Some((_, _, down)), Direction::Down) => *down,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// From who connected to the target.
    Up,
    Down,
}

async fn carry(mut near: TcpStream, from: SocketAddr, mut rules: watch::Receiver<Rules>, shared: &Shared) {
    let peer = shared.peers.name_of(from);
    let cuts = rules.borrow().cuts;
    // A partitioned address answers nothing, not even to a new connection.
    let open = |rules: &Rules| {
        rules.target.is_some()
            && rules.flow(&peer, Direction::Up) != Flow::Held
            && rules.flow(&peer, Direction::Down) != Flow::Held
    };
    let Some(target) = rules.wait_for(open).await.ok().and_then(|rules| rules.target) else { return };
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let end = {
        let (mut near_read, mut near_write) = near.split();
        let (mut far_read, mut far_write) = far.split();
        let commits = Mutex::new(Commits::default());
        let pump =
            |direction| Pump { peer: &peer, direction, rules: rules.clone(), shared, commits: &commits };
        let up = pump(Direction::Up).run(&mut near_read, &mut far_write);
        let down = pump(Direction::Down).run(&mut far_read, &mut near_write);
        tokio::select! {
            end = async { tokio::try_join!(up, down) } => end.err(),
            how = cut_of(&peer, cuts, rules.clone()) => Some(how),
        }
    };
    match end {
        None => {}
        Some(Cut::Reset) => {
            let _ = (near.set_zero_linger(), far.set_zero_linger());
        }
        Some(Cut::HalfOpen) => {
            drop(far);
            let mut nowhere = vec![0; CHUNK];
            while near.read(&mut nowhere).await.is_ok_and(|read| read > 0) {}
        }
    }
}

/// Returns once a connection of this peer, which saw so many cuts, is to be cut.
async fn cut_of(peer: &str, seen: u64, mut rules: watch::Receiver<Rules>) -> Cut {
    let mut seen = seen;
    loop {
        if rules.wait_for(|rules| rules.cuts > seen).await.is_err() {
            return std::future::pending().await;
        }
        let rules = rules.borrow();
        seen = rules.cuts;
        if let Some((_, how)) = rules.cut.as_ref().filter(|(name, _)| peer.starts_with(name.as_str())) {
            return *how;
        }
    }
}

/// One direction of a connection.
struct Pump<'a> {
    peer: &'a str,
    direction: Direction,
    rules: watch::Receiver<Rules>,
    shared: &'a Shared,
    commits: &'a Mutex<Commits>,
}

impl Pump<'_> {
    /// Carries until the end of what comes. Errors: the connection is to be reset.
    async fn run(
        mut self,
        from: &mut (impl tokio::io::AsyncRead + Unpin),
        to: &mut (impl tokio::io::AsyncWrite + Unpin),
    ) -> Result<(), Cut> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = from.read(&mut chunk).await.map_err(|_| Cut::Reset)?;
            if read == 0 {
                return to.shutdown().await.map_err(|_| Cut::Reset);
            }
            let answers_renewal = self.direction == Direction::Down && self.commits().renews();
            let passes = |rules: &Rules| {
                rules.flow(self.peer, self.direction) != Flow::Held
                    && !(rules.mutes_renewals && answers_renewal)
            };
            let flow = self.rules.wait_for(passes).await.map(|rules| rules.flow(self.peer, self.direction));
            let flow = flow.map_err(|_| Cut::Reset)?;
            if let Flow::Late(by) = flow {
                tokio::time::sleep(by).await;
            }
            if self.is_swallowed(&chunk[..read]) {
                return Err(Cut::Reset);
            }
            let whole = self.allowed(read);
            to.write_all(&chunk[..whole]).await.map_err(|_| Cut::Reset)?;
            if whole < read {
                return Err(Cut::Reset);
            }
        }
    }

    fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of these bytes may pass.
    fn allowed(&self, bytes: usize) -> usize {
        let left = &self.shared.bytes_left;
        if left.load(Ordering::SeqCst) < 0 {
            return bytes;
        }
        let taken = i64::try_from(bytes).unwrap_or(i64::MAX);
        let before = left.fetch_sub(taken, Ordering::SeqCst);
        if before > taken {
            return bytes;
        }
        left.store(-1, Ordering::SeqCst);
        usize::try_from(before.max(0)).unwrap_or(0).min(bytes.saturating_sub(1))
    }

    /// Whether these bytes answer the COMMIT that is not to be answered.
    fn is_swallowed(&self, bytes: &[u8]) -> bool {
        let mut commits = self.commits();
        let answered = match self.direction {
            Direction::Up => {
                commits.asked(bytes);
                false
            }
            Direction::Down => commits.answered(bytes),
        };
        let left = &self.shared.commits_left;
        let swallowed =
            answered && left.load(Ordering::SeqCst) >= 0 && left.fetch_sub(1, Ordering::SeqCst) <= 1;
        if swallowed {
            left.store(-1, Ordering::SeqCst);
            self.shared.swallowed.fetch_add(1, Ordering::SeqCst);
        }
        swallowed
    }
}
