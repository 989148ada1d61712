//! Jobs are put anew, disabled, enabled and deleted while they fire: an edit holds from its reply on, and every tick
//! around it is accounted for.

use std::time::Duration;

use fastjob_core::client::{Client, ErrorKind, Job, Overlap, RunState, Trigger};
use fastjob_core::worker::{Context, Worker};
use serde_json::Value;
use tokio::sync::mpsc;

use super::stage::{Stage, at, end, patiently};

const SECOND: &str = "* * * * * ?";

/// A worker whose handler ends at once and tells of each run, and a job that is never edited and shows that time goes on.
struct Witness {
    _worker: Worker,
    runs: mpsc::UnboundedReceiver<Context>,
}

impl Witness {
    async fn of(stage: &Stage) -> Self {
        let (seen, runs) = mpsc::unbounded_channel();
        let worker = stage
            .worker(|builder| {
                builder.handler("work", move |ctx: Context| {
                    let _ = seen.send(ctx);
                    async { Ok("done") }
                })
            })
            .await;
        stage.put(Job::named("witness").handler("work").cron(SECOND)).await;
        Self { _worker: worker, runs }
    }

    /// The next run of this job, after others.
    async fn sees(&mut self, job: &str) -> Context {
        loop {
            let ctx = patiently("a run of the job", self.runs.recv()).await.expect("the worker lives");
            if ctx.job() == job {
                return ctx;
            }
        }
    }

    /// Waits until a tick after this instant has been executed.
    async fn passes(&mut self, instant: i64) {
        while self.sees("witness").await.tick().expect("a schedule fired it").get() <= instant {}
    }
}

async fn updated_at(client: &Client, job: &str) -> i64 {
    client.job_get(job).await.expect("the job is there").updated_at
}

/// The ticks of a ledger's rows, each once and none missing.
fn contiguous(ledger: &[Value], period_ms: i64) {
    let mut next = None;
    for row in ledger {
        let (from, to) = if row["gap"] == true {
            (at(&row["from"]), at(&row["to"]))
        } else {
            (at(&row["tick"]), at(&row["tick"]))
        };
        assert_eq!(next.unwrap_or(from), from, "a tick is missing or doubled before {row}: {ledger:#?}");
        if row["gap"] == true {
            assert_eq!(row["count"], (to - from) / period_ms + 1, "{row}");
        }
        next = Some(to + period_ms);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_put_is_answered_nothing_starts_by_the_old_definition_and_no_tick_is_lost() {
    let stage = Stage::open().await;
    let mut witness = Witness::of(&stage).await;
    let edited = |version: u32| {
        Job::named("edited")
            .handler("work")
            .cron(SECOND)
            .params_text(version.to_string())
            .overlap(Overlap::AllowAll)
    };
    let mut edits = Vec::new();
    for version in 1..=5 {
        let put = stage.client.job_put(edited(version)).await.expect("it is taken");
        edits.push((put.revision, put.message().updated_at));
        let pause = Duration::from_millis(u64::from(version) * 190 % 1_000);
        witness.sees("edited").await;
        tokio::time::sleep(pause).await;
    }
    let last = edits.last().expect("there were edits").1;
    witness.passes(last + 1_000).await;
    assert_eq!(edits.iter().map(|(revision, _)| *revision).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let ledger = stage.ledger("edited");
    contiguous(&ledger, 1_000);
    for row in ledger.iter().filter(|row| !row["dispatched_at"].is_null()) {
        let dispatched = at(&row["dispatched_at"]);
        let in_force =
            edits.iter().filter(|(_, since)| *since < dispatched).map(|(revision, _)| *revision).max();
        assert!(row["revision"].as_u64() >= in_force, "dispatched by an old definition: {row}, {edits:?}");
        assert_eq!(row["params"], row["revision"].to_string(), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_job_makes_one_gap_and_fires_again_when_it_is_enabled() {
    let stage = Stage::open().await;
    let mut witness = Witness::of(&stage).await;
    stage.put(Job::named("switched").handler("work").cron(SECOND)).await;
    witness.sees("switched").await;
    let disabled = stage.one(&["job", "disable", "switched"]);
    assert_eq!(disabled["enabled"], false);
    let disabled = at(&disabled["updated_at"]);
    witness.passes(disabled + 2_000).await;
    let enabled = stage.one(&["job", "enable", "switched"]);
    assert_eq!(enabled["enabled"], true);
    let enabled = at(&enabled["updated_at"]);
    loop {
        let tick = witness.sees("switched").await.tick().expect("a schedule fired it").get();
        assert!(tick <= disabled || tick > enabled, "fired at {tick} while disabled");
        if tick > enabled {
            break;
        }
    }
    let ledger = stage.ledger("switched");
    contiguous(&ledger, 1_000);
    let gaps: Vec<&Value> = ledger.iter().filter(|row| row["gap"] == true).collect();
    assert_eq!(gaps.len(), 1, "{ledger:#?}");
    let first = disabled - disabled.rem_euclid(1_000) + 1_000;
    let last = enabled - enabled.rem_euclid(1_000);
    assert_eq!(
        (&gaps[0]["reason"], at(&gaps[0]["from"]), at(&gaps[0]["to"])),
        (&"disabled".into(), first, last)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_job_starts_nothing_more_and_its_ledger_stays() {
    let stage = Stage::open().await;
    let mut witness = Witness::of(&stage).await;
    let job = stage.put(Job::named("gone").handler("work").cron(SECOND)).await;
    witness.sees("gone").await;
    stage.shown(&["job", "delete", "gone"]);
    let before = stage.ledger("gone");
    let newest = before.iter().map(|row| at(&row["tick"])).max().expect("it fired once at least");
    witness.passes(newest + 2_000).await;
    let executed = |rows: &[Value]| rows.iter().filter(|row| row["attempt"] != 0).count();
    let after = stage.ledger("gone");
    assert_eq!(executed(&after), executed(&before), "{after:#?}");
    let gone = stage.client.job_get("gone").await.expect_err("it is deleted");
    assert_eq!(gone.kind, ErrorKind::NotFound);
    assert_eq!(stage.cli(&["job", "run", "gone"]).code, 3);

    let anew = stage.put(Job::named("gone").handler("work")).await;
    assert_ne!(anew.id, job.id);
    assert_eq!(anew.revision, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_job_skips_what_waits_and_lets_go_on_what_runs() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held_by("work", |builder| builder.slots(1)).await;
    stage.put(Job::named("gone").handler("work").overlap(Overlap::AllowAll)).await;
    let running = stage.fire("gone").await;
    let visit = gate.entered().await;
    let waiting = stage.fire("gone").await;
    stage.client.job_delete("gone").await.expect("it is there");
    assert_eq!(end(&stage.ended(waiting).await), (RunState::Skipped, "deleted"));
    visit.succeed("to its end");
    assert_eq!(end(&stage.ended(running).await), (RunState::Succeeded, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_tick_follows_the_new_definition_and_a_waiting_call_keeps_its_own() {
    let stage = Stage::open().await;
    let ticking = |handler: &str| {
        Job::named("moved").handler(handler).every(Duration::from_secs(3_600)).overlap(Overlap::AllowAll)
    };
    stage.put(ticking("old").params_text("old")).await;
    let call = stage.fire_by(Trigger::of("moved").params_text("called")).await;
    stage.put(ticking("new").params_text("new")).await;
    let (_old, mut old) = stage.held("old").await;
    let (_new, mut new) = stage.held("new").await;
    let visit = old.entered().await;
    assert_eq!((visit.ctx.run_id(), visit.ctx.params().text()), (call, Ok("called")));
    visit.succeed("as it was called");
    let next = stage.fire("moved").await;
    let visit = new.entered().await;
    assert_eq!((visit.ctx.run_id(), visit.ctx.params().text()), (next, Ok("new")));
    visit.succeed("done");
    assert_eq!(end(&stage.ended(next).await), (RunState::Succeeded, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_chain_stops_and_goes_on_when_it_is_enabled() {
    let stage = Stage::open().await;
    let mut witness = Witness::of(&stage).await;
    stage.put(Job::named("chain").handler("work").delay(Duration::from_millis(200))).await;
    witness.sees("chain").await;
    witness.sees("chain").await;
    let disabled = stage.client.job_disable("chain").await.expect("it is there").updated_at;
    witness.passes(disabled + 1_000).await;
    assert_eq!(disabled, updated_at(&stage.client, "chain").await);
    let rows = stage.shown(&["run", "list", "--job", "chain"]);
    assert!(rows.iter().all(|row| at(&row["due"]) <= disabled + 200), "it went on: {rows:#?}");
    assert!(rows.iter().all(|row| row["state"] != "scheduled"), "a run is left: {rows:#?}");
    let enabled = stage.client.job_enable("chain").await.expect("it is there").updated_at;
    while witness.sees("chain").await.due().get() < enabled {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_with_an_old_source_version_is_refused_and_changes_nothing() {
    let stage = Stage::open().await;
    let version = |version: u64| Job::named("versioned").handler("work").source_version(version);
    stage.put(version(7)).await;
    let old = stage.client.job_put(version(6).params_text("old")).await.expect_err("it is older");
    assert_eq!((old.kind, &*old.code), (ErrorKind::Conflict, "source_version_older"));
    assert!(old.field.ends_with("source_version") && !old.remedy.is_empty(), "{old:?}");
    let said = stage.cli(&["job", "put", "versioned", "--handler", "work", "--source-version", "6"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert_eq!(stage.client.job_get("versioned").await.expect("it is there").revision, 1);
    assert_eq!(stage.put(version(8)).await.revision, 2);
}
