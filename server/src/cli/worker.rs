//! `fastjob worker`: connected workers.

use clap::{Args, Subcommand};
use fastjob_core::protocol::v1;

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
        let (connection, printer) = self.connect.open()?;
        let app = connection.app()?;
        let Verb::List = self.verb;
        let request = v1::WorkerListRequest { app };
        let reply =
            connection.client(request, async |mut client, request| client.worker_list(request).await).await?;
        let workers: Vec<_> = reply.workers.iter().map(shape::worker).collect();
        printer.list(
            &["worker", "session", "sdk", "slots", "running", "connected", "last_contact_at"],
            &workers,
        )?;
        Ok(Exit::Done)
    }
}
