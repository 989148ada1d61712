//! Where handlers report that they are entered and left. No plan ever harms it, and a line that a handler wrote arrives
//! also if its process is killed the moment after.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

/// The lines so far.
#[derive(Clone)]
pub(crate) struct Observer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    lines: Vec<Value>,
    /// Executions under way, by run, attempt and process.
    open: BTreeMap<(String, u64, u64), ()>,
    starts: usize,
    newest_epoch: u64,
    /// Executions whose outcome was not answered yet, as `open`.
    unanswered: BTreeMap<(String, u64, u64), ()>,
}

impl Observer {
    /// Listens until this process ends.
    pub(crate) fn listen() -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("failed to listen for handlers: {error}");
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let heard = Arc::clone(&seen);
        // It ends with the process: nobody waits for the last line of a handler that never comes.
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&heard);
                thread::spawn(move || {
                    for line in BufReader::new(stream).lines().map_while(Result::ok) {
                        if let Ok(line) = serde_json::from_str(&line) {
                            heard.lock().unwrap_or_else(PoisonError::into_inner).take(line);
                        }
                    }
                });
            }
        });
        Ok(Self { address, seen })
    }

    /// Attempts that are in their handlers, in processes that are alive.
    pub(crate) fn in_flight(&self, alive: &[u32]) -> usize {
        let alive = |pid: &u64| alive.iter().any(|one| u64::from(*one) == *pid);
        self.with(|seen| seen.open.keys().filter(|(_, _, pid)| alive(pid)).count())
    }

    /// Attempts that processes that are alive hold: not ended, or ended and not answered.
    pub(crate) fn held(&self, alive: &[u32]) -> usize {
        let alive = |pid: &u64| alive.iter().any(|one| u64::from(*one) == *pid);
        self.with(|seen| seen.unanswered.keys().filter(|(_, _, pid)| alive(pid)).count())
    }

    /// Handlers entered so far.
    pub(crate) fn starts(&self) -> usize {
        self.with(|seen| seen.starts)
    }

    /// The newest epoch that a handler was told.
    pub(crate) fn newest_epoch(&self) -> u64 {
        self.with(|seen| seen.newest_epoch)
    }

    /// All lines, in the order in which they came.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.with(|seen| seen.lines.clone())
    }

    fn with<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    fn take(&mut self, line: Value) {
        let key = (
            line["run"].as_str().unwrap_or_default().to_owned(),
            line["attempt"].as_u64().unwrap_or(0),
            line["pid"].as_u64().unwrap_or(0),
        );
        match line["kind"].as_str() {
            Some("start") => {
                self.open.insert(key.clone(), ());
                self.unanswered.insert(key, ());
                self.starts += 1;
                self.newest_epoch = self.newest_epoch.max(line["epoch"].as_u64().unwrap_or(0));
            }
            Some("end") => drop(self.open.remove(&key)),
            Some("verdict") => drop(self.unanswered.remove(&key)),
            _ => {}
        }
        self.lines.push(line);
    }
}
