//! `fastjob server`: the servers.

use clap::{Args, Subcommand};
use fastjob_core::protocol::v1;

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
        let (connection, printer) = self.connect.open()?;
        let Verb::List = self.verb;
        let request = v1::ServerListRequest {};
        let reply =
            connection.client(request, async |mut client, request| client.server_list(request).await).await?;
        let servers: Vec<_> = reply.servers.iter().map(shape::server).collect();
        printer.list(
            &["id", "rpc_address", "http_address", "version", "state", "shards", "renewed_at"],
            &servers,
        )?;
        Ok(Exit::Done)
    }
}
