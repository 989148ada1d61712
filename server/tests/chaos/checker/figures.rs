//! What a history amounts to, in a line.

use std::collections::BTreeMap;
use std::fmt;

use super::history::History;
use super::kills::Kills;
use super::owners::takeover;

/// Counts of one plan's history.
#[derive(Clone, Default, Debug)]
pub(crate) struct Figures {
    pub(crate) faults: usize,
    /// Attempts that were under way when a fault began.
    pub(crate) in_flight: u64,
    pub(crate) runs: usize,
    pub(crate) executions: usize,
    /// Superseded attempts by their cause.
    pub(crate) again: BTreeMap<String, usize>,
    /// From the kill of an owner, or its absence, to the next dispatch by another, in milliseconds.
    pub(crate) takeovers: Vec<i64>,
    /// The longest time between two starts.
    pub(crate) longest_gap_ms: i64,
    /// What was under way when servers were killed.
    pub(crate) kills: Kills,
}

impl Figures {
    pub(super) fn of(history: &History) -> Self {
        let mut again = BTreeMap::new();
        for run in history.runs.values() {
            for attempt in run.attempts.iter().filter(|one| one.attempt < run.attempt) {
                *again.entry(attempt.outcome.clone()).or_default() += 1;
            }
        }
        let mut starts: Vec<i64> = history.executions.iter().map(|execution| execution.start_ms).collect();
        starts.sort_unstable();
        Self {
            faults: history.faults.len(),
            in_flight: history.faults.iter().map(|fault| fault.in_flight).sum(),
            runs: history.runs.len(),
            executions: history.executions.len(),
            again,
            takeovers: history.faults.iter().filter_map(|fault| takeover(history, fault)?.took_ms).collect(),
            longest_gap_ms: starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0),
            kills: Kills::of(history),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, in_flight, runs, executions, again, takeovers, longest_gap_ms, kills } = self;
        write!(f, "{faults} faults, {in_flight} in flight, {runs} runs, {executions} executions")?;
        for (cause, times) in again {
            write!(f, ", {times} again after {cause}")?;
        }
        if let (Some(most), count) = (takeovers.iter().max(), takeovers.len()) {
            write!(f, ", {count} takeovers in at most {most} ms")?;
        }
        write!(f, ", longest pause {longest_gap_ms} ms")?;
        if !kills.is_empty() {
            write!(f, "\n{kills}")?;
        }
        Ok(())
    }
}
