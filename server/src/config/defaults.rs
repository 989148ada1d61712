//! `[defaults]`: what jobs get that do not say otherwise.

use fastjob_core::domain::Limits;

use super::settings::Settings;

/// What jobs get that do not say otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Defaults {
    /// Without contact to its worker for this long, an attempt is lost. Default 30,000 ms; 1,000 to 86,400,000 (24 h).
    pub worker_lost_after_ms: i64,
}

impl Defaults {
    pub(super) fn read(settings: &mut Settings) -> Self {
        let bounds = 1_000..=Limits::MAX_LOST_AFTER_MS;
        Self {
            worker_lost_after_ms: settings.section("defaults").integer(
                "worker_lost_after_ms",
                30_000,
                bounds,
            ),
        }
    }

    pub(super) fn table(&self) -> toml::Table {
        toml::Table::from_iter([("worker_lost_after_ms".to_owned(), self.worker_lost_after_ms.into())])
    }
}
