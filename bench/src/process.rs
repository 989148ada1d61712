//! Processes that a scenario starts, and what a process has used.

use std::path::Path;
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

/// Of the fields of `/proc/<pid>/stat` behind the name: the parent, and the clock ticks of user and system, of the process
/// and then of its children that have ended.
const PARENT: usize = 1;
const OWN_TICKS: [usize; 2] = [11, 12];
const ENDED_CHILDREN_TICKS: [usize; 2] = [13, 14];

/// What a process has used so far; Linux alone tells.
pub(crate) fn used(pid: u32) -> anyhow::Result<Used> {
    let stat = stat(pid)?;
    let cpu = OWN_TICKS.into_iter().map(|index| stat[index]).sum();
    Ok(Used { cpu: of_ticks(cpu), written: field(pid, "io", "write_bytes") })
}

/// What a process and its children have used so far, also those that have ended.
pub(crate) fn used_by_family(pid: u32) -> anyhow::Result<Used> {
    let own = stat(pid)?;
    let ended = ENDED_CHILDREN_TICKS.into_iter().map(|index| own[index]).sum();
    let ended = Used { cpu: of_ticks(ended), written: 0 };
    let processes = std::fs::read_dir("/proc").context("failed to read /proc")?.flatten();
    let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children = processes.filter(|child| stat(*child).is_ok_and(|stat| stat[PARENT] == u64::from(pid)));
    // One may end while it is looked at.
    Ok(children.filter_map(|child| used(child).ok()).fold(used(pid)? + ended, std::ops::Add::add))
}

/// The most memory that a process has held so far, and what it holds now; bytes.
pub(crate) fn memory(pid: u32) -> (u64, u64) {
    (field(pid, "status", "VmHWM") * 1_024, field(pid, "status", "VmRSS") * 1_024)
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 10)
}

/// The numbers behind the name of a process, 0 for what is none; there are more than are used here.
fn stat(pid: u32) -> anyhow::Result<Vec<u64>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("failed to read /proc")?;
    // The name, in parentheses, may hold blanks.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let numbers: Vec<u64> = fields.map(|field| field.parse().unwrap_or(0)).collect();
    anyhow::ensure!(numbers.len() > ENDED_CHILDREN_TICKS[1], "/proc/{pid}/stat is cut");
    Ok(numbers)
}

/// The number of the line `name: number` of a file of a process; 0 if there is none.
fn field(pid: u32, file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let value =
        |line: &str| line.strip_prefix(name)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok();
    text.lines().find_map(value).unwrap_or(0)
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
