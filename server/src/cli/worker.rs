//! `fastjob worker`: connected workers.

use clap::{Args, Subcommand};

use super::connect::Connect;
use super::{Exit, Failure, shape};

/// `fastjob worker`.
#[derive(Args, Debug)]
pub(super) struct WorkerCommand {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the app's workers.
    List,
}

impl WorkerCommand {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let (client, printer) = self.connect.open_app().await?;
        let Verb::List = self.verb;
        let workers: Vec<_> = client.worker_list().await?.iter().map(shape::worker).collect();
        printer.list(
            &["worker", "session", "sdk", "slots", "running", "connected", "last_contact_at"],
            &workers,
        )?;
        Ok(Exit::Done)
    }
}
