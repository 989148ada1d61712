//! `[cluster]`: leases between servers, and how far ahead runs are written.

use std::path::PathBuf;

use super::settings::Settings;

/// Leases and the horizon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// The file with the key by which servers know each other: at least 32 bytes, readable by its owner alone. Default:
    /// none; needed unless the database is SQLite.
    pub key_file: Option<PathBuf>,
    /// A server that has not renewed its lease for this long is dead to the others. Default 4,000 ms; 1,000 to 600,000,
    /// and at least three renewals and [`Cluster::MARGIN_MS`]. The same on every server of a cluster: each judges the others
    /// by its own.
    pub lease_ms: i64,
    /// How often the lease is renewed. Default 1,000 ms; 100 to 200,000.
    pub renew_ms: i64,
    /// How far ahead of their instants runs are written and held in memory. Default 15,000 ms; 1,000 to 300,000.
    pub horizon_ms: i64,
}

impl Cluster {
    /// A server stops trusting its lease this long before it ends.
    pub const MARGIN_MS: i64 = 250;

    pub(super) fn read(settings: &mut Settings) -> Self {
        let mut section = settings.section("cluster");
        let key_file = section.text("key_file").map(PathBuf::from);
        let origin = section.origin("lease_ms");
        let lease_ms = section.integer("lease_ms", 4_000, 1_000..=600_000);
        let renew_ms = section.integer("renew_ms", 1_000, 100..=200_000);
        let horizon_ms = section.integer("horizon_ms", 15_000, 1_000..=300_000);
        let least = 3 * renew_ms + Self::MARGIN_MS;
        if lease_ms < least {
            let message =
                format!("is {lease_ms}: shorter than three renewals of {renew_ms} ms and a margin of 250 ms");
            let remedy = format!(
                "give at least {least}, or lower renew_ms to at most {}",
                (lease_ms - Self::MARGIN_MS) / 3
            );
            section.wrong::<()>("lease_ms", origin, &message, &remedy);
        }
        Self { key_file, lease_ms, renew_ms, horizon_ms }
    }

    pub(super) fn table(&self) -> toml::Table {
        let mut table = toml::Table::new();
        if let Some(path) = &self.key_file {
            table.insert("key_file".into(), path.display().to_string().into());
        }
        table.insert("lease_ms".into(), self.lease_ms.into());
        table.insert("renew_ms".into(), self.renew_ms.into());
        table.insert("horizon_ms".into(), self.horizon_ms.into());
        table
    }
}
