//! Each way in which an owner goes.

use fastjob_core::client::Job;
use fastjob_core::worker::{Context, HandlerError, Worker};
use futures_util::future::join_all;
use rustix::process::{Pid, Signal, kill_process};

use crate::fleet::{Fleet, Owned, epochs, runs};
use crate::harness::PATIENCE;
use crate::postgres::Durability;

/// A short lease, since nothing here measures one.
const SHORT: [(&str, &str); 2] =
    [("FASTJOB_CLUSTER__LEASE_MS", "1500"), ("FASTJOB_CLUSTER__RENEW_MS", "400")];
const APPS: usize = 6;

fn start() -> Fleet {
    let fleet = Fleet::start(3, APPS - 1, Durability::Memory, &SHORT);
    fleet.spread();
    fleet
}

/// Every app is owned by a server other than `gone`, those that it had at a higher epoch, the rest as before.
fn assert_taken_over(before: &[Owned], after: &[Owned], gone: &str) {
    assert!(after.iter().all(|owned| owned.server != gone), "{after:?}");
    let after = epochs(after);
    for owned in before {
        let epoch = after[owned.app.as_str()];
        if owned.server == gone {
            assert!(epoch > owned.epoch, "{owned:?}: {epoch}");
        } else {
            assert_eq!(epoch, owned.epoch, "{owned:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_apps_of_a_killed_server_go_on_at_others_with_a_higher_epoch() {
    let mut fleet = start();
    let client = fleet.client().await;
    let _worker = fleet.worker(&client).await;
    fleet.runs(&client, "before").await;
    let (before, owner) = (fleet.owned(), fleet.owner());
    fleet.servers[owner].kill().unwrap();
    let after = fleet.without(&fleet.servers[owner].rpc, APPS);
    assert_taken_over(&before, &after, &fleet.servers[owner].rpc);
    fleet.runs(&client, "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_has_handed_all_over_when_it_ends() {
    let mut fleet = start();
    let client = fleet.client().await;
    let _worker = fleet.worker(&client).await;
    fleet.runs(&client, "before").await;
    let (before, owner) = (fleet.owned(), fleet.owner());
    fleet.servers[owner].stop().unwrap();
    assert_eq!(
        fleet.sql("SELECT count(*) FROM fastjob_owner_log WHERE reason = 'released'"),
        released(&fleet)
    );
    let after = fleet.settled(APPS);
    assert_taken_over(&before, &after, &fleet.servers[owner].rpc);
    fleet.runs(&client, "after").await;
}

/// What the moves at the start and the stopped server have released: each claim but the last of a shard is one.
fn released(fleet: &Fleet) -> String {
    fleet.sql(
        "SELECT count(*) FROM fastjob_owner_log l WHERE reason = 'claimed' AND EXISTS
             (SELECT 1 FROM fastjob_owner_log n WHERE n.app_id = l.app_id AND n.shard = l.shard AND n.reason = 'released'
              AND n.server_id = l.server_id AND n.epoch >= l.epoch)",
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_taken_over_and_ends_when_it_wakes_without_having_written() {
    let mut fleet = start();
    let client = fleet.client().await;
    let _worker = fleet.worker(&client).await;
    fleet.runs(&client, "before").await;
    let (before, owner) = (fleet.owned(), fleet.owner());
    let frozen = fleet.servers[owner].rpc.clone();
    let pid = Pid::from_raw(pid_of(&fleet, owner)).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let after = fleet.without(&frozen, APPS);
    assert_taken_over(&before, &after, &frozen);
    fleet.runs(&client, "while it is frozen").await;
    kill_process(pid, Signal::CONT).unwrap();
    let ended = fleet.servers[owner].ended(PATIENCE).unwrap().expect("it ends by itself");
    assert_eq!(ended.code(), Some(1));
    assert!(fleet.log(owner).contains("another server declared this one dead"));
    assert_eq!(fleet.owned(), after, "it took nothing back and released nothing");
    let late = fleet.sql(
        "SELECT count(*) FROM fastjob_run r JOIN fastjob_app_owner o ON o.app_id = r.app_id AND o.shard = r.shard
         WHERE r.epoch < o.epoch AND r.dispatched_at >= o.acquired_at",
    );
    assert_eq!(late, "0", "it dispatched nothing after the takeover");
    fleet.runs(&client, "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_server_stays_up_without_shards_and_says_so() {
    let fleet = start();
    let (client, owner) = (fleet.client().await, fleet.owner());
    let _worker = fleet.worker(&client).await;
    let other = (owner + 1) % 3;
    fleet.ask(other, &["server", "drain", &fleet.servers[owner].rpc]);
    fleet.without(&fleet.servers[owner].rpc, APPS);
    let listed = fleet.ask(owner, &["server", "list"]);
    let own =
        listed.iter().find(|server| server["rpc_address"] == fleet.servers[owner].rpc.as_str()).unwrap();
    assert_eq!((&own["state"], &own["shards"]), (&"draining".into(), &0.into()));
    fleet.runs(&client, "after").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_of_64_shards_runs_on_every_server_and_goes_on_when_one_is_killed() {
    const SHARDS: usize = 64;
    let mut fleet = Fleet::start(3, 0, Durability::Memory, &SHORT);
    let made = fleet.ask(0, &["app", "create", "wide", "--shards", "64"]);
    let owned = fleet.settled(1 + SHARDS);
    for server in &fleet.servers {
        let shards = owned.iter().filter(|owned| owned.app == "wide" && owned.server == server.rpc).count();
        assert!(shards >= SHARDS / 6, "{} has {shards} of {SHARDS} shards", server.rpc);
    }
    let client = fleet.client_of("wide", made[0]["token"].as_str().unwrap()).await;
    let work = async |_: Context| Ok::<_, HandlerError>("done".to_owned());
    let _worker = Worker::builder(&client).handler("work", work).start().await.unwrap();
    // Enough names that each shard has some.
    let jobs: Vec<String> = (0..8 * SHARDS).map(|number| format!("job-{number}")).collect();
    let puts = jobs.iter().map(|job| client.job_put(Job::named(job).handler("work").api()));
    join_all(puts).await.into_iter().for_each(|put| drop(put.unwrap()));
    let hit = fleet.sql("SELECT count(DISTINCT shard) FROM fastjob_job");
    assert_eq!(hit, SHARDS.to_string(), "every shard has a job");
    for round in ["before", "after"] {
        for some in jobs.chunks(SHARDS) {
            join_all(some.iter().map(|job| runs(&client, job, round))).await;
        }
        if round == "before" {
            fleet.servers[0].kill().unwrap();
            fleet.without(&fleet.servers[0].rpc, 1 + SHARDS);
        }
    }
    let runs = fleet.sql("SELECT count(*) FROM fastjob_run WHERE fail_count = 0 AND ended_at IS NOT NULL");
    assert_eq!(runs, (2 * jobs.len()).to_string());
}

fn pid_of(fleet: &Fleet, server: usize) -> i32 {
    let ready = std::fs::read_to_string(fleet.servers[server].place.join("ready-1.json")).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    i32::try_from(ready["pid"].as_i64().unwrap()).unwrap()
}
