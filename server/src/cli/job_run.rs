//! `fastjob job run`: fires a job, and waits for the end of its run if asked to.

use std::time::Duration;

use clap::Args;
use fastjob_core::client::{Accepted, Client, Run, Triggered};
use fastjob_core::id::RunId;
use fastjob_core::protocol::v1;

use super::job_put::Overlap;
use super::print::Printer;
use super::{Exit, Failure, args, shape};

/// The longest wait unless `--timeout` says otherwise: the longest that an attempt may take.
const DEFAULT_WAIT: Duration = Duration::from_secs(30 * 86_400);

/// How a job is fired.
#[derive(Args, Debug)]
pub(super) struct Fire {
    /// The job.
    name: String,
    #[command(flatten)]
    params: args::Params,
    /// Not before this instant [default: at once].
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true, conflicts_with = "delay")]
    at: Option<i64>,
    /// This much later.
    #[arg(long, value_name = "D", value_parser = args::duration)]
    delay: Option<i64>,
    /// A second trigger of the job with this idempotency key yields the same run.
    #[arg(long, value_name = "K")]
    key: Option<String>,
    /// For this run instead of the job's own.
    #[arg(long, value_name = "P")]
    overlap: Option<Overlap>,
    /// Wait until the run has ended; the exit code tells how.
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this [default: 30 days].
    #[arg(long, value_name = "D", value_parser = args::duration, requires = "wait")]
    timeout: Option<i64>,
}

impl Fire {
    pub(super) async fn run(self, client: &Client, printer: &Printer) -> Result<Exit, Failure> {
        let (wait, timeout) = (self.wait, self.timeout);
        let run = match client.trigger_once(self.spec()?).await? {
            Triggered::Run(run, _existed) => run,
            Triggered::Accepted(accepted) if wait => {
                return wait_for_accepted(client, printer, &accepted, timeout).await;
            }
            Triggered::Accepted(accepted) => {
                printer.one(&shape::accepted(&accepted))?;
                return Ok(Exit::Done);
            }
        };
        if !wait {
            printer.one(&shape::run(&run))?;
            return Ok(Exit::Done);
        }
        let id = RunId::from_slice(&run.id).ok_or_else(|| Failure::incomplete("run id"))?;
        wait_for(client, printer, id, timeout).await
    }

    fn spec(self) -> Result<v1::TriggerSpec, Failure> {
        use v1::trigger_spec::When;
        Ok(v1::TriggerSpec {
            job: self.name,
            params: self.params.payload()?,
            when: self.at.map(When::At).or(self.delay.map(When::DelayMs)),
            idempotency_key: self.key.unwrap_or_default(),
            overlap: self.overlap.map(|overlap| overlap.message().into()),
            manual: true,
            ..v1::TriggerSpec::default()
        })
    }
}

/// Waits until the run has ended or `timeout_ms` is over, and prints it as it is then.
pub(super) async fn wait_for(
    client: &Client,
    printer: &Printer,
    id: RunId,
    timeout_ms: Option<i64>,
) -> Result<Exit, Failure> {
    shown(printer, client.run_wait(id, Some(longest(timeout_ms))).await?)
}

/// As [`wait_for`], for the run that an accepted trigger is yet to make.
pub(super) async fn wait_for_accepted(
    client: &Client,
    printer: &Printer,
    accepted: &Accepted,
    timeout_ms: Option<i64>,
) -> Result<Exit, Failure> {
    shown(printer, client.run_wait_accepted(accepted, Some(longest(timeout_ms))).await?)
}

fn longest(timeout_ms: Option<i64>) -> Duration {
    timeout_ms.and_then(|ms| u64::try_from(ms).ok()).map_or(DEFAULT_WAIT, Duration::from_millis)
}

fn shown(printer: &Printer, run: Run) -> Result<Exit, Failure> {
    let run = run.into_message();
    printer.one(&shape::run(&run))?;
    Ok(Exit::of_run(&run))
}
