//! `fastjob import`: jobs of another scheduler as a file for `fastjob apply`, and a report of what became of each. Offline.

mod compare;
mod crontab;
mod job;
mod powerjob;
mod quartz;
mod report;
mod rival;
mod rows;
mod sql;
#[cfg(test)]
mod tests;
mod weekdays;
mod xxl_job;

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::protocol::job as wire;
use jiff::tz::TimeZone;

use compare::Comparison;
use job::Import;

use super::{Exit, Failure, args, jobfile, print};

/// The most bytes of a file of rows.
const MAX_FILE_BYTES: usize = 256 * 1024 * 1024;

/// Makes FastJob YAML of another scheduler's jobs, with a report of what was mapped, what was lost, and how the next fire
/// times of each job compare with those of the old engine. Speaks to no server.
#[derive(Args, Debug)]
pub(super) struct ImportCommand {
    /// What the file comes from.
    system: System,
    /// A crontab; or the tables of jobs, as an SQL dump with INSERT statements, or their rows as JSON. - for stdin.
    file: PathBuf,
    /// Write the YAML here [default: stdout].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the report here [default: stderr].
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The IANA zone that the old scheduler ran in, where the file does not say [default: UTC].
    #[arg(long, value_name = "Z")]
    zone: Option<String>,
    /// Only the jobs of this job_group (xxl-job) or app_id (powerjob).
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// The lines of the crontab name a user, as those of /etc/crontab.
    #[arg(long)]
    with_user: bool,
    /// The handler that runs the commands of a crontab.
    #[arg(long, value_name = "H", default_value = "shell")]
    handler: String,
    /// Compare fire times after this instant [default: now].
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    from: Option<i64>,
    /// How many fire times are compared.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum System {
    Quartz,
    XxlJob,
    #[value(name = "powerjob")]
    PowerJob,
    Crontab,
}

/// The zone of an old scheduler.
#[derive(Clone, Debug)]
struct Zone {
    name: String,
    zone: TimeZone,
}

impl ImportCommand {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let text = self.text()?;
        let from = self.from.map_or_else(|| SystemClock.now(), Millis::new);
        let (yaml, report, unexplained) = self.make(&text, from)?;
        match &self.output {
            Some(path) => write(path, "--output", &yaml)?,
            None => print::text(&yaml)?,
        }
        match &self.report {
            Some(path) => write(path, "--report", &report)?,
            None => eprint!("{report}"),
        }
        if unexplained > 0 {
            let message = format!("{unexplained} fire times differ, and it is not known why");
            return Err(Failure {
                remedy: "look for them in the report".into(),
                ..Failure::new(Exit::Failed, message)
            });
        }
        Ok(Exit::Done)
    }

    /// The YAML, the report, and how many differences are not explained.
    fn make(&self, text: &str, from: Millis) -> Result<(String, String, usize), Failure> {
        let mut import = self.read(text, from)?;
        import.name_apart();
        if import.jobs.len() + import.refused.len() == 0 {
            let remedy = "name the system that the file comes from, and a file with its jobs";
            return Err(Failure::usage("FILE", "holds no job", remedy));
        }
        refuse_what_cannot_be_put(&mut import, from);
        let compare = |job: &job::Imported| {
            job.old.as_ref().map(|old| match old {
                Ok(old) => Comparison::make(&job.spec, old, from, self.count as usize),
                Err(why) => Comparison::none(&*why.0),
            })
        };
        let comparisons: Vec<_> = import.jobs.iter().map(compare).collect();
        let (report, unexplained) = report::report(&import, &comparisons, from);
        Ok((jobfile::write(import.jobs.iter().map(|job| &job.spec)), report, unexplained))
    }

    fn read(&self, text: &str, now: Millis) -> Result<Import, Failure> {
        let name = self.zone.clone().unwrap_or_else(|| "UTC".to_owned());
        let zone = TimeZone::get(&name).map_err(|_| {
            Failure::usage("--zone", format!("{name:?} is not a zone"), "give an IANA name, as Europe/Berlin")
        })?;
        let zone = Zone { name, zone };
        let rows = || {
            rows::read(text).map_err(|why| {
                Failure::usage("FILE", why, "give a dump with INSERT statements, or rows as JSON")
            })
        };
        let mut import = match self.system {
            System::Crontab => {
                let crontab = crontab::Crontab { has_user: self.with_user, handler: &self.handler };
                crontab.read(text, &zone)
            }
            System::Quartz => quartz::read(&rows()?, &zone, now),
            System::XxlJob => xxl_job::read(&rows()?, &zone, self.group.as_deref()),
            System::PowerJob => powerjob::read(&rows()?, &zone, self.group.as_deref()),
        };
        if self.zone.is_none() {
            let note =
                "where no zone is named, UTC is taken: give --zone if the old scheduler ran in another one";
            import.notes.insert(0, note.to_owned());
        }
        import.notes.push(
            "the old engine has no timeout unless one is mapped: 30 days, the longest, is taken".to_owned(),
        );
        Ok(import)
    }

    fn text(&self) -> Result<String, Failure> {
        let wrong =
            |message: String| Failure::usage("FILE", message, "give a readable file of text in UTF-8");
        let unreadable =
            |error: std::io::Error| wrong(format!("cannot read {}: {error}", self.file.display()));
        let mut bytes = Vec::new();
        let limit = MAX_FILE_BYTES as u64 + 1;
        if self.file.as_os_str() == "-" {
            std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
        } else {
            let file = std::fs::File::open(&self.file).map_err(unreadable)?;
            file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
        }
        if bytes.len() > MAX_FILE_BYTES {
            return Err(Failure::usage("FILE", "is larger than 256 MiB", "dump the tables of jobs alone"));
        }
        String::from_utf8(bytes).map_err(|error| wrong(format!("is not UTF-8: {}", error.utf8_error())))
    }
}

/// A job that the server would refuse is no job of the file: the others shall be applied.
fn refuse_what_cannot_be_put(import: &mut Import, now: Millis) {
    for job in std::mem::take(&mut import.jobs) {
        let put = wire::put(job.spec.clone(), now).and_then(|put| wire::must_fire(&put, now));
        match put {
            Ok(()) => import.jobs.push(job),
            Err(refusal) => import.refuse(format!("{} ({})", job.spec.name, job.from), refusal.to_string()),
        }
    }
}

fn write(path: &Path, field: &str, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| {
        Failure::usage(
            field,
            format!("cannot write {}: {error}", path.display()),
            "name a file that can be written",
        )
    })
}
