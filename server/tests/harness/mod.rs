//! A real `fastjob` server as a process that a test starts, kills and stops, and the command line pointed at it. It knows
//! nothing of jobs: what a test does with the server is the test's.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// How long a server may take to be ready, or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);
/// Set: a server's log is shown also when its test passed.
const SHOW_LOG: &str = "FASTJOB_TEST_LOG";

/// The server, over all its deaths: one database, one address.
pub(crate) struct Server {
    /// Its directory: the log, and what its arguments put there.
    pub(crate) place: PathBuf,
    /// Where gRPC is reached; before the first start "127.0.0.1:0".
    pub(crate) rpc: String,
    /// The app of `fastjob dev`; else what the test sets.
    pub(crate) app: String,
    /// The token of `fastjob dev`; else what the test sets.
    pub(crate) token: String,
    /// Settings of its environment, at each start.
    pub(crate) settings: Vec<(&'static str, &'static str)>,
    arguments: Vec<OsString>,
    child: Option<Child>,
    starts: u32,
}

impl Server {
    /// A server that will be started with these arguments, its addresses and its ready file aside.
    pub(crate) fn new(place: &Path, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            place: place.to_owned(),
            rpc: "127.0.0.1:0".into(),
            app: String::new(),
            token: String::new(),
            settings: Vec::new(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            child: None,
            starts: 0,
        }
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        let ready = self.spawn(&[])?;
        let waited = wait_for(PATIENCE, || ready.exists() || self.has_ended());
        if !waited || !ready.exists() {
            return Err(format!("the server did not become ready; see {}", self.log().display()));
        }
        let text = std::fs::read_to_string(&ready)
            .map_err(|error| format!("failed to read the ready file: {error}"))?;
        let ready: Value = serde_json::from_str(&text).map_err(|error| format!("ready file: {error}"))?;
        self.rpc = text_of(&ready, "rpc");
        for (field, own) in [("app", &mut self.app), ("token", &mut self.token)] {
            if ready[field].is_string() {
                *own = text_of(&ready, field);
            }
        }
        Ok(())
    }

    /// Starts it with these variables, and answers the path of the ready file to come.
    pub(crate) fn spawn(&mut self, variables: &[(&str, &str)]) -> Result<PathBuf, String> {
        self.starts += 1;
        let ready = self.place.join(format!("ready-{}.json", self.starts));
        let log =
            File::options().create(true).append(true).open(self.log()).map_err(|error| error.to_string())?;
        let mut command = fastjob();
        command
            .args(&self.arguments)
            .arg("--ready-file")
            .arg(&ready)
            .env("FASTJOB_RPC__ADDRESS", &self.rpc)
            .env("FASTJOB_HTTP__ADDRESS", "127.0.0.1:0")
            .envs(self.settings.iter().copied())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.child = Some(command.spawn().map_err(|error| format!("failed to start the server: {error}"))?);
        Ok(ready)
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<ExitStatus, String> {
        let mut child = self.child.take().ok_or("no server to kill")?;
        child
            .kill()
            .and_then(|()| child.wait())
            .map_err(|error| format!("failed to kill the server: {error}"))
    }

    /// SIGTERM; it must end by itself, in order.
    pub(crate) fn stop(&mut self) -> Result<(), String> {
        let Some(child) = self.child.as_ref() else { return Ok(()) };
        terminate(child);
        match self.ended(PATIENCE)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("the server ended with {status} on SIGTERM")),
            None => Err("the server did not stop on SIGTERM".into()),
        }
    }

    /// Waits this long for its end by itself.
    pub(crate) fn ended(&mut self, time: Duration) -> Result<Option<ExitStatus>, String> {
        if !wait_for(time, || self.has_ended()) {
            return Ok(None);
        }
        let mut child = self.child.take().ok_or("no server was started")?;
        child.wait().map(Some).map_err(|error| format!("failed to wait for the server: {error}"))
    }

    /// Runs `fastjob` with these arguments and reads its JSON lines.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<Vec<Value>, String> {
        let output =
            self.command(arguments).output().map_err(|error| format!("failed to run fastjob: {error}"))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("fastjob {}: {} {why}", arguments.join(" "), output.status));
        }
        json_lines(&output.stdout)
    }

    /// The command line, pointed at this server.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = fastjob();
        command.args(arguments).args(["-o", "json"]);
        self.point(&mut command);
        command
    }

    /// Tells a command where the server is, and as whom to call it.
    pub(crate) fn point(&self, command: &mut Command) {
        command
            .env("FASTJOB_SERVERS", &self.rpc)
            .env("FASTJOB_APP", &self.app)
            .env("FASTJOB_TOKEN", &self.token);
    }

    /// The process, while there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where the server's stderr goes.
    pub(crate) fn log(&self) -> PathBuf {
        self.place.join("server.log")
    }

    fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if (thread::panicking() || std::env::var_os(SHOW_LOG).is_some())
            && let Ok(log) = File::open(self.log())
        {
            BufReader::new(log).lines().map_while(Result::ok).for_each(|line| println!("server: {line}"));
        }
    }
}

/// A key file for servers of one database, as they want it: theirs alone to read.
pub(crate) fn cluster_key(place: &Path) -> Result<PathBuf, String> {
    let file = place.join("cluster.key");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut key = options.open(&file).map_err(|error| error.to_string())?;
    key.write_all(b"a key of tests alone, 32 bytes or more").map_err(|error| error.to_string())?;
    Ok(file)
}

/// The program, without what the surroundings may have set for another one.
pub(crate) fn fastjob() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fastjob"));
    let foreign = std::env::vars_os().map(|(name, _)| name);
    for name in foreign.filter(|name| name.to_string_lossy().starts_with("FASTJOB_")) {
        command.env_remove(name);
    }
    command
}

/// What a command printed with `-o json`.
pub(crate) fn json_lines(stdout: &[u8]) -> Result<Vec<Value>, String> {
    String::from_utf8_lossy(stdout)
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("{line}: {error}")))
        .collect()
}

/// SIGTERM.
pub(crate) fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
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
