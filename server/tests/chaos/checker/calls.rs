//! G11 and G12: what callers were promised, and runs that must not overlap.

use std::collections::HashMap;

use super::Found;
use super::history::{At, Execution, History, Run};

/// G11: of a job that skips overlaps, no two runs are in their handlers at once, attempts that were given up aside.
pub(crate) fn skipping_runs_do_not_overlap(history: &History, found: &mut Found) {
    let mut by_job: HashMap<&str, Vec<&Execution>> = HashMap::new();
    for execution in history.executions.iter().filter(|one| !was_given_up(history, one)) {
        by_job.entry(&execution.job).or_default().push(execution);
    }
    for (job, mut executions) in by_job {
        let skips =
            |revisions: &Vec<At<super::history::Revision>>| revisions.iter().all(|one| one.overlap == "skip");
        if !history.revisions.get(job).is_some_and(skips) {
            continue;
        }
        executions.sort_by_key(|execution| execution.start_ms);
        for pair in executions.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            let overlap = first.end.as_ref().is_some_and(|end| end.at_ms > second.start_ms);
            if first.run != second.run && overlap {
                let text = format!("{job}: runs {} and {} overlap", first.run, second.run);
                found.add("G11", [first.line, second.line], text);
            }
        }
    }
}

fn was_given_up(history: &History, execution: &Execution) -> bool {
    let attempt = |run: &At<Run>| {
        let found = run.attempts.iter().find(|one| one.attempt == execution.attempt)?;
        Some(matches!(found.outcome.as_str(), "lost" | "timeout" | "quarantined"))
    };
    let run = history.runs.get(&execution.run);
    run.and_then(attempt).unwrap_or(true)
        || run.is_some_and(|run| matches!(run.reason.as_deref(), Some("lost" | "quarantined" | "timeout")))
}

/// G12: an answered call has its run, and a key is one run's, whoever used it.
pub(crate) fn acknowledged_calls_survive(history: &History, found: &mut Found) {
    let mut by_key: HashMap<(&str, &str), Vec<&At<Run>>> = HashMap::new();
    for run in history.runs.values() {
        if let Some(key) = &run.key {
            by_key.entry((&run.job, key)).or_default().push(run);
        }
    }
    for ((job, key), runs) in &by_key {
        if runs.len() > 1 {
            let text = format!("{job}: key {key} made {} runs", runs.len());
            found.add("G12", runs.iter().map(|run| run.line), text);
        }
    }
    let mut answers: HashMap<&str, (&Option<String>, usize)> = HashMap::new();
    for call in history.triggers.iter().filter(|call| call.result == "accepted") {
        let Some(id) = &call.run else { continue };
        match history.runs.get(id) {
            None => found.add("G12", [call.line], format!("run {id} was accepted and has no row")),
            Some(run) if run.key != call.key || run.job != call.job => {
                let text = format!("run {id} answered a call with key {:?} and has {:?}", call.key, run.key);
                found.add("G12", [call.line, run.line], text);
            }
            Some(_) => {}
        }
        let (key, line) = *answers.entry(id).or_insert((&call.key, call.line));
        if *key != call.key || (key.is_none() && line != call.line) {
            found.add("G12", [line, call.line], format!("run {id} answered two different calls"));
        }
    }
    for row in &history.inbox {
        let runs = by_key.get(&(row.job.as_str(), row.key.as_str())).map_or(0, Vec::len);
        match row.result.as_str() {
            "committed" if runs == 0 => {
                found.add("G12", [row.line], format!("{}: inbox key {} has no run", row.job, row.key));
            }
            "rolled_back" if runs > 0 => {
                let text = format!("{}: inbox key {} fired though it was rolled back", row.job, row.key);
                found.add("G12", [row.line], text);
            }
            _ => {}
        }
    }
}
