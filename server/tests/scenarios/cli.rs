//! Every verb of the command line, its shapes and its exit codes.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};

use fastjob_core::client::Job;
use fastjob_core::worker::HandlerError;
use serde_json::{Value, json};

use super::harness::fastjob;
use super::stage::{Stage, said, text};

const RUN: &str = "id app job source tick due state reason attempt max_attempts worker server epoch revision fail_count \
     lost_count retry_of params result error idempotency_key created_at dispatched_at started_at ended_at lateness_ms";

fn has_keys(value: &Value, keys: &str) {
    let shown: BTreeSet<&str> =
        value.as_object().unwrap_or_else(|| panic!("{value}")).keys().map(String::as_str).collect();
    let expected: BTreeSet<&str> = keys.split_whitespace().collect();
    assert_eq!(shown, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_about_jobs_and_runs_prints_the_promised_keys() {
    const JOB: &str = "id app name handler enabled revision trigger params timing overlap catch_up retry \
         attempt_timeout_ms \
         start_deadline_ms cancel_grace_ms worker_lost_after_ms at_most_once priority routing managed_by source_version \
         next_at created_at updated_at";
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    let put = stage.one(&[
        "job",
        "put",
        "nightly",
        "--handler",
        "work",
        "--cron",
        "0 0 3 * * ?",
        "--zone",
        "Europe/Berlin",
        "--params",
        r#"{"a":1}"#,
        "--timeout",
        "5s",
        "--retries",
        "2",
        "--backoff",
        "exponential",
        "--retry-delay",
        "1s500ms",
    ]);
    has_keys(&put, &format!("{JOB} change"));
    assert_eq!(
        (&put["change"], &put["params"], &put["revision"]),
        (&"created".into(), &json!({"a": 1}), &1.into())
    );
    assert_eq!((&put["attempt_timeout_ms"], &put["retry"]["delay_ms"]), (&5_000.into(), &1_500.into()));
    assert_eq!(
        put["trigger"],
        json!({
            "kind": "cron", "expression": "0 0 3 * * ?", "dialect": "quartz", "zone": "Europe/Berlin",
            "gap": null, "overlap": null,
        })
    );
    let next = text(&put["next_at"]);
    assert!(next.ends_with(":00:00.000Z") && next.len() == 24, "{next}");
    let job = stage.one(&["job", "get", "nightly"]);
    has_keys(&job, JOB);
    assert_eq!(stage.shown(&["job", "list"]), std::slice::from_ref(&job));
    assert_eq!(stage.one(&["job", "disable", "nightly"])["next_at"], Value::Null);
    assert_eq!(stage.one(&["job", "enable", "nightly"])["next_at"], job["next_at"]);
    let from = ["job", "next", "nightly", "--from", "2026-10-24T00:00:00Z", "--count", "3"];
    let ticks: Vec<String> = stage.shown(&from).iter().map(|tick| text(&tick["tick"])).collect();
    let expected = ["2026-10-24T01:00:00.000Z", "2026-10-25T02:00:00.000Z", "2026-10-26T02:00:00.000Z"];
    assert_eq!(ticks, expected, "the clocks went back on the 25th");
    let preview = stage.one(&[&from[..], &["--preview", "--viewer-zone", "Asia/Shanghai"]].concat());
    has_keys(&preview, "description description_zh zone viewer_zone ticks changes");
    assert_eq!(
        (&preview["description"], &preview["ticks"][0]["zone_time"], &preview["ticks"][0]["viewer_time"]),
        (
            &"at 03:00, every day".into(),
            &"Sat 2026-10-24 03:00:00 +02:00".into(),
            &"Sat 2026-10-24 09:00:00 +08:00".into()
        )
    );
    let change = &preview["changes"][0];
    assert_eq!((&change["before"], &change["after"]), (&"+02".into(), &"+01".into()));
    let around: Vec<String> = change["ticks"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|tick| text(&tick["tick"])[..16].into())
        .collect();
    let days = ["23T01:00", "24T01:00", "25T02:00", "26T02:00", "27T02:00"];
    assert_eq!(around, days.map(|day| format!("2026-10-{day}")));

    let fired =
        stage.one(&["job", "run", "nightly", "--params", "[2]", "--key", "k", "--overlap", "allow_all"]);
    has_keys(&fired, RUN);
    assert_eq!((&fired["source"], &fired["idempotency_key"]), (&"manual".into(), &"k".into()));
    let id = text(&fired["id"]);
    gate.entered().await.fail(HandlerError::new("Broken", "it broke").give_up());
    let waited = stage.cli(&["run", "wait", &id]);
    assert_eq!((waited.code, &waited.lines[0]["state"]), (10, &"failed".into()));
    let run = stage.one(&["run", "get", &id]);
    has_keys(&run, &format!("{RUN} attempts progress_percent progress_note"));
    has_keys(&run["error"], "class message trace");
    has_keys(
        &run["attempts"][0],
        "attempt token_hash worker server epoch dispatched_at started_at ended_at outcome error",
    );
    assert!(run["lateness_ms"].as_i64() >= Some(0), "{run}");
    let again = stage.one(&["run", "retry", &id]);
    assert_eq!(again["retry_of"], id);
    gate.entered().await.succeed("done");
    let again = text(&again["id"]);
    assert_eq!(stage.cli(&["run", "wait", &again]).code, 0);
    let later = stage.one(&["job", "run", "nightly", "--delay", "1h"]);
    let cancelled = stage.one(&["run", "cancel", &text(&later["id"])]);
    assert_eq!((&cancelled["state"], &cancelled["reason"]), (&"cancelled".into(), &"requested".into()));
    let runs = stage.shown(&["run", "list"]);
    assert_eq!(runs.len(), 3);
    runs.iter().for_each(|run| has_keys(run, RUN));
    stage.ledger("nightly").iter().filter(|row| row["gap"].is_null()).for_each(|row| has_keys(row, RUN));
    assert_eq!(stage.shown(&["job", "delete", "nightly"]), Vec::<Value>::new());
    assert_eq!(stage.shown(&["job", "list"]), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_verb_about_apps_tokens_workers_and_servers_prints_the_promised_keys() {
    let stage = Stage::open().await;
    let (_worker, _gate) = stage.held_by("work", |builder| builder.name("w-1").slots(3).tag("blue")).await;
    let worker = stage.one(&["worker", "list"]);
    has_keys(
        &worker,
        "session worker sdk handlers slots running connected draining last_contact_at tags shard",
    );
    assert_eq!(
        (&worker["worker"], &worker["slots"], &worker["connected"]),
        (&"w-1".into(), &3.into(), &true.into())
    );
    assert_eq!(
        (&worker["handlers"], &worker["tags"]),
        (&json!([{"name": "work", "version": null}]), &json!(["blue"]))
    );
    let server = stage.one(&["server", "list"]);
    has_keys(&server, "id rpc_address http_address version state renewed_at renewed_ago_ms shards");
    assert_eq!((&server["state"], &server["rpc_address"]), (&"up".into(), &stage.server.rpc.as_str().into()));
    has_keys(&stage.one(&["app", "create", "other", "--shards", "2"]), "app token");
    let apps = stage.shown(&["app", "list"]);
    assert_eq!(apps.iter().map(|app| text(&app["name"])).collect::<Vec<_>>(), ["demo", "other"]);
    has_keys(&apps[0], "name shards created_at owners");
    has_keys(&apps[0]["owners"][0], "shard epoch address server load");
    assert_eq!(apps[0]["owners"][0]["server"], server["id"]);
    has_keys(&apps[0]["owners"][0]["load"], "waiting buffered scheduled dispatched");
    let owners = super::stage::until("the new app has owners", async || {
        let owners = stage.shown(&["app", "locate", "other"]);
        owners.iter().all(|owner| !owner["address"].is_null()).then_some(owners)
    })
    .await;
    assert_eq!(owners.len(), 2);
    has_keys(&owners[0], "shard epoch address");
    let token = stage.one(&["token", "create", "--app", "other", "--note", "for the night"]);
    has_keys(&token, "id app note created_at expires_at revoked_at token");
    let tokens = stage.shown(&["token", "list", "--app", "other"]);
    assert_eq!(tokens.len(), 2);
    has_keys(&tokens[0], "id app note created_at expires_at revoked_at");
    stage.shown(&["token", "revoke", "--app", "other", &text(&token["id"])]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exit_code_says_how_a_command_ended() {
    let mut stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("job").handler("work")).await;
    stage.put(Job::named("waiting").handler("nobody's")).await;
    let none = "00000000-0000-7000-8000-000000000000";
    let table: [(&[&str], i32); 16] = [
        (&["job", "list"], 0),
        (&["job", "run", "waiting", "--at", "2020-01-01T00:00:00Z"], 0),
        (&["job", "flurb"], 2),
        (&["job", "put", "x", "--handler", "work", "--every", "5"], 2),
        (&["job", "put", "x", "--handler", "work", "--cron", "0 0 12 * * ?", "--every", "5s"], 2),
        (&["job", "put", "x", "--handler", "work", "--params", "{"], 2),
        (&["job", "put", "x", "--handler", "work", "--cron", "nonsense"], 2),
        (&["run", "get", "not-an-id"], 2),
        (&["job", "get", "absent"], 3),
        (&["job", "run", "absent"], 3),
        (&["run", "get", none], 3),
        (&["run", "wait", none], 3),
        (&["app", "locate", "absent"], 3),
        (&["app", "create", "demo"], 4),
        (&["job", "list", "--token-file", "/nonexistent"], 2),
        (&["run", "wait", "--job", "waiting", "--key", "absent"], 3),
    ];
    for (arguments, code) in table {
        let said = stage.cli(arguments);
        assert_eq!(said.code, code, "fastjob {}: {}", arguments.join(" "), said.err);
        assert_eq!(said.err.is_empty(), code == 0, "{arguments:?}: {said:?}");
        assert!(code == 0 || said.lines.is_empty(), "errors go to stderr: {said:?}");
    }
    for (code, ending) in [(0, "succeed"), (10, "fail"), (11, "cancel")] {
        let run = text(&stage.one(&["job", "run", "job"])["id"]);
        let visit = gate.entered().await;
        match ending {
            "succeed" => visit.succeed("done"),
            "fail" => visit.fail(HandlerError::message("no")),
            _ => drop(stage.one(&["run", "cancel", &run])),
        }
        assert_eq!(stage.cli(&["run", "wait", &run]).code, code, "{ending}");
    }
    let still = stage.cli(&["job", "run", "job", "--wait", "--timeout", "50ms"]);
    assert_eq!((still.code, &still.lines[0]["state"]), (13, &"dispatched".into()));
    let skipped = stage.cli(&["job", "run", "job", "--wait"]);
    assert_eq!((skipped.code, &skipped.lines[0]["reason"]), (12, &"overlap".into()));
    gate.entered().await.succeed("done");
    stage.server.token = "fjt_wrong".into();
    assert_eq!(stage.cli(&["job", "list"]).code, 6);
    stage.server.stop().expect("it ends in order");
    assert_eq!(stage.cli(&["job", "list"]).code, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_in_the_directory_is_enough_to_connect_and_flags_come_first() {
    let place = tempfile::tempdir().expect("a directory can be made");
    let ready = place.path().join("ready.json");
    let mut dev = fastjob();
    dev.args(["dev", "--rpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--app", "here", "--ready-file"]);
    dev.arg(&ready).current_dir(place.path()).stdout(std::process::Stdio::null());
    let mut dev = Ended(dev.stderr(std::process::Stdio::null()).spawn().expect("fastjob can be started"));
    assert!(super::harness::wait_for(super::harness::PATIENCE, || ready.exists()), "it is not ready");
    let run = |arguments: &[&str]| {
        let mut command = fastjob();
        command.args(arguments).args(["-o", "json"]).current_dir(place.path());
        said(command)
    };
    let apps = run(&["app", "list"]);
    assert_eq!((apps.code, &apps.lines[0]["name"]), (0, &"here".into()), "{apps:?}");
    let nowhere = run(&["app", "list", "--server", "127.0.0.1:1"]);
    assert_eq!(nowhere.code, 2, "the file's token is for its own server alone: {nowhere:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(place.path().join(".fastjob/dev.json")).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let mut table = fastjob();
    table.args(["app", "list", "-o", "table"]).current_dir(place.path());
    let table = table.output().expect("fastjob can be started");
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("NAME") && table.contains("here"), "{table}");
    super::harness::terminate(&dev.0);
    assert!(dev.0.wait().expect("it ends").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_followed_as_they_end() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("before").handler("work")).await;
    let before = stage.fire("before").await;
    gate.pass(1).await;
    stage.ended(before).await;
    stage.put(Job::named("each").handler("work").cron("* * * * * ?")).await;
    let mut follow = stage.server.command(&["run", "list", "--follow", "--count", "2"]);
    let mut following = tokio::task::JoinSet::new();
    following.spawn_blocking(move || follow.output().expect("fastjob can be started"));
    let output = loop {
        tokio::select! {
            output = following.join_next() => break output.expect("it follows").expect("no panic"),
            visit = gate.entered() => visit.succeed("done"),
        }
    };
    assert!(output.status.success(), "{output:?}");
    let lines = super::harness::json_lines(&output.stdout).expect("JSON lines");
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["job"] == "each" && line["state"] == "succeeded"), "{lines:?}");
    lines.iter().for_each(|line| has_keys(line, RUN));
    assert!(lines[0]["ended_at"].as_str() <= lines[1]["ended_at"].as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_http_listener_tells_health_readiness_and_what_was_run() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("counted").handler("work")).await;
    let run = stage.fire("counted").await;
    gate.pass(1).await;
    stage.ended(run).await;
    let address = text(&stage.one(&["server", "list"])["http_address"]);
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(&address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")
            .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    };
    for path in ["/healthz", "/readyz"] {
        assert!(get(path).starts_with("HTTP/1.1 200"), "{}", get(path));
    }
    assert!(get("/nothing").starts_with("HTTP/1.1 404"), "{}", get("/nothing"));
    let metrics = get("/metrics");
    for line in
        ["fastjob_runs_ended_total{app=\"demo\"", "fastjob_shards_owned 1", "fastjob_sessions_connected 1"]
    {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }
}

/// A process that ends with its test.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
