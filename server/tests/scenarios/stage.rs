//! What every scenario stands on: a server of its own, a client and workers of its app, and the command line. All of it
//! ends with the test, also with one that fails.

use std::collections::BTreeMap;
use std::time::Duration;

use fastjob_core::client::{Client, Job, Options, Run, RunState, Trigger};
use fastjob_core::id::RunId;
use fastjob_core::protocol::v1;
use fastjob_core::worker::{Worker, WorkerBuilder};
use serde_json::Value;
use tempfile::TempDir;

use super::gate::Gate;
use super::harness::{Server, json_lines};

/// A test that waits this long for something waits for what will not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const APP: &str = "demo";

/// One server and its app.
pub(crate) struct Stage {
    pub(crate) client: Client,
    pub(crate) server: Server,
    place: TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) lines: Vec<Value>,
    pub(crate) err: String,
}

impl Stage {
    /// `fastjob dev`, ready.
    pub(crate) async fn open() -> Self {
        Self::with(&[]).await
    }

    /// As [`Stage::open`], with settings of the environment.
    pub(crate) async fn with(settings: &[(&'static str, &'static str)]) -> Self {
        let place = tempfile::tempdir().expect("a directory can be made");
        let data = place.path().join("data");
        let mut server = Server::new(
            place.path(),
            ["dev".as_ref(), "--app".as_ref(), APP.as_ref(), "--data".as_ref(), data.as_os_str()],
        );
        server.settings = settings.to_vec();
        server.start().expect("the server becomes ready");
        let client = connect(&server).await;
        Self { client, server, place }
    }

    /// Where the server's data lies, in `data`.
    pub(crate) fn place(&self) -> &std::path::Path {
        self.place.path()
    }

    /// A worker of one handler that holds each run until the test lets it go.
    pub(crate) async fn held(&self, handler: &str) -> (Worker, Gate) {
        self.held_by(handler, |builder| builder).await
    }

    /// As [`Stage::held`], with options of the worker.
    pub(crate) async fn held_by(
        &self,
        handler: &str,
        options: impl FnOnce(WorkerBuilder) -> WorkerBuilder,
    ) -> (Worker, Gate) {
        let (gate, held) = Gate::new();
        (self.worker(|builder| options(builder).handler(handler, held)).await, gate)
    }

    /// A worker, connected.
    pub(crate) async fn worker(&self, made: impl FnOnce(WorkerBuilder) -> WorkerBuilder) -> Worker {
        made(Worker::builder(&self.client)).start().await.expect("the worker is welcomed")
    }

    pub(crate) async fn put(&self, job: Job) -> v1::Job {
        self.client.job_put(job).await.expect("the job is taken").message().clone()
    }

    pub(crate) async fn fire(&self, job: &str) -> RunId {
        self.fire_by(Trigger::of(job)).await
    }

    pub(crate) async fn fire_by(&self, trigger: Trigger) -> RunId {
        self.client.trigger(trigger).await.expect("the job is fired").run.id
    }

    /// The run once it has ended, with its attempts.
    pub(crate) async fn ended(&self, run: RunId) -> Run {
        let ended = self.client.run_wait(run, Some(PATIENCE)).await.expect("the run is known");
        assert!(ended.state.is_ended(), "{run} is still {:?} after {PATIENCE:?}", ended.state);
        self.run(run).await
    }

    pub(crate) async fn run(&self, run: RunId) -> Run {
        self.client.run_get(run).await.expect("the run is known")
    }

    /// The command line's answer.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Said {
        said(self.server.command(arguments))
    }

    /// What the command line prints; it must be done.
    pub(crate) fn shown(&self, arguments: &[&str]) -> Vec<Value> {
        self.server.ask(arguments).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The one thing that it prints.
    pub(crate) fn one(&self, arguments: &[&str]) -> Value {
        let mut lines = self.shown(arguments);
        assert_eq!(lines.len(), 1, "fastjob {}: {lines:?}", arguments.join(" "));
        lines.remove(0)
    }

    /// The whole ledger of a job, its runs and gaps in order of tick.
    pub(crate) fn ledger(&self, job: &str) -> Vec<Value> {
        self.shown(&["job", "ledger", job, "--from", "2000-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"])
    }
}

/// A client as the server's surroundings say.
pub(crate) async fn connect(server: &Server) -> Client {
    client_of(server, &server.app, &server.token).await
}

/// A client of another app or token.
pub(crate) async fn client_of(server: &Server, app: &str, token: &str) -> Client {
    Client::connect(Options::new([server.rpc.as_str()], app, token)).await.expect("the options are sound")
}

/// Runs a command to its end.
pub(crate) fn said(mut command: std::process::Command) -> Said {
    let output = command.output().expect("fastjob can be started");
    Said {
        code: output.status.code().unwrap_or(-1),
        lines: json_lines(&output.stdout).expect("stdout holds JSON lines"),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits with patience.
pub(crate) async fn patiently<T>(what: &str, happens: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, happens)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Asks again until the answer is there.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    patiently(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// Each attempt's outcome, oldest first.
pub(crate) fn outcomes(run: &Run) -> Vec<&str> {
    run.message().attempts.iter().map(|attempt| attempt.outcome.as_str()).collect()
}

/// State and reason.
pub(crate) fn end(run: &Run) -> (RunState, &str) {
    (run.state, &run.reason)
}

/// Milliseconds of an instant that the command line printed.
pub(crate) fn at(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not an instant"));
    text.parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond()
}

/// How many rows of a ledger are so.
pub(crate) fn tally(ledger: &[Value]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for row in ledger {
        let word = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        let kind = if row["gap"] == true { "gap".to_owned() } else { word("state") };
        *tally.entry(format!("{kind} {}", word("reason"))).or_default() += 1;
    }
    tally
}

/// A text that the command line printed.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text")).to_owned()
}
