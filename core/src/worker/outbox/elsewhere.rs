//! What is told through another server while an owner cannot be reached.

use std::collections::BTreeSet;
use std::time::Duration;

use prost::Message;

use super::Outbox;
use crate::protocol::v1;

/// Outcomes and attempts of shards whose owners cannot be reached.
#[derive(Clone, PartialEq, Debug, Default)]
pub(in crate::worker) struct Report {
    pub(in crate::worker) outcomes: Vec<v1::Outcome>,
    pub(in crate::worker) running: Vec<v1::AttemptKey>,
}

/// A stream that is away for less than this may just be on its way to the next owner.
pub(in crate::worker) const DOWN_BEFORE_REPORT: Duration = Duration::from_secs(2);
/// Outcomes of one report; the others follow in the next one.
const MAX_OUTCOMES: usize = 1_000;
/// Bytes of outcomes in one report, about.
const MAX_OUTCOME_BYTES: usize = 2 * 1024 * 1024;

impl Report {
    /// The shards it tells of.
    pub(in crate::worker) fn shards(&self) -> BTreeSet<u32> {
        let outcomes = self.outcomes.iter().filter_map(|outcome| outcome.key.as_ref());
        outcomes.chain(&self.running).map(|key| key.shard).collect()
    }
}

impl Outbox {
    /// What another server is to hear now; `None`: nothing.
    pub(in crate::worker) fn report_elsewhere(&self, now: Duration) -> Option<Report> {
        let down: BTreeSet<u32> = self
            .unreached()
            .filter(|(_, since)| now.saturating_sub(*since) >= DOWN_BEFORE_REPORT)
            .map(|(shard, _)| shard)
            .collect();
        if down.is_empty() {
            return None;
        }
        let mut report = Report::default();
        let mut bytes = 0;
        let held = self.held.iter().filter(|(key, held)| down.contains(&key.shard) && !held.settled);
        for (key, held) in held {
            match &held.outcome {
                Some(outcome) if report.outcomes.len() < MAX_OUTCOMES && bytes < MAX_OUTCOME_BYTES => {
                    bytes += outcome.encoded_len();
                    report.outcomes.push(outcome.clone());
                }
                _ => report.running.push(key.to_wire()),
            }
        }
        Some(report)
    }

    /// When the next report is due, if streams stay away.
    pub(in crate::worker) fn report_due(&self) -> Option<Duration> {
        self.unreached().map(|(_, since)| since.saturating_add(DOWN_BEFORE_REPORT)).min()
    }

    /// Shards of which something is to be told and that no stream carries, and since when.
    fn unreached(&self) -> impl Iterator<Item = (u32, Duration)> {
        let told: BTreeSet<u32> =
            self.held.iter().filter(|(_, held)| !held.settled).map(|(key, _)| key.shard).collect();
        self.shards
            .iter()
            .filter(move |(shard, _)| told.contains(shard))
            .filter_map(|(shard, of)| Some((*shard, of.down_since()?)))
    }
}
