//! `fastjob app`: the tenants that own jobs and workers.

use clap::{Args, Subcommand};
use serde_json::json;

use super::connect::Connect;
use super::{Exit, Failure, shape};

/// `fastjob app`.
#[derive(Args, Debug)]
pub(super) struct AppCommand {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// List the apps that the token may see.
    List,
    /// Create an app; prints its first token, this once. Needs the administrator's token.
    Create {
        name: String,
        /// Into how many shards it is cut, for its life.
        #[arg(long, value_name = "N", default_value_t = 1)]
        shards: u32,
    },
    /// Show which server owns each shard of an app.
    Locate {
        /// [default: --app]
        name: Option<String>,
    },
    /// Ask the owners of an app's shards to hand them over to a server. Needs the administrator's token.
    Move {
        /// [default: --app]
        name: Option<String>,
        /// This shard alone [default: all].
        #[arg(long, value_name = "N")]
        shard: Option<u32>,
        /// The server's id or gRPC address, as `server list` shows them.
        #[arg(long, value_name = "SERVER")]
        to: String,
    },
}

impl AppCommand {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        match self.verb {
            Verb::List => {
                let (client, printer) = self.connect.open().await?;
                let apps: Vec<_> = client.app_list().await?.iter().map(shape::app).collect();
                printer.list(&["name", "shards", "created_at", "owners"], &apps)?;
            }
            Verb::Create { name, shards } => {
                let (client, printer) = self.connect.open().await?;
                let created = client.app_create(&name, shards).await?;
                printer.one(&json!({"app": name, "token": created.token}))?;
            }
            Verb::Locate { name } => {
                let (client, printer) = self.connect.of_app(name).open_app().await?;
                let owners: Vec<_> = client.locate().await?.shards.iter().map(shape::owner).collect();
                printer.list(&["shard", "epoch", "address"], &owners)?;
            }
            Verb::Move { name, shard, to } => {
                let (client, printer) = self.connect.of_app(name).open_app().await?;
                let shards = client.app_move(shard, &to).await?;
                printer.one(&json!({"app": client.app(), "to": to, "shards": shards}))?;
            }
        }
        Ok(Exit::Done)
    }
}
