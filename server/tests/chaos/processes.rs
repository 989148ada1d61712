//! The processes under test: one server at a time, some workers, and the command line that asks for the truth.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::harness::{PATIENCE, Server, terminate};

/// The server under test.
pub(crate) fn server(place: &Path) -> Server {
    let data = place.join("data");
    Server::new(
        place,
        ["dev".as_ref(), "--app".as_ref(), "chaos".as_ref(), "--data".as_ref(), data.as_os_str()],
    )
}

/// Starts it armed, and waits until it has killed itself.
pub(crate) fn start_to_die(server: &mut Server, failpoint: &str) -> Result<(), String> {
    server.spawn(&[("FASTJOB_FAILPOINT", failpoint)])?;
    match server.ended(PATIENCE)? {
        Some(status) if status.signal() == Some(9) => Ok(()),
        Some(status) => Err(format!("the server ended otherwise than by failpoint {failpoint}: {status}")),
        None => Err(format!("failpoint {failpoint} was not reached within {PATIENCE:?}")),
    }
}

/// Lets it work for a time, in which it must not die.
pub(crate) fn run_awhile(server: &mut Server, time: Duration) -> Result<(), String> {
    match server.ended(time)? {
        None => Ok(()),
        Some(status) => Err(format!("the server died by itself, {status}; see {}", server.log().display())),
    }
}

/// The workers: this very program in its other role.
pub(crate) struct Workers {
    children: Vec<Child>,
    log: PathBuf,
}

impl Workers {
    pub(crate) fn start(count: usize, server: &Server) -> Result<Self, String> {
        let mut workers = Self { children: Vec::new(), log: server.place.join("executions.jsonl") };
        for _ in 0..count {
            let child = workers.spawn(server)?;
            workers.children.push(child);
        }
        Ok(workers)
    }

    /// SIGKILLs one and starts another in its place.
    pub(crate) fn kill_one(&mut self, which: usize, server: &Server) -> Result<(), String> {
        let replacement = self.spawn(server)?;
        let mut killed = std::mem::replace(&mut self.children[which], replacement);
        killed
            .kill()
            .and_then(|()| killed.wait())
            .map_err(|error| format!("failed to kill a worker: {error}"))?;
        Ok(())
    }

    /// What the handlers wrote down so far, a line per beginning and end.
    pub(crate) fn executions(&self) -> Result<Vec<Value>, String> {
        let Ok(text) = std::fs::read_to_string(&self.log) else { return Ok(Vec::new()) };
        text.lines()
            .map(|line| serde_json::from_str(line).map_err(|error| format!("{line}: {error}")))
            .collect()
    }

    /// The processes that are at work now.
    pub(crate) fn pids(&self) -> Vec<u64> {
        self.children.iter().map(|child| u64::from(child.id())).collect()
    }

    /// SIGTERM to all, and waits for them.
    pub(crate) fn stop(&mut self) {
        for child in &self.children {
            terminate(child);
        }
        for child in &mut self.children {
            let _ = child.wait();
        }
    }

    fn spawn(&self, server: &Server) -> Result<Child, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        server.point(&mut command);
        command.env("CHAOS_ROLE", "worker").env("CHAOS_LOG", &self.log).stdout(Stdio::null());
        command.spawn().map_err(|error| format!("failed to start a worker: {error}"))
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
