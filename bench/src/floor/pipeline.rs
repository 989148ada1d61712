//! One round of the floor: rows through their life, either alone or with the stream to a worker between their writes.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::id::{Chance, RunId};
use tokio::process::Command;
use tokio::task::JoinSet;

use super::rows::{EndedRun, NewRun, Rows, SqliteRows, Turn};
use super::stream::{Listener, Received, Stream};
use crate::process::{self, Process, Used};

/// Batches that may be under way at a time.
const WINDOW: usize = 4;

/// What a round does.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Writes per run: 2 (new rows are dispatched at once) or 3.
    pub(crate) writes: u8,
    /// Runs created per commit, a multiple of [`super::rows::CHUNK`].
    pub(crate) batch: usize,
    /// Runs in all, a multiple of `batch`.
    pub(crate) runs: usize,
    /// Bytes of parameters of a run.
    pub(crate) params: usize,
}

/// What a round took.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    /// Of the clock.
    pub(crate) elapsed: Duration,
    /// By all processes of the round.
    pub(crate) used: Used,
    /// Transactions.
    pub(crate) commits: usize,
    /// Runs.
    pub(crate) runs: usize,
}

impl Taken {
    /// Runs per second.
    pub(crate) fn rate(&self) -> f64 {
        self.runs as f64 / self.elapsed.as_secs_f64()
    }

    /// CPU microseconds per run.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.used.cpu.as_secs_f64() * 1e6 / self.runs as f64
    }

    /// Bytes written to the disk per run.
    pub(crate) fn written(&self) -> f64 {
        self.used.written as f64 / self.runs as f64
    }

    /// Commits per run.
    pub(crate) fn commits(&self) -> f64 {
        self.commits as f64 / self.runs as f64
    }
}

/// A file in the directory, with the server's tables.
pub(crate) async fn sqlite(directory: &Path, shape: Shape) -> anyhow::Result<Rows> {
    let rows = SqliteRows::create(&directory.join("floor.db"), params(shape.params)).await?;
    Ok(Rows::Sqlite(Box::new(rows)))
}

/// The rows alone, each write of a batch in a commit of its own.
pub(crate) async fn rows_alone(mut rows: Rows, shape: Shape) -> anyhow::Result<Taken> {
    let mut source = Source::new();
    let (used, started) = (process::used_here()?, SystemClock.elapsed());
    let mut commits = 0;
    for _ in 0..shape.runs / shape.batch {
        let now = SystemClock.now().get();
        let new = source.batch(shape.batch);
        if shape.writes == 2 {
            rows.commit(Turn { dispatched_at_once: &new, ..Turn::default() }, now).await?;
        } else {
            rows.commit(Turn { scheduled: &new, ..Turn::default() }, now).await?;
            rows.commit(Turn { dispatched: &new, ..Turn::default() }, now).await?;
        }
        let ended: Vec<EndedRun> = new.iter().map(|run| run.ended(now)).collect();
        rows.commit(Turn { ended: &ended, ..Turn::default() }, now).await?;
        commits += usize::from(shape.writes);
    }
    let elapsed = SystemClock.elapsed() - started;
    Ok(Taken { elapsed, used: process::used_here()? - used, commits, runs: shape.runs })
}

/// The rows, and between their writes the stream to a worker in a process of its own. A commit carries all that is
/// ready, as an owner's turn does: new rows, rows to dispatch, outcomes.
pub(crate) async fn with_worker(mut rows: Rows, directory: &Path, shape: Shape) -> anyhow::Result<Taken> {
    let mut tasks = JoinSet::new();
    let listener = Listener::open(&mut tasks).await?;
    let worker = start_worker(&listener.address, directory)?;
    let (stream, received) = listener.accept().await?.split(&mut tasks);
    let before = process::used_here()? + worker.used()?;
    let started = SystemClock.elapsed();
    let commits = drive(&mut rows, stream, received, shape).await?;
    let elapsed = SystemClock.elapsed() - started;
    let used = process::used_here()? + worker.used()? - before;
    tasks.shutdown().await;
    worker.stop().await?;
    Ok(Taken { elapsed, used, commits, runs: shape.runs })
}

/// The worker at the other end of a stream.
pub(crate) fn start_worker(address: &str, directory: &Path) -> anyhow::Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("floor-worker").arg("--server").arg(address);
    Process::start("the floor's worker", command, &directory.join("floor-worker.log"))
}

async fn drive(
    rows: &mut Rows,
    stream: Stream,
    mut received: Received,
    shape: Shape,
) -> anyhow::Result<usize> {
    let params = Bytes::from(params(shape.params));
    let mut source = Source::new();
    let mut scheduled: VecDeque<Vec<NewRun>> = VecDeque::new();
    let (mut created, mut ended, mut commits) = (0, 0, 0);
    while ended < shape.runs {
        let room = created < shape.runs && created - ended + shape.batch <= WINDOW * shape.batch;
        let mut outcomes = Vec::new();
        if !room && scheduled.is_empty() {
            outcomes = received.next().await?;
        }
        while let Some(more) = received.ready() {
            outcomes.extend(more);
        }
        let new = if room { source.batch(shape.batch) } else { Vec::new() };
        created += new.len();
        let now = SystemClock.now().get();
        let sent = if shape.writes == 2 {
            rows.commit(Turn { dispatched_at_once: &new, ended: &outcomes, ..Turn::default() }, now).await?;
            new
        } else {
            let due = scheduled.pop_front().unwrap_or_default();
            let turn = Turn { scheduled: &new, dispatched: &due, ended: &outcomes, ..Turn::default() };
            rows.commit(turn, now).await?;
            scheduled.extend((!new.is_empty()).then_some(new));
            due
        };
        commits += 1;
        ended += outcomes.len();
        stream.send(&sent, &outcomes, &params, now).await?;
    }
    Ok(commits)
}

/// Makes runs.
pub(crate) struct Source {
    chance: Chance,
}

impl Source {
    /// Always the same ids, but for the time.
    pub(crate) fn new() -> Self {
        Self { chance: Chance::from_seed(1) }
    }

    /// The next `runs`.
    pub(crate) fn batch(&mut self, runs: usize) -> Vec<NewRun> {
        let now = SystemClock.now();
        let run = |_| {
            let id = RunId::new(now, &mut self.chance);
            NewRun { id, fire_key: format!("r{id}"), token: self.chance.next_u64().cast_signed() }
        };
        (0..runs).map(run).collect()
    }
}

/// Of a run.
pub(crate) fn params(bytes: usize) -> Vec<u8> {
    vec![b'x'; bytes]
}
