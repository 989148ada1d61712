//! Every metric there is: its name, what it says, its unit; and the functions that record them. Labels are bounded: an
//! app beyond the first [`MAX_APPS`] is counted under `other`, so that no caller can grow the list without end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fastjob_core::domain::{Ended, State};
use fastjob_core::shard::{Frame, Load, Plan};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;

/// Apps that have labels of their own.
pub const MAX_APPS: usize = 1_000;

const LATENESS: &str = "fastjob_run_lateness_seconds";
const CREATED: &str = "fastjob_runs_created_total";
const ENDED: &str = "fastjob_runs_ended_total";
const WAITING: &str = "fastjob_runs_waiting";
const SCHEDULED: &str = "fastjob_runs_scheduled";
const DISPATCHED: &str = "fastjob_runs_dispatched";
const TURN: &str = "fastjob_turn_duration_seconds";
const COMMIT: &str = "fastjob_commit_duration_seconds";
const COMMIT_ROWS: &str = "fastjob_commit_rows";
const COMMIT_PLANS: &str = "fastjob_commit_plans";
const SESSIONS: &str = "fastjob_sessions_connected";
const FRAMES_IN: &str = "fastjob_frames_received_total";
const FRAMES_OUT: &str = "fastjob_frames_sent_total";
const RENEWAL: &str = "fastjob_lease_renewal_duration_seconds";
const OWNED: &str = "fastjob_shards_owned";
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
    describe_gauge!(SCHEDULED, "Runs in memory that are not due yet");
    describe_gauge!(DISPATCHED, "Runs with an attempt at a worker");
    describe_histogram!(TURN, Unit::Seconds, "An owner's turn, from its first message to the end of acting");
    describe_histogram!(COMMIT, Unit::Seconds, "One transaction of the committer");
    describe_histogram!(COMMIT_ROWS, "Rows of one commit");
    describe_histogram!(COMMIT_PLANS, "Shards' plans joined in one commit");
    describe_gauge!(SESSIONS, "Worker sessions connected to this server");
    describe_counter!(FRAMES_IN, "Frames received from workers");
    describe_counter!(FRAMES_OUT, "Frames sent to workers");
    describe_histogram!(
        RENEWAL,
        Unit::Seconds,
        "One renewal of this server's lease, as the database answers"
    );
    describe_gauge!(OWNED, "Shards this server owns");
    describe_gauge!(BUILD, "1, with the version of this server as label");
}

/// The apps that have labels, in this process as the recorder is.
static APPS: Mutex<BTreeSet<Arc<str>>> = Mutex::new(BTreeSet::new());

/// The label of an app: its name, or `other` once there are [`MAX_APPS`].
fn label(apps: &mut BTreeSet<Arc<str>>, app: &str) -> Arc<str> {
    if let Some(label) = apps.get(app) {
        return label.clone();
    }
    if apps.len() >= MAX_APPS {
        return "other".into();
    }
    let label: Arc<str> = app.into();
    apps.insert(label.clone());
    label
}

/// What a turn of an app's shard decided, once it is committed, and what the shard holds since.
pub fn decided(app: &str, shard: u16, plan: &Plan, load: Load) {
    let app = label(&mut APPS.lock(), app);
    for run in &plan.rows.runs_created {
        counter!(CREATED, "app" => app.clone(), "source" => run.source.as_str()).increment(1);
        if let State::Ended(ended) = run.state {
            run_ended(&app, ended);
        }
    }
    for run in &plan.rows.runs_ended {
        run_ended(&app, run.ended);
    }
    for (_, frame) in &plan.frames {
        if let Frame::Dispatch(dispatch) = frame
            && dispatch.key.attempt == 1
        {
            let late_ms = dispatch.dispatched_at.since(dispatch.due).max(0);
            histogram!(LATENESS, "app" => app.clone()).record(late_ms as f64 / 1_000.0);
        }
    }
    let shard = shard.to_string();
    gauge!(WAITING, "app" => app.clone(), "shard" => shard.clone()).set(load.waiting as f64);
    gauge!(SCHEDULED, "app" => app.clone(), "shard" => shard.clone()).set(load.scheduled as f64);
    gauge!(DISPATCHED, "app" => app, "shard" => shard).set(load.dispatched as f64);
}

fn run_ended(app: &Arc<str>, ended: Ended) {
    let reason = ended.reason();
    counter!(ENDED, "app" => app.clone(), "state" => ended.as_str(), "reason" => reason).increment(1);
}

/// An owner's turn took this long.
pub fn turned(duration: Duration) {
    histogram!(TURN).record(duration);
}

/// A transaction joined `plans` shards' plans of `rows` rows in all.
pub fn committed(plans: usize, rows: usize, duration: Duration) {
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

/// The lease was renewed: the statement took this long.
pub fn renewed(duration: Duration) {
    histogram!(RENEWAL).record(duration);
}

/// How many shards the server owns.
pub fn owned_shards(count: usize) {
    gauge!(OWNED).set(count as f64);
}

#[cfg(test)]
mod tests {
    use fastjob_core::domain::FailReason;

    use super::*;

    /// What is recorded inside `record`, as Prometheus reads it.
    fn rendered(record: impl FnOnce()) -> String {
        let recorder = recorder().unwrap();
        metrics::with_local_recorder(&recorder, || {
            describe();
            record();
        });
        recorder.handle().render()
    }

    #[test]
    fn what_a_turn_decided_shows_with_help_and_buckets() {
        let text = rendered(|| {
            decided("demo", 0, &Plan::default(), Load { waiting: 2, ..Load::default() });
            run_ended(&"demo".into(), Ended::Failed(FailReason::Timeout));
            committed(3, 40, Duration::from_millis(2));
            renewed(Duration::from_millis(3));
        });
        for line in [
            "# HELP fastjob_runs_waiting Runs that are due",
            "fastjob_runs_waiting{app=\"demo\",shard=\"0\"} 2",
            "fastjob_runs_ended_total{app=\"demo\",state=\"failed\",reason=\"timeout\"} 1",
            "# TYPE fastjob_commit_rows histogram",
            "fastjob_commit_rows_bucket{le=\"10\"} 0",
            "fastjob_commit_rows_bucket{le=\"50\"} 1",
            "fastjob_lease_renewal_duration_seconds_bucket{le=\"0.0025\"} 0",
            "fastjob_lease_renewal_duration_seconds_bucket{le=\"0.005\"} 1",
        ] {
            assert!(text.contains(line), "no {line:?} in:\n{text}");
        }
    }

    #[test]
    fn apps_beyond_the_bound_share_one_label() {
        let mut apps = BTreeSet::new();
        for app in 0..MAX_APPS {
            assert_eq!(&*label(&mut apps, &app.to_string()), app.to_string());
        }
        assert_eq!(&*label(&mut apps, "one more"), "other");
        assert_eq!(&*label(&mut apps, "7"), "7");
    }
}
