//! The verdict. Imports nothing of the product: it knows the history alone.

use std::collections::HashMap;

use super::history::{Execution, History, JobHistory};
use super::load::Ticks;

/// A handler may be entered so much before its tick by the clock of its machine.
const EARLY_MS: i64 = 250;

/// Every check; the first violations of each are told.
pub(crate) fn all(history: &History) -> Result<(), String> {
    let mut violations = Vec::new();
    for job in &history.jobs {
        every_tick_is_accounted_for_once(job, &mut violations);
        runs_that_skip_overlaps_do_not_overlap(job, history, &mut violations);
    }
    every_run_has_ended(history, &mut violations);
    every_execution_has_its_attempt_and_is_not_early(history, &mut violations);
    every_duplicate_has_its_cause(history, &mut violations);
    every_success_was_executed(history, &mut violations);
    every_accepted_call_is_one_run(history, &mut violations);
    if violations.is_empty() {
        return Ok(());
    }
    let shown = violations.iter().take(20).cloned().collect::<Vec<_>>().join("\n  ");
    Err(format!("{} violations:\n  {shown}", violations.len()))
}

/// G1: the oracle's ticks are the ledger's, as multisets.
fn every_tick_is_accounted_for_once(history: &JobHistory, violations: &mut Vec<String>) {
    let Ticks::Grid { period_ms, phase_ms } = history.job.ticks else { return };
    let grid = |after_ms: i64, until_ms: i64| {
        let first = (after_ms - phase_ms).div_euclid(period_ms) + 1;
        (first..).map(move |n| n * period_ms + phase_ms).take_while(move |&tick| tick <= until_ms)
    };
    let mut accounted: HashMap<i64, u32> = HashMap::new();
    for tick in &history.run_ticks {
        *accounted.entry(*tick).or_default() += 1;
    }
    for gap in history.gaps.iter().filter(|gap| gap.reason != "disabled") {
        for tick in grid(gap.from_ms - 1, gap.to_ms) {
            *accounted.entry(tick).or_default() += 1;
        }
    }
    let name = history.job.name;
    for tick in grid(history.job.put_at_ms, history.disabled_at_ms) {
        match accounted.remove(&tick) {
            Some(1) => {}
            Some(times) => violations.push(format!("G1: {name}: tick {tick} is accounted for {times} times")),
            None => violations.push(format!("G1: {name}: tick {tick} is missing")),
        }
    }
    for tick in accounted.keys() {
        violations.push(format!("G1: {name}: {tick} is no tick of its rule"));
    }
}

/// G3: nothing due stays open.
fn every_run_has_ended(history: &History, violations: &mut Vec<String>) {
    for (id, run) in &history.runs {
        if !["succeeded", "failed", "cancelled", "skipped"].contains(&run.state.as_str()) {
            violations.push(format!("G3: run {id} is still {}", run.state));
        }
    }
}

/// G2 and G9.
fn every_execution_has_its_attempt_and_is_not_early(history: &History, violations: &mut Vec<String>) {
    for Execution { run, attempt, entered_ms, tick_ms, .. } in &history.executions {
        let Some(found) = history.runs.get(run) else {
            violations.push(format!("G2: an execution of run {run}, which has no row"));
            continue;
        };
        if !found.attempts.iter().any(|one| one.ordinal == *attempt) {
            violations.push(format!("G2: run {run}: an execution of attempt {attempt}, which has no row"));
        }
        let from_ms = tick_ms.unwrap_or(found.due_ms.min(*entered_ms));
        if *entered_ms < from_ms - EARLY_MS {
            violations.push(format!("G9: run {run} was entered at {entered_ms}, before {from_ms}"));
        }
    }
}

/// G5: each attempt is executed at most once, and a run has no more executions than attempts with a cause.
fn every_duplicate_has_its_cause(history: &History, violations: &mut Vec<String>) {
    let mut entered: HashMap<(&str, u64), u32> = HashMap::new();
    for execution in &history.executions {
        *entered.entry((&execution.run, execution.attempt)).or_default() += 1;
    }
    for ((run, attempt), times) in &entered {
        if *times > 1 {
            violations.push(format!("G5: run {run}: attempt {attempt} was executed {times} times"));
        }
    }
    let mut by_run: HashMap<&str, u64> = HashMap::new();
    for (run, _) in entered.keys() {
        *by_run.entry(run).or_default() += 1;
    }
    for (run, executions) in by_run {
        let Some(found) = history.runs.get(run) else { continue };
        if executions > 1 + found.lost + found.failed {
            let attempts = &found.attempts;
            violations.push(format!(
                "G5: run {run}: {executions} executions, lost {}, failed {}: {attempts:?}",
                found.lost, found.failed
            ));
        }
    }
}

/// A run that is said to have succeeded was executed to its end in its last attempt.
fn every_success_was_executed(history: &History, violations: &mut Vec<String>) {
    let mut left: HashMap<(&str, u64), bool> = HashMap::new();
    for execution in &history.executions {
        left.insert((&execution.run, execution.attempt), execution.left_ms.is_some());
    }
    for (id, run) in &history.runs {
        let Some(last) = run.attempts.last() else { continue };
        if run.state == "succeeded" && left.get(&(id.as_str(), last.ordinal)) != Some(&true) {
            violations.push(format!(
                "G4: run {id} succeeded in attempt {}, which was not executed to its end",
                last.ordinal
            ));
        }
        if run.state == "failed" && run.reason == "lost" {
            violations.push(format!("run {id} failed as lost, though it may run more than once"));
        }
    }
}

/// G11, for the executions of attempts that were not given up.
fn runs_that_skip_overlaps_do_not_overlap(job: &JobHistory, history: &History, violations: &mut Vec<String>) {
    if !job.job.skips_overlaps {
        return;
    }
    let mine: std::collections::HashSet<&str> = job.runs.iter().map(String::as_str).collect();
    let mut intervals: Vec<&Execution> = history
        .executions
        .iter()
        .filter(|execution| mine.contains(execution.run.as_str()) && execution.left_ms.is_some())
        .collect();
    intervals.sort_by_key(|execution| execution.entered_ms);
    for pair in intervals.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        if first.run != second.run && first.left_ms > Some(second.entered_ms) {
            violations.push(format!("G11: {}: runs {} and {} overlap", job.job.name, first.run, second.run));
        }
    }
}

/// G12: an answered call is one run, and no other has its key.
fn every_accepted_call_is_one_run(history: &History, violations: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    for run in &history.accepted {
        if !seen.insert(run) {
            violations.push(format!("G12: run {run} answers two calls with different keys"));
        }
        if !history.runs.contains_key(run) {
            violations.push(format!("G12: run {run} was accepted and has no row"));
        }
    }
}
