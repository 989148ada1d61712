//! What belongs to PostgreSQL alone: its schema and rights, its sessions and plans, its deaths.

use std::sync::Arc;

use fastjob_core::clock::ManualClock;
use fastjob_core::domain::{CancelCause, Ended, Failure, FireKey, Job, Run, State};
use fastjob_core::shard::{Cursor, DuePage, InboxFailed, Needs, Rows, RunChanged, RunCopied};
use fastjob_server::store::{ErrorKind, LedgerFilter, RunFilter, Store, StoreError, TurnEnd};
use sqlx::{Connection, PgConnection};

use crate::bundle::{Bundle, START, ended, open, postgres_server};
use crate::postgres_harness::{Durability, Postgres, Stop};

#[test]
fn a_server_of_the_tests_keeps_what_was_committed_over_stops_and_kills_and_goes_with_its_owner() {
    let server = Postgres::start().unwrap();
    server.fresh_database().unwrap();
    server.execute("fresh_0", "CREATE TABLE t (n int)").unwrap();
    for n in 1..=3 {
        server.execute("fresh_0", &format!("INSERT INTO t VALUES ({n})")).unwrap();
        match n {
            1 => server.stop(Stop::Fast).unwrap(),
            2 => server.stop(Stop::Immediate).unwrap(),
            _ => server.kill_9().unwrap(),
        }
        server.start_again().unwrap();
    }
    assert_eq!(server.execute("fresh_0", "SELECT count(*) FROM t").unwrap(), "3\n");
    let port = server.port();
    drop(server);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_open_an_empty_database_at_once_migrate_it_once() {
    let url = postgres_server().fresh_database().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let opened = tokio::join!(
        open(&url, clock.clone()),
        open(&url, clock.clone()),
        open(&url, clock.clone()),
        open(&url, clock)
    );
    for store in [opened.0, opened.1, opened.2, opened.3] {
        store.unwrap().close().await;
    }
    assert_eq!(
        sql(&url, "SELECT string_agg(version || name, ' ' ORDER BY version) FROM fastjob_schema"),
        "1init 2cluster_key 3policies\n"
    );
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused_and_left_alone() {
    let on = Bundle::postgres().await;
    sql(&on.url(), "INSERT INTO fastjob_schema VALUES (9999, 'later', 0)");
    let error = open_at(&on.url()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Newer);
    assert!(error.to_string().contains("9999"), "{error}");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing_behind() {
    let url = postgres_server().fresh_database().unwrap();
    sql(&url, "CREATE TABLE fastjob_gap (x int)");
    let error = open_at(&url).await.unwrap_err();
    assert!(error.to_string().contains("migration 1 (init)"), "{error}");
    assert_eq!(sql(&url, "SELECT relname FROM pg_class WHERE relname LIKE 'fastjob%'"), "fastjob_gap\n");
    sql(&url, "DROP TABLE fastjob_gap");
    open_at(&url).await.unwrap().close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_vanishes_during_the_migration_leaves_nothing_half_done() {
    let server = Postgres::start().unwrap();
    let url = server.fresh_database().unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    // The migration waits for whoever is making a table of the same name.
    sqlx::raw_sql("BEGIN; CREATE TABLE fastjob_gap (x int)").execute(&mut other).await.unwrap();
    let vanishing = async {
        while server.execute("fresh_0", LOCK_WAITS).unwrap() != "1\n" {
            tokio::task::yield_now().await;
        }
        server.stop(Stop::Immediate).unwrap();
    };
    let (migrated, ()) = tokio::join!(open_at(&url), vanishing);
    assert_eq!(migrated.unwrap_err().kind(), ErrorKind::Unavailable);
    server.start_again().unwrap();
    assert_eq!(
        server.execute("fresh_0", "SELECT count(*) FROM pg_class WHERE relname LIKE 'fastjob%'").unwrap(),
        "0\n"
    );
    open_at(&url).await.unwrap().close().await;
}

#[tokio::test]
async fn a_migration_of_another_server_is_waited_for_but_not_for_ever() {
    let url = postgres_server().fresh_database().unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(x'666173746a6f62'::bigint)").execute(&mut other).await.unwrap();
    let error = open_at(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains("pg_locks"), "{error}");
    other.close().await.unwrap();
    open_at(&url).await.unwrap().close().await;
}

#[tokio::test]
async fn a_database_that_cannot_serve_is_refused_with_a_remedy() {
    let server = postgres_server();
    let url = server.fresh_database().unwrap();
    let name = url.rsplit('/').next().unwrap();
    server.execute("postgres", "CREATE ROLE weak LOGIN").unwrap();
    server
        .execute(
            "postgres",
            "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0",
        )
        .unwrap();
    server.execute("postgres", "CREATE DATABASE standby").unwrap();
    server.execute("postgres", "ALTER DATABASE standby SET default_transaction_read_only = on").unwrap();
    let weak = format!("postgres://weak@127.0.0.1:{}/{name}", server.port());
    let cases = [
        (weak, ErrorKind::ReadOnly, "GRANT USAGE, CREATE ON SCHEMA public"),
        (server.url("latin"), ErrorKind::Unavailable, "ENCODING 'UTF8'"),
        (server.url("standby"), ErrorKind::ReadOnly, "primary"),
        (server.url("nowhere"), ErrorKind::Unavailable, "CREATE DATABASE"),
        ("postgres://u:secret@127.0.0.1:1/d".to_owned(), ErrorKind::Unavailable, "is PostgreSQL running"),
        ("postgres://u:sec%ret@127.0.0.1:port/d".to_owned(), ErrorKind::Unavailable, "%XX"),
    ];
    for (url, kind, remedy) in cases {
        let error = open_at(&url).await.unwrap_err();
        let text = error.to_string();
        assert!(error.kind() == kind && text.contains(remedy), "{url}: {:?} {text}", error.kind());
        assert!(!text.contains("secret") && !text.contains("sec%ret"), "{text}");
    }
}

#[tokio::test]
async fn a_corrupt_row_is_named_by_table_column_and_id() {
    let on = Bundle::postgres().await;
    let job = on.job("a");
    let run = on.run(&job, START);
    on.commit(Rows { jobs_created: vec![job.clone()], runs_created: vec![run.clone()], ..Rows::default() })
        .await;
    let cases = [
        ("UPDATE fastjob_run SET source = 'moon'", "fastjob_run.source"),
        ("UPDATE fastjob_run SET source = 'cron', limits = '{\"overlap\":\"maybe\"}'", "fastjob_run.limits"),
        ("UPDATE fastjob_run SET limits = '{}', state = 77, ended_at = 1", "fastjob_run.state"),
        ("UPDATE fastjob_run SET state = 3, reason = 'overlap'", "fastjob_run.reason"),
        ("UPDATE fastjob_run SET reason = 'error', shard = -1", "fastjob_run.shard"),
    ];
    for (damage, place) in cases {
        sql(&on.url(), damage);
        let error = on.run_get(on.app.id, run.id).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(text.contains(place) && text.contains(&run.id.to_string()), "{text}");
    }
}

#[tokio::test]
async fn a_text_with_a_nul_is_stored_with_a_sign_in_its_place() {
    let on = Bundle::postgres().await;
    let job = on.job("a");
    let run = on.run(&job, START);
    on.commit(Rows { jobs_created: vec![job], runs_created: vec![run.clone()], ..Rows::default() }).await;
    let error = |message: &str| Failure { class: "Error".into(), message: message.into(), trace: "".into() };
    let mut end = ended(&run, Ended::Cancelled(CancelCause::Requested));
    end.error = Some(error("a\0b"));
    on.commit(Rows { runs_ended: vec![end], ..Rows::default() }).await;
    let (read, _) = on.run_get(on.app.id, run.id).await.unwrap().unwrap();
    assert_eq!(read.error, Some(error("a\u{fffd}b")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_during_commits_is_met_again_without_reopening() {
    let server = Arc::new(Postgres::start().unwrap());
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
        let stop = tokio::task::spawn_blocking({
            let server = server.clone();
            move || server.stop(Stop::Immediate).unwrap()
        });
        let (error, stopped) = tokio::join!(dying, stop);
        stopped.unwrap();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_turns_read_only_is_left_for_the_one_that_can_write() {
    let on = Bundle::postgres().await;
    let url = on.url();
    let name = url.rsplit('/').next().unwrap();
    let rows = Rows { jobs_created: vec![on.job("a")], ..Rows::default() };
    // Each new session is one of a standby, until the address leads to a primary again.
    let sessions = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    let alter =
        |what: &str| postgres_server().execute("postgres", &format!("ALTER DATABASE {name} {what}")).unwrap();
    alter("SET default_transaction_read_only = on");
    postgres_server().execute("postgres", &sessions).unwrap();
    let error = on.try_commit(&rows).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    on.app_list().await.unwrap();
    alter("RESET default_transaction_read_only");
    on.commit(rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_renewed_while_every_connection_of_the_pool_waits() {
    let on = Bundle::postgres().await;
    let mut other = PgConnection::connect(&on.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE fastjob_app_owner SET acquired_at = 1").execute(&mut other).await.unwrap();
    let rows = Rows::default();
    let waiting = async {
        tokio::join!(on.try_commit(&rows), on.try_commit(&rows), on.try_commit(&rows), on.try_commit(&rows))
    };
    let renewing = async {
        while sql(&on.url(), LOCK_WAITS) != "4\n" {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentence_that_is_given_up_ends_its_session_and_writes_nothing() {
    let on = Bundle::postgres().await;
    let job = on.job("a");
    let mut other = PgConnection::connect(&on.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE fastjob_app_owner SET acquired_at = 1").execute(&mut other).await.unwrap();
    let rows = Rows { jobs_created: vec![job.clone()], ..Rows::default() };
    tokio::select! {
        end = on.try_commit(&rows) => panic!("{end:?}"),
        () = async {
            while sql(&on.url(), LOCK_WAITS) != "1\n" {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    // What waited finds that its client is gone; the next sentence has a session of its own.
    while sql(&on.url(), IN_TRANSACTION) != "0\n" {
        tokio::task::yield_now().await;
    }
    assert_eq!(on.job_get(on.app.id, &job.name).await.unwrap(), None);
    on.commit(rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_of_an_owner_scans_a_table_be_it_empty_or_full() {
    let server = Postgres::start_with(Durability::Memory).unwrap();
    let url = server.fresh_database().unwrap();
    open_at(&url).await.unwrap().close().await;
    // The first of these plans of which the database keeps a general one are made while the tables are empty.
    server.execute("fresh_0", "ALTER SYSTEM SET autovacuum = off").unwrap();
    for setting in ["session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0"] {
        server.execute("fresh_0", &format!("ALTER DATABASE fresh_0 SET {setting}")).unwrap();
    }
    let on = Bundle::at_url(url).await;
    work(&on).await;
    server.execute("fresh_0", FILL).unwrap();
    work(&on).await;
    server.execute("fresh_0", "ANALYZE").unwrap();
    work(&on).await;
    on.close().await;
    let log = server.log();
    assert!(log.contains("(app_id = $1)"), "no general plan is logged");
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("fastjob") || line.contains("Cond")).collect();
    let mut searched = 0;
    for (at, line) in lines.iter().enumerate() {
        let node = line.contains("(cost=");
        let whole = ["Seq Scan", "Hash Join", "Merge Join"].iter().any(|scan| line.contains(scan));
        let by_key = line.contains("Index") && ["_run", "_job"].iter().any(|table| line.contains(table));
        let without = by_key && lines.get(at + 1).is_none_or(|next| !next.contains("Cond"));
        assert!(
            !node || !(whole || without),
            "{}",
            lines[at.saturating_sub(5)..(at + 5).min(lines.len())].join("\n")
        );
        searched += usize::from(node && by_key);
    }
    assert!(searched > 500, "{searched}");
}

/// Every kind of row and of question of an owner, often enough that the database settles on a plan.
pub(crate) async fn work(on: &Bundle) {
    for _ in 0..8 {
        let mut jobs: Vec<_> = (0..4).map(|_| on.job(&format!("job-{}", on.id::<()>()))).collect();
        jobs.iter_mut().for_each(|job| job.next_at = Some(START));
        let runs: Vec<Run> =
            jobs.iter().flat_map(|job| (0..3).map(|at| on.run(job, START.plus(at)))).collect();
        on.commit(Rows {
            jobs_created: jobs.clone(),
            runs_created: runs.clone(),
            outage_over: true,
            ..Rows::default()
        })
        .await;
        let revised = |job: &Job| Job { revision: 2, ..job.clone() };
        let cursor = |job: &Job| Cursor { job: job.id, next_at: None, chain_seq: 1 };
        let copied = |run: &Run| RunCopied {
            run: run.id,
            revision: 2,
            handler: run.handler.clone(),
            params: run.params.clone(),
            limits: run.limits.clone(),
        };
        on.commit(Rows {
            jobs_revised: jobs[..2].iter().map(revised).collect(),
            cursors: jobs[2..].iter().map(cursor).collect(),
            runs_removed: runs[..2].iter().map(|run| run.id).collect(),
            runs_copied: runs[2..4].iter().map(copied).collect(),
            runs_started: runs[4..].iter().map(|run| on.started(run)).collect(),
            inbox_done: vec![on.id(), on.id()],
            inbox_failed: vec![InboxFailed { id: on.id(), at: START, reason: "no".into() }],
            ..Rows::default()
        })
        .await;
        let changed = |run: &Run| RunChanged {
            run: run.id,
            state: State::Scheduled,
            due: START.plus(9),
            fail_count: 1,
            lost_count: 0,
            cancel: None,
            error: None,
        };
        on.commit(Rows {
            runs_changed: runs[4..6].iter().map(changed).collect(),
            runs_ended: runs[6..9]
                .iter()
                .map(|run| ended(run, Ended::Cancelled(CancelCause::Requested)))
                .chain(runs[9..].iter().map(|run| ended(run, Ended::Succeeded)))
                .collect(),
            attempts: runs[4..6].iter().map(|run| on.attempt(run, 1)).collect(),
            ..Rows::default()
        })
        .await;
        ask(on, &jobs, &runs).await;
    }
}

async fn ask(on: &Bundle, jobs: &[Job], runs: &[Run]) {
    let needs = Needs {
        jobs_named: jobs.iter().map(|job| job.name.clone()).collect(),
        jobs: [on.id()].into(),
        runs: runs.iter().map(|run| run.id).collect(),
        fired: vec![(jobs[0].name.clone(), runs[2].fire_key.clone())],
        outcomes_of: runs.iter().map(|run| run.id).collect(),
        histories: jobs.iter().map(|job| job.name.clone()).collect(),
        histories_after: START,
        due: Some(DuePage { opened: START, until: START.plus(99), limit: 9 }),
    };
    on.facts(on.shard, &needs).await.unwrap();
    on.open_page(on.shard, START.plus(9), None, 9).await.unwrap();
    on.run_get(on.app.id, runs[3].id).await.unwrap();
    on.run_fired(on.app.id, &jobs[0].name, &runs[3].fire_key).await.unwrap();
    on.job_newest(on.app.id, &jobs[0].name).await.unwrap();
    on.job_list(on.app.id, None, 9).await.unwrap();
    for job in [None, Some(jobs[0].name.clone())] {
        on.run_list(on.app.id, &RunFilter { job, limit: 9, ..RunFilter::default() }).await.unwrap();
    }
    let filter = LedgerFilter { from: START, to: START.plus(99), after: None, limit: 9 };
    on.ledger(jobs[0].id, &filter).await.unwrap();
    on.inbox_read(on.server, 9).await.unwrap();
    on.inbox_failed("demo", 9).await.unwrap();
}

/// 200,000 runs that have ended and 200 jobs, of the app of the bundle.
const FILL: &str = "
    SET auto_explain.log_min_duration = -1;
    INSERT INTO fastjob_job (id, app_id, shard, name, revision, definition, params_encoding, params, enabled, chain_seq,
                             created_at, updated_at)
    SELECT gen_random_uuid(), app_id, shard, 'old-' || n, 1, definition, params_encoding, params, true, 0, 0, 0
    FROM (SELECT * FROM fastjob_job LIMIT 1) job, generate_series(1, 200) n;
    INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision, handler,
                             params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at, ended_at)
    SELECT gen_random_uuid(), run.app_id, run.shard, job.id, job.name, 't' || 1700000000000 + n, 'cron', n, n, 1,
           run.handler, run.params_encoding, run.params, '{}', 2, 1, 0, 0, n, n
    FROM (SELECT * FROM fastjob_run LIMIT 1) run, fastjob_job job, generate_series(1, 1000) n
    WHERE job.name LIKE 'old-%'";

const LOCK_WAITS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
const IN_TRANSACTION: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()";

async fn open_at(url: &str) -> Result<Store, StoreError> {
    open(url, Arc::new(ManualClock::at(START))).await
}

/// Runs SQL in the database of a bundle.
fn sql(url: &str, sql: &str) -> String {
    postgres_server().execute(url.rsplit('/').next().unwrap(), sql).unwrap()
}
