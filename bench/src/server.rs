//! A FastJob server of a scenario's own: `fastjob dev` on a new directory, on ports that are free.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use fastjob_core::client::{Client, Options};
use fastjob_core::clock::{Clock, SystemClock};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::process::{Process, Used};

/// How long a server may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How often its ready file is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The app of a scenario.
pub(crate) const APP: &str = "bench";

/// A server that is ready. Killed when dropped; better: [`Server::stop`].
pub(crate) struct Server {
    process: Process,
    directory: TempDir,
    rpc: String,
    http: String,
    token: String,
}

impl Server {
    /// Starts the program `fastjob` and waits until it is ready.
    pub(crate) async fn start(fastjob: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let ready = directory.path().join("ready.json");
        let mut command = Command::new(fastjob);
        command.arg("dev").arg("--data").arg(directory.path().join("data")).args(["--app", APP]);
        command.args(["--rpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]).arg("--ready-file").arg(&ready);
        let mut process = Process::start("the server", command, &directory.path().join("server.log"))?;
        let until = SystemClock.elapsed() + READY_WITHIN;
        while !ready.exists() {
            if let Err(error) = process.check() {
                let log = std::fs::read_to_string(directory.path().join("server.log")).unwrap_or_default();
                return Err(error.context(log));
            }
            anyhow::ensure!(SystemClock.elapsed() < until, "the server is not ready after {READY_WITHIN:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let ready: Value = serde_json::from_slice(&std::fs::read(&ready)?)?;
        let text = |name: &str| {
            let text = ready.get(name).and_then(Value::as_str).map(str::to_owned);
            text.with_context(|| format!("the ready file has no {name}"))
        };
        Ok(Self { rpc: text("rpc")?, http: text("http")?, token: text("token")?, process, directory })
    }

    /// Where programs reach it, `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.rpc
    }

    /// The token of [`APP`], which is the administrator's too.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// For the files of a scenario.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A client of [`APP`].
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        let mut options = Options::new([&self.rpc], APP, &self.token);
        options.call_timeout = Duration::from_secs(60);
        Ok(Client::connect(options).await?)
    }

    /// What its process has used so far.
    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        self.process.used()
    }

    /// The sum of a metric over its labels; 0 if it is not there.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let mut connection = tokio::net::TcpStream::connect(&self.http).await?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http);
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        let value = |line: &str| {
            let labels = line.strip_prefix(name)?;
            if !labels.starts_with(['{', ' ']) {
                return None;
            }
            line.rsplit_once(' ')?.1.trim().parse::<f64>().ok()
        };
        Ok(answer.lines().filter_map(value).sum())
    }

    /// Stops it and opens what it has written.
    pub(crate) async fn stop(self) -> anyhow::Result<Ledger> {
        self.process.stop().await?;
        let path = self.directory.path().join("data/fastjob.db");
        Ok(Ledger { path, _directory: self.directory })
    }
}

/// The database of a server that has stopped.
pub(crate) struct Ledger {
    path: PathBuf,
    _directory: TempDir,
}

impl Ledger {
    /// How many runs succeeded, and how many there are in all.
    pub(crate) async fn runs(&self) -> anyhow::Result<(u64, u64)> {
        let mut connection = self.open().await?;
        let query =
            "SELECT COUNT(*) FILTER (WHERE state = 2) AS succeeded, COUNT(*) AS runs FROM fastjob_run";
        let row = sqlx::query(query).fetch_one(&mut connection).await?;
        let count = |name: &str| row.try_get::<i64, _>(name).map(i64::unsigned_abs);
        Ok((count("succeeded")?, count("runs")?))
    }

    /// The journal that the file itself records. How it was synchronised, only its server knew: it refuses to start
    /// with less than WAL and FULL.
    pub(crate) async fn journal_mode(&self) -> anyhow::Result<String> {
        let mut connection = self.open().await?;
        Ok(sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await?)
    }

    async fn open(&self) -> anyhow::Result<SqliteConnection> {
        let options = SqliteConnectOptions::new().filename(&self.path);
        SqliteConnection::connect_with(&options).await.context("failed to open the server's database")
    }
}
