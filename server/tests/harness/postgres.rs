//! A PostgreSQL server of a test's own, in a throw-away directory on a random loopback port. A small shell beside it ends
//! it and removes the directory as soon as the test's process is gone, whatever ended that. It knows nothing of FastJob.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal};

/// A running server. Everybody on this machine may connect as `postgres`, without a password.
#[derive(Debug)]
pub(crate) struct Postgres {
    place: PathBuf,
    port: u16,
    durability: Durability,
    /// Of the server's processes, at each start.
    environment: Vec<(&'static str, OsString)>,
    databases: AtomicU32,
    /// Ends the server when its stdin closes.
    supervisor: Child,
}

/// What a commit waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Durability {
    /// The disk, as in service.
    Disk,
    /// Nothing: for tests of logic. What was committed outlives the server's death, but not the machine's.
    Memory,
}

/// How a server is stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// Transactions are broken off, a checkpoint is written.
    Fast,
    /// At once; the next start recovers from the log.
    Immediate,
}

/// Ends the server of the directory `$1` when stdin closes.
const SUPERVISOR: &str = r#"
trap '' INT TERM HUP
while read -r _; do :; done
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
lives() { [ -n "$pid" ] && grep -q "$1" "/proc/$pid/cmdline" 2>/dev/null; }
if lives "$1"; then kill -QUIT "$pid"; kill -CONT "$pid"; fi
tries=0
while lives "$1" && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
if lives "$1"; then kill -KILL "$pid"; fi
rm -rf "$1"
"#;

/// Ports that are tried: another program may take one between its choice and the start.
const PORTS: u32 = 5;
/// Starts that are tried after a kill: the dead server's children need a moment to see that it is gone.
const RESTARTS: u32 = 50;

impl Postgres {
    /// A new server whose commits wait for the disk.
    pub(crate) fn start() -> Result<Self, String> {
        Self::start_with(Durability::Disk)
    }

    /// A new server.
    pub(crate) fn start_with(durability: Durability) -> Result<Self, String> {
        Self::start_in(durability, Vec::new())
    }

    /// A new server, whose processes have these variables besides.
    pub(crate) fn start_in(
        durability: Durability,
        environment: Vec<(&'static str, OsString)>,
    ) -> Result<Self, String> {
        let place = make_place()?;
        let supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(&place)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("failed to start a shell: {error}"))?;
        let databases = AtomicU32::new(0);
        let mut server = Self { place, port: 0, durability, environment, databases, supervisor };
        // A collation unlike the order of bytes, as most databases in service have it.
        let made = server
            .command("initdb")
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", "--no-instructions"])
            .args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en", "-D"])
            .arg(server.data())
            .output();
        check("initdb", made)?;
        let mut tried = Err(String::new());
        for _ in 0..PORTS {
            server.port = free_port()?;
            tried = server.launch();
            if tried.is_ok() {
                return Ok(server);
            }
        }
        tried.map(|()| server)
    }

    /// How a client reaches this database.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Where it listens, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Makes an empty database; answers its url.
    pub(crate) fn fresh_database(&self) -> Result<String, String> {
        let name = format!("fresh_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// Runs SQL and answers what it prints, one line a row.
    pub(crate) fn execute(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = Command::new(program("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(self.url(database))
            .output();
        check("psql", output)
    }

    /// Stops it; [`start_again`](Self::start_again) goes on with the same port and data.
    pub(crate) fn stop(&self, how: Stop) -> Result<(), String> {
        let mode = match how {
            Stop::Fast => "fast",
            Stop::Immediate => "immediate",
        };
        let output = self.control().args(["-w", "-m", mode, "stop"]).output();
        check("pg_ctl stop", output).map(drop)
    }

    /// SIGKILL to the server; its children see it and end.
    pub(crate) fn kill_9(&self) -> Result<(), String> {
        self.signal(Signal::KILL)
    }

    /// SIGSTOP: it accepts connections no more; those that are open go on.
    pub(crate) fn pause(&self) -> Result<(), String> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub(crate) fn go_on(&self) -> Result<(), String> {
        self.signal(Signal::CONT)
    }

    /// Starts it after a stop or a kill, and waits until it accepts connections.
    pub(crate) fn start_again(&self) -> Result<(), String> {
        let mut tried = self.launch();
        for _ in 0..RESTARTS {
            if tried.is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
            tried = self.launch();
        }
        tried
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.place.join("log")).unwrap_or_default()
    }

    fn launch(&self) -> Result<(), String> {
        let sync = match self.durability {
            Durability::Disk => "on",
            Durability::Memory => "off",
        };
        let settings = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 \
             -c track_commit_timestamp=on -c fsync={sync}",
            self.port
        );
        let log = self.place.join("log");
        let output = self
            .control()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .args(["-w", "-t", "60", "-o", &settings, "-l"])
            .arg(&log)
            .arg("start")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .output();
        check("pg_ctl start", output).map(drop).map_err(|error| {
            let log = self.log();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            format!("{error}\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"))
        })
    }

    fn control(&self) -> Command {
        let mut command = self.command("pg_ctl");
        command.arg("-D").arg(self.data());
        command
    }

    /// A program that must not run as root.
    fn command(&self, name: &str) -> Command {
        let mut command = as_postgres(&program(name));
        command.current_dir(&self.place);
        command
    }

    fn data(&self) -> PathBuf {
        self.place.join("data")
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        let text = fs::read_to_string(self.data().join("postmaster.pid"))
            .map_err(|error| format!("the server does not run: {error}"))?;
        let pid = text.lines().next().and_then(|line| line.parse().ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or("postmaster.pid has no pid")?;
        rustix::process::kill_process(pid, signal)
            .map_err(|error| format!("failed to signal {pid:?}: {error}"))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

fn make_place() -> Result<PathBuf, String> {
    let mut command = as_postgres(Path::new("mktemp"));
    let made = check("mktemp", command.args(["-d", "/tmp/fastjob-postgres.XXXXXX"]).output())?;
    Ok(PathBuf::from(made.trim()))
}

/// As the user whom Debian's package makes, if we are root, which the server refuses.
fn as_postgres(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program).current_dir("/");
    command
}

/// Debian keeps the server's programs outside of PATH.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest =
        versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).max();
    newest.unwrap_or_else(|| PathBuf::from(name))
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("failed to find a free port: {error}"))
}

fn check(what: &str, output: std::io::Result<Output>) -> Result<String, String> {
    let output =
        output.map_err(|error| format!("failed to run {what} (scripts/setup.sh postgres): {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{what}: {} {why}", output.status));
    }
    let mut text = String::new();
    output.stdout.as_slice().read_to_string(&mut text).map_err(|error| format!("{what}: {error}"))?;
    Ok(text)
}

// Each test program uses a part of these.
const _: () = {
    let _ = (Postgres::start, Postgres::start_with, Postgres::url, Postgres::port, Postgres::fresh_database);
    let _ = (Postgres::execute, Postgres::stop, Postgres::kill_9, Postgres::pause, Postgres::go_on);
    let _ = (
        Postgres::start_again,
        Postgres::log,
        Stop::Fast,
        Stop::Immediate,
        Durability::Memory,
        Durability::Disk,
    );
};
