//! Builds every part of a server, from the store to the listeners, and stops them in reverse: the only place that
//! knows all parts.

use std::path::PathBuf;

use fastjob_core::domain::Name;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// How to start a server, beside its configuration.
#[derive(Debug)]
pub struct Start {
    /// For one person's machine, or for service.
    pub mode: Mode,
    /// Written once every listener accepts; see [`crate::ready`].
    pub ready_file: Option<PathBuf>,
    /// Receives the administrator's token on the first start with an empty database, mode 0600.
    pub admin_token_file: Option<PathBuf>,
    /// Ends the server in order once it is cancelled.
    pub shutdown: CancellationToken,
}

/// What a server is started for.
#[derive(Debug)]
pub enum Mode {
    /// `fastjob dev`: one app, made if it is not there, whose token is printed and is the administrator's too.
    Dev {
        /// The directory of the database and of `dev.json`.
        data: PathBuf,
        /// The app.
        app: Name,
    },
    /// `fastjob serve`.
    Serve,
}

/// Runs a server until `start.shutdown` is cancelled. Errors: whatever kept it from starting, or ended it.
pub async fn run(_config: Config, _start: Start) -> anyhow::Result<()> {
    anyhow::bail!("the server is not built yet")
}
