//! `fastjob app`: the tenants that own jobs and workers.

use clap::{Args, Subcommand};
use fastjob_core::protocol::v1;
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
}

impl AppCommand {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let (connection, printer) = self.connect.open()?;
        match self.verb {
            Verb::List => {
                let request = v1::AppListRequest {};
                let reply =
                    connection.client(request, async |mut client, request| client.app_list(request).await);
                let apps: Vec<_> = reply.await?.apps.iter().map(shape::app).collect();
                printer.list(&["name", "shards", "created_at", "owners"], &apps)?;
            }
            Verb::Create { name, shards } => {
                let request = v1::AppCreateRequest { name: name.clone(), shards };
                let reply =
                    connection.admin(request, async |mut admin, request| admin.app_create(request).await);
                printer.one(&json!({"app": name, "token": reply.await?.token}))?;
            }
            Verb::Locate { name } => {
                let app = name.map_or_else(|| connection.app(), Ok)?;
                let request = v1::LocateRequest { app };
                let reply =
                    connection.worker(request, async |mut worker, request| worker.locate(request).await);
                let owners: Vec<_> = reply.await?.shards.iter().map(shape::owner).collect();
                printer.list(&["shard", "epoch", "address"], &owners)?;
            }
        }
        Ok(Exit::Done)
    }
}
