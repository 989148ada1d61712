//! The processes under test: one server at a time, some workers, and the command line that asks for the truth.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// How long a server may take to be ready, or to die at its failpoint.
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);

/// The server, over all its deaths: one database, one address.
pub(crate) struct Server {
    place: PathBuf,
    child: Option<Child>,
    rpc: String,
    token: String,
    starts: u32,
}

impl Server {
    pub(crate) fn new(place: &Path) -> Result<Self, String> {
        Ok(Self {
            place: place.to_owned(),
            child: None,
            rpc: "127.0.0.1:0".into(),
            token: String::new(),
            starts: 0,
        })
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(&mut self, failpoint: Option<&str>) -> Result<(), String> {
        let ready = self.spawn(failpoint)?;
        let waited = wait_for(PATIENCE, || ready.exists() || self.has_ended());
        if !waited || !ready.exists() {
            return Err(format!("the server did not become ready; see {}", self.log().display()));
        }
        let text = std::fs::read_to_string(&ready)
            .map_err(|error| format!("failed to read the ready file: {error}"))?;
        let ready: Value = serde_json::from_str(&text).map_err(|error| format!("ready file: {error}"))?;
        self.rpc = text_of(&ready, "rpc");
        self.token = text_of(&ready, "token");
        Ok(())
    }

    /// Starts it armed, and waits until it has killed itself.
    pub(crate) fn start_to_die(&mut self, failpoint: &str) -> Result<(), String> {
        self.spawn(Some(failpoint))?;
        if !wait_for(PATIENCE, || self.has_ended()) {
            return Err(format!("failpoint {failpoint} was not reached within {PATIENCE:?}"));
        }
        let status = self.child.take().map(|mut child| child.wait());
        match status {
            Some(Ok(status)) if status.signal() == Some(9) => Ok(()),
            other => Err(format!("the server ended otherwise than by failpoint {failpoint}: {other:?}")),
        }
    }

    /// Lets it work for a time, in which it must not die.
    pub(crate) fn run_awhile(&mut self, time: Duration) -> Result<(), String> {
        if wait_for(time, || self.has_ended()) {
            return Err(format!("the server died by itself; see {}", self.log().display()));
        }
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<ExitStatus, String> {
        let mut child = self.child.take().ok_or("no server to kill")?;
        child
            .kill()
            .and_then(|()| child.wait())
            .map_err(|error| format!("failed to kill the server: {error}"))
    }

    /// SIGTERM; it must end by itself.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        let Some(child) = self.child.as_ref() else { return Ok(()) };
        terminate(child);
        if !wait_for(PATIENCE, || self.has_ended()) {
            return Err("the server did not stop on SIGTERM".into());
        }
        self.child = None;
        Ok(())
    }

    /// Runs `fastjob` with these arguments and reads its JSON lines; tried again while no server is reachable.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<Vec<Value>, String> {
        let output =
            self.command(arguments).output().map_err(|error| format!("failed to run fastjob: {error}"))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("fastjob {}: {} {why}", arguments.join(" "), output.status));
        }
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).map_err(|error| format!("{line}: {error}")))
            .collect()
    }

    /// The command line, pointed at this server.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fastjob"));
        command.args(arguments).args(["-o", "json"]);
        self.point(&mut command);
        command
    }

    /// Tells a command where the server is.
    pub(crate) fn point(&self, command: &mut Command) {
        command
            .env_remove("FASTJOB_FAILPOINT")
            .env("FASTJOB_SERVERS", &self.rpc)
            .env("FASTJOB_APP", "chaos")
            .env("FASTJOB_TOKEN", &self.token);
    }

    fn spawn(&mut self, failpoint: Option<&str>) -> Result<PathBuf, String> {
        self.starts += 1;
        let ready = self.place.join(format!("ready-{}.json", self.starts));
        let log =
            File::options().create(true).append(true).open(self.log()).map_err(|error| error.to_string())?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_fastjob"));
        command
            .arg("dev")
            .arg("--data")
            .arg(self.place.join("data"))
            .args(["--rpc", &self.rpc, "--http", "127.0.0.1:0", "--app", "chaos"])
            .arg("--ready-file")
            .arg(&ready)
            .env_remove("FASTJOB_FAILPOINT")
            .stdout(Stdio::null())
            .stderr(log);
        if let Some(failpoint) = failpoint {
            command.env("FASTJOB_FAILPOINT", failpoint);
        }
        self.child = Some(command.spawn().map_err(|error| format!("failed to start the server: {error}"))?);
        Ok(ready)
    }

    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    fn log(&self) -> PathBuf {
        self.place.join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::env::var_os("CHAOS_SHOW_LOG").is_some()
            && let Ok(log) = File::open(self.log())
        {
            BufReader::new(log).lines().map_while(Result::ok).for_each(|line| println!("server: {line}"));
        }
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

/// Looks every few milliseconds until it is so or the time is over.
pub(crate) fn wait_for(time: Duration, mut so: impl FnMut() -> bool) -> bool {
    for _ in 0..=time.as_millis() / STEP.as_millis() {
        if so() {
            return true;
        }
        thread::sleep(STEP);
    }
    so()
}

/// A text field, empty if it is missing.
pub(crate) fn text_of(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
}
