//! `fastjob export`: an app's jobs as a file for `fastjob apply`.

use clap::Args;
use fastjob_core::protocol::v1;

use super::connect::Connect;
use super::{Exit, Failure, job, jobfile, print};

/// Writes an app's jobs as YAML to stdout; `fastjob apply` makes the same jobs of it.
#[derive(Args, Debug)]
pub(super) struct Export {
    /// Only these jobs [default: all].
    names: Vec<String>,
    /// Only those that this one manages.
    #[arg(long, value_name = "WHO", value_parser = ["code", "console"])]
    managed_by: Option<String>,
    /// Print the form of the files as a JSON schema instead.
    #[arg(long, conflicts_with_all = ["names", "managed_by"])]
    schema: bool,
    #[command(flatten)]
    connect: Connect,
}

impl Export {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        if self.schema {
            return print::text(&jobfile::schema()).map(|()| Exit::Done);
        }
        let (client, _) = self.connect.open_app().await?;
        let mut jobs = Vec::with_capacity(self.names.len());
        if self.names.is_empty() {
            jobs = job::all(&client, usize::MAX).await?;
        } else {
            for name in &self.names {
                jobs.push(client.job_get(name).await?);
            }
        }
        let manager = self.managed_by.as_deref();
        let specs: Vec<v1::JobSpec> = jobs
            .into_iter()
            .filter_map(|job| Some(v1::JobSpec { enabled: Some(job.enabled), ..job.spec? }))
            .filter(|spec| manager.is_none_or(|who| who == spec.managed_by))
            .collect();
        print::text(&jobfile::write(specs.iter())).map(|()| Exit::Done)
    }
}
