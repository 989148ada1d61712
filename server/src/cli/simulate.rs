//! `fastjob simulate`: what some days hold for the jobs of an app or of files, without touching anything.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fastjob_core::client::{Client, RunFilter};
use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::domain::Trigger;
use fastjob_core::id::JobId;
use fastjob_core::protocol::{job, v1};
use fastjob_core::schedule::Schedule;
use fastjob_core::shard::JobPut;
use serde_json::{Value, json};

use super::connect::Connect;
use super::print::Printer;
use super::{Exit, Failure, args, job_files, shape};
use crate::simulate::{self, MAX_DAYS, Measure, Outcome, Player, Span};

const DAY_MS: i64 = 86_400_000;
/// Runs that durations are learned from, the newest.
const LEARNED_RUNS: usize = 5_000;
const PAGE: u32 = 500;
/// Jobs of a table for people; machines get all.
const SHOWN: usize = 20;
const COLUMNS: [&str; 7] = ["job", "ticks", "skipped", "cancelled", "longest_wait_ms", "busy_ms", "usual_ms"];

/// Simulates some days of all jobs together: collisions, overlap, slots, and a heat map minute by minute.
#[derive(Args, Debug)]
pub(super) struct Simulate {
    /// Files of jobs instead of the app's, - for stdin; may be repeated: YAML, JSON lines of jobs, or crontab-like lines.
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    reading: job_files::Reading,
    /// How many days.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
    days: u32,
    /// The last days instead of the coming ones.
    #[arg(long)]
    last: bool,
    /// Begin at this instant [default: now, or with --last so many days ago].
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true, conflicts_with = "last")]
    from: Option<i64>,
    /// How long runs take: a line each, as `nightly 5m` [default: learned from the app's newest 5,000 runs].
    #[arg(long, value_name = "FILE")]
    durations: Option<PathBuf>,
    /// How long the runs of all other jobs take.
    #[arg(long, value_name = "D", default_value = "1s", value_parser = args::duration)]
    default_duration: i64,
    /// Runs at a time of all workers together [default: as many as wanted].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    slots: Option<u32>,
    /// What the heat map shows.
    #[arg(long, value_name = "WHAT", default_value = "running")]
    map: Map,
    /// Write the heat map there, as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write all of it there, as one HTML page.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    connect: Connect,
}

/// What a heat map shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Map {
    /// Runs at a time.
    Running,
    /// Ticks of each minute.
    Ticks,
}

/// Jobs to simulate, and what is known of them.
struct Fleet {
    /// With the id, which draws the jitter, and the creation.
    jobs: Vec<(JobPut, JobId, Millis)>,
    usual: HashMap<String, i64>,
}

impl Simulate {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let now = SystemClock.now();
        let (fleet, printer) = if self.files.is_empty() {
            let (client, printer) = self.connect.open_app().await?;
            (self.fleet_of(&client).await?, printer)
        } else {
            (self.fleet_of_files(now)?, self.connect.printer())
        };
        let ago = if self.last { i64::from(self.days) * DAY_MS } else { 0 };
        let from = self.from.map_or(now.plus(-ago), Millis::new);
        let players: Vec<Player> =
            fleet.jobs.iter().filter_map(|(put, id, at)| self.player(put, *id, *at, &fleet)).collect();
        let span = Span { from, days: self.days, slots: self.slots };
        let outcome = simulate::simulate(&players, span);
        self.write(&outcome)?;
        self.print(&outcome, &players, &printer)?;
        Ok(Exit::Done)
    }

    fn fleet_of_files(&self, now: Millis) -> Result<Fleet, Failure> {
        let jobs = self
            .reading
            .read(&self.files, now)?
            .into_iter()
            .map(|job| (job.put.clone(), job.id(), now))
            .collect();
        Ok(Fleet { jobs, usual: self.usual()?.unwrap_or_default() })
    }

    async fn fleet_of(&self, client: &Client) -> Result<Fleet, Failure> {
        let (mut jobs, mut after) = (Vec::new(), String::new());
        loop {
            let page = client.job_list(&after, PAGE).await?;
            let Some(last) = page.last().and_then(|job| job.spec.as_ref()) else { break };
            after.clone_from(&last.name);
            for stored in page {
                let created_at = Millis::new(stored.created_at);
                let id = JobId::from_slice(&stored.id).ok_or_else(|| Failure::incomplete("id"))?;
                let spec = stored.spec.ok_or_else(|| Failure::incomplete("spec"))?;
                let put = job::put(spec, created_at).map_err(|bad| {
                    let message = format!("a job cannot be read by this command: {bad}");
                    Failure::new(Exit::Failed, message)
                })?;
                jobs.push((put, id, created_at));
            }
        }
        let usual = match self.usual()? {
            Some(usual) => usual,
            None => learned(client).await?,
        };
        Ok(Fleet { jobs, usual })
    }

    fn usual(&self) -> Result<Option<HashMap<String, i64>>, Failure> {
        self.durations.as_deref().map(job_files::durations).transpose()
    }

    /// A job that is disabled, or fires by call alone, takes no part.
    fn player(&self, put: &JobPut, id: JobId, created_at: Millis, fleet: &Fleet) -> Option<Player> {
        let definition = &put.definition;
        if put.enabled == Some(false) || definition.trigger == Trigger::Api {
            return None;
        }
        let name = put.name.to_string();
        Some(Player {
            schedule: Schedule::compile(&definition.trigger, created_at).ok()?.timed(&definition.timing, id),
            delay_ms: match definition.trigger {
                Trigger::FixedDelay { delay_ms } => Some(delay_ms),
                _ => None,
            },
            overlap: definition.limits.overlap,
            priority: definition.limits.priority,
            usual_ms: fleet.usual.get(&name).copied().unwrap_or(self.default_duration),
            name,
        })
    }

    const fn measure(&self) -> Measure {
        match self.map {
            Map::Running => Measure::Running,
            Map::Ticks => Measure::Ticks,
        }
    }

    fn write(&self, outcome: &Outcome) -> Result<(), Failure> {
        let write = |flag: &str, path: &Path, text: String| {
            std::fs::write(path, text).map_err(|error| {
                let message = format!("cannot write {}: {error}", path.display());
                Failure::usage(flag, message, "give a file that can be written")
            })
        };
        if let Some(path) = &self.svg {
            write("--svg", path, simulate::svg(outcome, self.measure()))?;
        }
        if let Some(path) = &self.html {
            write("--html", path, simulate::html(outcome, self.measure()))?;
        }
        Ok(())
    }

    fn print(&self, outcome: &Outcome, players: &[Player], printer: &Printer) -> Result<(), Failure> {
        let usual: HashMap<&str, i64> =
            players.iter().map(|player| (player.name.as_str(), player.usual_ms)).collect();
        let jobs = outcome.worst_first().map(|job| {
            json!({
                "job": job.name, "ticks": job.ticks, "skipped": job.skipped, "cancelled": job.cancelled,
                "longest_wait_ms": job.longest_wait_ms, "busy_ms": job.busy_ms,
                "usual_ms": usual.get(job.name.as_str()),
            })
        });
        if printer.is_table() {
            let colour = std::io::stdout().is_terminal();
            printer.text(&simulate::heat_map(outcome, self.measure(), colour))?;
            printer.text(&(outcome.words().join("\n") + "\n\n"))?;
            return printer.list(&COLUMNS, &jobs.take(SHOWN).collect::<Vec<_>>());
        }
        printer.list(&COLUMNS, &jobs.collect::<Vec<_>>())?;
        printer.one(&summary(outcome))
    }
}

fn summary(outcome: &Outcome) -> Value {
    let sum = |of: fn(&simulate::JobOutcome) -> u64| outcome.jobs.iter().map(of).sum::<u64>();
    let most = |of: fn(&simulate::Minute) -> u32| outcome.minutes.iter().map(of).max();
    let crowd = |crowd: &simulate::Crowd| json!({"at": shape::instant(crowd.at.0.get()), "jobs": crowd.jobs});
    json!({
        "summary": true,
        "from": shape::instant(outcome.span.from.get()),
        "days": outcome.span.days,
        "slots": outcome.span.slots,
        "jobs": outcome.jobs.len(),
        "ticks": sum(|job| job.ticks),
        "skipped": sum(|job| job.skipped),
        "collisions": outcome.collisions,
        "most_running": most(|minute| minute.running),
        "most_waiting": most(|minute| minute.waiting),
        "saturated_ms": outcome.saturated_ms,
        "crowds": outcome.crowds.iter().map(crowd).collect::<Vec<_>>(),
        "cut_at": outcome.cut_at.map(|at| shape::instant(at.get())),
    })
}

/// The median of each job's newest runs.
async fn learned(client: &Client) -> Result<HashMap<String, i64>, Failure> {
    let mut taken: HashMap<String, Vec<i64>> = HashMap::new();
    let (mut before, mut seen) = (None, 0);
    while seen < LEARNED_RUNS {
        let states = vec![v1::RunState::Succeeded, v1::RunState::Failed];
        let filter = RunFilter { job: String::new(), states, before, limit: PAGE };
        let page = client.run_list(filter).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen += page.len();
        for run in &page {
            let run = run.message();
            if let (Some(started), Some(ended)) = (run.started_at, run.ended_at) {
                taken.entry(run.job.clone()).or_default().push(ended.saturating_sub(started).max(0));
            }
        }
    }
    let median = |(job, mut taken): (String, Vec<i64>)| {
        taken.sort_unstable();
        (job, taken[taken.len() / 2])
    };
    Ok(taken.into_iter().map(median).collect())
}
