//! What belongs to SQLite alone: its file, its lock, its schema.

use std::path::Path;
use std::sync::Arc;

use fastjob_core::clock::ManualClock;
use fastjob_core::shard::Rows;
use fastjob_server::store::{ErrorKind, RunFilter, Store, StoreError};
use sqlx::{Connection, SqliteConnection};

use crate::bundle::{Bundle, START, open};

#[tokio::test]
async fn a_second_server_is_refused_with_the_pid_of_the_first() {
    let on = Bundle::sqlite().await;
    let error = open_at(&on.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    let pid = format!("pid {}", std::process::id());
    assert!(error.to_string().contains(&pid), "{error}");
    on.close().await;
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_store_was_dropped_without_a_close() {
    let on = Bundle::sqlite().await;
    let job = on.job("a");
    let run = on.run(&job, START);
    on.commit(Rows { jobs_created: vec![job.clone()], runs_created: vec![run.clone()], ..Rows::default() })
        .await;
    let on = on.reopen().await;
    assert_eq!(on.job_get(on.app.id, &job.name).await.unwrap(), Some(job));
    assert_eq!(on.run_get(on.app.id, run.id).await.unwrap(), Some((run, vec![])));
    on.commit(Rows { outage_over: true, ..Rows::default() }).await;
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_and_left_alone() {
    let on = Bundle::sqlite().await;
    let path = on.path();
    on.close().await;
    let _place = on.into_place();
    change(&path, "INSERT INTO fastjob_schema (version, name, applied_at) VALUES (9999, 'later', 0)").await;
    let error = open_at(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Newer);
    assert!(error.to_string().contains("9999"), "{error}");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fastjob.db");
    let url = format!("sqlite:{}?mode=rwc", path.display());
    let mut foreign = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("CREATE TABLE fastjob_gap (x)").execute(&mut foreign).await.unwrap();
    let error = open_at(&path).await.unwrap_err();
    assert!(error.to_string().contains("migration 1 (init)"), "{error}");
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema").fetch_all(&mut foreign).await.unwrap();
    assert_eq!(tables, ["fastjob_gap"]);
    foreign.close().await.unwrap();
}

#[tokio::test]
async fn a_corrupt_row_is_named_by_table_column_and_id() {
    let on = Bundle::sqlite().await;
    let job = on.job("a");
    let run = on.run(&job, START);
    on.commit(Rows { jobs_created: vec![job.clone()], runs_created: vec![run.clone()], ..Rows::default() })
        .await;
    let cases = [
        ("UPDATE fastjob_run SET source = 'moon'", "fastjob_run.source"),
        ("UPDATE fastjob_run SET source = 'cron', limits = '{\"overlap\":\"maybe\"}'", "fastjob_run.limits"),
        ("UPDATE fastjob_run SET limits = '{}', state = 77, ended_at = 1", "fastjob_run.state"),
        ("UPDATE fastjob_run SET state = 3, reason = 'overlap'", "fastjob_run.reason"),
        ("UPDATE fastjob_run SET reason = 'error', job_id = x'01'", "fastjob_run.job_id"),
    ];
    for (damage, place) in cases {
        change(&on.path(), damage).await;
        let error = on.run_get(on.app.id, run.id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let text = error.to_string();
        assert!(text.contains(place) && text.contains(&run.id.to_string()), "{text}");
    }
    change(&on.path(), "UPDATE fastjob_job SET definition = '{'").await;
    let error = on.job_get(on.app.id, &job.name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("fastjob_job.definition"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.db");
    std::fs::write(&path, "not a database, but more than a hundred bytes of text. ".repeat(100)).unwrap();
    let error = open_at(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("notes.db"), "{error}");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = open_at(&dir.path().join("missing").join("fastjob.db")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("directory must exist"), "{error}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut only_read = std::fs::metadata(dir.path()).unwrap().permissions();
    only_read.set_readonly(true);
    std::fs::set_permissions(dir.path(), only_read).unwrap();
    // Root may write anywhere but in the kernel's own tree.
    let forbidden = [dir.path(), Path::new("/sys")].into_iter().find(|place| is_forbidden(place));
    let error =
        open_at(&forbidden.expect("one of them cannot be written").join("fastjob.db")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert!(error.to_string().contains("write access"), "{error}");
}

#[tokio::test]
async fn another_program_that_writes_for_a_moment_is_waited_for() {
    let on = Bundle::sqlite().await;
    let mut other = connect(&on.path()).await;
    let transaction = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let job = on.job("a");
    let rows = Rows { jobs_created: vec![job.clone()], ..Rows::default() };
    let commit = on.try_commit(&rows);
    let release = async {
        // Readers do not wait: this is answered while the other program holds the file.
        assert_eq!(
            on.run_list(on.app.id, &RunFilter { limit: 1, ..RunFilter::default() }).await.unwrap(),
            []
        );
        transaction.rollback().await.unwrap();
    };
    let (ends, ()) = tokio::join!(commit, release);
    assert_eq!(ends.unwrap(), [fastjob_server::store::TurnEnd::Committed]);
}

#[tokio::test]
async fn a_url_of_another_database_is_refused() {
    let error = Store::open("oracle:x", fastjob_server::store::StoreOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("sqlite:"), "{error}");
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let on = Bundle::sqlite().await;
    on.close().await;
    assert_eq!(on.app_list().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(on.try_commit(&Rows::default()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

fn is_forbidden(place: &Path) -> bool {
    let probe = place.join("probe");
    match std::fs::write(&probe, "") {
        Ok(()) => {
            std::fs::remove_file(probe).unwrap();
            false
        }
        Err(_) => true,
    }
}

async fn open_at(path: &Path) -> Result<Store, StoreError> {
    open(&format!("sqlite:{}", path.display()), Arc::new(ManualClock::at(START))).await
}

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap()
}

async fn change(path: &Path, sql: &'static str) {
    let mut connection = connect(path).await;
    sqlx::query(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
