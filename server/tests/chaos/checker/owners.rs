//! G6 and G7: one writer per shard, and how long it took to find the next one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::history::{At, Commit, Execution, Fault, History, Owner};
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

/// G6, of databases that tell when they committed: no end and no dispatch of a run that was decided before an epoch
/// began, and so by the owner of an earlier one, is committed after that beginning.
pub(crate) fn nothing_is_committed_late(history: &History, found: &mut Found) {
    let shards: BTreeSet<(&str, u64)> =
        history.owners.iter().map(|owner| (&*owner.app, owner.shard)).collect();
    if shards.len() != 1 || history.clock_moved() {
        return;
    }
    // Servers know the database's time but roughly, and on a busy machine by worse.
    let clear_of_clocks = history.config.lease_ms / 2;
    let begun = |commit: &At<Commit>| {
        let owner = history.owners.iter().find(|owner| Some(owner.epoch) == commit.epoch)?;
        Some((owner.epoch, owner.at_ms, commit.at_ms))
    };
    let epochs: Vec<(u64, i64, i64)> = history.commits.iter().filter_map(begun).collect();
    for commit in &history.commits {
        let Some(run) = commit.run.as_ref().and_then(|id| history.runs.get(id)) else { continue };
        let dispatched =
            run.attempts.last().filter(|_| run.state == "dispatched").map(|one| one.dispatched_ms);
        let Some(decided) = run.ended_ms.or(dispatched) else { continue };
        let late = epochs.iter().find(|(_, at_ms, committed_ms)| {
            decided + clear_of_clocks < *at_ms && *committed_ms < commit.at_ms
        });
        if let Some((epoch, _, committed_ms)) = late {
            let by = commit.at_ms - committed_ms;
            let text = format!(
                "run {}: its last change was committed {by} ms after epoch {epoch} had begun",
                run.id
            );
            found.add("G6", [run.line, commit.line], text);
        }
    }
}

/// Looking for shards that are free may take so long after a death.
const LOOK_MS: i64 = 5_000;

/// G6: of several servers one takes a shard from another that has not given it up only if that one was kept from renewing
/// its lease for as long as a lease.
pub(crate) fn owners_are_replaced_for_a_cause(history: &History, found: &mut Found) {
    if history.config.database == "sqlite" {
        return;
    }
    let mut shards: BTreeMap<(&str, u64), Vec<&At<Owner>>> = BTreeMap::new();
    for owner in &history.owners {
        shards.entry((&owner.app, owner.shard)).or_default().push(owner);
    }
    for pair in shards.values().flat_map(|log| log.windows(2)) {
        let (from, to) = (pair[0], pair[1]);
        if from.reason == "released" || to.reason != "claimed" || from.server == to.server {
            continue;
        }
        let lines = [from.line, to.line];
        let name = format!("shard {} of {}", to.shard, to.app);
        let at = history.observed_ms(to.at_ms);
        if !at.iter().any(|at| may_have_died(history, *at)) {
            let text = format!("{name} was taken from a server that nothing had happened to");
            found.add("G6", lines, text);
        }
        let held = to.at_ms - from.at_ms;
        if held < least_held(history) && !at.iter().any(|at| may_have_waited(history, *at)) {
            let text = format!("{name} was taken {held} ms after another had claimed it");
            found.add("G6", lines, text);
        }
    }
}

/// Something kept servers from renewing not long ago.
fn may_have_died(history: &History, at_ms: i64) -> bool {
    let lease = history.config.lease_ms;
    let since = |fault: &At<Fault>| fault.begin_ms <= at_ms && at_ms <= fault.end_ms + 2 * lease + LOOK_MS;
    let harms = |fault: &At<Fault>| fault.outage || fault.takeover || fault.away;
    history.faults.iter().any(|fault| harms(fault) && since(fault))
        || history.stalled_ms(at_ms - 2 * lease, at_ms) >= lease
}

/// Who claims has renewed its lease just before, and is dead no sooner than a lease later.
fn least_held(history: &History) -> i64 {
    history.config.lease_ms - 2 * history.config.renew_ms - EARLY_MS
}

/// Renewals may have been late, and so the last one before the claim older.
fn may_have_waited(history: &History, at_ms: i64) -> bool {
    let since_ms = at_ms - 2 * history.config.lease_ms;
    let waits = |fault: &At<Fault>| fault.outage && !fault.takeover;
    let near = |fault: &At<Fault>| fault.begin_ms <= at_ms && since_ms <= fault.end_ms;
    history.clock_moved()
        || history.faults.iter().any(|fault| waits(fault) && near(fault))
        || history.stalled_ms(since_ms, at_ms) >= history.config.renew_ms
}

/// G7: after the kill of an owner the next dispatch comes within the limit, where the plan sets one, and so it does if
/// the owner stays away for longer than that. What the machine itself was behind meanwhile is added to the limit.
pub(crate) fn takeovers_are_bounded(history: &History, found: &mut Found) {
    let Some(limit) = history.config.takeover_limit_ms else { return };
    for fault in &history.faults {
        let Some(Takeover { took_ms }) = takeover(history, fault) else { continue };
        let end_ms = took_ms.map_or(fault.end_ms, |took| fault.begin_ms + took);
        let limit = limit + history.stalled_ms(fault.begin_ms, end_ms);
        let must = fault.takeover || fault.end_ms - fault.begin_ms > limit;
        match took_ms {
            _ if !must => {}
            Some(took) if took <= limit => {}
            Some(took) => {
                let text =
                    format!("{}: the next dispatch came after {took} ms, not within {limit}", fault.name);
                found.add("G7", [fault.line], text);
            }
            None => found.add("G7", [fault.line], format!("{}: nobody dispatched after it", fault.name)),
        }
    }
}

/// What followed on an owner's death or absence.
pub(crate) struct Takeover {
    /// Until the first dispatch by another. `None`: there was none, or not before the owner was back.
    pub(crate) took_ms: Option<i64>,
}

pub(crate) fn takeover(history: &History, fault: &Fault) -> Option<Takeover> {
    let start = next_start(history, fault.begin_ms);
    let start = start.filter(|start| fault.takeover || *start <= fault.end_ms);
    (fault.takeover || fault.away).then(|| Takeover { took_ms: start.map(|start| start - fault.begin_ms) })
}

/// The first start by an owner that took over after this instant: of an epoch that had not begun then.
fn next_start(history: &History, after_ms: i64) -> Option<i64> {
    let seen = history.executions.iter().filter(|execution| execution.start_ms <= after_ms);
    let known = seen.map(|execution| execution.epoch).max().unwrap_or(0);
    let later = |execution: &&Execution| execution.start_ms > after_ms && execution.epoch > known;
    history.executions.iter().filter(later).map(|execution| execution.start_ms).min()
}
