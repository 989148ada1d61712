//! A MariaDB, or a MySQL, of a test's own: on a free port of the loopback, in a throw-away directory, ended with the test's
//! process however that ends. A kill loses nothing that was committed; a crash of the machine may.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::supervised::Supervised;

/// How long it may take to answer after a start: 60 s.
const STEPS: u32 = 1_200;
const STEP: Duration = Duration::from_millis(50);
/// A free port may be taken by another before it is listened on.
const TRIES: u32 = 3;

/// The database server, over all its deaths: one directory, one port.
pub(crate) struct MariaDb {
    place: PathBuf,
    port: u16,
    parameters: &'static str,
    program: Mutex<Supervised>,
    databases: AtomicU32,
}

impl MariaDb {
    /// Makes one and waits until it answers. Errors: what is missing, or what its log says.
    pub(crate) fn start() -> Result<Self, String> {
        Self::start_with(&[])
    }

    /// As [`MariaDb::start`], with these variables besides.
    pub(crate) fn start_with(environment: &[(&'static str, OsString)]) -> Result<Self, String> {
        retried(|| {
            let place = place()?;
            let made = run(Command::new("mariadb-install-db")
                .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
                .arg(datadir(place.path()))
                .args(user()));
            made.map_err(|error| format!("{error} (Debian package mariadb-server)"))?;
            let program = Path::new("mariadbd");
            Self::start_in(place, environment, program, &["--performance-schema=OFF"], "")
        })
    }

    /// A MySQL 8 of these unpacked files.
    pub(crate) fn start_mysql(files: &Path) -> Result<Self, String> {
        retried(|| {
            let place = place()?;
            let program = files.join("bin/mysqld");
            run(Command::new(&program)
                .args(["--no-defaults", "--initialize-insecure"])
                .arg(datadir(place.path()))
                .args(user()))?;
            let arguments = ["--mysqlx=OFF", "--default-authentication-plugin=mysql_native_password"];
            let server = Self::start_in(place, &[], &program, &arguments, "?ssl-mode=disabled")?;
            server.execute(
                "CREATE USER 'root'@'127.0.0.1'; GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION",
            )?;
            Ok(server)
        })
    }

    fn start_in(
        place: TempDir,
        environment: &[(&'static str, OsString)],
        program: &Path,
        arguments: &[&str],
        parameters: &'static str,
    ) -> Result<Self, String> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.map_err(|error| format!("failed to find a port: {error}"))?.port();
        let at = place.path();
        let mut command: Vec<OsString> = vec!["env".into()];
        command.extend(environment.iter().map(|(name, value)| {
            let mut set = OsString::from(format!("{name}="));
            set.push(value);
            set
        }));
        command.extend([program.into(), "--no-defaults".into(), datadir(at)]);
        command.extend(user());
        command.extend(arguments.iter().map(OsString::from));
        command.extend(
            [
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--skip-log-bin",
                "--max-connections=400",
                "--innodb-flush-log-at-trx-commit=2",
                "--innodb-buffer-pool-size=64M",
                // Defaults that a server in service may have, and nothing may rely on.
                "--sql-mode=",
                "--character-set-server=latin1",
                "--default-time-zone=+05:30",
            ]
            .map(OsString::from),
        );
        command.push(format!("--port={port}").into());
        command.push(named("--socket=", &at.join("sock")));
        command.push(named("--pid-file=", &at.join("pid")));
        let program = Supervised::new(at, &at.join("log"), &command)?;
        // From now on the shell removes it.
        let place = place.keep();
        let program = Mutex::new(program);
        let server = Self { place, port, parameters, program, databases: AtomicU32::new(0) };
        server.start_again()?;
        Ok(server)
    }

    /// Where `database` is found.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}{}", self.port, self.parameters)
    }

    /// Makes an empty database and answers its url.
    pub(crate) fn fresh_database(&self) -> Result<String, String> {
        let name = format!("fastjob_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// Runs statements as the administrator, and answers what they print, tabs between columns.
    pub(crate) fn execute(&self, statements: &str) -> Result<String, String> {
        run(Command::new("mariadb")
            .args(["--no-defaults", "--user=root", "--skip-column-names", "--batch", "--execute", statements])
            .arg(named("--socket=", &self.place.join("sock"))))
    }

    /// Of its process, while it runs.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.program.lock().pid()
    }

    /// Ends it in order.
    pub(crate) fn stop(&self) -> Result<(), String> {
        self.program.lock().end_by(Signal::TERM)
    }

    /// SIGKILL.
    pub(crate) fn kill_9(&self) -> Result<(), String> {
        self.program.lock().end_by(Signal::KILL)
    }

    /// SIGSTOP: connections stay, and nothing is answered.
    pub(crate) fn pause(&self) -> Result<(), String> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub(crate) fn go_on(&self) -> Result<(), String> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = self.pid().ok_or("the database server does not run")?;
        kill_process(pid, signal).map_err(|error| format!("failed to send {signal:?}: {error}"))
    }

    /// Starts it on the same directory and port, and waits until it answers.
    pub(crate) fn start_again(&self) -> Result<(), String> {
        self.program.lock().start()?;
        for _ in 0..STEPS {
            if self.execute("SELECT 1").is_ok() {
                return Ok(());
            }
            if self.has_ended() {
                break;
            }
            thread::sleep(STEP);
        }
        let log = fs::read_to_string(self.place.join("log")).unwrap_or_default();
        Err(format!("the database server does not answer; its log:\n{log}"))
    }

    fn has_ended(&self) -> bool {
        let Some(pid) = self.pid() else { return true };
        // A program that has ended and was not waited for yet is a zombie.
        let state = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        state.is_ok_and(|state| state.contains(") Z "))
    }
}

fn retried(start: impl Fn() -> Result<MariaDb, String>) -> Result<MariaDb, String> {
    (1..TRIES).find_map(|_| start().ok()).map_or_else(&start, Ok)
}

fn place() -> Result<TempDir, String> {
    let place =
        tempfile::Builder::new().prefix("fastjob-db-").tempdir().map_err(|error| error.to_string())?;
    if is_root() {
        run(Command::new("chown").arg("mysql:mysql").arg(place.path()))?;
    }
    Ok(place)
}

fn datadir(place: &Path) -> OsString {
    named("--datadir=", &place.join("data"))
}

fn named(option: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(option);
    argument.push(path);
    argument
}

/// The server refuses to run as root.
fn user() -> Option<OsString> {
    is_root().then(|| "--user=mysql".into())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs a program to its end and answers what it printed.
fn run(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("failed to run {name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{name}: {} {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}
