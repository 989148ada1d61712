//! `fastjob dev`: a server for one person's machine.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use clap::Args;
use fastjob_core::domain::Name;
use tokio_util::sync::CancellationToken;

use super::serve::{load, start};
use super::{Exit, Failure};
use crate::app::{Mode, Start};
use crate::config::Sources;

/// Starts a server on loopback, with its database in a directory and one app whose token is written to
/// DIR/dev.json (mode 0600), where the other commands find it.
#[derive(Args, Debug)]
pub(super) struct Dev {
    /// The directory of the database and of dev.json; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = ".fastjob")]
    data: PathBuf,
    /// Where gRPC listens; port 0 picks a free one [default: 127.0.0.1:7180].
    #[arg(long, value_name = "ADDR")]
    rpc: Option<String>,
    /// Where HTTP listens [default: 127.0.0.1:7181].
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,
    /// The app; made if it is not there.
    #[arg(long, value_name = "NAME", default_value = "demo")]
    app: String,
    /// Receives one JSON object, mode 0600, once every listener accepts.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

impl Dev {
    pub(super) async fn run(self, shutdown: CancellationToken) -> Result<Exit, Failure> {
        let app = Name::parse(&self.app)
            .map_err(|error| Failure::usage("--app", error.to_string(), "give another name"))?;
        let Some(data) = self.data.to_str() else {
            return Err(Failure::usage("--data", "is not UTF-8", "give another directory"));
        };
        let mut sources = Sources {
            program: vec![("database.url", format!("sqlite:{data}/fastjob.db"))],
            environment: super::serve::environment(),
            ..Sources::default()
        };
        sources.flags.extend(self.rpc.map(|address| ("rpc.address", address, "--rpc")));
        sources.flags.extend(self.http.map(|address| ("http.address", address, "--http")));
        let config = load(&sources)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&self.data).map_err(|error| {
            let message = format!("cannot make the directory {data}: {error}");
            Failure::usage("--data", message, "give a directory that can be written")
        })?;
        let mode = Mode::Dev { data: self.data, app };
        start(config, Start { mode, ready_file: self.ready_file, admin_token_file: None, shutdown }).await
    }
}
