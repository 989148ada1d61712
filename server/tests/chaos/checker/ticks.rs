//! G1, G8, G9, G10: which ticks there were, when they fired, and by which definition.

use std::collections::{BTreeMap, HashMap};

use super::history::{At, Gap, History, Revision, Rule, Run};
use super::oracle::{self, Stretch};
use super::{EARLY_MS, Found};

/// By job and tick: how it was accounted for.
pub(crate) type Accounts = BTreeMap<(String, i64), Vec<Account>>;

#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) line: usize,
    /// Executions that there must be: none for a gap, and for a run that was skipped, be it after attempts that were lost.
    pub(crate) least: u64,
    /// Executions that its failures and losses explain.
    pub(crate) most: u64,
    disabled: bool,
}

/// G1: the oracle's ticks are those of runs and gaps, as multisets. Answers how each was accounted for.
pub(crate) fn accounted_for_once(history: &History, found: &mut Found) -> Result<Accounts, String> {
    let mut accounts = accounts(history, found)?;
    let all = accounts.clone();
    for (job, revisions) in &history.revisions {
        for Stretch { revision, after_ms, until_ms } in oracle::stretches(revisions, history.quiet_ms()) {
            for tick in oracle::ticks(revision, after_ms, until_ms)? {
                let told = accounts.remove(&(job.clone(), tick)).unwrap_or_default();
                let lines = told.iter().map(|account| account.line).chain([revision.line]);
                let fired = told.iter().any(|account| !account.disabled);
                match (revision.enabled, told.len()) {
                    (true, 1) | (false, 0) => {}
                    (true, 0) => found.add("G1", lines, format!("{job}: tick {tick} is missing")),
                    (false, 1) if !fired => {}
                    (false, 1) => found.add("G1", lines, format!("{job}: tick {tick} fired while disabled")),
                    (_, times) => {
                        found.add("G1", lines, format!("{job}: tick {tick} is accounted for {times} times"));
                    }
                }
            }
        }
    }
    // A clock set back between two edits leaves ticks of the older rule ahead of the newer one.
    if !history.clock_moved() {
        for ((job, tick), told) in &accounts {
            let lines = told.iter().map(|account| account.line);
            found.add("G1", lines, format!("{job}: {tick} is no tick of its rule"));
        }
    }
    Ok(all)
}

fn accounts(history: &History, found: &mut Found) -> Result<Accounts, String> {
    let mut accounts = Accounts::new();
    for run in history.runs.values() {
        let Some(tick) = run.tick_ms else { continue };
        let least = u64::from(run.state != "skipped");
        let account = Account {
            line: run.line,
            least,
            most: least + run.fail_count + run.lost_count,
            disabled: run.reason.as_deref() == Some("disabled"),
        };
        accounts.entry((run.job.clone(), tick)).or_default().push(account);
    }
    for gap in &history.gaps {
        let Some(revision) = revision_of(history, &gap.job, gap.revision) else {
            found.add(
                "G1",
                [gap.line],
                format!("{}: a gap of revision {}, which never was", gap.job, gap.revision),
            );
            continue;
        };
        let ticks = oracle::ticks(revision, gap.from_ms - 1, gap.to_ms)?;
        if gap.count.is_some_and(|count| count != ticks.len() as u64) {
            let text = format!("{}: a gap says {:?} ticks and spans {}", gap.job, gap.count, ticks.len());
            found.add("G1", [gap.line, revision.line], text);
        }
        let account = Account { line: gap.line, least: 0, most: 0, disabled: gap.reason == "disabled" };
        for tick in ticks {
            accounts.entry((gap.job.clone(), tick)).or_default().push(account.clone());
        }
    }
    Ok(accounts)
}

fn revision_of<'a>(history: &'a History, job: &str, number: u64) -> Option<&'a At<Revision>> {
    history.revisions.get(job)?.iter().find(|revision| revision.revision == number)
}

/// G1 for chains: each run but the last has exactly one successor, made by the turn of its end or by an edit.
pub(crate) fn chains_go_on_once(history: &History, found: &mut Found) {
    for (job, revisions) in &history.revisions {
        let mut chain: Vec<&At<Run>> =
            history.runs.values().filter(|run| run.job == *job && run.source == "fixed_delay").collect();
        // If the clock that they were made by was set meanwhile, the observer's tells the order.
        let started = |run: &At<Run>| match history.clock_moved() {
            true => history.first_start(&run.id).unwrap_or(i64::MAX),
            false => 0,
        };
        chain.sort_by_cached_key(|run| (started(run), run.created_ms, run.due_ms, run.id.clone()));
        for pair in chain.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            let lines = [first.line, second.line];
            let Some(ended) = first.ended_ms else {
                found.add(
                    "G1",
                    lines,
                    format!("{job}: run {} follows {}, which is open", second.id, first.id),
                );
                continue;
            };
            let delay = revisions.iter().find(|one| one.revision == second.revision).map(|one| &one.trigger);
            if let Some(Rule::FixedDelay { delay_ms }) = delay
                && second.due_ms < ended + delay_ms
            {
                let text = format!("{job}: run {} is due before the delay after run {}", second.id, first.id);
                found.add("G1", lines, text);
            }
            let by_edit = revisions.iter().any(|one| one.at_ms == second.created_ms);
            if second.created_ms < ended {
                let text = format!("{job}: run {} was made before run {} had ended", second.id, first.id);
                found.add("G1", lines, text);
            } else if second.created_ms != ended && !by_edit {
                let text = format!(
                    "{job}: run {} is neither the successor of {} nor of an edit",
                    second.id, first.id
                );
                found.add("G1", lines, text);
            }
        }
        if let Some(last) = chain.last()
            && let Some(ended) = last.ended_ms
            && let Some(stood) = revisions.iter().rev().find(|one| one.at_ms <= ended)
            && stood.enabled
            && matches!(stood.trigger, Rule::FixedDelay { .. })
            && !matches!(last.reason.as_deref(), Some("disabled" | "deleted"))
        {
            let next_is_other = revisions.iter().any(|one| one.at_ms > ended);
            if !next_is_other {
                found.add(
                    "G1",
                    [last.line, stood.line],
                    format!("{job}: the chain ends after run {}", last.id),
                );
            }
        }
    }
}

/// G8: only ticks that nobody may have watched are given up, later than the threshold, and never the newest of them.
pub(crate) fn caught_up_as_the_job_says(history: &History, found: &mut Found) {
    for run in history.runs.values().filter(|run| run.reason.as_deref() == Some("catch_up")) {
        let Some(tick) = run.tick_ms else { continue };
        must_be_missed(history, &run.job, tick, run.line, found);
        let threshold = revision_of(history, &run.job, run.revision).map(|one| one.catch_up.threshold_ms);
        if run.ended_ms.zip(threshold).is_some_and(|(ended, threshold)| ended - tick < threshold) {
            let text =
                format!("{}: tick {tick} was given up before its threshold of {threshold:?} ms", run.job);
            found.add("G8", [run.line], text);
        }
    }
    for gap in history.gaps.iter().filter(|gap| gap.reason == "catch_up") {
        must_be_missed(history, &gap.job, gap.from_ms, gap.line, found);
        must_be_missed(history, &gap.job, gap.to_ms, gap.line, found);
        newest_fires(history, gap, found);
    }
}

fn must_be_missed(history: &History, job: &str, tick: i64, line: usize, found: &mut Found) {
    // From the last renewal before the fault to the first look after it.
    let before = history.config.lease_ms + history.config.renew_ms;
    let missed = |fault: &&At<super::history::Fault>| {
        let (begin, end) = (history.shown_least_ms(fault.begin_ms), history.shown_ms(fault.end_ms));
        fault.outage && tick > begin - before && tick <= end + before
    };
    let left_out = |(from, to): &(i64, i64)| tick > from - before && tick <= to + before;
    if !history.faults.iter().any(|fault| missed(&fault)) && !history.left_out().iter().any(left_out) {
        found.add("G8", [line], format!("{job}: tick {tick} was given up as missed, though it was watched"));
    }
}

/// G8: time that the database's clock leaves out is an outage, also to a server that goes on: of a job that gives up
/// what is too late, its ticks do not fire any more, or only the newest.
pub(crate) fn left_out_ticks_are_given_up(history: &History, found: &mut Found) {
    for set in &history.clocks {
        let before_ms = history.offset_ms(set.at_ms - 1);
        for (job, revisions) in &history.revisions {
            let Some(last) = revisions.last() else { continue };
            let late = last.catch_up.threshold_ms + history.config.lease_ms + EARLY_MS;
            let (from, to) = (set.at_ms + before_ms + history.config.lease_ms, set.at_ms + set.offset_ms);
            let is_late = |tick: i64, start: i64| history.shown_least_ms(start) - tick > late;
            let fired: Vec<&super::history::Execution> = history
                .executions
                .iter()
                .filter(|one| one.job == *job && one.attempt == 1 && one.start_ms > set.at_ms)
                .filter(|one| one.tick_ms.is_some_and(|tick| from < tick && tick <= to))
                .filter(|one| one.tick_ms.is_some_and(|tick| is_late(tick, one.start_ms)))
                .collect();
            let most = usize::from(last.catch_up.policy == "latest") * revisions.len();
            if fired.len() > most {
                let lines = fired.iter().map(|one| one.line);
                let text = format!(
                    "{job}: {} ticks fired that the database's clock had left out for more than {} ms",
                    fired.len(),
                    last.catch_up.threshold_ms
                );
                found.add("G8", lines, text);
            }
        }
    }
}

/// Policy "latest": a newer tick than those of the gap fires.
fn newest_fires(history: &History, gap: &At<Gap>, found: &mut Found) {
    let Some(revision) = revision_of(history, &gap.job, gap.revision) else { return };
    if revision.catch_up.policy != "latest" {
        return;
    }
    let edited = history.revisions[&gap.job].iter().any(|one| one.revision > gap.revision);
    let newer = |run: &&At<Run>| {
        run.job == gap.job
            && run.tick_ms.is_some_and(|tick| tick > gap.to_ms)
            && run.reason.as_deref() != Some("catch_up")
    };
    if !edited && !history.runs.values().any(|run| newer(&run)) {
        found.add("G8", [gap.line], format!("{}: no tick after {} fired", gap.job, gap.to_ms));
    }
}

/// G9: no handler is entered before its tick by the database's clock; a chain's and a call's run not before it is due.
pub(crate) fn never_early(history: &History, found: &mut Found) {
    for execution in &history.executions {
        let due = execution.tick_ms.unwrap_or(execution.due_ms);
        let shown = history.shown_ms(execution.start_ms);
        if shown < due - EARLY_MS {
            let by = due - shown;
            found.add("G9", [execution.line], format!("run {} was entered {by} ms early", execution.run));
        }
    }
}

/// G10: what a schedule made is first dispatched by the newest definition that had been answered, and not at all once
/// the job was disabled.
pub(crate) fn edits_take_effect(history: &History, found: &mut Found) {
    if history.clock_moved() {
        return;
    }
    let mut first: HashMap<&str, i64> = HashMap::new();
    for run in history.runs.values().filter(|run| !matches!(run.source.as_str(), "api" | "manual")) {
        if let Some(attempt) = run.attempts.first() {
            first.insert(&run.id, attempt.dispatched_ms);
        }
    }
    for (id, dispatched) in first {
        let run = &history.runs[id];
        let Some(revisions) = history.revisions.get(&run.job) else { continue };
        let answered = revisions.iter().rev().find(|one| one.reply_ms + EARLY_MS / 2 < dispatched);
        let Some(answered) = answered else { continue };
        let lines = [run.line, answered.line];
        if run.revision < answered.revision {
            let text = format!(
                "run {id} of {} was dispatched by revision {} after {} had been answered",
                run.job, run.revision, answered.revision
            );
            found.add("G10", lines, text);
        }
        let next_begun = revisions
            .iter()
            .any(|one| one.revision > answered.revision && one.call_ms - EARLY_MS / 2 < dispatched);
        if !answered.enabled && !next_begun {
            found.add("G10", lines, format!("run {id} of {} was dispatched while disabled", run.job));
        }
    }
}
