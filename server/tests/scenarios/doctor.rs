//! `fastjob doctor` beside a real server: what a load leaves is clean, and every exit code has its cause.

use std::time::Duration;

use fastjob_core::client::{Backoff, Job, Trigger};
use fastjob_core::worker::HandlerError;
use serde_json::Value;

use super::harness::fastjob;
use super::stage::{Said, Stage, said};

const BRIEF: Duration = Duration::from_millis(10);

fn doctor(url: &str, arguments: &[&str]) -> Said {
    let mut command = fastjob();
    command.arg("doctor").args(arguments).args(["-o", "json"]).env("FASTJOB_DATABASE__URL", url);
    said(command)
}

fn url(stage: &Stage) -> String {
    format!("sqlite:{}", stage.server.place.join("data/fastjob.db").display())
}

/// All that is not ok.
fn bad(said: &Said) -> Vec<&Value> {
    said.lines.iter().filter(|line| line["status"] != "ok").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_leaves_no_finding_while_its_server_works_and_after_it_was_killed() {
    let mut stage = Stage::open().await;
    let (worker, mut gate) = stage.held("work").await;
    for job in [
        Job::named("ticking").handler("work").cron("* * * * * ?"),
        Job::named("chain").handler("work").delay(Duration::from_millis(10)),
        Job::named("called").handler("work").api().retries(1).backoff(Backoff::Fixed, BRIEF, BRIEF),
    ] {
        stage.put(job).await;
    }
    for n in 0..5 {
        stage.fire_by(Trigger::of("called").key(format!("order-{n}"))).await;
    }
    for n in 0..20 {
        let visit = gate.entered().await;
        if n % 3 == 0 { visit.fail(HandlerError::new("Oops", "no")) } else { visit.succeed("done") }
    }
    stage.client.job_delete("ticking").await.unwrap();

    let said = doctor(&url(&stage), &["--invariants"]);
    assert_eq!((said.code, bad(&said)), (0, Vec::new()), "{}", said.err);
    let checks: Vec<&str> = said.lines.iter().map(|line| line["check"].as_str().unwrap()).collect();
    for check in ["schema", "clock", "rights", "servers", "reach", "owners", "sizes", "inbox"] {
        assert!(checks.contains(&check), "{check} is missing in {checks:?}");
    }
    assert!(checks.iter().filter(|check| check.starts_with("invariant.")).count() > 20, "{checks:?}");

    stage.server.kill().unwrap();
    let said = doctor(&url(&stage), &["--invariants"]);
    let warned: Vec<&str> = bad(&said).iter().map(|line| line["check"].as_str().unwrap()).collect();
    assert_eq!((said.code, warned), (0, vec!["reach"]), "{said:?}");
    drop(worker);
}

#[test]
fn a_database_that_is_not_there_is_unreachable_and_is_not_made() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("none.db");
    let said = doctor(&format!("sqlite:{}", path.display()), &[]);
    assert_eq!(said.code, 5, "{said:?}");
    assert!(said.err.contains("database.url") && said.err.contains("remedy:"), "{}", said.err);
    assert!(!path.exists());
}

#[test]
fn a_database_without_tables_fails_and_gets_none() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("empty.db");
    std::fs::write(&path, "").unwrap();
    let said = doctor(&format!("sqlite:{}", path.display()), &[]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(said.lines[0]["check"], "schema");
    assert_eq!(said.lines[0]["status"], "fail");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
}

#[test]
fn a_configuration_that_is_wrong_is_wrong_usage() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("fastjob.toml");
    std::fs::write(&path, "[cluster]\nlease_ms = 5").unwrap();
    let said = doctor("sqlite:fastjob.db", &["--config", path.to_str().unwrap()]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("cluster.lease_ms"), "{}", said.err);
}
