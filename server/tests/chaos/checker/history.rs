//! The history format of `HISTORY.md`, read line by line. It knows nothing of the product but these lines.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

/// Everything that happened, as the lines tell it. Each part keeps the number of its line, as evidence.
#[derive(Default, Debug)]
pub(crate) struct History {
    pub(crate) config: Config,
    /// By job, in order of revision.
    pub(crate) revisions: BTreeMap<String, Vec<At<Revision>>>,
    pub(crate) triggers: Vec<At<Trigger>>,
    pub(crate) inbox: Vec<At<Inserted>>,
    pub(crate) executions: Vec<Execution>,
    pub(crate) verdicts: Vec<At<Verdict>>,
    pub(crate) faults: Vec<At<Fault>>,
    pub(crate) kills: Vec<Kill>,
    pub(crate) stalls: Vec<Stall>,
    /// In their order.
    pub(crate) clocks: Vec<ClockSet>,
    /// By run id.
    pub(crate) runs: HashMap<String, At<Run>>,
    pub(crate) gaps: Vec<At<Gap>>,
    pub(crate) owners: Vec<At<Owner>>,
    pub(crate) commits: Vec<At<Commit>>,
}

/// A part and the line that told it.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) line: usize,
    pub(crate) of: T,
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.of
    }
}

#[derive(Clone, Deserialize, Default, Debug)]
pub(crate) struct Config {
    pub(crate) database: String,
    pub(crate) renew_ms: i64,
    pub(crate) lease_ms: i64,
    pub(crate) lost_after_ms: i64,
    /// A worker that hears nothing for so long leaves its stream.
    pub(crate) silence_ms: i64,
    /// From here on nothing new was asked for; what was due before must have ended.
    pub(crate) quiet_ms: i64,
    /// The longest allowed time without a dispatch after the kill of an owner; absent: not judged.
    pub(crate) takeover_limit_ms: Option<i64>,
    /// Failpoints, each of which must have been hit `least_hits` times with attempts in flight.
    #[serde(default)]
    pub(crate) points: Vec<String>,
    #[serde(default)]
    pub(crate) least_hits: u64,
}

#[derive(Clone, Deserialize, Debug)]
pub(crate) struct Revision {
    pub(crate) job: String,
    pub(crate) revision: u64,
    pub(crate) enabled: bool,
    pub(crate) trigger: Rule,
    pub(crate) overlap: String,
    pub(crate) retries: u64,
    pub(crate) catch_up: CatchUp,
    pub(crate) lost_after_ms: Option<i64>,
    pub(crate) created_ms: i64,
    /// The instant from which it is in force, by the database's clock.
    pub(crate) at_ms: i64,
    pub(crate) call_ms: i64,
    pub(crate) reply_ms: i64,
}

#[derive(Clone, Deserialize, Debug)]
pub(crate) struct CatchUp {
    pub(crate) policy: String,
    pub(crate) threshold_ms: i64,
}

#[derive(Clone, Deserialize, Debug)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Rule {
    Cron { expression: String },
    FixedRate { period_ms: i64, phase_ms: Option<i64> },
    FixedDelay { delay_ms: i64 },
    Api,
}

#[derive(Clone, Deserialize, Debug)]
pub(crate) struct Trigger {
    pub(crate) job: String,
    pub(crate) key: Option<String>,
    pub(crate) result: String,
    pub(crate) run: Option<String>,
}

#[derive(Clone, Deserialize, Debug)]
pub(crate) struct Inserted {
    pub(crate) job: String,
    pub(crate) key: String,
    pub(crate) result: String,
}

#[derive(Clone, Deserialize, Debug)]
struct Start {
    run: String,
    attempt: u64,
    epoch: u64,
    job: String,
    pid: u64,
    tick_ms: Option<i64>,
    due_ms: i64,
    at_ms: i64,
}

#[derive(Clone, Deserialize, Debug)]
struct End {
    run: String,
    attempt: u64,
    pid: u64,
    at_ms: i64,
    outcome: String,
    result: Option<String>,
}

/// One call of a handler, as the observer saw it.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    pub(crate) line: usize,
    pub(crate) run: String,
    pub(crate) attempt: u64,
    pub(crate) epoch: u64,
    pub(crate) pid: u64,
    pub(crate) job: String,
    pub(crate) tick_ms: Option<i64>,
    pub(crate) due_ms: i64,
    pub(crate) start_ms: i64,
    /// `None`: its process was killed meanwhile, or it was told to give way.
    pub(crate) end: Option<Ended>,
}

#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) at_ms: i64,
    pub(crate) outcome: String,
    pub(crate) result: Option<String>,
}

#[derive(Clone, Deserialize, Debug)]
pub(crate) struct Verdict {
    pub(crate) run: String,
    pub(crate) attempt: u64,
    pub(crate) pid: u64,
    pub(crate) verdict: String,
    pub(crate) at_ms: i64,
}

#[derive(Clone, Deserialize, Debug)]
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) begin_ms: i64,
    pub(crate) end_ms: i64,
    /// Nobody may have watched the ticks meanwhile.
    #[serde(default)]
    pub(crate) outage: bool,
    /// A kill of a shard's owner: the time to the next dispatch is a takeover.
    #[serde(default)]
    pub(crate) takeover: bool,
    /// The owner stood still or was cut off, and came back at the end: another may have taken over.
    #[serde(default)]
    pub(crate) away: bool,
    #[serde(default)]
    pub(crate) in_flight: u64,
}

/// A server was killed.
#[derive(Clone, Deserialize, Debug)]
pub(crate) struct Kill {
    /// Where; `None`: at a random moment.
    pub(crate) point: Option<String>,
    pub(crate) at_ms: i64,
    /// The workers that lived then.
    pub(crate) pids: Vec<u64>,
}

/// From here on the database's clock was ahead of everybody else's by so much.
#[derive(Clone, Copy, Deserialize, Debug)]
pub(crate) struct ClockSet {
    pub(crate) at_ms: i64,
    pub(crate) offset_ms: i64,
}

/// The machine itself fell behind.
#[derive(Clone, Copy, Deserialize, Debug)]
pub(crate) struct Stall {
    pub(crate) begin_ms: i64,
    pub(crate) end_ms: i64,
    /// For how much of that time.
    pub(crate) late_ms: i64,
}

#[derive(Clone, Deserialize, Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) job: String,
    pub(crate) source: String,
    pub(crate) tick_ms: Option<i64>,
    pub(crate) due_ms: i64,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) attempt: u64,
    pub(crate) revision: u64,
    pub(crate) fail_count: u64,
    pub(crate) lost_count: u64,
    pub(crate) key: Option<String>,
    pub(crate) result: Option<String>,
    pub(crate) created_ms: i64,
    pub(crate) ended_ms: Option<i64>,
    /// Oldest first, the current one included.
    pub(crate) attempts: Vec<Attempt>,
}

#[derive(Clone, Deserialize, Debug)]
pub(crate) struct Attempt {
    pub(crate) attempt: u64,
    pub(crate) epoch: u64,
    pub(crate) server: Option<String>,
    pub(crate) dispatched_ms: i64,
    pub(crate) ended_ms: Option<i64>,
    /// "running" for one under way.
    pub(crate) outcome: String,
}

#[derive(Clone, Deserialize, Debug)]
pub(crate) struct Gap {
    pub(crate) job: String,
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    pub(crate) count: Option<u64>,
    pub(crate) reason: String,
    pub(crate) revision: u64,
}

#[derive(Clone, Deserialize, Debug)]
pub(crate) struct Owner {
    pub(crate) app: String,
    pub(crate) shard: u64,
    pub(crate) epoch: u64,
    pub(crate) server: String,
    pub(crate) at_ms: i64,
    pub(crate) reason: String,
}

/// When the database committed the last change of a run that has ended or is under way, or the beginning of an epoch.
#[derive(Clone, Deserialize, Debug)]
pub(crate) struct Commit {
    pub(crate) run: Option<String>,
    pub(crate) epoch: Option<u64>,
    pub(crate) at_ms: i64,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Config(Config),
    Revision(Revision),
    Trigger(Trigger),
    Inbox(Inserted),
    Start(Start),
    End(End),
    Verdict(Verdict),
    Fault(Fault),
    Kill(Kill),
    Stall(Stall),
    Clock(ClockSet),
    Run(Run),
    Gap(Gap),
    Owner(Owner),
    Commit(Commit),
}

impl History {
    /// Reads every line, or says which one cannot be read.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut history = Self::default();
        let mut open: HashMap<(String, u64, u64), usize> = HashMap::new();
        for (index, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
            let line = index + 1;
            let read = serde_json::from_str(text).map_err(|error| format!("line {line}: {error}"))?;
            history.take(line, read, &mut open)?;
        }
        for revisions in history.revisions.values_mut() {
            revisions.sort_by_key(|revision| revision.revision);
        }
        history.faults.sort_by_key(|fault| fault.begin_ms);
        history.clocks.sort_by_key(|set| set.at_ms);
        Ok(history)
    }

    fn take(
        &mut self,
        line: usize,
        read: Line,
        open: &mut HashMap<(String, u64, u64), usize>,
    ) -> Result<(), String> {
        match read {
            Line::Config(config) => self.config = config,
            Line::Revision(of) => {
                self.revisions.entry(of.job.clone()).or_default().push(At { line, of });
            }
            Line::Trigger(of) => self.triggers.push(At { line, of }),
            Line::Inbox(of) => self.inbox.push(At { line, of }),
            Line::Start(start) => {
                open.insert((start.run.clone(), start.attempt, start.pid), self.executions.len());
                self.executions.push(execution(line, start));
            }
            Line::End(End { run, attempt, pid, at_ms, outcome, result }) => {
                let at =
                    open.remove(&(run, attempt, pid)).ok_or(format!("line {line}: ends what never began"))?;
                self.executions[at].end = Some(Ended { at_ms, outcome, result });
            }
            Line::Verdict(of) => self.verdicts.push(At { line, of }),
            Line::Fault(of) => self.faults.push(At { line, of }),
            Line::Kill(kill) => self.kills.push(kill),
            Line::Clock(set) => self.clocks.push(set),
            Line::Stall(stall) => self.stalls.push(stall),
            Line::Run(of) => {
                if let Some(other) = self.runs.insert(of.id.clone(), At { line, of }) {
                    return Err(format!(
                        "line {line}: run {} stands in line {} already",
                        other.id, other.line
                    ));
                }
            }
            Line::Gap(of) => self.gaps.push(At { line, of }),
            Line::Owner(of) => self.owners.push(At { line, of }),
            Line::Commit(of) => self.commits.push(At { line, of }),
        }
        Ok(())
    }

    /// When the run's handler was first entered.
    pub(crate) fn first_start(&self, run: &str) -> Option<i64> {
        self.executions.iter().filter(|one| one.run == run).map(|one| one.start_ms).min()
    }
}

fn execution(line: usize, start: Start) -> Execution {
    let Start { run, attempt, epoch, job, pid, tick_ms, due_ms, at_ms } = start;
    Execution { line, run, attempt, epoch, pid, job, tick_ms, due_ms, start_ms: at_ms, end: None }
}
