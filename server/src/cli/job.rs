//! `fastjob job`: what runs, and when.

use clap::{Args, Subcommand};
use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::protocol::v1;
use serde_json::Value;

use super::connect::Connect;
use super::connection::Connection;
use super::print::Printer;
use super::{Exit, Failure, args, job_put, job_run, shape};

/// Entries of one call: the most that a server gives.
const PAGE: u32 = 500;
const DAY_MS: i64 = 86_400_000;
const COLUMNS: [&str; 7] = ["name", "handler", "enabled", "trigger", "next_at", "revision", "managed_by"];
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
    /// Show its runs and gaps in order of tick.
    Ledger(Ledger),
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
        let (connection, printer) = self.connect.open()?;
        let app = connection.app()?;
        match self.verb {
            Verb::Put(put) => return put.run(&connection, &printer, app).await,
            Verb::Run(fire) => return fire.run(&connection, &printer, app).await,
            Verb::Get { name } => {
                let request = v1::JobGetRequest { app, name };
                let job = connection
                    .client(request, async |mut client, request| client.job_get(request).await)
                    .await?;
                printer.one(&shape::job(&job))?;
            }
            Verb::List { limit } => list(&connection, &printer, &app, limit).await?,
            Verb::Enable { name } => {
                let request = v1::JobSetEnabledRequest { app, name };
                let job =
                    connection.client(request, async |mut client, request| client.job_enable(request).await);
                printer.one(&shape::job(&job.await?))?;
            }
            Verb::Disable { name } => {
                let request = v1::JobSetEnabledRequest { app, name };
                let job =
                    connection.client(request, async |mut client, request| client.job_disable(request).await);
                printer.one(&shape::job(&job.await?))?;
            }
            Verb::Delete { name } => {
                let request = v1::JobDeleteRequest { app, name };
                connection
                    .client(request, async |mut client, request| client.job_delete(request).await)
                    .await?;
            }
            Verb::Next(next) => next.run(&connection, &printer, app).await?,
            Verb::Ledger(ledger) => ledger.run(&connection, &printer, &app).await?,
        }
        Ok(Exit::Done)
    }
}

async fn list(connection: &Connection, printer: &Printer, app: &str, limit: usize) -> Result<(), Failure> {
    let (mut shapes, mut after) = (Vec::new(), String::new());
    while shapes.len() < limit {
        let wanted = u32::try_from(limit - shapes.len()).unwrap_or(PAGE).min(PAGE);
        let request = v1::JobListRequest { app: app.to_owned(), after, limit: wanted };
        let page =
            connection.client(request, async |mut client, request| client.job_list(request).await).await?;
        let last = page.jobs.last().and_then(|job| job.spec.as_ref());
        after = last.map(|spec| spec.name.clone()).unwrap_or_default();
        shapes.extend(page.jobs.iter().map(shape::job));
        if page.jobs.len() < wanted as usize || after.is_empty() {
            break;
        }
    }
    printer.list(&COLUMNS, &shapes)
}

impl Next {
    async fn run(self, connection: &Connection, printer: &Printer, app: String) -> Result<(), Failure> {
        let Self { name, from, count } = self;
        let request = v1::JobNextRequest { app: app.clone(), name: name.clone(), from, count };
        let reply =
            connection.client(request, async |mut client, request| client.job_next(request).await).await?;
        let ticks: Vec<_> = reply.ticks.into_iter().map(|at| shape::tick(&app, &name, at)).collect();
        printer.list(&["tick"], &ticks)
    }
}

impl Ledger {
    /// Prints page by page, so that a long ledger needs no memory.
    async fn run(self, connection: &Connection, printer: &Printer, app: &str) -> Result<(), Failure> {
        let to = self.to.unwrap_or_else(|| SystemClock.now().get());
        let from = self.from.unwrap_or_else(|| to.saturating_sub(DAY_MS));
        if from > to {
            return Err(Failure::usage("--from", "is later than --to", "give the earlier instant first"));
        }
        let mut request = v1::JobLedgerRequest {
            app: app.to_owned(),
            name: self.name,
            from,
            to,
            limit: PAGE,
            page: Default::default(),
        };
        loop {
            let reply = connection
                .client(request.clone(), async |mut client, request| client.job_ledger(request).await)
                .await?;
            let entries: Vec<Value> = reply.entries.iter().filter_map(shape::ledger_entry).collect();
            printer.list(&LEDGER_COLUMNS, &entries)?;
            if reply.next.is_empty() || reply.next == request.page {
                return Ok(());
            }
            request.page = reply.next;
        }
    }
}
