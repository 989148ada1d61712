//! A FastJob server of a scenario's own, on ports that are free: `fastjob dev` on a new directory, or one of several on a
//! database.

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

use crate::process::{self, Process, Used};

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
    /// Starts the program `fastjob` on a new file and waits until it is ready.
    pub(crate) async fn start(fastjob: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut command = Command::new(fastjob);
        command.arg("dev").arg("--data").arg(directory.path().join("data")).args(["--app", APP]);
        command.args(["--rpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        let (ready, process) = started(command, directory.path()).await?;
        let token = text(&ready, "token")?;
        Ok(Self { rpc: text(&ready, "rpc")?, http: text(&ready, "http")?, token, process, directory })
    }

    /// Starts one on the database of this url. The first makes the tables and writes the administrator's token to a file of
    /// `shared`; the others find it there.
    pub(crate) async fn join(fastjob: &Path, url: &str, shared: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let (key, token) = (shared.join("cluster.key"), shared.join("admin.token"));
        let config = directory.path().join("server.toml");
        let addresses = "[rpc]\naddress = \"127.0.0.1:0\"\n[http]\naddress = \"127.0.0.1:0\"\n";
        let shared = format!("[database]\nurl = \"{url}\"\n[cluster]\nkey_file = \"{}\"\n", key.display());
        std::fs::write(&config, format!("{addresses}{shared}"))?;
        let mut command = Command::new(fastjob);
        command.arg("serve").arg("--config").arg(&config).arg("--admin-token-file").arg(&token);
        let (ready, process) = started(command, directory.path()).await?;
        let token = std::fs::read_to_string(&token).context("the administrator's token was not written")?;
        let token = token.trim().to_owned();
        Ok(Self { rpc: text(&ready, "rpc")?, http: text(&ready, "http")?, token, process, directory })
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
        self.client_of(APP, &self.token).await
    }

    /// A client of this app.
    pub(crate) async fn client_of(&self, app: &str, token: &str) -> anyhow::Result<Client> {
        let mut options = Options::new([&self.rpc], app, token);
        options.call_timeout = Duration::from_secs(60);
        Ok(Client::connect(options).await?)
    }

    /// What its process has used so far.
    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        self.process.used()
    }

    /// The most memory that it has held, and what it holds now; bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<(u64, u64)> {
        Ok(process::memory(self.process.pid()?))
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

    /// Stops it.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.process.stop().await
    }

    /// Stops it and opens what it has written.
    pub(crate) async fn stop(self) -> anyhow::Result<Ledger> {
        self.process.stop().await?;
        let path = self.directory.path().join("data/fastjob.db");
        Ok(Ledger { path, _directory: self.directory })
    }
}

/// Starts it and waits for its ready file, which is answered.
async fn started(mut command: Command, directory: &Path) -> anyhow::Result<(Value, Process)> {
    let (ready, log) = (directory.join("ready.json"), directory.join("server.log"));
    command.arg("--ready-file").arg(&ready);
    let mut process = Process::start("the server", command, &log)?;
    let until = SystemClock.elapsed() + READY_WITHIN;
    while !ready.exists() {
        if let Err(error) = process.check() {
            return Err(error.context(std::fs::read_to_string(&log).unwrap_or_default()));
        }
        anyhow::ensure!(SystemClock.elapsed() < until, "the server is not ready after {READY_WITHIN:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok((serde_json::from_slice(&std::fs::read(&ready)?)?, process))
}

fn text(ready: &Value, name: &str) -> anyhow::Result<String> {
    let text = ready.get(name).and_then(Value::as_str).map(str::to_owned);
    text.with_context(|| format!("the ready file has no {name}"))
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
