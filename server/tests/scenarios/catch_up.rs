//! What becomes of ticks while no server runs, against plain arithmetic.

use std::time::Duration;

use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::worker::Context;
use serde_json::Value;
use tokio::sync::mpsc;

use super::stage::{Stage, at, patiently};

const SECOND: &str = "* * * * * ?";
const TEN_SECONDS: &str = "0/10 * * * * ?";
/// Of every job but the patient one.
const THRESHOLD_MS: i64 = 1_000;
/// After the tick of the ten-second jobs that nobody saw, and long before their next one.
const AFTER_MISSED_MS: i64 = 2_500;

/// When the server was away, by this machine's clock.
struct Outage {
    killed: i64,
    started: i64,
    /// The tick of the ten-second jobs within it.
    missed: i64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticks_of_an_outage_fire_or_are_accounted_for_as_each_job_says() {
    // Ticks are written ahead by one second alone, so that the outage has written and unwritten ones.
    let mut stage = Stage::with(&[("FASTJOB_CLUSTER__HORIZON_MS", "1000")]).await;
    let (seen, mut runs) = mpsc::unbounded_channel();
    let _worker = stage
        .worker(|builder| {
            builder.handler("work", move |ctx: Context| {
                let _ = seen.send((ctx.job().to_owned(), ctx.tick()));
                async { Ok("done") }
            })
        })
        .await;
    let put = |name: &str, cron: &str, policy: &str, threshold: &str| {
        let options = ["--handler", "work", "--overlap", "allow_all", "--catch-up-threshold", threshold];
        let arguments = ["job", "put", name, "--cron", cron, "--catch-up", policy];
        stage.one(&[&arguments[..], &options[..]].concat());
    };
    put("patient", SECOND, "none", "1h");
    put("strict", SECOND, "none", "1s");
    put("all", SECOND, "all", "1s");
    put("none", TEN_SECONDS, "none", "1s");
    put("latest", TEN_SECONDS, "latest", "1s");
    executed(&mut runs, "patient", Millis::new(0)).await;
    executed(&mut runs, "strict", Millis::new(0)).await;

    let outage = be_away(&mut stage).await;
    let back = Millis::new(outage.started.max(outage.missed + AFTER_MISSED_MS));
    // One tick after the next start of every job that fires each second: then all of the outage has been judged.
    executed(&mut runs, "strict", back.plus(2_000)).await;
    executed(&mut runs, "patient", back.plus(2_000)).await;
    settled(&stage, &outage).await;

    let patient = ledger(&stage, "patient");
    assert!(patient.iter().all(|row| row["gap"].is_null() && row["state"] != "skipped"), "{patient:#?}");
    judge_strict(&ledger(&stage, "strict"), &outage);
    all_executed(&stage, &outage).await;
    assert_eq!(fate(&ledger(&stage, "latest"), outage.missed), "executed");
    assert_eq!(fate(&ledger(&stage, "none"), outage.missed), "catch_up");
}

/// Kills the server, lets a tick of the ten-second jobs pass, and starts the server again.
async fn be_away(stage: &mut Stage) -> Outage {
    let killed = SystemClock.now().get();
    stage.server.kill().expect("it runs");
    let missed = killed - killed.rem_euclid(10_000) + 10_000;
    let until = missed + AFTER_MISSED_MS;
    let wait = until - SystemClock.now().get();
    tokio::time::sleep(Duration::from_millis(wait.unsigned_abs())).await;
    let started = SystemClock.now().get();
    stage.server.start().expect("it starts again");
    Outage { killed, started, missed }
}

/// Waits until this job has been executed for a tick after `after`.
async fn executed(runs: &mut mpsc::UnboundedReceiver<(String, Option<Millis>)>, job: &str, after: Millis) {
    loop {
        let (of, tick) = patiently("a tick of the job", runs.recv()).await.expect("the worker lives");
        if of == job && tick > Some(after) {
            return;
        }
    }
}

/// Waits until the runs due so far have ended.
async fn settled(stage: &Stage, outage: &Outage) {
    super::stage::until("what was late has ended", async || {
        let open = stage.shown(&["run", "list", "--state", "scheduled,dispatched", "--limit", "1000"]);
        open.iter().all(|row| at(&row["due"]) > outage.started).then_some(())
    })
    .await;
}

/// The ledger, whose ticks follow each other without one missing or doubled.
fn ledger(stage: &Stage, job: &str) -> Vec<Value> {
    let rows = stage.ledger(job);
    let period = if ["none", "latest"].contains(&job) { 10_000 } else { 1_000 };
    let mut next = None;
    for row in &rows {
        let (from, to) = span(row);
        assert_eq!(next.unwrap_or(from), from, "missing or doubled before {row}: {rows:#?}");
        next = Some(to + period);
        if row["gap"] == true {
            assert_eq!(
                (&row["reason"], &row["count"]),
                (&"catch_up".into(), &((to - from) / period + 1).into())
            );
        }
    }
    rows
}

fn span(row: &Value) -> (i64, i64) {
    match row["gap"] == true {
        true => (at(&row["from"]), at(&row["to"])),
        false => (at(&row["tick"]), at(&row["tick"])),
    }
}

/// What became of one tick.
fn fate(rows: &[Value], tick: i64) -> &str {
    let holds = |row: &&Value| (span(row).0..=span(row).1).contains(&tick);
    let row = rows.iter().find(holds).unwrap_or_else(|| panic!("{tick} is missing: {rows:#?}"));
    match (&row["gap"], row["state"].as_str(), row["reason"].as_str()) {
        (Value::Bool(true), _, Some(reason)) | (_, Some("skipped"), Some(reason)) => reason,
        (_, Some("succeeded"), _) => "executed",
        _ => panic!("{row}"),
    }
}

/// Every missed tick was executed, paced, and each after the one before.
async fn all_executed(stage: &Stage, outage: &Outage) {
    let missed = async || {
        let rows: Vec<Value> = ledger(stage, "all");
        let of_outage = |row: &&Value| (outage.killed..=outage.started).contains(&span(row).0);
        let missed: Vec<Value> = rows.iter().filter(of_outage).cloned().collect();
        missed.iter().all(|row| row["gap"] == true || row["ended_at"].is_string()).then_some(missed)
    };
    let missed = super::stage::until("the missed ticks have ended", missed).await;
    assert!(missed.iter().all(|row| row["state"] == "succeeded"), "{missed:#?}");
    let dues: Vec<i64> = missed.iter().map(|row| at(&row["due"])).collect();
    assert!(dues.len() > 2 && dues.windows(2).all(|pair| pair[0] < pair[1]), "{dues:?}");
}

/// No tick that was missed by more than the threshold was executed; some were in rows written ahead, some in a gap.
fn judge_strict(rows: &[Value], outage: &Outage) {
    let first = outage.killed - outage.killed.rem_euclid(1_000) + 1_000;
    let mut tick = first;
    while tick <= outage.started - THRESHOLD_MS {
        assert_eq!(fate(rows, tick), "catch_up", "the tick {tick} of the outage");
        tick += 1_000;
    }
    let gaps = rows.iter().filter(|row| row["gap"] == true).count();
    assert_eq!(gaps, 1, "{rows:#?}");
}
