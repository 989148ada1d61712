//! A worker of a scenario in its own process, in any of the three languages, and what its handler noted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use fastjob_core::clock::{Clock, SystemClock};
use serde_json::Value;
use tokio::process::Command;

use crate::process::{Process, Used};
use crate::server::{APP, Server};

/// How long a worker may take to be connected; a JVM on a busy machine takes its time.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often its ready file is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// In what the worker is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Language {
    /// This program.
    Rust,
    /// `bench/java`.
    Java,
    /// `bench/c`.
    C,
}

impl Language {
    /// As people write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Java => "java",
            Self::C => "c",
        }
    }

    /// The program; those of Java and C are built by `bench/run.sh`, which says where they are.
    fn command(self) -> anyhow::Result<Command> {
        let variable = match self {
            Self::Rust => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("worker");
                return Ok(command);
            }
            Self::Java => "BENCH_JAVA_WORKER",
            Self::C => "BENCH_C_WORKER",
        };
        let program = std::env::var_os(variable)
            .with_context(|| format!("{variable} does not name the worker's program: use bench/run.sh"))?;
        Ok(Command::new(program))
    }
}

/// A worker at work.
pub(crate) struct Tally {
    process: Process,
    out: PathBuf,
}

/// What its handler noted.
pub(crate) struct Noted {
    /// Calls of the handler.
    pub(crate) executions: u64,
    /// Runs it was called for.
    pub(crate) distinct: u64,
    /// The instant that a call is measured by, and how much later it was; microseconds.
    late_us: Vec<(i64, i64)>,
}

impl Noted {
    /// How late the calls were whose instant lies in [from, to); milliseconds, sorted.
    pub(crate) fn late_ms(&self, from_us: i64, to_us: i64) -> Vec<f64> {
        let within = self.late_us.iter().filter(|(instant, _)| (from_us..to_us).contains(instant));
        let mut late: Vec<f64> = within.map(|(_, late)| *late as f64 / 1_000.0).collect();
        late.sort_by(f64::total_cmp);
        late
    }
}

impl Tally {
    /// Starts one and waits until it is connected. `arguments` are for the Rust worker alone.
    pub(crate) async fn start(
        server: &Server,
        language: Language,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let file = |name: &str| server.directory().join(format!("{}-{name}", language.name()));
        let (ready, out, log) = (file("ready"), file("out.json"), file("worker.log"));
        let mut command = language.command()?;
        command.arg("--ready").arg(&ready).arg("--out").arg(&out).args(arguments);
        command.env("FASTJOB_SERVERS", server.address()).env("FASTJOB_APP", APP);
        command.env("FASTJOB_TOKEN", server.token());
        let mut process = Process::start("the worker", command, &log)?;
        let until = SystemClock.elapsed() + READY_WITHIN;
        while !ready.exists() {
            if let Err(error) = process.check() {
                return Err(error.context(said(&log)));
            }
            anyhow::ensure!(
                SystemClock.elapsed() < until,
                "the worker is not connected after {READY_WITHIN:?}"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(Self { process, out })
    }

    /// What its process has used so far.
    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        self.process.used()
    }

    /// Ends it and reads what it noted.
    pub(crate) async fn stop(self) -> anyhow::Result<Noted> {
        self.process.stop().await?;
        let text = std::fs::read(&self.out).context("the worker wrote nothing")?;
        let noted: Value = serde_json::from_slice(&text)?;
        let count = |name: &str| noted.get(name).and_then(Value::as_u64).unwrap_or(0);
        let numbers = |name: &str| {
            let numbers = noted.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            numbers.iter().filter_map(Value::as_i64).collect::<Vec<i64>>()
        };
        let late_us = numbers("instants_us").into_iter().zip(numbers("late_us")).collect();
        Ok(Noted { executions: count("executions"), distinct: count("distinct"), late_us })
    }
}

fn said(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}
