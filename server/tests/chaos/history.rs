//! What happened, read back from three sides: the ledger, the attempts, and the handlers' own log.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::harness::{Server, text_of};
use super::load::{Job, instant_ms};
use super::processes::Workers;

/// Everything the checker looks at.
pub(crate) struct History {
    pub(crate) jobs: Vec<JobHistory>,
    /// By run id.
    pub(crate) runs: HashMap<String, Run>,
    pub(crate) executions: Vec<Execution>,
    /// Runs whose trigger was answered.
    pub(crate) accepted: Vec<String>,
}

pub(crate) struct JobHistory {
    pub(crate) job: Job,
    /// Ticks after this instant were not to fire.
    pub(crate) disabled_at_ms: i64,
    /// Ticks of its runs, and those in its gaps.
    pub(crate) run_ticks: Vec<i64>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) runs: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Gap {
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) reason: String,
}

pub(crate) struct Run {
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) due_ms: i64,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) lost: u64,
    pub(crate) failed: u64,
}

#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) ordinal: u64,
    pub(crate) outcome: String,
}

/// One call of a handler, by its own log.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    pub(crate) run: String,
    pub(crate) attempt: u64,
    pub(crate) entered_ms: i64,
    /// `None`: its process was killed meanwhile.
    pub(crate) left_ms: Option<i64>,
    pub(crate) tick_ms: Option<i64>,
    /// Of its process.
    pub(crate) pid: u64,
}

/// Reads it all. `ended` are the instants of the jobs' disabling.
pub(crate) fn read(
    server: &Server,
    workers: &Workers,
    jobs: &[Job],
    ended: Vec<i64>,
    accepted: Vec<String>,
) -> Result<History, String> {
    let executions = executions(&workers.executions()?);
    let mut entered: HashMap<&str, usize> = HashMap::new();
    for execution in &executions {
        *entered.entry(&execution.run).or_default() += 1;
    }
    let mut runs = HashMap::new();
    let mut histories = Vec::new();
    for (job, disabled_at_ms) in jobs.iter().zip(ended) {
        let mut history = JobHistory {
            job: job.clone(),
            disabled_at_ms,
            run_ticks: Vec::new(),
            gaps: Vec::new(),
            runs: Vec::new(),
        };
        for line in server.ask(&[
            "job",
            "ledger",
            job.name,
            "--from",
            "2020-01-01T00:00:00Z",
            "--to",
            "2100-01-01T00:00:00Z",
        ])? {
            if line["gap"] == true {
                history.gaps.push(gap(&line)?);
                continue;
            }
            let id = text_of(&line, "id");
            history.run_ticks.extend(instant_ms(&line["tick"]));
            let again = line["attempt"].as_u64().unwrap_or(0) > 1
                || entered.get(id.as_str()).is_some_and(|&times| times > 1);
            let whole = if again { server.ask(&["run", "get", &id])?.pop() } else { None };
            runs.insert(id.clone(), run(whole.as_ref().unwrap_or(&line)));
            history.runs.push(id);
        }
        histories.push(history);
    }
    Ok(History { jobs: histories, runs, executions, accepted })
}

fn gap(line: &Value) -> Result<Gap, String> {
    let (from_ms, to_ms) = instant_ms(&line["from"])
        .zip(instant_ms(&line["to"]))
        .ok_or_else(|| format!("gap without bounds: {line}"))?;
    Ok(Gap { from_ms, to_ms, reason: text_of(line, "reason") })
}

fn run(value: &Value) -> Run {
    let count = |field: &str| value[field].as_u64().unwrap_or(0);
    let attempts = match value["attempts"].as_array() {
        Some(attempts) => attempts
            .iter()
            .map(|attempt| Attempt {
                ordinal: attempt["attempt"].as_u64().unwrap_or(0),
                outcome: text_of(attempt, "outcome"),
            })
            .collect(),
        None => (1..=count("attempt"))
            .map(|ordinal| Attempt { ordinal, outcome: text_of(value, "state") })
            .collect(),
    };
    Run {
        state: text_of(value, "state"),
        reason: text_of(value, "reason"),
        due_ms: instant_ms(&value["due"]).unwrap_or(0),
        attempts,
        lost: count("lost_count"),
        failed: count("fail_count"),
    }
}

/// Joins the lines of beginning and end.
pub(crate) fn executions(lines: &[Value]) -> Vec<Execution> {
    let mut open: BTreeMap<(String, u64, u64), usize> = BTreeMap::new();
    let mut executions: Vec<Execution> = Vec::new();
    for line in lines {
        let key =
            (text_of(line, "run"), line["attempt"].as_u64().unwrap_or(0), line["pid"].as_u64().unwrap_or(0));
        let at_ms = line["at_ms"].as_i64().unwrap_or(0);
        if line["event"] == "entered" {
            let (run, attempt, pid) = key.clone();
            open.insert(key, executions.len());
            executions.push(Execution {
                run,
                attempt,
                entered_ms: at_ms,
                left_ms: None,
                tick_ms: line["tick_ms"].as_i64(),
                pid,
            });
        } else if let Some(at) = open.remove(&key) {
            executions[at].left_ms = Some(at_ms);
        }
    }
    executions
}

/// The kills of the server, and what was under way at each.
#[derive(Default)]
pub(crate) struct Kills(Vec<(&'static str, HashSet<(String, u64)>)>);

impl Kills {
    pub(crate) fn note(&mut self, point: &'static str, workers: &Workers) -> Result<(), String> {
        let alive = workers.pids();
        let under_way = |execution: &Execution| execution.left_ms.is_none() && alive.contains(&execution.pid);
        let in_flight = executions(&workers.executions()?).into_iter().filter(under_way);
        self.0.push((point, in_flight.map(|execution| (execution.run, execution.attempt)).collect()));
        Ok(())
    }

    /// Per failpoint: kills, attempts in flight, and what became of these attempts if they were superseded.
    pub(crate) fn print(&self, history: &History) {
        println!(
            "{:<26} {:>8} {:>10} {:>6} {:>12} {:>8}",
            "killed", "SIGKILLs", "in flight", "lost", "undelivered", "failed"
        );
        let points: Vec<&str> = self.0.iter().map(|(point, _)| *point).fold(Vec::new(), |mut seen, point| {
            if !seen.contains(&point) {
                seen.push(point);
            }
            seen
        });
        for point in points {
            let kills: Vec<_> = self.0.iter().filter(|(of, _)| *of == point).collect();
            let outcome = |word: &str| {
                kills
                    .iter()
                    .flat_map(|(_, in_flight)| in_flight)
                    .filter(|(run, attempt)| history.outcome(run, *attempt) == Some(word))
                    .count()
            };
            let in_flight: usize = kills.iter().map(|(_, in_flight)| in_flight.len()).sum();
            println!(
                "{point:<26} {:>8} {in_flight:>10} {:>6} {:>12} {:>8}",
                kills.len(),
                outcome("lost"),
                outcome("undelivered"),
                outcome("failed")
            );
        }
        let undelivered = history
            .runs
            .values()
            .flat_map(|run| &run.attempts)
            .filter(|attempt| attempt.outcome == "undelivered")
            .count();
        println!("attempts never delivered and sent again: {undelivered}");
        println!(
            "ticks {}, runs {}, executions {}, accepted calls {}",
            history.jobs.iter().map(|job| job.run_ticks.len()).sum::<usize>(),
            history.runs.len(),
            history.executions.len(),
            history.accepted.len()
        );
    }

    /// The test proves nothing of a point that was not hit often enough while there was something to lose.
    pub(crate) fn must_be_enough(&self, points: &[&str], least: usize) -> Result<(), String> {
        for point in points {
            let hits = self.0.iter().filter(|(of, in_flight)| of == point && !in_flight.is_empty()).count();
            if hits < least {
                return Err(format!(
                    "void: {point} was hit {hits} times with attempts in flight, not {least}"
                ));
            }
        }
        Ok(())
    }
}

impl History {
    fn outcome(&self, run: &str, attempt: u64) -> Option<&str> {
        let attempts = &self.runs.get(run)?.attempts;
        attempts.iter().find(|one| one.ordinal == attempt).map(|one| one.outcome.as_str())
    }
}
