//! What the server has to do while it is being killed: jobs with ticks, and a caller that keeps triggering.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use super::harness::{Server, text_of, wait_for};

/// A job under test, and the rule of its ticks, in plain arithmetic.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) name: &'static str,
    pub(crate) ticks: Ticks,
    /// The ticks after this instant count.
    pub(crate) put_at_ms: i64,
    /// At most one of its runs lives at a time.
    pub(crate) skips_overlaps: bool,
}

/// The instants at which a job fires.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ticks {
    /// Each multiple of the period, and so much more.
    Grid { period_ms: i64, phase_ms: i64 },
    /// None that can be foretold.
    Chain,
    /// None.
    Api,
}

/// SplitMix64, kept apart from the product's own.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// Puts the jobs. Their catch-up thresholds are long, so that every tick of an outage fires late.
pub(crate) fn put_jobs(server: &Server) -> Result<Vec<Job>, String> {
    let second = Ticks::Grid { period_ms: 1_000, phase_ms: 0 };
    let two_seconds = Ticks::Grid { period_ms: 2_000, phase_ms: 0 };
    let late = ["--catch-up-threshold", "10m"];
    let mut jobs = Vec::new();
    for (name, ticks, skips_overlaps, options) in [
        (
            "cron",
            second,
            false,
            &["--handler", "work", "--cron", "* * * * * ?", "--overlap", "allow_all"][..],
        ),
        ("short", second, false, &["--handler", "quick", "--cron", "* * * * * ?", "--overlap", "allow_all"]),
        ("skipping", two_seconds, true, &["--handler", "work", "--cron", "0/2 * * * * ?"]),
        (
            "failing",
            two_seconds,
            false,
            &[
                "--handler",
                "fail",
                "--cron",
                "0/2 * * * * ?",
                "--overlap",
                "allow_all",
                "--retries",
                "2",
                "--retry-delay",
                "200ms",
            ],
        ),
        ("chain", Ticks::Chain, true, &["--handler", "quick", "--delay", "300ms"]),
        ("called", Ticks::Api, false, &["--handler", "work", "--api", "--overlap", "allow_all"]),
    ] {
        let arguments: Vec<&str> = ["job", "put", name]
            .into_iter()
            .chain(options.iter().copied())
            .chain(late)
            .chain(["--worker-lost-after", "5s"])
            .collect();
        let answer = server.ask(&arguments)?;
        let put_at_ms = answer
            .first()
            .and_then(|job| instant_ms(&job["created_at"]))
            .ok_or("job put did not tell created_at")?;
        jobs.push(Job { name, ticks, put_at_ms, skips_overlaps });
    }
    Ok(jobs)
}

/// Disables the jobs, then waits until nothing is open. Returns the instant of each job's disabling, by its row.
pub(crate) fn wait_until_quiet(server: &Server, jobs: &[Job], time: Duration) -> Result<Vec<i64>, String> {
    let mut ended = Vec::new();
    for job in jobs {
        let answer = server.ask(&["job", "disable", job.name])?;
        ended.push(
            answer
                .first()
                .and_then(|job| instant_ms(&job["updated_at"]))
                .ok_or("job disable did not tell updated_at")?,
        );
    }
    let open = || server.ask(&["run", "list", "--state", "scheduled", "--state", "dispatched"]);
    let mut last = Ok(Vec::new());
    let quiet = wait_for(time, || {
        thread::sleep(Duration::from_millis(200));
        last = open();
        last.as_ref().is_ok_and(Vec::is_empty)
    });
    if quiet { Ok(ended) } else { Err(format!("after {time:?} still open: {last:?}")) }
}

/// Somebody who triggers all the time, and notes what was accepted.
pub(crate) struct Calls {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Calls {
    pub(crate) fn begin(server: &Server, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut ordinal = 0;
        let mut command = move |server: &dyn Fn(&[&str]) -> Command| {
            ordinal += 1;
            server(&["job", "run", "called", "--key", &format!("{seed}-{ordinal}")])
        };
        let stopped = Arc::clone(&stop);
        let template = Template::of(server);
        let thread = thread::spawn(move || {
            let mut accepted = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let output = command(&|arguments| template.command(arguments)).output();
                if let Some(run) = output
                    .ok()
                    .filter(|output| output.status.success())
                    .and_then(|output| run_of(&output.stdout))
                {
                    accepted.push(run);
                }
            }
            accepted
        });
        Self { stop, thread }
    }

    /// The runs that were accepted.
    pub(crate) fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("the calling thread does not panic")
    }
}

fn run_of(line: &[u8]) -> Option<String> {
    let run: Value = serde_json::from_slice(line).ok()?;
    Some(text_of(&run, "id"))
}

/// A command that outlives the borrow of the server.
struct Template(Vec<(std::ffi::OsString, Option<std::ffi::OsString>)>);

impl Template {
    fn of(server: &Server) -> Self {
        let command = server.command(&[]);
        Self(command.get_envs().map(|(key, value)| (key.to_owned(), value.map(ToOwned::to_owned))).collect())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fastjob"));
        command.args(arguments).args(["-o", "json"]);
        for (key, value) in &self.0 {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        command
    }
}

/// Milliseconds of an RFC 3339 instant in UTC.
pub(crate) fn instant_ms(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}
