//! Processes that a scenario starts, and what a process has used.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::process::{Child, Command};

/// How long a process may take to end after it was asked to, before it is killed.
const END_WITHIN: Duration = Duration::from_secs(10);

/// A process of a scenario. Killed when dropped; better: [`Process::stop`].
pub(crate) struct Process {
    name: String,
    child: Child,
}

/// What a process has used since it began.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Used {
    /// User and system time of all its threads, in steps of 10 ms.
    pub(crate) cpu: Duration,
    /// Bytes it had the disk write.
    pub(crate) written: u64,
}

impl Process {
    /// Starts it; what it says goes to `log`.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = std::fs::File::create(log).with_context(|| format!("failed to make {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("failed to start {name}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// Of the process.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().with_context(|| format!("{} has ended", self.name))
    }

    /// An error once it has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => anyhow::bail!("{} ended early: {status}", self.name),
            None => Ok(()),
        }
    }

    /// What it has used so far.
    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        used(self.pid()?)
    }

    /// Asks it to end and waits for it.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let Some(pid) = self.child.id() else { return Ok(()) };
        let asked = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await;
        asked.context("failed to run kill")?;
        match tokio::time::timeout(END_WITHIN, self.child.wait()).await {
            Ok(status) => status.map(drop).context("failed to wait"),
            Err(_) => {
                self.child.kill().await?;
                anyhow::bail!("{} did not end within {END_WITHIN:?} and was killed", self.name)
            }
        }
    }
}

/// What a process has used so far; Linux alone tells.
pub(crate) fn used(pid: u32) -> anyhow::Result<Used> {
    let path = PathBuf::from(format!("/proc/{pid}"));
    let stat = std::fs::read_to_string(path.join("stat")).context("failed to read /proc")?;
    // The name, in parentheses, may hold blanks: the fields are counted after it.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let io = std::fs::read_to_string(path.join("io")).unwrap_or_default();
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0);
    Ok(Used { cpu: Duration::from_millis((ticks(11) + ticks(12)) * 10), written })
}

/// What this program has used so far.
pub(crate) fn used_here() -> anyhow::Result<Used> {
    used(std::process::id())
}

impl std::ops::Sub for Used {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            written: self.written.saturating_sub(earlier.written),
        }
    }
}

impl std::ops::Add for Used {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, written: self.written + other.written }
    }
}
