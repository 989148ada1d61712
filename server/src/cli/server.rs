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
    /// Ask a server to hand its shards over and take no others; it stays up until it is stopped. Needs the
    /// administrator's token.
    Drain {
        /// Its id or gRPC address, as `server list` shows them.
        #[arg(value_name = "SERVER")]
        name: String,
    },
}

impl ServerCommand {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let (client, printer) = self.connect.open().await?;
        match self.verb {
            Verb::List => {
                let servers: Vec<_> = client.server_list().await?.iter().map(shape::server).collect();
                printer.list(
                    &["id", "rpc_address", "http_address", "version", "state", "shards", "renewed_ago_ms"],
                    &servers,
                )?;
            }
            Verb::Drain { name } => client.server_drain(&name).await?,
        }
        Ok(Exit::Done)
    }
}
