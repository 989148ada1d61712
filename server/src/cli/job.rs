//! `fastjob job`: what runs, and when.

use clap::{Args, Subcommand};
use fastjob_core::client::Client;
use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::protocol::v1;
use serde_json::Value;

use super::connect::Connect;
use super::preview::Preview;
use super::print::Printer;
use super::{Exit, Failure, args, job_put, job_run, shape};

/// Jobs of one call; a reply that they do not fit holds fewer.
const PAGE: u32 = 500;
const DAY_MS: i64 = 86_400_000;
const COLUMNS: [&str; 7] = ["name", "handler", "enabled", "trigger", "next_at", "revision", "managed_by"];
const HISTORY_COLUMNS: [&str; 6] = ["revision", "from_at", "enabled", "deleted", "handler", "trigger"];
const LEDGER_COLUMNS: [&str; 10] =
    ["tick", "due", "id", "state", "reason", "attempt", "lateness_ms", "from", "to", "count"];

/// `fastjob job`.
#[derive(Args, Debug)]
pub(super) struct JobCommand {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Create a job, or replace it.
    Put(Box<job_put::Put>),
    /// Show one job.
    Get { name: String },
    /// List jobs in order of name.
    List {
        /// Show at most this many.
        #[arg(long, default_value_t = 10_000)]
        limit: usize,
    },
    /// Let it make ticks again.
    Enable { name: String },
    /// Keep it, and let it make no ticks.
    Disable { name: String },
    /// Delete it; its runs stay.
    Delete { name: String },
    /// Show its coming ticks.
    Next(Next),
    /// Fire it now or later.
    Run(job_run::Fire),
    /// Run past ticks of it, whatever became of them.
    Backfill(Backfill),
    /// Show its runs and gaps in order of tick.
    Ledger(Ledger),
    /// Show what it was: a line for each edit, also when it was deleted.
    History { name: String },
}

#[derive(Args, Debug)]
struct Next {
    name: String,
    /// Strictly after this instant [default: now].
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    from: Option<i64>,
    /// How many.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=500))]
    count: u32,
    /// In JSON too, show the rule in words, the clocks of its zone and the viewer's, and the ticks around the next two clock
    /// changes: one object, not a line a tick.
    #[arg(long)]
    preview: bool,
    /// The viewer's IANA zone [default: this machine's].
    #[arg(long, value_name = "Z", value_parser = args::zone)]
    viewer_zone: Option<jiff::tz::TimeZone>,
}

#[derive(Args, Debug)]
struct Backfill {
    name: String,
    /// From this instant on.
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    from: i64,
    /// Before this instant, which must have passed.
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    to: i64,
    /// Between these runs and all others of the job [default: buffer_all, one after the other].
    #[arg(long, value_name = "P")]
    overlap: Option<job_put::Overlap>,
}

#[derive(Args, Debug)]
struct Ledger {
    name: String,
    /// From this instant on [default: 24 h ago].
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    from: Option<i64>,
    /// Before this instant [default: now].
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    to: Option<i64>,
}

impl JobCommand {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let (client, printer) = self.connect.open_app().await?;
        match self.verb {
            Verb::Put(put) => put.run(&client, &printer).await?,
            Verb::Run(fire) => return fire.run(&client, &printer).await,
            Verb::Get { name } => printer.one(&shape::job(&client.job_get(&name).await?))?,
            Verb::List { limit } => list(&client, &printer, limit).await?,
            Verb::Enable { name } => printer.one(&shape::job(&client.job_enable(&name).await?))?,
            Verb::Disable { name } => printer.one(&shape::job(&client.job_disable(&name).await?))?,
            Verb::Delete { name } => client.job_delete(&name).await?,
            Verb::Next(next) => next.run(&client, &printer).await?,
            Verb::Backfill(backfill) => backfill.run(&client, &printer).await?,
            Verb::Ledger(ledger) => ledger.run(&client, &printer).await?,
            Verb::History { name } => history(&client, &printer, &name).await?,
        }
        Ok(Exit::Done)
    }
}

async fn list(client: &Client, printer: &Printer, limit: usize) -> Result<(), Failure> {
    let jobs = all(client, limit).await?;
    printer.list(&COLUMNS, &jobs.iter().map(shape::job).collect::<Vec<_>>())
}

/// The app's jobs in order of name, at most `limit`. Only an empty page is the last.
pub(super) async fn all(client: &Client, limit: usize) -> Result<Vec<v1::Job>, Failure> {
    let (mut jobs, mut after) = (Vec::new(), String::new());
    while jobs.len() < limit {
        let wanted = u32::try_from(limit - jobs.len()).unwrap_or(PAGE).min(PAGE);
        let page = client.job_list(&after, wanted).await?;
        let Some(last) = page.last().and_then(|job| job.spec.as_ref()) else { break };
        after.clone_from(&last.name);
        jobs.extend(page);
    }
    Ok(jobs)
}

async fn history(client: &Client, printer: &Printer, name: &str) -> Result<(), Failure> {
    let (mut id, mut after) = (bytes::Bytes::new(), 0);
    loop {
        let reply = client.job_history(id, name, after).await?;
        let Some(last) = reply.revisions.last() else { return Ok(()) };
        after = last.revision;
        let job = reply.record.and_then(|record| record.job).ok_or_else(|| Failure::incomplete("job"))?;
        // A new job may take the name meanwhile.
        id = job.id.clone();
        let shapes: Vec<Value> = reply.revisions.iter().map(|each| shape::revision(&job, each)).collect();
        printer.list(&HISTORY_COLUMNS, &shapes)?;
    }
}

impl Next {
    async fn run(self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let ticks = client.job_next(&self.name, self.from.map(Millis::new), self.count).await?;
        if self.preview || printer.is_table() {
            let job = client.job_get(&self.name).await?;
            let from = self.from.map_or_else(|| SystemClock.now(), Millis::new);
            let viewer = self.viewer_zone.unwrap_or_else(jiff::tz::TimeZone::system);
            return Preview::of(&job, viewer, from)?.print(&ticks, from, printer);
        }
        let tick = |at: &Millis| shape::tick(client.app(), &self.name, at.get());
        printer.list(&["tick"], &ticks.iter().map(tick).collect::<Vec<_>>())
    }
}

impl Backfill {
    async fn run(self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let overlap = self.overlap.map(job_put::Overlap::message);
        let (from, to) = (Millis::new(self.from), Millis::new(self.to));
        let reply = client.job_backfill(&self.name, from, to, overlap).await?;
        printer.one(&shape::backfilled(client.app(), &self.name, reply))
    }
}

impl Ledger {
    /// Prints page by page, so that a long ledger needs no memory.
    async fn run(self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let to = self.to.map_or_else(|| SystemClock.now(), Millis::new);
        let from = self.from.map_or_else(|| to.plus(-DAY_MS), Millis::new);
        if from > to {
            return Err(Failure::usage("--from", "is later than --to", "give the earlier instant first"));
        }
        let mut page = bytes::Bytes::new();
        loop {
            let reply = client.job_ledger(&self.name, from, to, page.clone()).await?;
            let entries: Vec<Value> = reply.entries.iter().filter_map(shape::ledger_entry).collect();
            printer.list(&LEDGER_COLUMNS, &entries)?;
            if reply.next.is_empty() || reply.next == page {
                return Ok(());
            }
            page = reply.next;
        }
    }
}
