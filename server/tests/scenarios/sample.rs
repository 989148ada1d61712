//! The Rust sample, as a new user runs it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::harness::{terminate, wait_for};
use super::stage::{PATIENCE, Stage};

/// Ends with the test, also with one that fails.
struct Sample(Child);

impl Drop for Sample {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_sample_fires_its_three_jobs_notes_each_execution_and_ends_cleanly_when_told() {
    let stage = Stage::open().await;
    let place = tempfile::tempdir().expect("a directory can be made");
    let log = place.path().join("executions.jsonl");
    let program = Path::new(env!("CARGO_BIN_EXE_fastjob")).with_file_name("examples").join("greet");
    let mut command = Command::new(program);
    stage.server.point(&mut command);
    command.env("FASTJOB_SAMPLE_LOG", &log).stdout(Stdio::null()).stderr(Stdio::null());
    let mut sample = Sample(command.spawn().expect("the example is built with the tests"));

    let executions = || -> Vec<Value> {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().map_while(|line| serde_json::from_str(line).ok()).collect()
    };
    let of_ticks = || executions().iter().filter(|execution| execution["tick"].is_i64()).count();
    assert!(
        wait_for(PATIENCE, || of_ticks() >= 2 && executions().len() >= of_ticks() + 2),
        "{:?}",
        executions()
    );
    terminate(&sample.0);
    let status = sample.0.wait().expect("it is our child");
    assert!(status.success(), "{status}");
    for execution in executions() {
        for key in ["run", "attempt", "tick", "start_ms", "end_ms", "pid"] {
            assert!(execution.get(key).is_some(), "{key} is missing in {execution}");
        }
    }
}
