//! What each fact is judged to be.

use fastjob_core::clock::Millis;
use fastjob_core::domain::FireKey;
use fastjob_core::id::{AppId, Epoch, Id, ShardKey};

use super::{Finding, Offset, Status, cluster, database, invariants};
use crate::config::{self, Config, Sources};
use crate::store::{KeyedRun, Owned, Rights, Schema, Server, ServerPhase, Setting, Sizes, Violations};

const NOW: Millis = Millis::new(1_800_000_000_000);

fn terms() -> config::Cluster {
    Config::load(&Sources::default()).unwrap().cluster
}

fn statuses(found: &[Finding]) -> Vec<(&str, Status)> {
    found.iter().map(|finding| (finding.check.as_str(), finding.status)).collect()
}

fn setting(name: &str, value: &str) -> Setting {
    Setting { name: name.into(), value: value.into() }
}

#[test]
fn a_setting_that_loses_commits_fails_and_one_that_may_lose_the_last_ones_warns() {
    let table = [
        ("fsync", "on", Status::Ok),
        ("fsync", "off", Status::Fail),
        ("full_page_writes", "off", Status::Fail),
        ("synchronous_commit", "on", Status::Ok),
        ("synchronous_commit", "remote_apply", Status::Ok),
        ("synchronous_commit", "off", Status::Warn),
        ("in_recovery", "off", Status::Ok),
        ("in_recovery", "on", Status::Fail),
        ("innodb_flush_log_at_trx_commit", "1", Status::Ok),
        ("innodb_flush_log_at_trx_commit", "2", Status::Fail),
        ("innodb_doublewrite", "ON", Status::Ok),
        ("innodb_doublewrite", "OFF", Status::Fail),
        ("read_only", "1", Status::Fail),
        ("read_only", "0", Status::Ok),
        ("sync_binlog", "0", Status::Warn),
        ("sync_binlog", "1", Status::Ok),
        ("wsrep_on", "1", Status::Warn),
        ("wsrep_on", "0", Status::Ok),
        ("sql_mode", "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION", Status::Ok),
        ("sql_mode", "", Status::Warn),
        ("sql_mode", "ANSI_QUOTES,STRICT_ALL_TABLES", Status::Warn),
        ("time_zone", "+00:00", Status::Ok),
        ("time_zone", "Europe/Berlin", Status::Warn),
        ("transaction_isolation", "REPEATABLE-READ", Status::Ok),
        ("journal_mode", "wal", Status::Ok),
        ("journal_mode", "delete", Status::Warn),
    ];
    for (name, value, status) in table {
        let found = database::settings(&[setting(name, value)], 4_000);
        assert_eq!(statuses(&found), [(format!("setting.{name}").as_str(), status)], "{value}");
        assert_eq!(found[0].remedy.is_empty(), status == Status::Ok, "{found:?}");
    }
}

#[test]
fn a_setting_is_judged_by_what_stands_beside_it() {
    let status = |settings: &[Setting], lease_ms| database::settings(settings, lease_ms)[0].status;
    let binlog = |log: &str| [setting("sync_binlog", "0"), setting("log_bin", log)];
    assert_eq!(status(&binlog("OFF"), 4_000), Status::Ok);
    assert_eq!(status(&binlog("ON"), 4_000), Status::Warn);
    let zone = |system: &str| [setting("time_zone", "SYSTEM"), setting("system_time_zone", system)];
    assert_eq!(status(&zone("UTC"), 4_000), Status::Ok);
    assert_eq!(status(&zone("CEST"), 4_000), Status::Warn);
    assert_eq!(status(&[setting("wsrep_on", "ON")], 10_000), Status::Ok);
}

#[test]
fn a_clock_is_judged_by_what_is_certain_of_its_offset() {
    let status = |ms, bound_ms| database::clock(Some(Offset { ms, bound_ms }), &terms()).status;
    assert_eq!(database::clock(None, &terms()).status, Status::Ok);
    assert_eq!([status(250, 0), status(-250, 0), status(900, 700)], [Status::Ok; 3]);
    assert_eq!(
        [status(251, 0), status(-900, 100), status(i64::MIN, i64::MAX)],
        [Status::Warn, Status::Warn, Status::Ok]
    );
    assert_eq!(status(-3_600_000, 5), Status::Fail);
    let behind = database::clock(Some(Offset { ms: -3_600_000, bound_ms: 5 }), &terms());
    assert!(behind.detail.contains("3600000 ms behind this machine's"), "{}", behind.detail);
}

#[test]
fn an_older_schema_warns_and_a_missing_or_newer_one_fails() {
    let status = |found| database::schema(Schema { found, known: 3 }).status;
    assert_eq!([0, 2, 3, 4].map(status), [Status::Fail, Status::Warn, Status::Ok, Status::Fail]);
}

#[test]
fn a_lacking_right_fails_and_a_power_too_many_warns() {
    let rights = |missing: &[&str], powers: &[&str]| {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        database::rights(&Rights { user: "fastjob".into(), missing: own(missing), powers: own(powers) })
    };
    assert_eq!(statuses(&rights(&[], &[])), [("rights", Status::Ok)]);
    let found = rights(&["INSERT on fastjob_run"], &["SUPER"]);
    assert_eq!(statuses(&found), [("rights", Status::Fail), ("powers", Status::Warn)]);
    assert!(found[0].detail.contains("fastjob lacks INSERT on fastjob_run"));
}

fn server(id: u8, address: &str) -> Server {
    Server {
        id: Id::from_bytes([id; 16]),
        rpc_address: address.into(),
        http_address: "127.0.0.1:2".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        phase: ServerPhase::Up,
        seq: 1,
        renewed_at: NOW.plus(-500),
    }
}

#[test]
fn servers_are_judged_by_their_leases_versions_and_addresses() {
    let judged = |servers: &[Server]| cluster::servers(servers, 4_000, NOW);
    let dead = Server { phase: ServerPhase::Dead, ..server(1, "a:1") };
    assert_eq!(statuses(&judged(std::slice::from_ref(&dead))), [("servers", Status::Warn)]);

    let (one, two) = (server(2, "a:1"), server(3, "b:1"));
    let well = judged(&[dead, one.clone(), two.clone()]);
    assert!(well.iter().all(|finding| finding.status == Status::Ok), "{well:?}");

    let silent = Server { renewed_at: NOW.plus(-12_001), ..two.clone() };
    let older = Server { version: "0.0.9".into(), ..two.clone() };
    let twin = Server { rpc_address: "a:1".into(), ..two.clone() };
    let nowhere = server(4, "0.0.0.0:7180");
    let worst = |second: Server| {
        let found = judged(&[one.clone(), second]);
        let bad: Vec<_> = found.into_iter().filter(|finding| finding.status != Status::Ok).collect();
        assert_eq!(bad.len(), 1, "{bad:?}");
        (bad[0].check.clone(), bad[0].status, bad[0].detail.clone())
    };
    assert_eq!(
        worst(silent),
        ("servers".into(), Status::Warn, "1 of 2 have not renewed their lease: b:1".into())
    );
    let (check, status, detail) = worst(older);
    assert_eq!((check.as_str(), status), ("versions", Status::Warn));
    assert!(detail.contains("1 of 0.0.9"), "{detail}");
    assert_eq!(worst(twin).1, Status::Fail);
    assert_eq!(worst(nowhere).1, Status::Fail);
}

#[test]
fn an_address_that_does_not_answer_is_named_with_its_reason() {
    assert_eq!(cluster::reached(&[]), None);
    let tried = [("a:1".to_owned(), Ok(())), ("b:1".to_owned(), Err("refused".to_owned()))];
    assert_eq!(cluster::reached(&tried[..1]).unwrap().status, Status::Ok);
    let found = cluster::reached(&tried).unwrap();
    assert_eq!(found.status, Status::Warn);
    assert_eq!(found.detail, "1 of 2 do not answer from here: b:1 (refused)");
}

#[test]
fn a_shard_without_a_living_owner_is_named() {
    let owned = |server, dead| Owned {
        shard: ShardKey { app: AppId(7), shard: 3 },
        server,
        epoch: Epoch(1),
        rpc_address: None,
        dead,
        desired: None,
    };
    let server = Some(Id::from_bytes([1; 16]));
    assert_eq!(cluster::owners(&[], &[owned(server, false)], true).status, Status::Ok);
    for orphan in [owned(None, false), owned(server, true)] {
        let found = cluster::owners(&[], &[owned(server, false), orphan], true);
        assert_eq!(found.status, Status::Warn);
        assert!(found.detail.contains("1 of 2 shards have no living owner: app 7/3"), "{}", found.detail);
    }
}

#[test]
fn a_command_that_waits_long_or_was_set_aside_warns() {
    let waiting = |ms: i64| Sizes { inbox_waiting: 2, inbox_oldest: Some(NOW.plus(-ms)), ..Sizes::default() };
    let status = |sizes: &Sizes| cluster::sizes(sizes, NOW).iter().map(|finding| finding.status).max();
    assert_eq!(status(&Sizes::default()), Some(Status::Ok));
    assert_eq!([status(&waiting(60_000)), status(&waiting(60_001))], [Some(Status::Ok), Some(Status::Warn)]);
    let failed = Sizes { inbox_failed: vec![("no such job".into(), 3)], ..Sizes::default() };
    assert_eq!(status(&failed), Some(Status::Warn));
    assert!(cluster::sizes(&failed, NOW)[2].detail.contains("3 x no such job"));
}

#[test]
fn a_fire_key_that_is_not_made_of_its_idempotency_key_is_counted() {
    let run = |id: u8, fire_key: String| KeyedRun {
        id: Id::from_bytes([id; 16]),
        fire_key,
        idempotency_key: "order-42".into(),
    };
    let right = FireKey::of_idempotency_key("order-42").to_string();
    let mut wrong = Violations::default();
    invariants::count_wrong(&[run(1, right.clone()), run(2, right.to_uppercase())], &mut wrong);
    assert_eq!((wrong.count, wrong.examples.len()), (1, 1));
    let many: Vec<KeyedRun> = (0..9).map(|id| run(id, String::new())).collect();
    invariants::count_wrong(&many, &mut wrong);
    assert_eq!((wrong.count, wrong.examples.len()), (10, Violations::MAX_EXAMPLES));
}
