//! `fastjob server`: the servers.

use clap::{Args, Subcommand};

use super::connect::Connect;
use super::{Exit, Failure, shape};

/// `fastjob server`.
#[derive(Args, Debug)]
pub(super) struct ServerCommand {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the servers.
    List,
}

impl ServerCommand {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let (client, printer) = self.connect.open().await?;
        let Verb::List = self.verb;
        let servers: Vec<_> = client.server_list().await?.iter().map(shape::server).collect();
        printer.list(
            &["id", "rpc_address", "http_address", "version", "state", "shards", "renewed_at"],
            &servers,
        )?;
        Ok(Exit::Done)
    }
}
