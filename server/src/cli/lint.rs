//! `fastjob lint`: what is likely wrong with the jobs of files, told without a server.

use std::path::PathBuf;

use clap::Args;
use fastjob_core::clock::{Clock, Millis, SystemClock};
use serde_json::{Value, json};

use super::connect::Output;
use super::job_files::{self, FileJob};
use super::print::Printer;
use super::{Exit, Failure, args};
use crate::lint::{self, Finding, Settings, Severity, Subject};

const COLUMNS: [&str; 7] = ["place", "job", "severity", "code", "field", "message", "remedy"];

/// Tells what is likely wrong with jobs, without a server. Exit code 0: nothing, or warnings alone; 1: an error, or with
/// --strict anything; 2: a file cannot be read.
#[derive(Args, Debug)]
pub(super) struct Lint {
    /// Files of jobs, - for stdin: YAML as `fastjob apply` reads it, JSON lines of jobs, or crontab-like lines.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    reading: job_files::Reading,
    /// How long runs usually take: a line each, as `nightly 5m`; makes the rule about periods speak.
    #[arg(long, value_name = "FILE")]
    durations: Option<PathBuf>,
    /// Warnings count as errors do.
    #[arg(long)]
    strict: bool,
    /// So many jobs at one instant are a pile-up.
    #[arg(long, value_name = "N", default_value_t = Settings::PILE_UP)]
    pile_up: usize,
    /// Look at ticks from this instant on [default: now].
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    from: Option<i64>,
    /// How to print: a table (default on a terminal), or one JSON object a line (default elsewhere).
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Output>,
}

impl Lint {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let now = self.from.map_or_else(|| SystemClock.now(), Millis::new);
        let jobs = self.reading.read(&self.files, now)?;
        let durations = self.durations.as_deref().map(job_files::durations).transpose()?.unwrap_or_default();
        let subject = |job: &FileJob| Subject {
            id: job.id(),
            name: job.put.name.to_string(),
            definition: job.put.definition.clone().into(),
            usual_ms: durations.get(job.put.name.as_str()).copied(),
        };
        let subjects: Vec<Subject> = jobs.iter().map(subject).collect();
        let found = lint::lint(&subjects, Settings { now, pile_up: self.pile_up });
        let printer = Printer::new(self.output);
        let lines: Vec<Value> = found.iter().map(|finding| shape(finding, &jobs[finding.subject])).collect();
        if !lines.is_empty() {
            printer.list(&COLUMNS, &lines)?;
        }
        let errors = found.iter().filter(|finding| finding.severity == Severity::Error).count();
        eprintln!("{} jobs: {errors} errors, {} warnings", jobs.len(), found.len() - errors);
        Ok(if errors > 0 || (self.strict && !found.is_empty()) { Exit::Failed } else { Exit::Done })
    }
}

fn shape(finding: &Finding, job: &FileJob) -> Value {
    let line = job.line_of(finding.field);
    json!({
        "place": format!("{}:{line}", job.file),
        "file": job.file,
        "line": line,
        "job": job.put.name.as_str(),
        "severity": finding.severity.as_str(),
        "code": finding.code.as_str(),
        "field": finding.field,
        "message": finding.message,
        "remedy": finding.remedy,
    })
}
