//! G2 to G5 and G13: runs, their attempts, and the executions of these.

use std::collections::HashMap;

use super::history::{Attempt, Execution, History, Run};
use super::{EARLY_MS, Found};

/// A run whose attempts were lost so often is not sent again.
const LOST_AT_MOST: u64 = 3;

/// G2: an execution has its committed attempt, of the epoch it was told, and does not precede its run.
pub(crate) fn every_execution_has_its_attempt(history: &History, found: &mut Found) {
    for execution in &history.executions {
        let Execution { line, run: id, attempt, epoch, start_ms, .. } = execution;
        let Some(run) = history.runs.get(id) else {
            found.add("G2", [*line], format!("an execution of run {id}, which has no row"));
            continue;
        };
        let committed = run.attempts.iter().any(|one| one.attempt == *attempt && one.epoch == *epoch);
        if !committed {
            let text =
                format!("run {id}: an execution of attempt {attempt} of epoch {epoch}, which has no row");
            found.add("G2", [*line, run.line], text);
        }
        if !history.clock_moved() && *start_ms < run.created_ms - EARLY_MS {
            found.add("G2", [*line, run.line], format!("run {id} was executed before it was made"));
        }
    }
}

/// G3: what was due has ended, and an outcome that was answered "accepted" is the recorded one.
pub(crate) fn every_due_run_has_ended(history: &History, found: &mut Found) {
    for run in history.runs.values() {
        let ended = ["succeeded", "failed", "cancelled", "skipped"].contains(&run.state.as_str());
        if !ended && run.due_ms <= history.quiet_ms() {
            found.add("G3", [run.line], format!("run {} of {} is still {}", run.id, run.job, run.state));
        }
    }
    let by_attempt = by_attempt(history);
    for verdict in history.verdicts.iter().filter(|verdict| verdict.verdict == "accepted") {
        let Some(run) = history.runs.get(&verdict.run) else { continue };
        let Some(execution) =
            by_attempt.get(&(verdict.run.as_str(), verdict.attempt)).and_then(|all| all.last())
        else {
            continue;
        };
        let said = execution.end.as_ref().map(|end| end.outcome.as_str());
        let recorded = recorded(run, verdict.attempt);
        if said.is_some() && said != recorded {
            let text = format!(
                "run {}: attempt {} was accepted as {said:?} and is recorded as {recorded:?}",
                run.id, verdict.attempt
            );
            found.add("G3", [verdict.line, execution.line, run.line], text);
        }
    }
}

fn recorded(run: &Run, ordinal: u64) -> Option<&str> {
    run.attempts.iter().find(|one| one.attempt == ordinal).map(|one| one.outcome.as_str())
}

/// G4: a run that succeeded did so in its last attempt, which was executed to its end, with this very result.
pub(crate) fn one_outcome_by_the_current_attempt(history: &History, found: &mut Found) {
    let by_attempt = by_attempt(history);
    for run in history.runs.values().filter(|run| run.state == "succeeded") {
        let executions =
            by_attempt.get(&(run.id.as_str(), run.attempt)).map(Vec::as_slice).unwrap_or_default();
        let ended: Vec<_> = executions.iter().filter_map(|one| Some((one, one.end.as_ref()?))).collect();
        let lines = || executions.iter().map(|one| one.line).chain([run.line]);
        if !ended.iter().any(|(_, end)| end.outcome == "succeeded") {
            let text = format!("run {} succeeded in attempt {}, which did not", run.id, run.attempt);
            found.add("G4", lines(), text);
        } else if run.result.is_some() && !ended.iter().any(|(_, end)| end.result == run.result) {
            let text =
                format!("run {} has result {:?}, which its last attempt did not give", run.id, run.result);
            found.add("G4", lines(), text);
        }
    }
    for verdict in history.verdicts.iter().filter(|verdict| verdict.verdict == "accepted") {
        let twice = |other: &&super::history::At<super::history::Verdict>| {
            other.line > verdict.line
                && (&other.run, other.attempt, &other.verdict)
                    == (&verdict.run, verdict.attempt, &verdict.verdict)
        };
        if let Some(other) = history.verdicts.iter().find(twice) {
            let text = format!("run {}: attempt {} was accepted twice", verdict.run, verdict.attempt);
            found.add("G4", [verdict.line, other.line], text);
        }
    }
}

/// G5: an attempt is executed at most once; what was judged undelivered never; what was lost not before its time; and
/// each further execution of a run has its failure or loss.
pub(crate) fn duplicates_have_their_cause(history: &History, found: &mut Found) {
    let by_attempt = by_attempt(history);
    let mut attempts_executed: HashMap<&str, u64> = HashMap::new();
    for ((run, attempt), executions) in &by_attempt {
        *attempts_executed.entry(run).or_default() += 1;
        if executions.len() > 1 {
            let text = format!("run {run}: attempt {attempt} was executed {} times", executions.len());
            found.add("G5", executions.iter().map(|one| one.line), text);
        }
    }
    for run in history.runs.values() {
        for attempt in &run.attempts {
            let executed = by_attempt.get(&(run.id.as_str(), attempt.attempt));
            cause_is_true(history, (run, run.line), attempt, executed.map(|all| all[0]), found);
        }
        let executed = attempts_executed.get(run.id.as_str()).copied().unwrap_or(0);
        let allowed = 1 + run.lost_count + run.fail_count;
        if executed > allowed {
            let text = format!(
                "run {}: {executed} executions, lost {}, failed {}",
                run.id, run.lost_count, run.fail_count
            );
            found.add("G5", [run.line], text);
        }
        let most = history.revisions.get(&run.job).into_iter().flatten().map(|one| one.retries).max();
        if most.is_some_and(|retries| run.fail_count > retries + 1) {
            found.add("G5", [run.line], format!("run {} failed {} times", run.id, run.fail_count));
        }
        if history.faults.is_empty() && run.lost_count > 0 {
            found.add("G5", [run.line], format!("run {} lost a worker though nothing failed", run.id));
        }
    }
}

fn cause_is_true(
    history: &History,
    (run, line): (&Run, usize),
    attempt: &Attempt,
    executed: Option<&Execution>,
    found: &mut Found,
) {
    let lines = |executed: &Execution| [executed.line];
    let name = format!("run {}: attempt {}", run.id, attempt.attempt);
    if attempt.outcome == "undelivered"
        && let Some(executed) = executed
    {
        found.add("G5", lines(executed), format!("{name} was judged undelivered and was executed"));
    }
    if attempt.outcome != "lost" {
        return;
    }
    let revisions = history.revisions.get(&run.job);
    let lost_after = revisions
        .and_then(|all| all.iter().find(|one| one.revision == run.revision)?.lost_after_ms)
        .unwrap_or(history.config.lost_after_ms);
    // When it was entered its worker lived, and had been heard of no longer ago than it may be silent. One that was
    // never entered may have been sent to a worker that was gone: then a fault tells since when.
    let least = lost_after - history.config.silence_ms - EARLY_MS;
    let Some(lost) = attempt.ended_ms else { return };
    let entered = executed.map(|one| one.start_ms).filter(|start| *start < lost);
    let away_before = |fault: &super::history::At<super::history::Fault>| fault.begin_ms <= lost - least;
    let too_soon = match entered {
        Some(start) => lost - start < least,
        None => !history.faults.iter().any(away_before),
    };
    if history.clock_moved() {
        sent_again_too_soon(history, (run, &name), executed, least, found);
        return;
    }
    if too_soon {
        let lasted = lost - attempt.dispatched_ms;
        let text = format!("{name} was lost {lasted} ms after its dispatch, not {lost_after}");
        found.add("G5", executed.map(|one| one.line).into_iter().chain([line]), text);
    }
    if let Some(executed) = executed
        && let Some(end) = &executed.end
        && let Some(lost) = attempt.ended_ms
        && end.at_ms < lost - lost_after
        && !history.faults.iter().any(|fault| fault.begin_ms < lost && fault.end_ms + lost_after > end.at_ms)
    {
        found.add(
            "G5",
            lines(executed),
            format!("{name} had ended in time and was lost, though nothing failed"),
        );
    }
}

/// By the observer alone, where the database's clock was set: the next attempt was entered before this one could be lost.
fn sent_again_too_soon(
    history: &History,
    (run, name): (&Run, &str),
    executed: Option<&Execution>,
    least: i64,
    found: &mut Found,
) {
    let Some(first) = executed else { return };
    let later = |one: &&Execution| one.run == run.id && one.attempt > first.attempt;
    let Some(next) = history.executions.iter().filter(later).min_by_key(|one| one.start_ms) else { return };
    if next.start_ms - first.start_ms < least {
        let after = next.start_ms - first.start_ms;
        found.add(
            "G5",
            [first.line, next.line],
            format!("{name} counts as lost, and the next was entered {after} ms after it"),
        );
    }
}

/// G13: a run does not go on killing workers.
pub(crate) fn killers_are_quarantined(history: &History, found: &mut Found) {
    for run in history.runs.values() {
        if run.lost_count > LOST_AT_MOST {
            found.add("G13", [run.line], format!("run {} was lost {} times", run.id, run.lost_count));
        }
        let lost = run.attempts.iter().filter(|one| one.outcome == "lost").count() as u64;
        let goes_on = run.attempts.iter().skip_while(|one| one.outcome != "lost").count() as u64;
        if lost >= LOST_AT_MOST && goes_on > lost {
            found.add("G13", [run.line], format!("run {} was sent again after {lost} losses", run.id));
        }
    }
}

fn by_attempt(history: &History) -> HashMap<(&str, u64), Vec<&Execution>> {
    let mut by_attempt: HashMap<(&str, u64), Vec<&Execution>> = HashMap::new();
    for execution in &history.executions {
        by_attempt.entry((&execution.run, execution.attempt)).or_default().push(execution);
    }
    by_attempt
}
