//! `fastjob run`: each firing of a job.

use clap::{Args, Subcommand, ValueEnum};
use fastjob_core::id::RunId;
use fastjob_core::protocol::v1;

use super::connect::Connect;
use super::connection::Connection;
use super::job_run::{request_id, wait_for};
use super::print::Printer;
use super::{Exit, Failure, args, shape};

/// Runs of one call: the most that a server gives.
const PAGE: u32 = 500;
const COLUMNS: [&str; 9] =
    ["id", "job", "source", "due", "state", "reason", "attempt", "worker", "lateness_ms"];

/// `fastjob run`.
#[derive(Args, Debug)]
pub(super) struct RunCommand {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Show one run with its attempts.
    Get(Which),
    /// List runs, newest first.
    List(List),
    /// Wait until a run has ended; the exit code tells how.
    Wait {
        #[command(flatten)]
        which: Which,
        /// Wait no longer than this [default: 30 days].
        #[arg(long, value_name = "D", value_parser = args::duration)]
        timeout: Option<i64>,
    },
    /// Cancel a run.
    Cancel {
        #[arg(value_parser = args::run_id)]
        id: RunId,
    },
    /// Make a new run of one that has ended.
    Retry {
        #[arg(value_parser = args::run_id)]
        id: RunId,
    },
}

/// Names a run by its id, or by the idempotency key it was triggered with.
#[derive(Args, Debug)]
struct Which {
    /// The run's id.
    #[arg(value_parser = args::run_id, required_unless_present = "key", conflicts_with = "key")]
    id: Option<RunId>,
    /// The job of the idempotency key.
    #[arg(long, value_name = "J", requires = "key", conflicts_with = "id")]
    job: Option<String>,
    /// The idempotency key.
    #[arg(long, value_name = "K", requires = "job")]
    key: Option<String>,
}

#[derive(Args, Debug)]
struct List {
    /// Of this job only.
    #[arg(long, value_name = "J")]
    job: Option<String>,
    /// In this state only; may be repeated.
    #[arg(long, value_name = "S", value_delimiter = ',')]
    state: Vec<State>,
    /// At most this many.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Older than this run.
    #[arg(long, value_name = "ID", value_parser = args::run_id)]
    before: Option<RunId>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Scheduled,
    Dispatched,
    Succeeded,
    Failed,
    Cancelled,
    Skipped,
}

impl State {
    fn message(self) -> v1::RunState {
        match self {
            Self::Scheduled => v1::RunState::Scheduled,
            Self::Dispatched => v1::RunState::Dispatched,
            Self::Succeeded => v1::RunState::Succeeded,
            Self::Failed => v1::RunState::Failed,
            Self::Cancelled => v1::RunState::Cancelled,
            Self::Skipped => v1::RunState::Skipped,
        }
    }
}

impl RunCommand {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let (connection, printer) = self.connect.open()?;
        let app = connection.app()?;
        match self.verb {
            Verb::Get(which) => {
                printer.one(&shape::run_with_attempts(&which.get(&connection, app).await?))?
            }
            Verb::List(list) => list.run(&connection, &printer, &app).await?,
            Verb::Wait { which, timeout } => {
                let id = match which.id {
                    Some(id) => bytes(id),
                    None => which.get(&connection, app.clone()).await?.id,
                };
                let run = wait_for(&connection, app, id, timeout).await?;
                printer.one(&shape::run(&run))?;
                return Ok(Exit::of_run(&run));
            }
            Verb::Cancel { id } => {
                let request = v1::RunCancelRequest { app, id: bytes(id) };
                let run =
                    connection.client(request, async |mut client, request| client.run_cancel(request).await);
                printer.one(&shape::run(&run.await?))?;
            }
            Verb::Retry { id } => {
                let request = v1::RunRetryRequest { app, id: bytes(id), request_id: request_id() };
                let run =
                    connection.client(request, async |mut client, request| client.run_retry(request).await);
                printer.one(&shape::run(&run.await?))?;
            }
        }
        Ok(Exit::Done)
    }
}

impl Which {
    async fn get(self, connection: &Connection, app: String) -> Result<v1::Run, Failure> {
        use v1::run_get_request::By;
        let by = match self.id {
            Some(id) => By::Id(bytes(id)),
            None => By::Key(v1::JobKey {
                job: self.job.unwrap_or_default(),
                idempotency_key: self.key.unwrap_or_default(),
            }),
        };
        let request = v1::RunGetRequest { app, by: Some(by) };
        connection.client(request, async |mut client, request| client.run_get(request).await).await
    }
}

impl List {
    /// Prints page by page.
    async fn run(self, connection: &Connection, printer: &Printer, app: &str) -> Result<(), Failure> {
        let states: Vec<i32> = self.state.iter().map(|state| state.message().into()).collect();
        let mut before = self.before.map(bytes).unwrap_or_default();
        let mut left = self.limit;
        loop {
            let limit = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
            if limit == 0 {
                return Ok(());
            }
            let job = self.job.clone().unwrap_or_default();
            let request =
                v1::RunListRequest { app: app.to_owned(), job, states: states.clone(), limit, before };
            let page = connection
                .client(request, async |mut client, request| client.run_list(request).await)
                .await?;
            printer.list(&COLUMNS, &page.runs.iter().map(shape::run).collect::<Vec<_>>())?;
            left = left.saturating_sub(page.runs.len());
            match page.runs.last() {
                Some(last) if page.runs.len() == limit as usize => before = last.id.clone(),
                _ => return Ok(()),
            }
        }
    }
}

fn bytes(id: RunId) -> prost::bytes::Bytes {
    id.as_bytes().to_vec().into()
}
