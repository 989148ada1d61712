//! A worker in a process of its own, which a test can kill: this very program, started for one "test" that is none. It
//! prints a line for each run that enters its handler, and holds the run.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use fastjob_core::client::{Client, Options};
use fastjob_core::worker::{Context, HandlerError, Worker};

use super::harness::{PATIENCE, Server};

const HANDLER: &str = "FASTJOB_TEST_HANDLER";
const ENTERED: &str = "entered ";
const READY: &str = "the worker is connected";

/// The process.
pub(crate) struct WorkerProcess {
    child: Child,
    lines: Receiver<String>,
}

impl WorkerProcess {
    /// Started, and welcomed by the server.
    pub(crate) fn start(server: &Server, handler: &str) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(program);
        server.point(&mut command);
        let role = concat!(module_path!(), "::a_worker_process");
        let role = role.split_once("::").map_or(role, |(_, path)| path);
        let mut child = command
            .args(["--exact", role, "--ignored", "--nocapture"])
            .env(HANDLER, handler)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program can be started again");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let process = Self { child, lines };
        process.says(READY);
        process
    }

    /// Waits until a run has entered the handler; its id.
    pub(crate) fn entered(&self) -> String {
        self.says(ENTERED)
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("it is ours");
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn says(&self, start: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("the worker's process says so in time");
            // The test runner's own words may stand before it on the line.
            if let Some((_, rest)) = line.split_once(start) {
                return rest.to_owned();
            }
        }
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.end();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "the role of a worker process, started by other tests"]
async fn a_worker_process() {
    let Ok(handler) = std::env::var(HANDLER) else { return };
    let options = Options::from_env().expect("the test says where the server is");
    let client = Client::connect(options).await.expect("the options are sound");
    let hold = async |ctx: Context| {
        println!("{ENTERED}{}", ctx.run_id());
        std::future::pending::<Result<(), HandlerError>>().await
    };
    let worker = Worker::builder(&client).handler(handler, hold).start().await.expect("it is welcomed");
    println!("{READY}");
    worker.stopped().await;
}
