//! The processes of a plan: servers and workers, each behind its proxies, which can be killed, paused and started again.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::clock::Chance;
use super::harness::{PATIENCE, Server, terminate, wait_for};
use super::observer::Observer;
use super::proxy::{Peers, Proxy};

/// A server, over all its deaths.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) server: Server,
    /// What workers, callers and other servers connect to.
    pub(crate) front: Proxy,
    /// What it connects to, if its database is reached by network.
    pub(crate) database: Option<Proxy>,
    pub(crate) alive: bool,
    /// Where it listens itself.
    address: SocketAddr,
    pid: Option<u32>,
    peers: Peers,
}

/// Ports that no outgoing connection is given, so that a server finds its own again after each death.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A loopback address on which nobody listens.
pub(crate) fn free_address(chance: &mut Chance) -> Result<SocketAddr, String> {
    for _ in 0..1_000 {
        let port = PORTS.start + u16::try_from(chance.below(u64::from(PORTS.end - PORTS.start))).unwrap_or(0);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if std::net::TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no port is free".into())
}

impl Node {
    pub(crate) fn new(
        name: String,
        server: Server,
        address: SocketAddr,
        front: Proxy,
        database: Option<Proxy>,
        peers: Peers,
    ) -> Self {
        front.leads_to(address);
        Self { name, server, front, database, alive: false, address, pid: None, peers }
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        self.server.rpc = self.address.to_string();
        self.server.start()?;
        self.began();
        Ok(())
    }

    fn began(&mut self) {
        self.alive = true;
        self.pid = self.server.pid();
        if let Some(pid) = self.pid {
            self.peers.add(pid, &self.name);
        }
    }

    /// Starts it armed: it kills or stops itself at this point.
    pub(crate) fn start_armed(&mut self, failpoint: &str) -> Result<(), String> {
        self.server.rpc = self.address.to_string();
        self.server.spawn(&[("FASTJOB_FAILPOINT", failpoint)])?;
        self.began();
        Ok(())
    }

    /// Waits until it has killed or stopped itself. Answers whether it did before the time was over.
    pub(crate) fn was_struck(&mut self, patience: Duration) -> Result<Armed, String> {
        let ended = wait_for(patience, || self.pid.is_none_or(|pid| is_stopped(pid) || is_zombie(pid)));
        if ended && self.pid.is_some_and(is_stopped) {
            return Ok(Armed::Paused);
        }
        match self.server.ended(Duration::ZERO)? {
            Some(status) if status.signal() == Some(9) => {
                self.ended();
                Ok(Armed::Killed)
            }
            Some(status) => Err(format!("{} ended otherwise than by its failpoint: {status}", self.name)),
            None => Ok(Armed::NotReached),
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<(), String> {
        self.ended();
        self.server.kill().map(drop)
    }

    /// SIGTERM, and waits for its end. That others declared it dead just before is no fault of its.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.alive) {
            return Ok(());
        }
        self.ended();
        self.server.stop().or_else(|why| if self.was_declared_dead() { Ok(()) } else { Err(why) })
    }

    /// SIGSTOP.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether it has just ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        let ended = self.alive && matches!(self.server.ended(Duration::ZERO), Ok(Some(_)));
        if ended {
            self.ended();
        }
        ended
    }

    /// Whether the last thing it said is that others declared it dead.
    pub(crate) fn was_declared_dead(&self) -> bool {
        let log = std::fs::read_to_string(self.server.log()).unwrap_or_default();
        let last = log.rfind("fastjob_server::app: ready").unwrap_or(0);
        log[last..].contains("declared dead")
    }

    fn ended(&mut self) {
        self.alive = false;
        if let Some(pid) = self.pid.take() {
            self.peers.remove(pid);
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid.filter(|_| self.alive).and_then(raw) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

/// What became of a server that was started armed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Armed {
    Killed,
    Paused,
    NotReached,
}

fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn is_stopped(pid: u32) -> bool {
    state_of(pid) == Some('T')
}

fn is_zombie(pid: u32) -> bool {
    matches!(state_of(pid), None | Some('Z' | 'X'))
}

fn state_of(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// The workers: this very program in its other role.
pub(crate) struct Workers {
    children: Vec<Option<Child>>,
    place: PathBuf,
    observer: SocketAddr,
    peers: Peers,
    /// Where the servers are, and as whom to speak to them.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Workers {
    pub(crate) fn new(count: usize, place: &Path, observer: &Observer, peers: Peers) -> Self {
        let children = (0..count).map(|_| None).collect();
        Self { children, place: place.to_owned(), observer: observer.address, peers, variables: Vec::new() }
    }

    pub(crate) fn count(&self) -> usize {
        self.children.len()
    }

    /// Starts those that are not alive.
    pub(crate) fn start_all(&mut self) -> Result<(), String> {
        for which in 0..self.children.len() {
            self.reap(which);
            if self.children[which].is_none() {
                self.children[which] = Some(self.spawn(which)?);
            }
        }
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, which: usize) -> Result<(), String> {
        let Some(mut child) = self.children[which].take() else { return Ok(()) };
        self.peers.remove(child.id());
        child
            .kill()
            .and_then(|()| child.wait())
            .map(drop)
            .map_err(|error| format!("failed to kill a worker: {error}"))
    }

    /// SIGSTOP and SIGCONT.
    pub(crate) fn signal(&self, which: usize, signal: Signal) {
        if let Some(pid) = self.children[which].as_ref().and_then(|child| raw(child.id())) {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// The processes that are at work now.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.children.iter().flatten().map(Child::id).collect()
    }

    /// SIGTERM to all, and waits for them.
    pub(crate) fn stop(&mut self) {
        self.children.iter().flatten().for_each(terminate);
        for child in self.children.iter_mut().flatten() {
            if !wait_for(PATIENCE, || !matches!(child.try_wait(), Ok(None))) {
                let _ = child.kill();
            }
            let _ = child.wait();
        }
    }

    fn reap(&mut self, which: usize) {
        let child = &mut self.children[which];
        if let Some(ended) = child.take_if(|child| !matches!(child.try_wait(), Ok(None))) {
            self.peers.remove(ended.id());
        }
    }

    fn spawn(&self, which: usize) -> Result<Child, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let name = format!("worker-{which}");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.place.join(format!("{name}.log")))
            .map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command
            .envs(self.variables.iter().map(|(key, value)| (*key, value)))
            .env("CHAOS_ROLE", "worker")
            .env("CHAOS_OBSERVER", self.observer.to_string())
            .env("CHAOS_WORKER", &name)
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().map_err(|error| format!("failed to start a worker: {error}"))?;
        self.peers.add(child.id(), name);
        Ok(child)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
