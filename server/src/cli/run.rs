//! `fastjob run`: each firing of a job.

use clap::{Args, Subcommand, ValueEnum};
use fastjob_core::client::{Accepted, Client, Error, Run, RunFilter};
use fastjob_core::id::{RequestId, RunId};
use fastjob_core::protocol::v1;

use super::connect::Connect;
use super::job_run::{wait_for, wait_for_accepted};
use super::print::Printer;
use super::{Exit, Failure, args, follow, shape};

/// Runs of one call: as many as fit a reply with parameters and results at their bounds.
const PAGE: u32 = 25;
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

/// Names a run by its id, or by the idempotency key or request id of its trigger.
#[derive(Args, Debug)]
struct Which {
    /// The run's id.
    #[arg(value_parser = args::run_id, required_unless_present_any = ["key", "request"], conflicts_with_all = ["key", "request"])]
    id: Option<RunId>,
    /// The job of the idempotency key or request id.
    #[arg(long, value_name = "J", conflicts_with = "id")]
    job: Option<String>,
    /// The idempotency key.
    #[arg(long, value_name = "K", requires = "job")]
    key: Option<String>,
    /// The request id that `job run` printed when its trigger was accepted.
    #[arg(long, value_name = "ID", requires = "job", conflicts_with = "key", value_parser = args::request_id)]
    request: Option<RequestId>,
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
    /// Show runs as they end, until interrupted.
    #[arg(long, conflicts_with_all = ["state", "limit", "before"])]
    follow: bool,
    /// With --follow: end after so many.
    #[arg(long, value_name = "N", requires = "follow")]
    count: Option<usize>,
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
        let (client, printer) = self.connect.open_app().await?;
        match self.verb {
            Verb::Get(which) => {
                printer.one(&shape::run_with_attempts(which.get(&client).await?.message()))?
            }
            Verb::List(list) => list.run(&client, &printer).await?,
            Verb::Wait { which, timeout } => {
                if let Some(accepted) = which.accepted() {
                    return wait_for_accepted(&client, &printer, &accepted, timeout).await;
                }
                let id = match which.id {
                    Some(id) => id,
                    None => which.get(&client).await?.id,
                };
                return wait_for(&client, &printer, id, timeout).await;
            }
            Verb::Cancel { id } => printer.one(&shape::run(client.run_cancel(id).await?.message()))?,
            Verb::Retry { id } => printer.one(&shape::run(client.run_retry(id).await?.message()))?,
        }
        Ok(Exit::Done)
    }
}

impl Which {
    /// The trigger whose request id is given.
    fn accepted(&self) -> Option<Accepted> {
        Some(Accepted::of_request(self.job.as_deref()?, self.request?))
    }

    async fn get(&self, client: &Client) -> Result<Run, Error> {
        if let Some(accepted) = self.accepted() {
            return client.run_by_accepted(&accepted).await;
        }
        match (self.id, &self.job, &self.key) {
            (None, Some(job), Some(key)) => client.run_by_key(job, key).await,
            (id, ..) => client.run_get(id.expect("an id is required unless job and key are given")).await,
        }
    }
}

impl List {
    /// Prints page by page.
    async fn run(self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let job = self.job.unwrap_or_default();
        if self.follow {
            return follow::follow(client, printer, &job, self.count).await;
        }
        let states: Vec<_> = self.state.iter().map(|state| state.message()).collect();
        let (mut before, mut left) = (self.before, self.limit);
        while left > 0 {
            let limit = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
            let filter = RunFilter { job: job.clone(), states: states.clone(), before, limit };
            let page = client.run_list(filter).await?;
            printer.list(&COLUMNS, &page.iter().map(|run| shape::run(run.message())).collect::<Vec<_>>())?;
            left = left.saturating_sub(page.len());
            match page.last() {
                Some(last) => before = Some(last.id),
                None => break,
            }
        }
        Ok(())
    }
}
