//! Rows that were broken by hand are named by the invariant they break, and rows that a store has written break none.

use std::sync::Arc;

use fastjob_core::clock::SystemClock;
use fastjob_core::domain::{
    AttemptEnd, CancelCause, Ended, FireKey, Gap, GapReason, Job, Run, SkipReason, Source, State,
};
use fastjob_core::id::RequestId;
use fastjob_core::shard::{Rows, RunChanged};
use fastjob_server::config::{self, Config, Sources};
use fastjob_server::doctor::{self, Depth, Finding, Status};
use fastjob_server::store::{SCANS, Store, StoreOptions};

use crate::bundle::{Bundle, START, after_start, ended};

crate::on_every_backend! {
    a_database_that_nobody_touched_breaks_no_invariant
    each_invariant_is_named_when_its_rows_are_broken_by_hand
    looking_at_a_database_needs_no_lock_and_writes_nothing
}

/// SQL that breaks rows, and all the invariants that are broken then.
struct Planted {
    sql: &'static [&'static str],
    breaks: &'static [&'static str],
}

const TABLES: [&str; 8] = [
    "fastjob_app_owner",
    "fastjob_attempt",
    "fastjob_gap",
    "fastjob_job",
    "fastjob_job_revision",
    "fastjob_owner_log",
    "fastjob_run",
    "fastjob_server",
];

const PLANTED: [Planted; 31] = [
    Planted { sql: &["DELETE FROM fastjob_app_owner WHERE shard = 1"], breaks: &["shards_complete"] },
    Planted {
        sql: &["INSERT INTO fastjob_owner_log (id, app_id, shard, epoch, server_id, at, reason)
                SELECT id + 100, app_id, shard, epoch - 1, server_id, at, 'claimed' FROM fastjob_owner_log
                WHERE reason = 'raised'"],
        breaks: &["owner_log_rises"],
    },
    Planted {
        sql: &["INSERT INTO fastjob_owner_log (id, app_id, shard, epoch, server_id, at, reason)
                SELECT id + 100, app_id, shard, epoch, server_id, at, 'claimed' FROM fastjob_owner_log
                WHERE reason = 'raised'"],
        breaks: &["owner_log_rises"],
    },
    Planted {
        sql: &["UPDATE fastjob_app_owner SET epoch = epoch + 1 WHERE shard = 0"],
        breaks: &["owner_epoch_is_newest"],
    },
    Planted { sql: &["DELETE FROM fastjob_server"], breaks: &["owner_is_known"] },
    Planted {
        sql: &["INSERT INTO fastjob_job SELECT * FROM fastjob_job WHERE name = 'idle'"],
        breaks: &["job_name_once"],
    },
    Planted {
        sql: &["DELETE FROM fastjob_job_revision WHERE revision = 1
                   AND job_id IN (SELECT id FROM fastjob_job WHERE name = 'gone')"],
        breaks: &["revisions_complete"],
    },
    Planted {
        sql: &["UPDATE fastjob_job SET revision = 2 WHERE name = 'idle'"],
        breaks: &["revisions_complete"],
    },
    Planted {
        sql: &["UPDATE fastjob_run SET revision = 7 WHERE state = 0"],
        breaks: &["run_follows_its_job"],
    },
    Planted { sql: &["UPDATE fastjob_run SET shard = 1 WHERE state = 0"], breaks: &["run_follows_its_job"] },
    Planted {
        sql: &["INSERT INTO fastjob_run SELECT * FROM fastjob_run WHERE fire_key LIKE 'r%'"],
        breaks: &["fire_key_once"],
    },
    Planted {
        sql: &["UPDATE fastjob_run SET fire_key = concat(fire_key, '0') WHERE fire_key LIKE 't%'"],
        breaks: &["tick_named_by_key"],
    },
    Planted { sql: &["UPDATE fastjob_gap SET from_at = from_at - 20"], breaks: &["tick_accounted_once"] },
    Planted {
        sql: &["INSERT INTO fastjob_gap (job_id, from_at, to_at, count, reason, revision)
                SELECT job_id, to_at, to_at + 5, 1, reason, revision FROM fastjob_gap"],
        breaks: &["gaps_apart"],
    },
    Planted {
        sql: &["UPDATE fastjob_job SET next_at = next_at - 40 WHERE name = 'ticks'"],
        breaks: &["cursor_after_ticks"],
    },
    Planted {
        sql: &["UPDATE fastjob_job SET chain_seq = 9 WHERE name = 'chain'"],
        breaks: &["chain_consecutive"],
    },
    Planted {
        sql: &["UPDATE fastjob_run SET state = 1, ended_at = NULL WHERE fire_key = 'd1'"],
        breaks: &["chain_alone"],
    },
    Planted {
        sql: &["UPDATE fastjob_job SET deleted_at = updated_at WHERE name = 'ticks'"],
        breaks: &["deleted_job_is_quiet"],
    },
    Planted {
        sql: &["UPDATE fastjob_run SET worker = 'x' WHERE state = 0"],
        breaks: &["scheduled_is_unassigned"],
    },
    Planted {
        sql: &["UPDATE fastjob_run SET worker = NULL WHERE state = 1"],
        breaks: &["dispatched_is_assigned"],
    },
    Planted {
        sql: &["UPDATE fastjob_run SET token = NULL WHERE state = 2"],
        breaks: &["succeeded_was_assigned", "attempts_consecutive"],
    },
    Planted {
        sql: &["UPDATE fastjob_run SET ended_at = NULL WHERE state = 2 AND tick IS NOT NULL"],
        breaks: &["ended_has_its_instant"],
    },
    Planted {
        sql: &["UPDATE fastjob_run SET reason = 'x' WHERE state = 2"],
        breaks: &["end_has_its_reason"],
    },
    Planted {
        sql: &["UPDATE fastjob_run SET started_at = tick - 251 WHERE state = 2 AND tick IS NOT NULL"],
        breaks: &["never_early"],
    },
    Planted {
        sql: &["UPDATE fastjob_attempt SET started_at = dispatched_at - 300"],
        breaks: &["never_early"],
    },
    Planted {
        sql: &["UPDATE fastjob_run SET epoch = epoch + 1000 WHERE state = 1"],
        breaks: &["dispatch_epoch_is_known"],
    },
    Planted {
        sql: &["UPDATE fastjob_run SET epoch = epoch - 1 WHERE attempt = 2"],
        breaks: &["epochs_rise_within_a_run"],
    },
    Planted { sql: &["UPDATE fastjob_attempt SET attempt = 2"], breaks: &["attempts_consecutive"] },
    Planted { sql: &["DELETE FROM fastjob_run WHERE attempt = 2"], breaks: &["attempt_has_its_run"] },
    Planted {
        sql: &["UPDATE fastjob_run SET lost_count = 3 WHERE state = 1"],
        breaks: &["counts_match_attempts", "lost_at_most_three_times"],
    },
    Planted {
        sql: &["UPDATE fastjob_run SET idempotency_key = 'other' WHERE idempotency_key IS NOT NULL"],
        breaks: &["key_makes_fire_key"],
    },
];

async fn a_database_that_nobody_touched_breaks_no_invariant(mut on: Bundle) {
    live(&mut on).await;
    let found = invariants(&on).await;
    assert_eq!(found.len(), SCANS.len() + 1);
    assert!(found.iter().all(|finding| finding.status == Status::Ok), "{found:#?}");
    on.close().await;
}

async fn each_invariant_is_named_when_its_rows_are_broken_by_hand(mut on: Bundle) {
    live(&mut on).await;
    let mut named: Vec<&str> = Vec::new();
    for table in TABLES {
        // Without keys and constraints, which would refuse what is planted.
        on.change(&format!("CREATE TABLE saved_{table} AS SELECT * FROM {table}")).await;
        on.change(&format!("DROP TABLE {table}")).await;
        on.change(&format!("CREATE TABLE {table} AS SELECT * FROM saved_{table}")).await;
    }
    for Planted { sql, breaks } in &PLANTED {
        for statement in *sql {
            on.change(statement).await;
        }
        let found = invariants(&on).await;
        let failed: Vec<&Finding> = found.iter().filter(|finding| finding.status != Status::Ok).collect();
        let names: Vec<&str> = failed.iter().map(|finding| &finding.check["invariant.".len()..]).collect();
        assert_eq!(names, *breaks, "{sql:?}: {failed:#?}");
        for finding in failed {
            assert!(finding.count.unwrap() >= 1 && !finding.examples.is_empty(), "{finding:?}");
        }
        named.extend(breaks.iter());
        for table in TABLES {
            on.change(&format!("DELETE FROM {table}")).await;
            on.change(&format!("INSERT INTO {table} SELECT * FROM saved_{table}")).await;
        }
    }
    let silent: Vec<&str> = SCANS.iter().map(|scan| scan.name).filter(|name| !named.contains(name)).collect();
    assert!(silent.is_empty(), "never seen to fail: {silent:?}");
    on.close().await;
}

async fn looking_at_a_database_needs_no_lock_and_writes_nothing(mut on: Bundle) {
    live(&mut on).await;
    let looking = look(&on).await;
    let schema = looking.inspect_schema().await.unwrap();
    assert_eq!(schema.found, schema.known);
    assert!(looking.app_create(&on.new_app("other", 1)).await.is_err());
    assert_eq!(looking.app_list().await.unwrap(), [on.app.clone()]);
    assert!(!looking.inspect_settings().await.unwrap().is_empty());
    assert!(looking.inspect_rights().await.unwrap().missing.is_empty());
    let sizes = looking.inspect_sizes().await.unwrap();
    assert_eq!((sizes.jobs, sizes.runs, sizes.open_runs), (3, 7, 3));
    assert_eq!(sizes.oldest_ended, Some(START.plus(20)));
    looking.close().await;
    on.close().await;
}

async fn look(on: &Bundle) -> Store {
    let options = StoreOptions { max_connections: 2, clock: Arc::new(SystemClock) };
    Store::inspect(&on.url(), options).await.unwrap()
}

async fn invariants(on: &Bundle) -> Vec<Finding> {
    let looking = look(on).await;
    let terms: config::Cluster = Config::load(&Sources::default()).unwrap().cluster;
    let found = doctor::examine(&looking, &terms, Depth::Invariants, &SystemClock).await.unwrap();
    looking.close().await;
    found.into_iter().filter(|finding| finding.check.starts_with("invariant.")).collect()
}

/// A little of everything: jobs put and deleted, ticks run, tried again and missed, a chain, a key, a raised epoch.
async fn live(on: &mut Bundle) {
    let raised = on.epoch_raise(on.shard, on.server, on.epoch, START.plus(1)).await.unwrap().unwrap();
    on.epoch = raised.epoch;
    let ticks = Job { next_at: Some(START.plus(70)), ..on.job("ticks") };
    let chain = Job { chain_seq: 2, ..on.job("chain") };
    let (idle, gone) = (on.job("idle"), on.job("gone"));
    let tick = |at: i64| on.run(&ticks, START.plus(at));
    let (done, running, waiting) = (tick(10), tick(20), tick(35));
    let link = |n: u64| Run {
        fire_key: FireKey::Chain(n),
        source: Source::FixedDelay,
        tick: None,
        ..on.run(&chain, START.plus(10))
    };
    let (first, second) = (link(1), link(2));
    let called = |key: FireKey, text: Option<&str>, job: &Job| Run {
        fire_key: key,
        source: Source::Api,
        tick: None,
        idempotency_key: text.map(Into::into),
        ..on.run(job, START.plus(10))
    };
    let keyed = called(FireKey::of_idempotency_key("order-42"), Some("order-42"), &idle);
    let skipped = called(FireKey::Request(RequestId::from_bytes([9; 16])), None, &gone);
    let gap = Gap {
        job: ticks.id,
        from: START.plus(50),
        to: START.plus(60),
        count: Some(2),
        reason: GapReason::CatchUp,
        revision: 1,
    };
    on.commit(Rows {
        jobs_created: vec![ticks, chain, idle, gone.clone()],
        runs_created: vec![
            done.clone(),
            running.clone(),
            waiting,
            first.clone(),
            second,
            keyed.clone(),
            skipped.clone(),
        ],
        gaps: vec![gap],
        ..Rows::default()
    })
    .await;
    end_them(on, &done, &running, &first, &keyed, &skipped, &gone).await;
}

async fn end_them(
    on: &Bundle,
    done: &Run,
    running: &Run,
    first: &Run,
    keyed: &Run,
    skipped: &Run,
    gone: &Job,
) {
    let started = [done, running, first, keyed].map(|run| on.started(run));
    on.commit(Rows { runs_started: started.to_vec(), ..Rows::default() }).await;
    let again = RunChanged {
        run: done.id,
        state: State::Scheduled,
        due: START.plus(10),
        fail_count: 1,
        lost_count: 0,
        cancel: None,
        error: None,
    };
    let mut failed = on.attempt(done, 1);
    failed.end = AttemptEnd::Failed;
    on.commit(Rows { runs_changed: vec![again], attempts: vec![failed], ..Rows::default() }).await;
    let done = Run { attempt: 1, fail_count: 1, ..done.clone() };
    let second = on.started(&done);
    on.commit(Rows { runs_started: vec![second.clone()], ..Rows::default() }).await;
    let ends = vec![
        ended(&after_start(&done, &second), Ended::Succeeded),
        ended(first, Ended::Succeeded),
        ended(keyed, Ended::Cancelled(CancelCause::Requested)),
        ended(skipped, Ended::Skipped(SkipReason::Deleted)),
    ];
    let deleted = Job { revision: 2, deleted_at: Some(START.plus(9)), ..gone.clone() };
    on.commit(Rows { runs_ended: ends, jobs_revised: vec![deleted], ..Rows::default() }).await;
}
