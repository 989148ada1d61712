//! Where log lines go: to stderr, as text or JSON. Standard output belongs to data.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// The variable that chooses what is logged, as `info,fastjob_server::owner=debug`.
pub const FILTER_VARIABLE: &str = "FASTJOB_LOG";

/// Starts logging. Errors: the filter cannot be read, or logging has been started before.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(text) if !text.trim().is_empty() => EnvFilter::try_new(&text).map_err(|error| {
            anyhow::anyhow!("{FILTER_VARIABLE}: {error}; give levels, as info,fastjob_server=debug")
        })?,
        _ => EnvFilter::new("info"),
    };
    let registry = tracing_subscriber::registry().with(filter);
    let stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            registry.with(stderr.with_ansi(colour)).try_init()?;
        }
        LogFormat::Json => registry.with(stderr.json().flatten_event(true)).try_init()?,
    }
    Ok(())
}
