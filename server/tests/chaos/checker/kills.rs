//! Where servers were killed, which attempts were in flight then, and which of these were sent again, for what cause.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use super::history::{Attempt, Execution, History, Kill, Run};

/// The row of kills that no failpoint made.
const RANDOM: &str = "a random moment";

/// Kills by their point.
#[derive(Clone, Default, Debug)]
pub(crate) struct Kills(BTreeMap<String, Row>);

#[derive(Clone, Default, Debug)]
struct Row {
    kills: u64,
    /// Kills at which a living worker held an attempt.
    hits: u64,
    /// Attempts whose handler had been entered in a worker that lived, and whose outcome was not answered yet.
    held: Fates,
    /// Attempts that were dispatched by the ledger, and that no living worker was seen to hold.
    others: Fates,
}

/// What became of attempts.
#[derive(Clone, Copy, Default, Debug)]
struct Fates {
    attempts: u64,
    lost: u64,
    undelivered: u64,
    failed: u64,
}

impl Kills {
    pub(super) fn of(history: &History) -> Self {
        let answered = answers(history);
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for kill in &history.kills {
            let row = rows.entry(kill.point.clone().unwrap_or_else(|| RANDOM.to_owned())).or_default();
            let held: Vec<&Execution> =
                history.executions.iter().filter(|one| is_held(one, kill, &answered)).collect();
            row.kills += 1;
            row.hits += u64::from(!held.is_empty());
            held.iter().for_each(|one| row.held.count(history.runs.get(&one.run), one.attempt));
            for run in history.runs.values() {
                for attempt in run.attempts.iter().filter(|one| is_in_flight(one, kill)) {
                    let is_held = |one: &&Execution| one.run == run.id && one.attempt == attempt.attempt;
                    if !held.iter().any(is_held) {
                        row.others.count(Some(run), attempt.attempt);
                    }
                }
            }
        }
        Self(rows)
    }

    /// Why the history proves nothing: a point that was to be hit so often with attempts in flight was not.
    pub(super) fn void(&self, history: &History) -> Option<String> {
        let least = history.config.least_hits;
        let hits = |point: &String| self.0.get(point).map_or(0, |row| row.hits);
        let missed = history.config.points.iter().find(|point| hits(point) < least)?;
        Some(format!("{missed} was hit {} times with attempts in flight, not {least}", hits(missed)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Fates {
    fn count(&mut self, run: Option<&super::history::At<Run>>, ordinal: u64) {
        self.attempts += 1;
        let Some(run) = run.filter(|run| run.attempt > ordinal) else { return };
        match run.attempts.iter().find(|one| one.attempt == ordinal).map(|one| one.outcome.as_str()) {
            Some("lost") => self.lost += 1,
            Some("undelivered") => self.undelivered += 1,
            Some(_) => self.failed += 1,
            None => {}
        }
    }
}

/// When each attempt's outcome was last answered.
fn answers(history: &History) -> HashMap<(&str, u64, u64), i64> {
    let mut answers = HashMap::new();
    for verdict in &history.verdicts {
        let last: &mut i64 =
            answers.entry((verdict.run.as_str(), verdict.attempt, verdict.pid)).or_insert(i64::MIN);
        *last = (*last).max(verdict.at_ms);
    }
    answers
}

fn is_held(one: &Execution, kill: &Kill, answers: &HashMap<(&str, u64, u64), i64>) -> bool {
    let is_under_way = one.end.as_ref().is_none_or(|end| end.at_ms > kill.at_ms);
    let answered = answers.get(&(one.run.as_str(), one.attempt, one.pid));
    one.start_ms <= kill.at_ms
        && kill.pids.contains(&one.pid)
        && (is_under_way || answered.is_some_and(|at_ms| *at_ms > kill.at_ms))
}

fn is_in_flight(one: &Attempt, kill: &Kill) -> bool {
    one.dispatched_ms <= kill.at_ms && one.ended_ms.is_none_or(|ended| ended > kill.at_ms)
}

impl fmt::Display for Kills {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| server killed at | SIGKILLs | with attempts in flight | held by living workers | lost | undelivered \
             | failed | dispatched, held by none | lost | undelivered | failed |"
        )?;
        write!(f, "|---|---|---|---|---|---|---|---|---|---|---|")?;
        for (point, Row { kills, hits, held, others }) in &self.0 {
            write!(f, "\n| {point} | {kills} | {hits} | {held} | {others} |")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts, lost, undelivered, failed } = self;
        write!(f, "{attempts} | {lost} | {undelivered} | {failed}")
    }
}
