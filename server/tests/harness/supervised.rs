//! A program that ends when the test's process ends, however that ends: a shell stands between, reads its orders from a
//! pipe of the test's, and at the pipe's end kills the program and removes its directory.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

const SHELL: &str = r#"
place=$1 log=$2 pid=
shift 2
while read -r order; do
  case $order in
    start) "$@" >>"$log" 2>&1 </dev/null & pid=$!; echo "$pid" ;;
    wait) wait "$pid"; pid=; echo ended ;;
  esac
done
if [ -n "$pid" ]; then kill -9 "$pid"; wait "$pid"; fi
rm -rf "$place"
"#;

/// The program, over all its starts.
pub(crate) struct Supervised {
    shell: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    pid: Option<Pid>,
}

impl Supervised {
    /// A program that writes to `log`, not started yet. `place` is removed when this is dropped or the process ends.
    pub(crate) fn new(place: &Path, log: &Path, command: &[impl AsRef<OsStr>]) -> Result<Self, String> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SHELL, "sh"])
            .args([place, log])
            .args(command)
            // A signal from the terminal is for the test; what it started ends by the pipe.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("failed to start a shell: {error}"))?;
        let answers = BufReader::new(shell.stdout.take().expect("it is piped"));
        Ok(Self { orders: shell.stdin.take(), shell, answers, pid: None })
    }

    /// Starts it; it must not be running.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        assert!(self.pid.is_none(), "it runs already");
        let answer = self.order("start")?;
        let pid = answer.parse().ok().and_then(Pid::from_raw);
        self.pid = Some(pid.ok_or_else(|| format!("the shell answered {answer:?}"))?);
        Ok(())
    }

    /// Of the running program.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Sends a signal that ends it, and waits until it has ended.
    pub(crate) fn end_by(&mut self, signal: Signal) -> Result<(), String> {
        let Some(pid) = self.pid.take() else { return Ok(()) };
        kill_process(pid, signal).map_err(|error| format!("failed to send {signal:?}: {error}"))?;
        self.order("wait").map(drop)
    }

    fn order(&mut self, order: &str) -> Result<String, String> {
        let orders = self.orders.as_mut().ok_or("the shell has ended")?;
        writeln!(orders, "{order}").map_err(|error| format!("failed to ask the shell: {error}"))?;
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .map_err(|error| format!("failed to hear from the shell: {error}"))?;
        Ok(answer.trim().to_owned())
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.shell.wait();
    }
}
