//! Every metric there is: its name, what it says, its unit; and the functions that record them. Labels are bounded: an
//! app beyond the first [`MAX_APPS`] is counted under `other`, so that no caller can grow the list without end.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::Context;
use fastjob_core::clock::Millis;
use fastjob_core::shard::Overdue;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;

/// Jobs of one shard that have had a label of their own for being overdue.
pub const MAX_OVERDUE: usize = 100;

/// Apps that have labels of their own.
pub const MAX_APPS: usize = 1_000;

const LATENESS: &str = "fastjob_run_lateness_seconds";
const CREATED: &str = "fastjob_runs_created_total";
const ENDED: &str = "fastjob_runs_ended_total";
const WAITING: &str = "fastjob_runs_waiting";
const BUFFERED: &str = "fastjob_runs_buffered";
const OVERDUE: &str = "fastjob_job_overdue_seconds";
const WITHOUT_TICK: &str = "fastjob_jobs_without_tick";
const SCHEDULED: &str = "fastjob_runs_scheduled";
const DISPATCHED: &str = "fastjob_runs_dispatched";
const TURN: &str = "fastjob_turn_duration_seconds";
const COMMIT: &str = "fastjob_commit_duration_seconds";
const COMMIT_ROWS: &str = "fastjob_commit_rows";
const COMMIT_PLANS: &str = "fastjob_commit_plans";
const SESSIONS: &str = "fastjob_sessions_connected";
const FRAMES_IN: &str = "fastjob_frames_received_total";
const FRAMES_OUT: &str = "fastjob_frames_sent_total";
const RENEWAL: &str = "fastjob_lease_renewal_seconds";
const OWNED: &str = "fastjob_shards_owned";
const INBOX_FAILED: &str = "fastjob_inbox_failed_total";
const INBOX_DONE: &str = "fastjob_inbox_done_total";
const BUILD: &str = "fastjob_build_info";

const SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];
const COUNTS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 2_500.0, 5_000.0];

/// Starts the recording of metrics in this process. Errors: it was started before.
pub fn start() -> anyhow::Result<PrometheusHandle> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("the recording of metrics was started before")?;
    describe();
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

fn recorder() -> anyhow::Result<PrometheusRecorder> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full(COMMIT_ROWS.to_owned()), &COUNTS)?
        .set_buckets_for_metric(Matcher::Full(COMMIT_PLANS.to_owned()), &COUNTS)?;
    Ok(builder.build_recorder())
}

fn describe() {
    describe_histogram!(
        LATENESS,
        Unit::Seconds,
        "From a run's due instant to the dispatch of its first attempt"
    );
    describe_counter!(CREATED, "Runs written, by source");
    describe_counter!(ENDED, "Runs ended, by state and reason");
    describe_gauge!(WAITING, "Runs that are due and wait for a worker");
    describe_gauge!(BUFFERED, "Runs that are due and wait for the end of an earlier run of their job");
    describe_gauge!(OVERDUE, Unit::Seconds, "For how long a job should have started: 60 s or more, else 0");
    describe_gauge!(
        WITHOUT_TICK,
        "Enabled jobs of this server's shards whose schedule goes on and that have no next tick"
    );
    describe_gauge!(SCHEDULED, "Runs in memory that are not due yet");
    describe_gauge!(DISPATCHED, "Runs with an attempt at a worker");
    describe_histogram!(TURN, Unit::Seconds, "An owner's turn, from its first message to the end of acting");
    describe_histogram!(COMMIT, Unit::Seconds, "One transaction of the committer");
    describe_histogram!(COMMIT_ROWS, "Rows of one commit");
    describe_histogram!(COMMIT_PLANS, "Shards' plans joined in one commit");
    describe_gauge!(SESSIONS, "Worker sessions connected to this server");
    describe_counter!(FRAMES_IN, "Frames received from workers");
    describe_counter!(FRAMES_OUT, "Frames sent to workers");
    describe_histogram!(RENEWAL, Unit::Seconds, "One renewal of this server's lease");
    describe_gauge!(OWNED, "Shards this server owns");
    describe_counter!(INBOX_FAILED, "Commands of the inbox that were set aside; app empty: they name no app");
    describe_counter!(INBOX_DONE, "Commands of the inbox that were carried out");
    describe_gauge!(BUILD, "1, with the version of this server as label");
}

/// Gives apps their labels: one shared by all owners of a server.
#[derive(Clone, Default)]
pub struct AppLabels(Arc<Mutex<HashSet<Arc<str>>>>);

impl AppLabels {
    /// The label of an app: its name, or `other` once there are [`MAX_APPS`].
    pub fn label(&self, app: &str) -> Arc<str> {
        let mut known = self.0.lock();
        if let Some(label) = known.get(app) {
            return label.clone();
        }
        if known.len() >= MAX_APPS {
            return "other".into();
        }
        let label: Arc<str> = app.into();
        known.insert(label.clone());
        label
    }
}

/// Commands of the inbox were set aside that name no app.
pub fn inbox_refused(count: u64) {
    counter!(INBOX_FAILED, "app" => "").increment(count);
}

/// How many open runs a shard has in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OpenRuns {
    /// Due, and without a worker.
    pub waiting: usize,
    /// Due, and behind an earlier run of their job.
    pub buffered: usize,
    /// Not due yet.
    pub scheduled: usize,
    /// With a worker.
    pub dispatched: usize,
}

/// What one owner records of its shard's runs. Its series are looked up once; dropped, it has no open runs any more.
pub struct ShardMetrics {
    app: Arc<str>,
    lateness: Histogram,
    created: HashMap<&'static str, Counter>,
    ended: HashMap<(&'static str, &'static str), Counter>,
    waiting: Gauge,
    buffered: Gauge,
    /// Jobs that are or were overdue, each with whether it is.
    overdue: HashMap<Arc<str>, (Gauge, bool)>,
    scheduled: Gauge,
    dispatched: Gauge,
}

impl ShardMetrics {
    /// Of this shard of the app with this label.
    pub fn new(app: Arc<str>, shard: u16) -> Self {
        let shard = shard.to_string();
        Self {
            lateness: histogram!(LATENESS, "app" => app.clone()),
            created: HashMap::new(),
            ended: HashMap::new(),
            waiting: gauge!(WAITING, "app" => app.clone(), "shard" => shard.clone()),
            overdue: HashMap::new(),
            buffered: gauge!(BUFFERED, "app" => app.clone(), "shard" => shard.clone()),
            scheduled: gauge!(SCHEDULED, "app" => app.clone(), "shard" => shard.clone()),
            dispatched: gauge!(DISPATCHED, "app" => app.clone(), "shard" => shard),
            app,
        }
    }

    /// A run's first attempt is dispatched `late_ms` after the run was due.
    pub fn run_dispatched(&self, late_ms: i64) {
        self.lateness.record(seconds(late_ms));
    }

    /// A run was written; `source` as in its JSON.
    pub fn run_created(&mut self, source: &'static str) {
        let app = &self.app;
        let counter = self.created.entry(source);
        counter.or_insert_with(|| counter!(CREATED, "app" => app.clone(), "source" => source)).increment(1);
    }

    /// A run ended; `state` and `reason` as in its JSON, `reason` empty if there is none.
    pub fn run_ended(&mut self, state: &'static str, reason: &'static str) {
        let app = &self.app;
        let counter = self
            .ended
            .entry((state, reason))
            .or_insert_with(|| counter!(ENDED, "app" => app.clone(), "state" => state, "reason" => reason));
        counter.increment(1);
    }

    /// Commands of the inbox were carried out, and others set aside.
    pub fn commands(&self, done: usize, failed: usize) {
        if done > 0 {
            counter!(INBOX_DONE, "app" => self.app.clone()).increment(done as u64);
        }
        if failed > 0 {
            counter!(INBOX_FAILED, "app" => self.app.clone()).increment(failed as u64);
        }
    }

    /// Jobs that should have started by now, all that there are: the gauge of each, and a line in the log when it begins and
    /// when it ends. Beyond [`MAX_OVERDUE`] that a shard has had, jobs share the label `other`.
    pub fn overdue(&mut self, found: &[Overdue], now: Millis) {
        let mut room = MAX_OVERDUE.saturating_sub(self.overdue.len());
        let mut late: HashMap<Arc<str>, &Overdue> = HashMap::new();
        for each in found {
            let label = match self.overdue.get_key_value(each.job.as_str()) {
                Some((label, _)) => label.clone(),
                None if room == 0 => "other".into(),
                None => {
                    room -= 1;
                    each.job.as_str().into()
                }
            };
            late.entry(label).or_insert(each);
        }
        for (job, (gauge, is_late)) in &mut self.overdue {
            if *is_late && !late.contains_key(job) {
                tracing::info!(app = %self.app, job = %job, "job is no longer overdue");
                gauge.set(0.0);
                *is_late = false;
            }
        }
        for (job, each) in late {
            let since_ms = now.since(each.since);
            let entry = self.overdue.entry(job.clone());
            let (app, name) = (self.app.clone(), job.clone());
            let (gauge, is_late) =
                entry.or_insert_with(|| (gauge!(OVERDUE, "app" => app, "job" => name), false));
            if !std::mem::replace(is_late, true) {
                let no_schedule = each.no_schedule;
                tracing::warn!(app = %self.app, job = %job, since_ms, no_schedule, "job is overdue");
            }
            gauge.set(seconds(since_ms));
        }
    }

    /// The open runs, after a turn.
    pub fn open_runs(&self, open: OpenRuns) {
        self.waiting.set(open.waiting as f64);
        self.buffered.set(open.buffered as f64);
        self.scheduled.set(open.scheduled as f64);
        self.dispatched.set(open.dispatched as f64);
    }
}

impl Drop for ShardMetrics {
    fn drop(&mut self) {
        self.open_runs(OpenRuns::default());
        self.overdue.values().for_each(|(gauge, _)| gauge.set(0.0));
    }
}

/// An owner's turn took this long.
pub fn turn(duration: std::time::Duration) {
    histogram!(TURN).record(duration);
}

/// A transaction joined `plans` plans of `rows` rows in all.
pub fn commit(duration: std::time::Duration, plans: usize, rows: usize) {
    histogram!(COMMIT).record(duration);
    histogram!(COMMIT_PLANS).record(plans as f64);
    histogram!(COMMIT_ROWS).record(rows as f64);
}

/// A worker's stream began.
pub fn session_connected() {
    gauge!(SESSIONS).increment(1.0);
}

/// A worker's stream ended.
pub fn session_gone() {
    gauge!(SESSIONS).decrement(1.0);
}

/// Frames came from a worker.
pub fn frames_received(count: u64) {
    counter!(FRAMES_IN).increment(count);
}

/// Frames went to a worker.
pub fn frames_sent(count: u64) {
    counter!(FRAMES_OUT).increment(count);
}

/// A renewal of the lease took this long.
pub fn renewal_took(duration: std::time::Duration) {
    histogram!(RENEWAL).record(duration);
}

/// Enabled jobs that should have a next tick and have none, as the last search found.
pub fn jobs_without_tick(count: usize) {
    gauge!(WITHOUT_TICK).set(count as f64);
}

/// How many shards the server owns.
pub fn shards_owned(count: usize) {
    gauge!(OWNED).set(count as f64);
}

fn seconds(ms: i64) -> f64 {
    ms.max(0) as f64 / 1_000.0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What is recorded inside `record`, as Prometheus reads it.
    pub(crate) fn rendered(record: impl FnOnce()) -> String {
        let recorder = recorder().unwrap();
        metrics::with_local_recorder(&recorder, || {
            describe();
            record();
        });
        recorder.handle().render()
    }

    #[test]
    fn a_run_shows_in_its_metrics_with_help_and_buckets_and_a_shard_given_up_has_no_open_runs() {
        let text = rendered(|| {
            let app = AppLabels::default().label("demo");
            let mut shard = ShardMetrics::new(app.clone(), 0);
            shard.run_dispatched(3);
            shard.run_ended("failed", "timeout");
            shard.run_ended("failed", "timeout");
            shard.open_runs(OpenRuns { waiting: 2, ..OpenRuns::default() });
            ShardMetrics::new(app, 1).open_runs(OpenRuns { waiting: 9, ..OpenRuns::default() });
            std::mem::forget(shard);
            commit(std::time::Duration::from_millis(2), 3, 40);
        });
        for line in [
            "# HELP fastjob_run_lateness_seconds From a run's due instant",
            "# TYPE fastjob_run_lateness_seconds histogram",
            "fastjob_run_lateness_seconds_bucket{app=\"demo\",le=\"0.0025\"} 0",
            "fastjob_run_lateness_seconds_bucket{app=\"demo\",le=\"0.005\"} 1",
            "fastjob_runs_ended_total{app=\"demo\",state=\"failed\",reason=\"timeout\"} 2",
            "fastjob_runs_waiting{app=\"demo\",shard=\"0\"} 2",
            "fastjob_runs_waiting{app=\"demo\",shard=\"1\"} 0",
            "fastjob_commit_rows_bucket{le=\"50\"} 1",
        ] {
            assert!(text.contains(line), "no {line:?} in:\n{text}");
        }
    }

    #[test]
    fn an_overdue_job_shows_until_it_has_started() {
        let job = |name: &str| Overdue {
            job: fastjob_core::domain::Name::parse(name).unwrap(),
            since: Millis::new(1_000),
            no_schedule: false,
        };
        let text = rendered(|| {
            let mut shard = ShardMetrics::new("demo".into(), 0);
            shard.overdue(&[job("late"), job("started")], Millis::new(91_000));
            shard.overdue(&[job("late")], Millis::new(121_000));
            let many: Vec<Overdue> = (0..MAX_OVERDUE + 9).map(|n| job(&format!("j{n}"))).collect();
            shard.overdue(&many, Millis::new(151_000));
            shard.overdue(&[job("late"), job("another")], Millis::new(181_000));
            std::mem::forget(shard);
        });
        assert!(text.contains("fastjob_job_overdue_seconds{app=\"demo\",job=\"late\"} 180"), "{text}");
        assert!(text.contains("fastjob_job_overdue_seconds{app=\"demo\",job=\"started\"} 0"), "{text}");
        assert!(text.contains("fastjob_job_overdue_seconds{app=\"demo\",job=\"other\"} 180"), "{text}");
        let series = text.lines().filter(|line| line.starts_with("fastjob_job_overdue_seconds{")).count();
        assert!(series <= 2 * MAX_OVERDUE, "{series}");
    }

    #[test]
    fn apps_beyond_the_bound_share_one_label() {
        let labels = AppLabels::default();
        for app in 0..MAX_APPS {
            assert_eq!(&*labels.label(&app.to_string()), app.to_string());
        }
        assert_eq!(&*labels.label("one more"), "other");
        assert_eq!(&*labels.label("7"), "7");
    }
}
