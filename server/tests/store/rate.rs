//! How many runs a second live their whole life: made, started and ended. Prints figures, proves nothing:
//! `cargo test -p fastjob-server --test store rate -- --ignored --nocapture`.

use std::time::Duration;

use fastjob_core::clock::{Clock, SystemClock};
use fastjob_core::domain::{Ended, Run};
use fastjob_core::shard::Rows;

use crate::bundle::{Bundle, START, after_start, ended, mysql_server};
use crate::mariadb::MariaDb;
use crate::postgres_harness::Postgres;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures, proves nothing"]
async fn runs_made_started_and_ended_on_sqlite() {
    measure(async || Bundle::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures, proves nothing"]
async fn runs_made_started_and_ended_on_postgres() {
    let server = Postgres::start().unwrap();
    measure(async || Bundle::at_url(server.fresh_database().unwrap()).await).await;
    let hot = "SELECT n_tup_upd, n_tup_hot_upd, pg_size_pretty(pg_table_size(relid)) FROM pg_stat_user_tables
               WHERE relname = 'fastjob_run'";
    for database in 0..4 {
        println!(
            "updates of runs, HOT ones, size: {}",
            server.execute(&format!("fresh_{database}"), hot).unwrap()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures, proves nothing"]
async fn runs_made_started_and_ended_on_mariadb() {
    durable(&MariaDb::start().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures, proves nothing"]
async fn runs_made_started_and_ended_on_mysql() {
    durable(mysql_server()).await;
}

/// Of commits that wait for the disk, as in service.
async fn durable(server: &MariaDb) {
    server.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1").unwrap();
    measure(async || Bundle::at_url(server.fresh_database().unwrap()).await).await;
}

async fn measure(open: impl AsyncFn() -> Bundle) {
    for (size, turns) in [(1, 200), (100, 200), (1_000, 30), (5_000, 6)] {
        let on = open().await;
        let job = on.job("a");
        on.commit(Rows { jobs_created: vec![job.clone()], ..Rows::default() }).await;
        let mut taken = [Duration::ZERO; 4];
        for turn in 0..turns {
            let runs: Vec<Run> =
                (0..size).map(|at| on.run(&job, START.plus(i64::from(turn) * 5_000 + at))).collect();
            let runs_started: Vec<_> = runs.iter().map(|run| on.started(run)).collect();
            let runs_ended = runs.iter().map(|run| ended(run, Ended::Succeeded)).collect();
            let direct = runs.iter().zip(&runs_started).map(|(run, started)| Run {
                id: on.id(),
                fire_key: fastjob_core::domain::FireKey::Request(on.id()),
                ..after_start(run, started)
            });
            let rows = [
                Rows { runs_created: direct.collect(), ..Rows::default() },
                Rows { runs_created: runs, ..Rows::default() },
                Rows { runs_started, ..Rows::default() },
                Rows { runs_ended, ..Rows::default() },
            ];
            for (rows, taken) in rows.into_iter().zip(&mut taken) {
                let begun = SystemClock.elapsed();
                on.commit(rows).await;
                *taken += SystemClock.elapsed() - begun;
            }
        }
        let count = f64::from(turns) * size as f64;
        let rate = |taken: Duration| count / taken.as_secs_f64();
        let life = rate(taken[1] + taken[2] + taken[3]);
        println!(
            "turns of {size}: life {life:.0}/s (insert {:.0}, start {:.0}, end {:.0}); insert dispatched {:.0}/s",
            rate(taken[1]),
            rate(taken[2]),
            rate(taken[3]),
            rate(taken[0])
        );
    }
}
