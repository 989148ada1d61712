//! `fastjob apply` and `fastjob diff`: the jobs of an app as files describe them.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use fastjob_core::client::{Client, Error};
use fastjob_core::clock::{Clock, SystemClock};

use super::connect::Connect;
use super::jobfile::{self, MAX_FILE_BYTES, Source};
use super::plan::{Action, Others, Plan};
use super::print::{self, Printer};
use super::{Exit, Failure, job};

/// The most files of all folders together.
const MAX_FILES: usize = 1_000;

/// Makes an app's jobs those of files: everything is checked before anything is written, and each shard of the app makes
/// all of its changes or none. Jobs that are as the files say are not written.
#[derive(Args, Debug)]
pub(super) struct Apply {
    #[command(flatten)]
    files: Files,
    /// Ask nothing before jobs are deleted.
    #[arg(long)]
    yes: bool,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Make more than 1,000 changes of a shard in several steps: each as a whole, but not all together.
    #[arg(long)]
    in_steps: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Shows what `apply` would change, and changes nothing.
#[derive(Args, Debug)]
pub(super) struct Diff {
    #[command(flatten)]
    files: Files,
    /// Exit with 4 if there is a difference.
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Args, Debug)]
struct Files {
    /// A file of jobs in YAML, a folder of them (*.yaml, *.yml), or - for stdin; may be repeated.
    #[arg(short, long = "file", value_name = "FILE|DIR|-", required = true)]
    files: Vec<PathBuf>,
    /// Delete the app's jobs that are managed by code and stand in no file.
    #[arg(long)]
    prune: bool,
}

impl Apply {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let (client, printer) = self.connect.open_app().await?;
        let plan = self.files.plan(&client).await?;
        if self.dry_run {
            show(&plan, client.app(), &printer)?;
            return Ok(Exit::Done);
        }
        if plan.count(Action::Delete) > 0 && !self.yes {
            self.files.confirm(&plan)?;
        }
        let shards = if plan.is_empty() { 1 } else { client.locate().await?.shards.len() };
        let shards = u16::try_from(shards).unwrap_or(u16::MAX);
        let batches = plan.batches(shards, self.in_steps).map_err(too_many)?;
        let mut revisions: Vec<Option<u64>> = vec![None; plan.steps.len()];
        for (done, batch) in batches.iter().enumerate() {
            let applied = client.job_apply(plan.changes(batch)).await;
            let applied = applied.map_err(|error| half_done(error, &plan, batch, done, shards))?;
            for (at, applied) in batch.iter().zip(&applied) {
                revisions[*at] = Some(applied.revision).filter(|revision| *revision > 0);
            }
        }
        report(&plan, client.app(), &revisions, &printer)
    }
}

impl Diff {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let (client, printer) = self.connect.open_app().await?;
        let plan = self.files.plan(&client).await?;
        show(&plan, client.app(), &printer)?;
        let differs = self.exit_code && !plan.is_empty();
        Ok(if differs { Exit::Conflict } else { Exit::Done })
    }
}

impl Files {
    async fn plan(&self, client: &Client) -> Result<Plan, Failure> {
        let now = SystemClock.now();
        let sources = self.sources()?;
        let wanted = jobfile::read(&sources, Some(client.app()), now).map_err(jobfile::failure)?;
        let stored = job::all(client, usize::MAX).await?;
        let others = if self.prune { Others::Deleted } else { Others::Kept };
        Plan::make(&wanted, &stored, others, now)
    }

    fn sources(&self) -> Result<Vec<Source>, Failure> {
        let mut sources = Vec::new();
        for path in &self.files {
            if path.as_os_str() == "-" {
                sources.push(source("stdin".to_owned(), std::io::stdin().lock())?);
                continue;
            }
            for path in if path.is_dir() { inside(path)? } else { vec![path.clone()] } {
                let file = std::fs::File::open(&path).map_err(|error| unreadable(&path, &error))?;
                sources.push(source(path.display().to_string(), file)?);
            }
        }
        if sources.len() > MAX_FILES {
            let message = format!("names {} files: at most {MAX_FILES} are read", sources.len());
            return Err(Failure::usage("--file", message, "put more jobs into each file"));
        }
        Ok(sources)
    }

    /// Shows what would be done, and asks.
    fn confirm(&self, plan: &Plan) -> Result<(), Failure> {
        let count = plan.count(Action::Delete);
        let unasked = |message: String| {
            Failure::usage("--prune", message, "look at `fastjob diff --prune`, then give --yes")
        };
        if self.files.iter().any(|path| path.as_os_str() == "-") || !std::io::stdin().is_terminal() {
            return Err(unasked(format!("would delete {count} jobs, and nobody can be asked")));
        }
        let mut stderr = std::io::stderr().lock();
        let mut answer = String::new();
        let asked = write!(stderr, "{}Delete {count} jobs? [y/N] ", for_people(plan))
            .and_then(|()| stderr.flush())
            .and_then(|()| std::io::stdin().read_line(&mut answer));
        match asked {
            Ok(_) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
            _ => Err(unasked("nothing was done".to_owned())),
        }
    }
}

fn inside(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|of| of == "yaml" || of == "yml");
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        if is_yaml(&path) && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        let message = format!("{} has no *.yaml or *.yml", folder.display());
        return Err(Failure::usage("--file", message, "name a folder with files of jobs"));
    }
    paths.sort();
    Ok(paths)
}

/// Reads no more than one byte beyond the bound: what is longer is refused for its length.
fn source(file: String, from: impl Read) -> Result<Source, Failure> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(Path::new(&file), &error))?;
    Ok(Source { file, bytes })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot read {}: {error}", path.display());
    Failure::usage("--file", message, "give a readable file or folder, or - for stdin")
}

fn too_many(count: usize) -> Failure {
    let message =
        format!("has {count} changes for one shard: more than it makes as a whole (1,000, or 4 MiB)");
    Failure::usage("--file", message, "give --in-steps, or fewer files at a time")
}

/// The job at fault is known by its name; what other shards did before is not undone.
fn half_done(error: Error, plan: &Plan, batch: &[usize], done: usize, shards: u16) -> Failure {
    let place = error.field.strip_prefix("changes[").and_then(|rest| rest.split_once(']'));
    let job = place.and_then(|(at, _)| batch.get(at.parse::<usize>().ok()?)).map(|at| &plan.steps[*at].name);
    let mut failure = Failure::from(error);
    if let Some(job) = job {
        failure.message = format!("job {job:?}: {}", failure.message);
    }
    if done > 0 || shards > 1 {
        let more = "other shards may have made their changes: `fastjob diff` shows what is left";
        failure.remedy = [failure.remedy.as_str(), more].join("; ").trim_start_matches("; ").to_owned();
    }
    failure
}

fn show(plan: &Plan, app: &str, printer: &Printer) -> Result<(), Failure> {
    if printer.is_table() {
        return print::text(&for_people(plan));
    }
    let changed = plan.steps.iter().filter(|step| step.action != Action::Unchanged);
    printer.list(&[], &changed.map(|step| step.json(app, None)).collect::<Vec<_>>())
}

fn report(plan: &Plan, app: &str, revisions: &[Option<u64>], printer: &Printer) -> Result<Exit, Failure> {
    if printer.is_table() {
        print::text(&for_people(plan))?;
    } else {
        let steps = plan.steps.iter().zip(revisions).map(|(step, revision)| step.json(app, *revision));
        printer.list(&[], &steps.collect::<Vec<_>>())?;
    }
    Ok(Exit::Done)
}

fn for_people(plan: &Plan) -> String {
    let changed = plan.steps.iter().filter(|step| step.action != Action::Unchanged);
    let mut text: String = changed.map(super::plan::Step::lines).collect();
    let counted = [
        (Action::Create, "to create"),
        (Action::Update, "to update"),
        (Action::Delete, "to delete"),
        (Action::Unchanged, "unchanged"),
    ];
    let counts = counted.map(|(action, word)| format!("{} {word}", plan.count(action)));
    text += &format!("{}\n", counts.join(", "));
    text
}
