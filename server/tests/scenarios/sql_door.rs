//! The inbox as a door for plain SQL: a program's own transaction fires a job if and only if it commits.

use std::path::PathBuf;

use fastjob_core::client::Job;
use sqlx::{Connection as _, SqliteConnection};

use super::stage::{PATIENCE, Stage};

/// Another program's connection to the server's database.
async fn program(stage: &Stage) -> SqliteConnection {
    let file: PathBuf = stage.place().join("data").join("fastjob.db");
    let mut program =
        SqliteConnection::connect(&format!("sqlite:{}", file.display())).await.expect("it is a file");
    run(&mut program, "PRAGMA busy_timeout = 5000").await;
    program
}

async fn run(program: &mut SqliteConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(&mut *program).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Until it answers with something.
async fn until_some(program: &mut SqliteConnection, sql: &'static str) -> String {
    let asked = async {
        loop {
            let found: Option<Option<String>> =
                sqlx::query_scalar(sql).fetch_optional(&mut *program).await.expect("it is a query");
            match found.flatten() {
                Some(text) => return text,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("never: {sql}"))
}

#[tokio::test]
async fn a_business_transaction_fires_its_job_if_and_only_if_it_commits() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("ship").await;
    stage.put(Job::named("ship-order").handler("ship").api()).await;
    let mut program = program(&stage).await;
    run(&mut program, "CREATE TABLE shop_order (id INTEGER PRIMARY KEY, article TEXT NOT NULL)").await;
    run(
        &mut program,
        "BEGIN IMMEDIATE;
         INSERT INTO shop_order VALUES (1, 'kettle');
         INSERT INTO fastjob_inbox (app, name, params) VALUES ('demo', 'ship-order', '{\"order\": 1}');
         ROLLBACK;
         BEGIN IMMEDIATE;
         INSERT INTO shop_order VALUES (2, 'teapot');
         INSERT INTO fastjob_inbox (app, name, idempotency_key, params)
         VALUES ('demo', 'ship-order', 'order-2', '{\"order\": 2}');
         COMMIT",
    )
    .await;
    let visit = gate.entered().await;
    assert_eq!(visit.ctx.params().text().expect("it is text"), "{\"order\": 2}");
    visit.succeed("shipped");
    // The same key once more: the same run, and its row goes as well.
    run(
        &mut program,
        "INSERT INTO fastjob_inbox (app, name, idempotency_key) VALUES ('demo', 'ship-order', 'order-2')",
    )
    .await;
    until_some(&mut program, "SELECT 'empty' WHERE NOT EXISTS (SELECT 1 FROM fastjob_inbox)").await;
    let run = stage.client.run_by_key("ship-order", "order-2").await.expect("it was fired");
    assert_eq!(stage.ended(run.id).await.message().source(), fastjob_core::protocol::v1::Source::Api);
    assert_eq!(
        stage.shown(&["run", "list", "--job", "ship-order"]).len(),
        1,
        "what was rolled back fires nothing"
    );
}

#[tokio::test]
async fn what_the_inbox_cannot_use_is_kept_with_its_reason_and_keeps_nothing_back() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("ship").await;
    stage.put(Job::named("ship-order").handler("ship").api()).await;
    let mut program = program(&stage).await;
    run(
        &mut program,
        "INSERT INTO fastjob_inbox (app, name, params, kind, created_at) VALUES
           ('demo',   'nobody',     NULL,   'trigger', 1),
           ('demo',   'ship-order', '{oh',  'trigger', 2),
           ('demo',   'ship-order', NULL,   'delete',  3),
           ('demo',   '',           NULL,   'trigger', 4),
           ('no-app', 'ship-order', NULL,   'trigger', 5),
           ('demo',   'ship-order', '\"x\"', 'outcome', 6),
           ('demo',   'ship-order', '\"y\"', 'trigger', 7)",
    )
    .await;
    gate.entered().await.succeed("shipped");
    let reasons: [(&str, &str); 6] = [
        ("SELECT reason FROM fastjob_inbox WHERE created_at = 1", "no job is named"),
        ("SELECT reason FROM fastjob_inbox WHERE created_at = 2", "params: is not JSON"),
        ("SELECT reason FROM fastjob_inbox WHERE created_at = 3", "kind: is \"delete\""),
        ("SELECT reason FROM fastjob_inbox WHERE created_at = 4", "name: is empty"),
        ("SELECT reason FROM fastjob_inbox WHERE created_at = 5", "app: there is none"),
        ("SELECT reason FROM fastjob_inbox WHERE created_at = 6", "body: is null"),
    ];
    for (query, expected) in reasons {
        let reason = until_some(&mut program, query).await;
        assert!(reason.contains(expected), "{reason}");
    }
    assert_eq!(stage.shown(&["run", "list"]).len(), 1);
}

#[tokio::test]
async fn a_trigger_that_was_put_while_no_server_ran_fires_at_the_next_start() {
    let mut stage = Stage::open().await;
    stage.put(Job::named("ship-order").handler("ship").api()).await;
    stage.server.kill().expect("it runs");
    let mut program = program(&stage).await;
    run(&mut program, "INSERT INTO fastjob_inbox (app, name) VALUES ('demo', 'ship-order')").await;
    drop(program);
    stage.server.start().expect("it starts again");
    let (_worker, mut gate) = stage.held("ship").await;
    gate.entered().await.succeed("shipped");
}
