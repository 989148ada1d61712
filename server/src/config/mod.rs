//! What a server is configured with: a TOML file, under the environment (`FASTJOB_<SECTION>__<KEY>`), under flags.
//! A key that is not known is refused, never ignored. Nothing here opens, binds or creates anything.

mod cluster;
mod database;
mod defaults;
mod error;
mod http;
mod log;
mod rpc;
mod settings;
#[cfg(test)]
mod tests;

pub use cluster::Cluster;
pub use database::{Database, Engine};
pub use defaults::Defaults;
pub use error::{ConfigError, ConfigErrors};
pub use http::Http;
pub use log::{Log, LogFormat};
pub use rpc::Rpc;
pub use settings::Sources;

use settings::Settings;

/// The effective configuration of a server: complete and checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The gRPC listener.
    pub rpc: Rpc,
    /// The HTTP listener.
    pub http: Http,
    /// Where everything durable is.
    pub database: Database,
    /// Leases and the horizon.
    pub cluster: Cluster,
    /// What jobs get that do not say otherwise.
    pub defaults: Defaults,
    /// What is logged, and how.
    pub log: Log,
}

impl Config {
    /// Reads and checks a configuration. Errors: all that is wrong with it, not only the first.
    pub fn load(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut settings = Settings::gather(sources)?;
        let config = Self {
            rpc: Rpc::read(&mut settings),
            http: Http::read(&mut settings),
            database: Database::read(&mut settings),
            cluster: Cluster::read(&mut settings),
            defaults: Defaults::read(&mut settings),
            log: Log::read(&mut settings),
        };
        if config.database.is_shared() && config.cluster.key_file.is_none() {
            settings.section("cluster").missing(
                "key_file",
                "is missing, and other servers may use the same database",
                "make a key with `head -c 32 /dev/urandom | base64 > cluster.key; chmod 600 cluster.key`, and name the file on each server",
            );
        }
        settings.finish()?;
        Ok(config)
    }

    /// The configuration as a TOML document that would load as it. Secrets are hidden.
    pub fn show(&self) -> String {
        let sections = [
            ("rpc", self.rpc.table()),
            ("http", self.http.table()),
            ("database", self.database.table()),
            ("cluster", self.cluster.table()),
            ("defaults", self.defaults.table()),
            ("log", self.log.table()),
        ];
        let text = |(name, table): (&str, toml::Table)| format!("[{name}]\n{table}");
        sections.map(text).join("\n")
    }
}
