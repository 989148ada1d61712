//! What is read from the command line and the environment, what is printed, and how commands exit.

use std::path::Path;

use fastjob_core::client::Error;
use fastjob_core::protocol::v1;
use prost::Message;
use serde_json::json;
use tonic::{Code, Status};

use super::connect::{Connect, Target};
use super::*;

fn parse(line: &str) -> Result<Cli, String> {
    Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
}

#[test]
fn the_documented_commands_are_read() {
    for line in [
        "fastjob dev --data d --rpc 127.0.0.1:0 --http 127.0.0.1:0 --app demo --ready-file r",
        "fastjob serve --config f --ready-file r --admin-token-file t --check",
        "fastjob job put a --handler h --cron * --dialect quartz --zone UTC --overlap allow_all --catch-up none",
        "fastjob job put a --handler h --every 5s --params {} --timeout 1h30m --retries 3 --backoff exponential",
        "fastjob job put a --handler h --at 2026-01-31T12:00:00Z --at 5 --priority -5 --routing round_robin --disabled",
        "fastjob job put a --handler h --delay 0s",
        "fastjob job put a --handler h --every 5s --phase 2026-01-31T12:00:00Z",
        "fastjob job put a --handler h --every 20m --window 09:00-17:30 --weekdays mon-fri,sun --zone Europe/Berlin",
        "fastjob job put a --handler h --cron x --dialect unix --gap skip --overlap-rule both",
        "fastjob cron next - --dialect unix --zone Europe/Berlin --from 0 --count 3 --gap skip --overlap both -o json",
        "fastjob cron prev * --count 100000",
        "fastjob cron explain @daily --dialect unix --lang zh",
        "fastjob cron check x",
        "fastjob job run a --params 1 --at 5 --key k --wait --timeout 500ms",
        "fastjob job next a --count 500 --from -1 -o json",
        "fastjob job history a",
        "fastjob audit --app a --job j --from 1 --to 2 -o json",
        "fastjob lint jobs.json crontab --dialect quartz --zone Europe/Berlin --durations d --strict --pile-up 5 -o json",
        "fastjob simulate --days 30 --last --slots 8 --map ticks --svg a.svg --html a.html --app a",
        "fastjob simulate -f jobs.json -f - --durations d --default-duration 5s --from 5",
        "fastjob job ledger a --from 1 --to 2 --server a:1 --server b:2 --app x --token-file t -o table",
        "fastjob run get 0190b2c4-0000-7000-8000-000000000001",
        "fastjob run wait --job a --key k --timeout 1s",
        "fastjob run list --job a --state failed,skipped --limit 1",
        "fastjob app create a --shards 4",
        "fastjob app locate",
        "fastjob token revoke 0190b2c4-0000-7000-8000-000000000001 --app a",
        "fastjob worker list",
        "fastjob app move a --shard 3 --to 0190b2c4-0000-7000-8000-000000000001",
        "fastjob app move --to 10.0.0.7:7180 --app a",
        "fastjob server list",
        "fastjob server drain 0190b2c4-0000-7000-8000-000000000001 --server 10.0.0.7:7180",
    ] {
        let read = parse(line);
        assert!(read.is_ok(), "{line}: {read:?}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_a_hint() {
    for (line, hint) in [
        ("fastjob job put a --handler h --cron x --every 5s", "cannot be used with"),
        ("fastjob job put a --cron x", "--handler"),
        ("fastjob job put a --handler h --every 5", "500ms, 5s or 1h30m"),
        ("fastjob job put a --handler h --every 5us", "finer than a millisecond"),
        ("fastjob job put a --handler h --every 900y", "longer than a hundred years"),
        ("fastjob job put a --handler h --every 5s --zone UTC", "--cron"),
        ("fastjob job put a --handler h --every 5s --window 9-17", "09:00-17:30"),
        ("fastjob job put a --handler h --window 09:00-17:00", "--every"),
        ("fastjob job put a --handler h --every 5s --window 09:00-17:00 --weekdays fri-mon", "backwards"),
        ("fastjob job put a --handler h --every 5s --window 09:00-17:00 --phase 5", "cannot be used with"),
        ("fastjob job put a --handler h --cron x --dialect cron4j", "quartz, unix or spring"),
        ("fastjob cron next x --count 0", "1..=100000"),
        ("fastjob job put a --handler h --params 1 --params-text x", "cannot be used with"),
        ("fastjob job run a --at yesterday", "2026-01-31T12:00:00Z"),
        ("fastjob job run a --at 99999999999999999", "out of range"),
        ("fastjob job run a --at 5 --delay 5s", "cannot be used with"),
        ("fastjob job run a --timeout 5s", "--wait"),
        ("fastjob job next a --count 501", "501"),
        ("fastjob run get x", "fastjob run list"),
        ("fastjob run get", "required"),
        ("fastjob run get --key k", "--job"),
        ("fastjob run list --state done", "succeeded"),
        ("fastjob token create --token secret", "--token"),
    ] {
        let error = parse(line).expect_err(line);
        assert!(error.contains(hint), "{line} yields {error:?}, without {hint:?}");
    }
}

fn spec(line: &str) -> Result<v1::JobSpec, Failure> {
    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        put: job_put::Put,
    }
    Alone::try_parse_from(line.split(' ')).expect("the line is well formed").put.spec()
}

#[test]
fn a_put_says_what_was_given_and_leaves_the_rest_to_the_server() {
    let given =
        spec("put a --handler h --every 1m --params {\"x\":1} --retries 2 --retry-delay 2s --grace 0s")
            .unwrap();
    let rate = v1::FixedRate { period_ms: 60_000, phase_ms: None };
    assert_eq!(given.trigger.unwrap().kind, Some(v1::trigger::Kind::FixedRate(rate)));
    assert_eq!(given.params.unwrap().data, "{\"x\":1}");
    assert_eq!(given.retry.map(|retry| (retry.retries, retry.delay_ms)), Some((2, Some(2_000))));
    assert_eq!((given.cancel_grace_ms, given.attempt_timeout_ms, given.enabled), (Some(0), None, None));
    let plain = spec("put a --handler h --disabled").unwrap();
    assert_eq!(plain.trigger.unwrap().kind, Some(v1::trigger::Kind::Api(v1::ApiOnly {})));
    assert_eq!((plain.params, plain.enabled), (None, Some(false)));
    let wrong = spec("put a --handler h --params {x}").unwrap_err();
    assert_eq!((wrong.exit, wrong.field.as_str()), (Exit::Usage, "--params"));
}

fn target(connect: &Connect, variables: &[(&str, &str)], dev: &Path) -> Result<Target, Failure> {
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    connect.target(variable, dev)
}

#[test]
fn the_dev_file_answers_only_for_its_own_server() {
    let folder = tempfile::tempdir().unwrap();
    let dev = folder.path().join("dev.json");
    let connect = Connect::default();
    let missing = target(&connect, &[], &dev).err().unwrap();
    assert_eq!(missing.exit, Exit::Usage);
    assert!(missing.to_string().contains("fastjob dev"), "{missing}");

    let ready =
        json!({"pid": 1, "rpc": "127.0.0.1:9", "http": "h", "app": "demo", "token": "secret", "server": "s"});
    std::fs::write(&dev, ready.to_string()).unwrap();
    let found = target(&connect, &[], &dev).ok().unwrap();
    assert_eq!(
        (found.servers, found.app, found.token),
        (vec!["127.0.0.1:9".into()], Some("demo".into()), "secret".into())
    );

    let elsewhere = target(&connect, &[("FASTJOB_SERVERS", "a:1, b:2")], &dev).err().unwrap();
    assert!(elsewhere.to_string().contains("no access token"), "{elsewhere}");
    let variables = [("FASTJOB_SERVERS", "a:1, b:2"), ("FASTJOB_APP", "x"), ("FASTJOB_TOKEN", "t\n")];
    let found = target(&connect, &variables, &dev).ok().unwrap();
    assert_eq!(
        (found.servers, found.app, found.token),
        (vec!["a:1".into(), "b:2".into()], Some("x".into()), "t".into())
    );
}

#[test]
fn a_run_is_shown_under_the_documented_keys() {
    let run = v1::Run {
        id: vec![1; 16].into(),
        app: "demo".into(),
        job: "a".into(),
        source: v1::Source::Cron.into(),
        tick: Some(1_000),
        due: 1_500,
        state: v1::RunState::Failed.into(),
        reason: "timeout".into(),
        attempt: 2,
        max_attempts: 3,
        worker: "w".into(),
        epoch: 7,
        revision: 4,
        fail_count: 2,
        params: Some(v1::Payload { encoding: v1::Encoding::Json.into(), data: "{\"x\":1}".into() }),
        result: Some(v1::Payload { encoding: v1::Encoding::Binary.into(), data: vec![0, 255].into() }),
        error: Some(v1::Failure { class: "E".into(), message: "m".into(), trace: String::new() }),
        created_at: 0,
        started_at: Some(1_250),
        ..v1::Run::default()
    };
    let shown = json!({
        "id": "01010101-0101-0101-0101-010101010101", "app": "demo", "job": "a", "source": "cron",
        "tick": "1970-01-01T00:00:01.000Z", "due": "1970-01-01T00:00:01.500Z", "state": "failed", "reason": "timeout",
        "attempt": 2, "max_attempts": 3, "worker": "w", "server": null, "epoch": 7, "revision": 4, "fail_count": 2,
        "lost_count": 0, "retry_of": null, "params": {"x": 1}, "result": {"base64": "AP8="},
        "error": {"class": "E", "message": "m", "trace": ""}, "idempotency_key": null,
        "created_at": "1970-01-01T00:00:00.000Z", "dispatched_at": null, "started_at": "1970-01-01T00:00:01.250Z",
        "ended_at": null, "lateness_ms": 250,
    });
    assert_eq!(shape::run(&run), shown);
    let keys = shape::run_with_attempts(&run);
    assert_eq!(keys["attempts"], json!([]));
}

#[test]
fn payloads_are_shown_by_their_encoding_and_as_base64_when_they_break_it() {
    let shown = |encoding: v1::Encoding, data: &'static [u8]| {
        let params = Some(v1::Payload { encoding: encoding.into(), data: data.into() });
        shape::run(&v1::Run { params, ..v1::Run::default() })["params"].clone()
    };
    assert_eq!(shown(v1::Encoding::Json, b""), json!(null));
    assert_eq!(shown(v1::Encoding::Json, b"{"), json!({"base64": "ew=="}));
    assert_eq!(shown(v1::Encoding::Text, b"hi"), json!("hi"));
    assert_eq!(shown(v1::Encoding::Text, &[255]), json!({"base64": "/w=="}));
}

#[test]
fn a_gap_is_shown_under_the_documented_keys() {
    let gap = v1::Gap {
        app: "demo".into(),
        job: "a".into(),
        from: 0,
        to: 5,
        count: None,
        reason: "catch_up".into(),
        revision: 1,
    };
    let entry = v1::LedgerEntry { entry: Some(v1::ledger_entry::Entry::Gap(gap)) };
    let shown = json!({
        "gap": true, "app": "demo", "job": "a", "from": "1970-01-01T00:00:00.000Z", "to": "1970-01-01T00:00:00.005Z",
        "count": null, "reason": "catch_up", "revision": 1,
    });
    assert_eq!(shape::ledger_entry(&entry), Some(shown));
    assert_eq!(shape::ledger_entry(&v1::LedgerEntry::default()), None);
}

#[test]
fn each_refusal_has_its_exit_code_and_two_lines_for_people() {
    for (code, exit) in [
        (Code::InvalidArgument, 2),
        (Code::NotFound, 3),
        (Code::FailedPrecondition, 4),
        (Code::AlreadyExists, 4),
        (Code::Unavailable, 5),
        (Code::DeadlineExceeded, 5),
        (Code::PermissionDenied, 6),
        (Code::Unauthenticated, 6),
        (Code::Internal, 1),
    ] {
        assert_eq!(Failure::from(Error::from(Status::new(code, "x"))).exit.code(), exit, "{code:?}");
    }
    let detail = v1::ErrorDetail {
        code: "bad_name".into(),
        message: "is\u{1b}[31m empty".into(),
        field: "jobs[0].name".into(),
        remedy: "give one".into(),
    };
    let status = Status::with_details(Code::InvalidArgument, "x", detail.encode_to_vec().into());
    let failure = Failure::from(Error::from(status));
    assert_eq!(failure.to_string(), "error: jobs[0].name: is\\u{1b}[31m empty\nremedy: give one");
}

#[test]
fn the_wait_for_a_run_exits_by_its_state() {
    for (state, code) in [
        (v1::RunState::Succeeded, 0),
        (v1::RunState::Failed, 10),
        (v1::RunState::Cancelled, 11),
        (v1::RunState::Skipped, 12),
        (v1::RunState::Dispatched, 13),
        (v1::RunState::Scheduled, 13),
    ] {
        let run = v1::Run { state: state.into(), ..v1::Run::default() };
        assert_eq!(Exit::of_run(&run).code(), code, "{state:?}");
    }
}

#[test]
fn a_table_shows_its_columns_and_no_control_characters() {
    let things = [json!({"name": "a\u{1b}b", "shards": 2, "owners": null}), json!({"name": "c"})];
    let table = print::table(&["name", "shards", "owners"], &things);
    let lines: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines, [vec!["NAME", "SHARDS", "OWNERS"], vec!["a\\u{1b}b", "2"], vec!["c"]]);
}
