//! What the servers have to do while they are being harmed: jobs of every kind, callers, an editor.

mod callers;
mod editor;
mod inbox;
mod jobs;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use fastjob_core::client::{Client, Error, ErrorKind};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::clock::{Chance, now_ms};
use super::record::Record;

pub(crate) use inbox::{Inserts, Sql};
pub(crate) use jobs::{Jobs, given_up, late};

/// Callers at work at the same time; two share each key.
const CALLERS: usize = 3;
/// Wait before a call that was not answered is made again.
const AGAIN: Duration = Duration::from_millis(200);

/// The load of a plan, at work until it is ended.
pub(crate) struct Load {
    client: Client,
    record: Record,
    jobs: Jobs,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    seed: u64,
    callers: usize,
    ordinals: Arc<AtomicU64>,
}

impl Load {
    /// Puts the jobs and begins to call and edit.
    pub(crate) async fn begin(
        client: Client,
        record: Record,
        seed: u64,
        inserts: Option<Inserts>,
    ) -> Result<Self, String> {
        let jobs = Jobs::of_a_plan();
        for job in &jobs.0 {
            editor::put(&client, &record, job.clone(), now_ms()).await?;
        }
        let (stop, tasks, ordinals) = (CancellationToken::new(), JoinSet::new(), Arc::default());
        let mut load = Self { client, record, jobs, stop, tasks, seed, callers: 0, ordinals };
        load.call("called", CALLERS);
        let Self { client, record, stop, tasks, .. } = &mut load;
        let edits = editor::Editor::new(client.clone(), record.clone(), Chance::new(seed ^ 0xED17));
        tasks.spawn(edits.edit(stop.clone()));
        if let Some(inserts) = inserts {
            tasks.spawn(inserts.insert(record.clone(), seed, stop.clone()));
        }
        Ok(load)
    }

    /// So many more callers, of this job.
    pub(crate) fn call(&mut self, job: &'static str, more: usize) {
        for caller in self.callers..self.callers + more {
            let calls = callers::Caller::new(job, caller, self.seed, Arc::clone(&self.ordinals));
            self.tasks.spawn(calls.call(self.client.clone(), self.record.clone(), self.stop.clone()));
        }
        self.callers += more;
    }

    /// Puts one more job.
    pub(crate) async fn put(&mut self, job: fastjob_core::protocol::v1::JobSpec) -> Result<(), String> {
        self.jobs.0.push(job.clone());
        editor::put(&self.client, &self.record, job, now_ms()).await
    }

    /// Fires a job once, whatever it takes.
    pub(crate) async fn fire(&self, job: &str, key: &str) -> Result<(), String> {
        callers::fire(&self.client, &self.record, job, key).await
    }

    /// Ends the calls, disables every job, and answers the jobs and the instant from which nothing new was asked for.
    pub(crate) async fn end(mut self) -> Result<(Jobs, i64), String> {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|error| format!("a caller panicked: {error}"))?;
        }
        for job in &self.jobs.0 {
            editor::set_enabled(&self.client, &self.record, &job.name, false).await?;
        }
        Ok((self.jobs, now_ms()))
    }
}

/// Whether the call may have done what it asked for, or may yet.
fn is_unknown(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Internal)
}
