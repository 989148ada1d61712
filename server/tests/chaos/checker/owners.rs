//! G6 and G7: one writer per shard, and how long it took to find the next one.

use std::collections::{BTreeMap, HashMap};

use super::history::{At, History, Owner};
use super::{EARLY_MS, Found};

/// G6: epochs only rise, each attempt was made by the owner of its epoch, and none after a newer epoch had begun.
pub(crate) fn epochs_rise(history: &History, found: &mut Found) {
    let mut shards: BTreeMap<(&str, u64), Vec<&At<Owner>>> = BTreeMap::new();
    for owner in history.owners.iter().filter(|owner| owner.reason != "released") {
        shards.entry((&owner.app, owner.shard)).or_default().push(owner);
    }
    let mut by_epoch: HashMap<u64, &At<Owner>> = HashMap::new();
    for ((app, shard), log) in &shards {
        for pair in log.windows(2) {
            if pair[1].epoch <= pair[0].epoch {
                let text =
                    format!("shard {shard} of {app}: epoch {} follows {}", pair[1].epoch, pair[0].epoch);
                found.add("G6", [pair[0].line, pair[1].line], text);
            }
        }
        by_epoch.extend(log.iter().map(|owner| (owner.epoch, *owner)));
    }
    if history.owners.is_empty() {
        return;
    }
    let one_shard = shards.len() == 1;
    for run in history.runs.values() {
        for attempt in &run.attempts {
            let Some(owner) = by_epoch.get(&attempt.epoch) else {
                let text = format!(
                    "run {}: attempt {} of epoch {}, which nobody had",
                    run.id, attempt.attempt, attempt.epoch
                );
                found.add("G6", [run.line], text);
                continue;
            };
            if attempt.server.as_ref().is_some_and(|server| *server != owner.server) {
                let text = format!(
                    "run {}: attempt {} by another server than the owner of its epoch",
                    run.id, attempt.attempt
                );
                found.add("G6", [run.line, owner.line], text);
            }
            let newer = shards.values().flatten().find(|other| {
                one_shard && other.epoch > attempt.epoch && other.at_ms + EARLY_MS < attempt.dispatched_ms
            });
            if let Some(newer) = newer.filter(|_| !history.clock_moved()) {
                let text = format!(
                    "run {}: attempt {} was made in epoch {} after {} had begun",
                    run.id, attempt.attempt, attempt.epoch, newer.epoch
                );
                found.add("G6", [run.line, newer.line], text);
            }
        }
    }
}

/// G7: after the kill of an owner the next dispatch comes within the limit, where the plan sets one.
pub(crate) fn takeovers_are_bounded(history: &History, found: &mut Found) {
    let Some(limit) = history.config.takeover_limit_ms else { return };
    for fault in history.faults.iter().filter(|fault| fault.takeover) {
        match next_start(history, fault.begin_ms) {
            Some(start) if start - fault.begin_ms <= limit => {}
            Some(start) => {
                let text =
                    format!("{}: the next dispatch came after {} ms", fault.name, start - fault.begin_ms);
                found.add("G7", [fault.line], text);
            }
            None => found.add("G7", [fault.line], format!("{}: nothing was dispatched after it", fault.name)),
        }
    }
}

/// The first start by an owner that took over after this instant: of an epoch that had not begun then.
pub(crate) fn next_start(history: &History, after_ms: i64) -> Option<i64> {
    let known = history
        .executions
        .iter()
        .filter(|execution| execution.start_ms <= after_ms)
        .map(|execution| execution.epoch)
        .max()
        .unwrap_or(0);
    let later =
        |execution: &&super::history::Execution| execution.start_ms > after_ms && execution.epoch > known;
    history.executions.iter().filter(later).map(|execution| execution.start_ms).min()
}
