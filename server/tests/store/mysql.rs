//! What belongs to MariaDB and MySQL alone: the schema without transactions, sessions, plans, and the server's deaths.

use std::sync::Arc;

use fastjob_core::clock::ManualClock;
use fastjob_core::domain::{Assignment, FireKey, Payload, Run};
use fastjob_core::shard::{Cursor, Rows};
use fastjob_server::store::{ErrorKind, Store, StoreError, TurnEnd};
use sqlx::{Connection, MySqlConnection};

use crate::bundle::{Bundle, START, mariadb_server, mysql_server, open};
use crate::mariadb::MariaDb;
use crate::postgres::work;

/// Runs each of these cases on both.
macro_rules! on_both {
    ($($case:ident)+) => {
        mod on_mariadb {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(super::mariadb_server()).await;
                }
            )+
        }

        mod on_mysql {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs what scripts/mysql.sh downloads"]
                async fn $case() {
                    super::$case(super::mysql_server()).await;
                }
            )+
        }
    };
}

on_both! {
    servers_that_open_an_empty_database_at_once_migrate_it_once
    a_migration_that_was_cut_off_is_run_once_more
    tables_of_others_are_not_taken_for_its_own
    a_database_of_a_newer_program_is_refused_and_left_alone
    a_database_that_cannot_serve_is_refused_with_a_remedy
    a_corrupt_row_is_named_by_table_column_and_id
    what_a_column_does_not_hold_is_refused_and_not_cut
    a_row_that_is_as_it_should_be_already_counts_as_written
    a_turn_of_more_bytes_than_a_packet_holds_is_committed
    a_row_of_plain_sql_has_an_id_and_an_instant_whatever_the_session
    a_name_with_spaces_behind_it_is_another_name
    a_lease_is_renewed_while_every_connection_of_the_pool_waits
    a_sentence_that_is_given_up_ends_its_session_and_writes_nothing
    no_statement_of_an_owner_scans_a_table
}

#[test]
fn a_server_of_the_tests_outlives_its_kills_and_keeps_what_was_written() {
    let server = MariaDb::start().unwrap();
    let url = server.fresh_database().unwrap();
    assert!(url.ends_with("/fastjob_0"), "{url}");
    server.execute("CREATE TABLE fastjob_0.t (a INT) SELECT 7 AS a").unwrap();
    server.kill_9().unwrap();
    assert!(server.execute("SELECT 1").is_err());
    server.start_again().unwrap();
    server.stop().unwrap();
    server.start_again().unwrap();
    assert_eq!(server.execute("SELECT a FROM fastjob_0.t").unwrap(), "7\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_during_commits_is_met_again_without_reopening() {
    let server = Arc::new(MariaDb::start().unwrap());
    let on = Bundle::at_url(server.fresh_database().unwrap()).await;
    let job = on.job("a");
    on.commit(Rows { jobs_created: vec![job.clone()], ..Rows::default() }).await;
    on.server_renew(on.server, 0).await.unwrap().unwrap();
    for round in 0..3 {
        let mut confirmed = Vec::new();
        let dying = async {
            loop {
                let run = Run { fire_key: FireKey::Request(on.id()), ..on.run(&job, START) };
                let id = run.id;
                match on.try_commit(&Rows { runs_created: vec![run], ..Rows::default() }).await {
                    Ok(_) => confirmed.push(id),
                    Err(error) => return error,
                }
            }
        };
        let kill = tokio::task::spawn_blocking({
            let server = server.clone();
            move || server.kill_9().unwrap()
        });
        let (error, killed) = tokio::join!(dying, kill);
        killed.unwrap();
        let expected = [ErrorKind::Unknown, ErrorKind::Unavailable];
        assert!(expected.contains(&error.kind()), "round {round}: {:?} {error}", error.kind());
        server.start_again().unwrap();
        assert_eq!(on.try_commit(&Rows::default()).await.unwrap(), [TurnEnd::Committed]);
        for id in confirmed {
            assert!(on.run_get(on.app.id, id).await.unwrap().is_some(), "a confirmed run is gone");
        }
        let lost = on.server_renew(on.server, round + 1).await;
        let renewed = if lost.is_ok() { lost } else { on.server_renew(on.server, round + 1).await };
        assert!(renewed.unwrap().is_some());
    }
}

async fn servers_that_open_an_empty_database_at_once_migrate_it_once(server: &MariaDb) {
    let url = server.fresh_database().unwrap();
    let (one, two, three) = tokio::join!(open_at(&url), open_at(&url), open_at(&url));
    for store in [one, two, three] {
        store.unwrap().close().await;
    }
    let applied = "SELECT version, name, applied_at IS NOT NULL FROM fastjob_schema";
    assert_eq!(sql(server, &url, applied), "1\tinit\t1\n2\tcluster_key\t1\n3\tpolicies\t1\n");
    assert_eq!(sql(server, &url, "SELECT COUNT(*) FROM fastjob_change"), "2\n");
}

async fn a_migration_that_was_cut_off_is_run_once_more(server: &MariaDb) {
    let url = server.fresh_database().unwrap();
    open_at(&url).await.unwrap().close().await;
    sql(
        server,
        &url,
        "DROP TABLE fastjob_inbox; DROP TABLE fastjob_change; DELETE FROM fastjob_schema WHERE version > 1;
         UPDATE fastjob_schema SET applied_at = NULL",
    );
    open_at(&url.replace("mysql:", "MariaDB:")).await.unwrap().close().await;
    assert_eq!(
        sql(server, &url, "SELECT COUNT(*) FROM fastjob_inbox; SELECT COUNT(*) FROM fastjob_change"),
        "0\n2\n"
    );
    assert_eq!(sql(server, &url, "SELECT COUNT(applied_at) FROM fastjob_schema"), "3\n");
}

async fn tables_of_others_are_not_taken_for_its_own(server: &MariaDb) {
    let url = server.fresh_database().unwrap();
    sql(server, &url, "CREATE TABLE fastjob_gap (x INT); CREATE TABLE fastjobs (x INT)");
    let error = open_at(&url).await.unwrap_err();
    assert!(error.to_string().contains("(fastjob_gap)"), "{error}");
    assert_eq!(sql(server, &url, "SHOW TABLES"), "fastjob_gap\nfastjobs\n");
    sql(server, &url, "DROP TABLE fastjob_gap");
    open_at(&url).await.unwrap().close().await;
}

async fn a_database_of_a_newer_program_is_refused_and_left_alone(server: &MariaDb) {
    let url = server.fresh_database().unwrap();
    open_at(&url).await.unwrap().close().await;
    sql(server, &url, "INSERT INTO fastjob_schema VALUES (9999, 'later', 0, NULL)");
    let error = open_at(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Newer);
    assert!(error.to_string().contains("9999"), "{error}");
}

async fn a_database_that_cannot_serve_is_refused_with_a_remedy(server: &MariaDb) {
    let url = server.fresh_database().unwrap();
    let name = database(&url);
    let users = format!(
        "CREATE USER 'weak'@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT SELECT ON {name}.* TO 'weak'@'127.0.0.1';
         CREATE USER 'stranger'@'127.0.0.1' IDENTIFIED BY 'secret'"
    );
    server.execute(&users).unwrap();
    let (as_weak, as_stranger) = ("weak:secret@", "stranger:secret@");
    let cases = [
        (url.replace("root@", as_weak), "CREATE"),
        (url.replace("root@", as_stranger), "GRANT ALL"),
        (url.replace("root@", "weak:other-secret@"), "check user and password"),
        (server.url("nowhere"), "CREATE DATABASE"),
        ("mysql://u:secret@127.0.0.1:1/d".to_owned(), "connect to the database"),
        ("mysql://u:sec%ret@127.0.0.1:port/d".to_owned(), "mysql://user:password@host:3306/database"),
    ];
    for (url, remedy) in cases {
        let error = open_at(&url).await.unwrap_err();
        let text = error.to_string();
        assert!(error.kind() == ErrorKind::Unavailable && text.contains(remedy), "{:?} {text}", error.kind());
        assert!(!text.contains("secret") && !text.contains("sec%ret"), "{text}");
    }
}

async fn a_corrupt_row_is_named_by_table_column_and_id(server: &MariaDb) {
    let on = Bundle::at_url(server.fresh_database().unwrap()).await;
    let job = on.job("a");
    let run = on.run(&job, START);
    on.commit(Rows { jobs_created: vec![job.clone()], runs_created: vec![run.clone()], ..Rows::default() })
        .await;
    let cases = [
        ("UPDATE fastjob_run SET source = 'moon'", "fastjob_run.source"),
        ("UPDATE fastjob_run SET source = 'cron', limits = '{\"overlap\":\"maybe\"}'", "fastjob_run.limits"),
        ("UPDATE fastjob_run SET limits = '{}', state = 77, ended_at = 1", "fastjob_run.state"),
        ("UPDATE fastjob_run SET state = 3, reason = 'overlap'", "fastjob_run.reason"),
    ];
    for (damage, place) in cases {
        sql(server, &on.url(), damage);
        let error = on.run_get(on.app.id, run.id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let text = error.to_string();
        assert!(text.contains(place) && text.contains(&run.id.to_string()), "{text}");
    }
}

async fn what_a_column_does_not_hold_is_refused_and_not_cut(server: &MariaDb) {
    let on = Bundle::at_url(server.fresh_database().unwrap()).await;
    let job = on.job("a");
    let run = on.run(&job, START);
    on.commit(Rows { jobs_created: vec![job], runs_created: vec![run.clone()], ..Rows::default() }).await;
    let mut started = on.started(&run);
    started.assignment = Assignment { worker: "w".repeat(300).into(), ..on.assignment() };
    let error = on.try_commit(&Rows { runs_started: vec![started], ..Rows::default() }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data, "{error}");
    assert_eq!(on.run_get(on.app.id, run.id).await.unwrap().unwrap().0, run);
}

async fn a_row_that_is_as_it_should_be_already_counts_as_written(server: &MariaDb) {
    let on = Bundle::at_url(server.fresh_database().unwrap()).await;
    let jobs: Vec<_> = (0..5).map(|at| on.job(&format!("job-{at}"))).collect();
    on.commit(Rows { jobs_created: jobs.clone(), ..Rows::default() }).await;
    let cursors = |chain_seq| {
        let cursors = jobs.iter().map(move |job| Cursor { job: job.id, next_at: Some(START), chain_seq });
        Rows { cursors: cursors.collect(), ..Rows::default() }
    };
    on.commit(cursors(1)).await;
    on.commit(cursors(1)).await;
    let gone = Cursor { job: on.id(), next_at: None, chain_seq: 0 };
    let error = on.try_commit(&Rows { cursors: vec![gone], ..cursors(1) }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Defect, "{error}");
}

async fn a_turn_of_more_bytes_than_a_packet_holds_is_committed(server: &MariaDb) {
    const RUNS: i64 = 300;
    let on = Bundle::at_url(server.fresh_database().unwrap()).await;
    let job = on.job("a");
    let params = Payload::text("x".repeat(Payload::MAX_BYTES));
    let runs: Vec<Run> =
        (0..RUNS).map(|at| Run { params: params.clone(), ..on.run(&job, START.plus(at)) }).collect();
    on.commit(Rows { jobs_created: vec![job], runs_created: runs.clone(), ..Rows::default() }).await;
    assert_eq!(on.open_page(on.shard, START.plus(RUNS), None, 999).await.unwrap().runs, runs);
}

async fn a_row_of_plain_sql_has_an_id_and_an_instant_whatever_the_session(server: &MariaDb) {
    let on = Bundle::at_url(server.fresh_database().unwrap()).await;
    let answer = sql(
        server,
        &on.url(),
        "SET time_zone = '-08:00';
         SET @before = FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000);
         INSERT INTO fastjob_inbox (app, name) VALUES ('demo', 'one'), ('demo', 'two');
         INSERT INTO fastjob_inbox (app, name) SELECT app, 'copy' FROM fastjob_inbox;
         SELECT COUNT(DISTINCT id), MIN(created_at) >= @before, MAX(created_at) <= FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000)
         FROM fastjob_inbox",
    );
    assert_eq!(answer, "4\t1\t1\n");
    let rows = on.inbox_read(on.server, 9).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.kind == "trigger" && row.name == "copy").count(), 2);
}

async fn a_name_with_spaces_behind_it_is_another_name(server: &MariaDb) {
    let on = Bundle::at_url(server.fresh_database().unwrap()).await;
    sql(
        server,
        &on.url(),
        "INSERT INTO fastjob_inbox (app, name) VALUES ('demo ', 'a'), ('Demo', 'a'), ('demo', 'a')",
    );
    let other = on.join().await;
    let mut lost: Vec<String> =
        on.inbox_read(other, 9).await.unwrap().into_iter().map(|row| row.app).collect();
    lost.sort();
    assert_eq!(lost, ["Demo", "demo "], "no app has these names");
    assert!(on.app_create(&on.new_app("Demo", 1)).await.unwrap().is_some());
    assert!(on.app_create(&on.new_app("demo", 1)).await.unwrap().is_none());
}

async fn a_lease_is_renewed_while_every_connection_of_the_pool_waits(server: &MariaDb) {
    let on = Bundle::at_url(server.fresh_database().unwrap()).await;
    let mut other = locked(&on).await;
    let rows = Rows::default();
    let waiting = async {
        tokio::join!(on.try_commit(&rows), on.try_commit(&rows), on.try_commit(&rows), on.try_commit(&rows))
    };
    let renewing = async {
        while lock_waits(server, &on.url()) != 4 {
            tokio::task::yield_now().await;
        }
        let renewed = on.server_renew(on.server, 0).await.unwrap();
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
        renewed
    };
    let (ends, renewed) = tokio::join!(waiting, renewing);
    assert!(renewed.is_some());
    for end in [ends.0, ends.1, ends.2, ends.3] {
        assert_eq!(end.unwrap(), [TurnEnd::Committed]);
    }
}

async fn a_sentence_that_is_given_up_ends_its_session_and_writes_nothing(server: &MariaDb) {
    let on = Bundle::at_url(server.fresh_database().unwrap()).await;
    let job = on.job("a");
    let mut other = locked(&on).await;
    let rows = Rows { jobs_created: vec![job.clone()], ..Rows::default() };
    tokio::select! {
        end = on.try_commit(&rows) => panic!("{end:?}"),
        () = async {
            while lock_waits(server, &on.url()) != 1 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    // What waited finds that its client is gone; the next sentence has a session of its own.
    on.commit(rows).await;
    assert_eq!(on.job_get(on.app.id, &job.name).await.unwrap(), Some(job));
    assert_eq!(sql(server, &on.url(), "SELECT COUNT(*) FROM fastjob_job"), "1\n");
}

/// The database counts the rows that each statement looked at: with 20,000 runs, none looks at many.
async fn no_statement_of_an_owner_scans_a_table(server: &MariaDb) {
    let on = Bundle::at_url(server.fresh_database().unwrap()).await;
    work(&on).await;
    sql(server, &on.url(), FILL);
    server
        .execute("SET GLOBAL log_output = 'TABLE', GLOBAL long_query_time = 0, GLOBAL slow_query_log = ON")
        .unwrap();
    let on = on.reopen().await;
    work(&on).await;
    server.execute("SET GLOBAL slow_query_log = OFF, GLOBAL long_query_time = 10").unwrap();
    let name = database(&on.url());
    let count = format!("SELECT COUNT(*) > 200 FROM mysql.slow_log WHERE db = '{name}'");
    assert_eq!(server.execute(&count).unwrap(), "1\n", "hardly a statement was logged");
    let dear = format!(
        "SELECT rows_examined, LEFT(CONVERT(sql_text USING utf8mb4), 300) FROM mysql.slow_log
         WHERE db = '{name}' AND rows_examined > 2000 LIMIT 3"
    );
    assert_eq!(server.execute(&dear).unwrap(), "");
}

/// 20,000 runs that have ended and 50 jobs, of the app of the bundle.
const FILL: &str = "
    INSERT INTO fastjob_job (id, app_id, shard, name, revision, definition, params_encoding, params, enabled, chain_seq,
                             created_at, updated_at)
    WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < 50)
    SELECT UNHEX(MD5(n)), app_id, shard, CONCAT('old-', n), 1, definition, params_encoding, params, 1, 0, 0, 0
    FROM (SELECT * FROM fastjob_job LIMIT 1) job, numbers;
    INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision, handler,
                             params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at, ended_at)
    WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < 400)
    SELECT UNHEX(MD5(CONCAT(job.name, ' ', n))), run.app_id, run.shard, job.id, job.name,
           CONCAT('t', 1700000000000 + n), 'cron', n, n, 1, run.handler, run.params_encoding, run.params, '{}', 2, 1, 0, 0, n, n
    FROM (SELECT * FROM fastjob_run LIMIT 1) run, fastjob_job job, numbers
    WHERE job.name LIKE 'old-%';
    ANALYZE TABLE fastjob_run, fastjob_job";

/// A connection whose transaction holds every fence of the bundle's database.
async fn locked(on: &Bundle) -> MySqlConnection {
    let mut other = MySqlConnection::connect(&on.url()).await.unwrap();
    sqlx::raw_sql("START TRANSACTION; UPDATE fastjob_app_owner SET acquired_at = 1")
        .execute(&mut other)
        .await
        .unwrap();
    other
}

/// How many sessions of this database ask for fences, which somebody else holds.
fn lock_waits(server: &MariaDb, url: &str) -> u32 {
    let query = format!(
        "SELECT COUNT(*) FROM information_schema.processlist
         WHERE db = '{}' AND info LIKE '%fastjob_app_owner%LOCK IN SHARE MODE%'",
        database(url)
    );
    server.execute(&query).unwrap().trim().parse().unwrap()
}

async fn open_at(url: &str) -> Result<Store, StoreError> {
    open(url, Arc::new(ManualClock::at(START))).await
}

fn database(url: &str) -> String {
    let name = url.rsplit('/').next().unwrap();
    name.split('?').next().unwrap().to_owned()
}

/// Runs SQL in the database at `url`.
fn sql(server: &MariaDb, url: &str, sql: &str) -> String {
    server.execute(&format!("USE {}; {sql}", database(url))).unwrap()
}
