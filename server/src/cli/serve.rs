//! `fastjob serve`: a server from a configuration.

use std::path::PathBuf;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{Exit, Failure};
use crate::app::{self, Mode, Start};
use crate::cluster::key::ClusterKey;
use crate::config::{Config, Sources};

/// Starts a server. Settings come from the file, under FASTJOB_<SECTION>__<KEY>, under flags.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// The configuration, in TOML; all defaults without it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Receives one JSON object, mode 0600, once every listener accepts.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Receives the administrator's token, mode 0600, at the first start with an empty database.
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Print the effective configuration, secrets hidden, and start nothing.
    #[arg(long)]
    check: bool,
}

impl Serve {
    pub(super) async fn run(self, shutdown: CancellationToken) -> Result<Exit, Failure> {
        let sources = Sources { file: self.config, environment: environment(), ..Sources::default() };
        let config = load(&sources)?;
        if self.check {
            if let Some(path) = &config.cluster.key_file {
                let read = ClusterKey::read(path);
                read.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
            }
            super::print::text(&config.show())?;
            return Ok(Exit::Done);
        }
        let (ready_file, admin_token_file) = (self.ready_file, self.admin_token_file);
        start(config, Start { mode: Mode::Serve, ready_file, admin_token_file, shutdown }).await
    }
}

/// Logs, and runs the server to its end.
pub(super) async fn start(config: Config, start: Start) -> Result<Exit, Failure> {
    crate::log::start(&config.log).map_err(|error| Failure::new(Exit::Usage, format!("{error:#}")))?;
    app::run(config, start).await.map_err(|error| Failure::new(Exit::Failed, format!("{error:#}")))?;
    Ok(Exit::Done)
}

/// Reads and checks the configuration.
pub(super) fn load(sources: &Sources) -> Result<Config, Failure> {
    // Each error brings its own "error:" and "remedy:"; the failure's own is the first one's.
    Config::load(sources).map_err(|errors| {
        let text = errors.to_string();
        Failure::new(Exit::Usage, text.strip_prefix("error: ").unwrap_or(&text))
    })
}

/// FastJob's variables. What is not Unicode is shown with marks, and refused by whoever reads it.
pub(super) fn environment() -> Vec<(String, String)> {
    let readable = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
    };
    std::env::vars_os().map(readable).filter(|(name, _)| name.starts_with("FASTJOB_")).collect()
}
