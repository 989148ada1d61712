//! A `fastjob dev` of the test's own: in its own folder, on free ports, gone with the value.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};

use fastjob_core::clock::{Clock, SystemClock};

/// A running server.
pub(crate) struct Server {
    process: Child,
    folder: PathBuf,
    rpc: String,
    app: String,
    token: String,
}

const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Server {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(folder: &Path) -> Self {
        let folder = folder.join("server");
        fs::create_dir_all(&folder).unwrap();
        let (process, ready) = spawn(&folder, "127.0.0.1:0");
        let text = |key: &str| ready[key].as_str().unwrap().to_owned();
        Self { process, rpc: text("rpc"), app: text("app"), token: text("token"), folder }
    }

    /// Gives a program what it needs to find the server.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.env("FASTJOB_SERVERS", &self.rpc);
        command.env("FASTJOB_APP", &self.app);
        command.env("FASTJOB_TOKEN", &self.token);
    }

    /// Kills it as a crash would, and starts it again on the same address and data.
    pub(crate) fn crash_and_restart(&mut self) {
        self.kill();
        self.process = spawn(&self.folder, &self.rpc).0;
    }

    fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to kill, and the wait gives its status.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(folder: &Path, rpc: &str) -> (Child, serde_json::Value) {
    let binary = env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("fastjob");
    assert!(binary.exists(), "{} was not built: cargo build --workspace", binary.display());
    let ready = folder.join("ready.json");
    let _ = fs::remove_file(&ready);
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = Command::new(binary);
    command.arg("dev").arg("--data").arg(folder.join("data")).arg("--ready-file").arg(&ready);
    command.args(["--rpc", rpc, "--http", "127.0.0.1:0"]);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut process = command.spawn().unwrap();
    let until = SystemClock.elapsed() + READY_WITHIN;
    while !ready.exists() {
        let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
        if let Some(status) = process.try_wait().unwrap() {
            panic!("fastjob dev ended with {status}\n{}", log());
        }
        if SystemClock.elapsed() > until {
            let _ = process.kill();
            let _ = process.wait();
            panic!("fastjob dev was not ready within {READY_WITHIN:?}\n{}", log());
        }
        thread::sleep(LOOK_EVERY);
    }
    (process, serde_json::from_slice(&fs::read(&ready).unwrap()).unwrap())
}
