//! `fastjob audit` against a real server: what edits, disables, outages and restarts leave is green, and each corruption
//! that is written into the file is found and named.

use std::collections::BTreeSet;
use std::time::Duration;

use fastjob_core::client::{CatchUp, Job, Overlap, Trigger};
use fastjob_core::worker::{Context, Worker};
use serde_json::Value;
use sqlx::{Connection as _, SqliteConnection};

use super::stage::{Said, Stage, until};

const SECOND: &str = "* * * * * ?";

async fn stage() -> (Stage, Worker) {
    let stage = Stage::with(&[("FASTJOB_CLUSTER__HORIZON_MS", "1000")]).await;
    let worker = stage.worker(|builder| builder.handler("work", async |_: Context| Ok("done"))).await;
    (stage, worker)
}

fn ticking(name: &str) -> Job {
    Job::named(name).handler("work").cron(SECOND).overlap(Overlap::AllowAll)
}

/// Until the ledger holds this many rows that are over.
async fn over(stage: &Stage, job: &str, count: usize) {
    until(&format!("{count} rows of {job} are over"), async || {
        let rows = stage.ledger(job);
        let over = rows.iter().filter(|row| row["gap"] == true || !row["ended_at"].is_null()).count();
        (over >= count).then_some(())
    })
    .await;
}

/// The findings as (job, code), and the summary.
fn audit(stage: &Stage, arguments: &[&str]) -> (Said, BTreeSet<(String, String)>, Value) {
    let mut said = stage.cli(&[&["audit"], arguments].concat());
    let summary = said.lines.pop().unwrap_or_else(|| panic!("no summary: {said:?}"));
    assert_eq!(summary["summary"], true, "{said:?}");
    let word = |line: &Value, key: &str| line[key].as_str().unwrap_or("-").to_owned();
    let found = said.lines.iter().map(|line| (word(line, "job"), word(line, "code"))).collect();
    (said, found, summary)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_disables_an_outage_and_restarts_leave_a_green_ledger() {
    let (mut stage, _worker) = stage().await;
    let none = |name: &str| ticking(name).catch_up(CatchUp::None);
    for job in [none("ticking"), none("edited"), none("flipped"), none("deleted"), none("off")] {
        stage.put(job).await;
    }
    stage.put(Job::named("even").handler("work").every(Duration::from_millis(1_500))).await;
    stage.put(Job::named("chain").handler("work").delay(Duration::from_millis(20))).await;
    stage.put(Job::named("called").handler("work").api()).await;
    stage.fire_by(Trigger::of("called").key("x")).await;
    stage.client.job_disable("off").await.unwrap();
    stage.client.job_disable("flipped").await.unwrap();
    over(&stage, "ticking", 3).await;
    stage.client.job_enable("flipped").await.unwrap();
    stage.put(none("edited").cron("0/2 * * * * ?")).await;
    stage.client.job_delete("deleted").await.unwrap();
    stage.put(none("deleted")).await;
    over(&stage, "ticking", 5).await;

    let (said, found, summary) = audit(&stage, &[]);
    assert_eq!((said.code, &found), (0, &BTreeSet::new()), "{said:?}");
    assert_eq!(summary["jobs"], 9, "the deleted one too: {summary}");

    stage.server.kill().unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    stage.server.start().unwrap();
    let seen = stage.ledger("ticking").len();
    over(&stage, "ticking", seen + 4).await;
    stage.client.job_disable("ticking").await.unwrap();
    stage.client.job_disable("chain").await.unwrap();
    stage.client.job_enable("chain").await.unwrap();
    stage.server.stop().unwrap();
    stage.server.start().unwrap();

    let (said, found, summary) = audit(&stage, &[]);
    assert_eq!((said.code, &found), (0, &BTreeSet::new()), "{said:?}");
    assert!(summary["ticks"].as_u64() > Some(30) && summary["gaps"].as_u64() > Some(0), "{summary}");
    let (said, _, one) = audit(&stage, &["--job", "flipped", "--from", "2020-01-01T00:00:00Z"]);
    assert_eq!((said.code, &one["jobs"]), (0, &Value::from(1)), "{said:?}");
    assert_eq!(stage.cli(&["audit", "--job", "never"]).code, 3);
    assert_eq!(stage.cli(&["audit", "--from", "2", "--to", "1"]).code, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_a_job_is_shown_edit_by_edit() {
    let (stage, _worker) = stage().await;
    stage.put(ticking("a")).await;
    stage.client.job_disable("a").await.unwrap();
    stage.put(ticking("a").cron("0 0 0 * * ?").disabled()).await;
    stage.client.job_delete("a").await.unwrap();
    let lines = stage.shown(&["job", "history", "a"]);
    let line = |line: &Value| (line["revision"].clone(), line["enabled"] == true, line["deleted"] == true);
    let shown: Vec<_> = lines.iter().map(line).collect();
    let number = |n: u64| Value::from(n);
    assert_eq!(
        shown,
        [
            (number(1), true, false),
            (number(2), false, false),
            (number(3), false, false),
            (number(4), false, true)
        ]
    );
    assert_eq!(lines[2]["trigger"]["expression"], "0 0 0 * * ?");
    assert_eq!(stage.cli(&["job", "history", "none"]).code, 3);
}

/// What is done to the file, job by job, and what is to be found.
const CORRUPTIONS: [(&str, &str, &[&str]); 10] = [
    ("missing", "DELETE FROM fastjob_run WHERE id = (SELECT id FROM third)", &["missing_tick"]),
    (
        "doubled",
        "INSERT INTO fastjob_gap (job_id, from_at, to_at, count, reason, revision)
         SELECT job_id, tick, tick, 1, 'catch_up', 1 FROM third",
        &["doubled_tick"],
    ),
    (
        "reason",
        "UPDATE fastjob_run SET state = 5, reason = 'disabled' WHERE id = (SELECT id FROM third)",
        &["wrong_reason"],
    ),
    ("mark", "UPDATE fastjob_job SET next_at = next_at + 3600000 WHERE name = 'mark'", &["moved_mark"]),
    (
        "revision",
        "UPDATE fastjob_run SET revision = 2 WHERE id = (SELECT id FROM third)",
        &["altered_revision"],
    ),
    (
        "history",
        "UPDATE fastjob_job_revision SET definition = replace(definition, '* * * * * ?', '0 0 0 * * ?')
         WHERE job_id = (SELECT job_id FROM third) AND revision = 2",
        &["altered_revision", "moved_mark"],
    ),
    (
        "lost",
        "DELETE FROM fastjob_job_revision WHERE job_id = (SELECT job_id FROM third) AND revision = 1",
        &["missing_revision"],
    ),
    (
        "stray",
        "UPDATE fastjob_run SET tick = tick + 500, due_at = due_at + 500, fire_key = 't' || (tick + 500)
         WHERE id = (SELECT id FROM third)",
        &["missing_tick", "tick_of_no_rule"],
    ),
    (
        "count",
        "UPDATE fastjob_gap SET count = count + 1 WHERE job_id = (SELECT job_id FROM third)",
        &["miscounted_gap"],
    ),
    ("chain", "DELETE FROM fastjob_run WHERE job_name = 'chain' AND fire_key = 'd2'", &["broken_chain"]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_planted_corruption_is_found_and_named() {
    let (mut stage, _worker) = stage().await;
    for (name, _, _) in CORRUPTIONS {
        let job = match name {
            "chain" => Job::named(name).handler("work").delay(Duration::from_secs(1)),
            _ => ticking(name),
        };
        stage.put(job).await;
    }
    stage.put(ticking("honest")).await;
    for name in CORRUPTIONS.map(|(name, _, _)| name).into_iter().chain(["honest"]) {
        over(&stage, name, 4).await;
    }
    stage.client.job_disable("count").await.unwrap();
    over(&stage, "honest", 8).await;
    stage.client.job_enable("count").await.unwrap();
    for (name, _, _) in CORRUPTIONS {
        stage.client.job_disable(name).await.unwrap();
    }
    over(&stage, "honest", 10).await;
    let (said, found, _) = audit(&stage, &[]);
    assert_eq!((said.code, found), (0, BTreeSet::new()), "{said:?}");

    stage.server.stop().unwrap();
    plant(&stage).await;
    stage.server.start().unwrap();
    let (said, found, summary) = audit(&stage, &[]);
    let named = |(name, _, codes): &(&str, &str, &[&str])| {
        codes.iter().map(|code| ((*name).to_owned(), (*code).to_owned())).collect::<Vec<_>>()
    };
    let expected: BTreeSet<(String, String)> = CORRUPTIONS.iter().flat_map(named).collect();
    assert_eq!((said.code, found), (1, expected), "{said:#?}");
    assert_eq!(summary["findings"].as_u64(), Some(said.lines.len() as u64));
    let (said, found, _) = audit(&stage, &["--job", "honest"]);
    assert_eq!((said.code, found), (0, BTreeSet::new()), "{said:?}");
}

async fn plant(stage: &Stage) {
    let url = format!("sqlite:{}", stage.server.place.join("data/fastjob.db").display());
    let mut file = SqliteConnection::connect(&url).await.expect("the file is there");
    for (name, sql, _) in CORRUPTIONS {
        let third = format!(
            "CREATE TEMP TABLE third AS
             SELECT * FROM fastjob_run WHERE job_name = '{name}' AND state = 2 ORDER BY tick LIMIT 1 OFFSET 2"
        );
        for sql in [third.as_str(), sql] {
            let text = sqlx::AssertSqlSafe(sql.to_owned());
            let done =
                sqlx::query(text).execute(&mut file).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            let planted = sql == third || done.rows_affected() == 1;
            assert!(planted, "{name}: {} rows were changed", done.rows_affected());
        }
        sqlx::query("DROP TABLE third").execute(&mut file).await.expect("the file is writable");
    }
    file.close().await.expect("it closes");
}
