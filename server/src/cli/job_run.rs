//! `fastjob job run`: fires a job, and waits for the end of its run if asked to.

use clap::Args;
use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::id::{Chance, RequestId};
use fastjob_core::protocol::v1;
use tokio::time::Duration;

use super::connection::Connection;
use super::job_put::Overlap;
use super::print::Printer;
use super::{Exit, Failure, args, shape};

/// The longest wait of one call; longer ones are made of several.
pub(super) const WAIT_CALL_MS: i64 = 30_000;
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
    pub(super) async fn run(
        self,
        connection: &Connection,
        printer: &Printer,
        app: String,
    ) -> Result<Exit, Failure> {
        let (wait, timeout) = (self.wait, self.timeout);
        let request = v1::TriggerRequest { app: app.clone(), triggers: vec![self.spec()?] };
        let reply =
            connection.client(request, async |mut client, request| client.trigger(request).await).await?;
        let result = reply.results.into_iter().next().and_then(|result| result.result);
        let run = match result.ok_or_else(|| Failure::incomplete("result"))? {
            v1::trigger_result::Result::Run(run) => run,
            v1::trigger_result::Result::Error(detail) => return Err(Failure::of_detail(detail)),
        };
        if !wait {
            printer.one(&shape::run(&run))?;
            return Ok(Exit::Done);
        }
        let run = wait_for(connection, app, run.id, timeout).await?;
        printer.one(&shape::run(&run))?;
        Ok(Exit::of_run(&run))
    }

    fn spec(self) -> Result<v1::TriggerSpec, Failure> {
        use v1::trigger_spec::When;
        Ok(v1::TriggerSpec {
            job: self.name,
            params: self.params.payload()?,
            when: self.at.map(When::At).or(self.delay.map(When::DelayMs)),
            idempotency_key: self.key.unwrap_or_default(),
            request_id: request_id(),
            overlap: self.overlap.map(|overlap| overlap.message().into()),
            manual: true,
        })
    }
}

/// Names one trigger over all its repetitions.
pub(super) fn request_id() -> prost::bytes::Bytes {
    let mut chance = Chance::from_seed(rand::random());
    RequestId::new(SystemClock.now(), &mut chance).as_bytes().to_vec().into()
}

/// Waits until the run has ended or `timeout_ms` is over; yields it as it is then.
pub(super) async fn wait_for(
    connection: &Connection,
    app: String,
    id: prost::bytes::Bytes,
    timeout_ms: Option<i64>,
) -> Result<v1::Run, Failure> {
    let timeout =
        timeout_ms.and_then(|ms| u64::try_from(ms).ok()).map_or(DEFAULT_WAIT, Duration::from_millis);
    let end = SystemClock.elapsed() + timeout;
    loop {
        let left = end.saturating_sub(SystemClock.elapsed());
        let timeout_ms = i64::try_from(left.as_millis()).unwrap_or(WAIT_CALL_MS).min(WAIT_CALL_MS);
        let request = v1::RunWaitRequest { app: app.clone(), id: id.clone(), timeout_ms };
        let run =
            connection.client(request, async |mut client, request| client.run_wait(request).await).await?;
        if Exit::of_run(&run) != Exit::StillWaiting || left.as_millis() <= WAIT_CALL_MS as u128 {
            return Ok(run);
        }
    }
}
