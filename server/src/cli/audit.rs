//! `fastjob audit`: reads the edit history and the ledger of each job from a living server, and prints every discrepancy.

use clap::Args;
use fastjob_core::client::Client;
use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::protocol::v1;
use serde_json::{Value, json};

use super::connect::Connect;
use super::print::Printer;
use super::{Exit, Failure, args, audit_read, shape};
use crate::audit::{Audit, Audited, Finding, History, Marks, Range};

/// A job that is edited while it is audited is read again, this often in all.
const READINGS: u32 = 3;
/// Findings of a job that are kept and printed; further ones are counted.
const MAX_FINDINGS: usize = 1_000;
const COLUMNS: [&str; 7] = ["job", "code", "from", "to", "count", "revision", "detail"];

/// Recomputes every schedule from its edit history, and proves that runs and gaps are its ticks. Exit code 1 if it finds
/// anything.
#[derive(Args, Debug)]
pub(super) struct AuditCommand {
    /// Only jobs of this name, living or deleted.
    #[arg(long, value_name = "NAME")]
    job: Option<String>,
    /// Ticks from this instant on [default: all since the job was put].
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    from: Option<i64>,
    /// Ticks before this instant [default: all, also those written ahead].
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    to: Option<i64>,
    #[command(flatten)]
    connect: Connect,
}

/// What one reading of a job found.
struct Reading {
    audited: Audited,
    revisions: usize,
    findings: Vec<Finding>,
    /// The job was edited meanwhile: what it was then is for certain only up to here.
    edited_from: Option<Millis>,
}

#[derive(Default)]
struct Sum {
    jobs: u64,
    revisions: u64,
    audited: Audited,
    findings: u64,
}

impl AuditCommand {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let range = self.range()?;
        let (client, printer) = self.connect.open_app().await?;
        let began = SystemClock.elapsed();
        let (mut sum, mut page) = (Sum::default(), bytes::Bytes::new());
        loop {
            let reply = client.job_list_all(self.job.as_deref().unwrap_or_default(), page).await?;
            for record in &reply.jobs {
                audit_job(&client, &printer, record, range, &mut sum).await?;
            }
            page = reply.next;
            if page.is_empty() {
                break;
            }
        }
        if let Some(name) = self.job.filter(|_| sum.jobs == 0) {
            let message = format!("there is no job {name:?}, and never was one");
            return Err(Failure {
                remedy: "see `fastjob job list`".into(),
                ..Failure::new(Exit::NotFound, message)
            });
        }
        let seconds = (SystemClock.elapsed() - began).as_secs_f64();
        printer.closing(&summary(&sum, seconds), &words(&sum, seconds))?;
        Ok(if sum.findings == 0 { Exit::Done } else { Exit::Failed })
    }

    fn range(&self) -> Result<Range, Failure> {
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from > to
        {
            return Err(Failure::usage("--from", "is later than --to", "give the earlier instant first"));
        }
        Ok(Range { from: Millis::new(self.from.unwrap_or(0)), to: self.to.map(Millis::new) })
    }
}

async fn audit_job(
    client: &Client,
    printer: &Printer,
    record: &v1::JobRecord,
    range: Range,
    sum: &mut Sum,
) -> Result<(), Failure> {
    let job = record.job.as_ref().ok_or_else(|| Failure::incomplete("job"))?;
    let name = job.spec.as_ref().map(|spec| spec.name.clone()).unwrap_or_default();
    let mut reading = read(client, &job.id, range).await?;
    for _ in 1..READINGS {
        if reading.edited_from.is_none() {
            break;
        }
        reading = read(client, &job.id, range).await?;
    }
    if let Some(edited) = reading.edited_from {
        reading.findings.retain(|finding| finding.from.is_none_or(|from| from <= edited));
    }
    let found = reading.findings.len();
    let lines = reading.findings.iter().take(MAX_FINDINGS);
    let lines: Vec<Value> = lines.map(|finding| shape_of(client.app(), &name, finding)).collect();
    if !lines.is_empty() {
        printer.list(&COLUMNS, &lines)?;
    }
    sum.jobs += 1;
    sum.revisions += reading.revisions as u64;
    sum.audited.ticks += reading.audited.ticks;
    sum.audited.runs += reading.audited.runs;
    sum.audited.gaps += reading.audited.gaps;
    sum.findings += found as u64;
    Ok(())
}

async fn read(client: &Client, id: &bytes::Bytes, range: Range) -> Result<Reading, Failure> {
    let (marks, history) = audit_read::history(client, id).await?;
    let mut findings = history.check(&marks);
    let mut audit = Audit::new(&history, &marks, range);
    audit_read::ledger(client, id, range, |entry| {
        audit.take(entry, &mut findings);
        findings.truncate(MAX_FINDINGS + 1);
    })
    .await?;
    let (after, now) = audit_read::marks(client, id).await?;
    let audited = audit.finish(&after, now, &mut findings);
    let edited_from = edit_between(&history, &marks, &after);
    Ok(Reading { audited, revisions: history.len(), findings, edited_from })
}

fn edit_between(history: &History, before: &Marks, after: &Marks) -> Option<Millis> {
    let edited = after.revision != before.revision || history.newest() > before.revision;
    edited.then(|| before.updated_at.max(before.deleted_at.unwrap_or(before.updated_at)))
}

fn shape_of(app: &str, job: &str, finding: &Finding) -> Value {
    json!({
        "app": app,
        "job": job,
        "code": finding.code.as_str(),
        "from": finding.from.map(|at| shape::instant(at.get())),
        "to": finding.to.map(|at| shape::instant(at.get())),
        "count": finding.count,
        "revision": finding.revision,
        "run": finding.run.map(|run| run.to_string()),
        "detail": finding.detail,
    })
}

fn summary(sum: &Sum, seconds: f64) -> Value {
    json!({
        "summary": true,
        "jobs": sum.jobs,
        "revisions": sum.revisions,
        "ticks": sum.audited.ticks,
        "runs": sum.audited.runs,
        "gaps": sum.audited.gaps,
        "findings": sum.findings,
        "took_ms": (seconds * 1_000.0) as u64,
        "ticks_per_second": per_second(sum, seconds),
    })
}

fn words(sum: &Sum, seconds: f64) -> String {
    format!(
        "{} of {} jobs in {} revisions: {} ticks, {} runs, {} gaps, {} per second",
        if sum.findings == 0 { "no finding".to_owned() } else { format!("{} findings", sum.findings) },
        sum.jobs,
        sum.revisions,
        sum.audited.ticks,
        sum.audited.runs,
        sum.audited.gaps,
        per_second(sum, seconds),
    )
}

fn per_second(sum: &Sum, seconds: f64) -> u64 {
    if seconds > 0.0 { (sum.audited.ticks as f64 / seconds) as u64 } else { 0 }
}
