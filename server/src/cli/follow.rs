//! `fastjob run list --follow`: runs as they end, until interrupted.

use std::collections::HashSet;
use std::time::Duration;

use fastjob_core::client::{Client, RunFilter};
use fastjob_core::id::RunId;
use fastjob_core::protocol::v1;

use super::print::Printer;
use super::{Failure, shape};

/// How often the server is asked.
const EVERY: Duration = Duration::from_millis(200);
/// Runs of one look: of more that end between two looks, the newest are shown.
const LOOK: u32 = 100;
/// Ended runs that are remembered, so that none is shown twice.
const REMEMBERED: usize = 100_000;
/// A line: when it ended, its job, how it ended, its worker, how late it began.
const COLUMNS: [(&str, usize); 6] =
    [("ended_at", 24), ("job", 24), ("state", 10), ("worker", 16), ("lateness_ms", 11), ("id", 36)];

const ENDED: [v1::RunState; 4] =
    [v1::RunState::Succeeded, v1::RunState::Failed, v1::RunState::Cancelled, v1::RunState::Skipped];

/// Prints runs of `job` (empty: of all) in the order in which they end; `count` of them, if given.
pub(super) async fn follow(
    client: &Client,
    printer: &Printer,
    job: &str,
    count: Option<usize>,
) -> Result<(), Failure> {
    let mut seen: HashSet<RunId> = look(client, job).await?.into_iter().map(|(id, _)| id).collect();
    let mut left = count.unwrap_or(usize::MAX);
    printer.header(&COLUMNS)?;
    while left > 0 {
        tokio::time::sleep(EVERY).await;
        let mut ended = look(client, job).await?;
        if seen.len() > REMEMBERED {
            seen = ended.iter().map(|(id, _)| *id).filter(|id| seen.contains(id)).collect();
        }
        ended.retain(|(id, _)| seen.insert(*id));
        ended.sort_by_key(|(_, run)| run.ended_at);
        for (_, run) in ended.iter().take(left) {
            printer.line(&COLUMNS, &shape::run(run))?;
        }
        left = left.saturating_sub(ended.len());
    }
    Ok(())
}

/// The newest ended runs.
async fn look(client: &Client, job: &str) -> Result<Vec<(RunId, v1::Run)>, Failure> {
    let filter = RunFilter { job: job.to_owned(), states: ENDED.to_vec(), before: None, limit: LOOK };
    let runs = client.run_list(filter).await?;
    Ok(runs.into_iter().map(|run| (run.id, run.into_message())).collect())
}
