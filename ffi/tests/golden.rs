//! The bytes that the Java client's own codec must read and write, as prost writes them. A difference between the
//! committed files and this build is a failure; `FASTJOB_GOLDEN=update` rewrites them.

use std::path::PathBuf;

use fastjob_core::protocol::v1;
use prost::Message;

const RUN: [u8; 16] = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x10\x32\x54\x76\x98\xba\xdc\xfe";
const REQUEST: [u8; 16] = *b"\xff\xee\xdd\xcc\xbb\xaa\x99\x88\x77\x66\x55\x44\x33\x22\x11\x00";
const TICK: i64 = 1_767_225_600_000;

#[test]
fn the_committed_golden_bytes_are_what_prost_writes() {
    golden("job_put_request", &job_put_request());
    golden("job_put_reply", &job_put_reply());
    golden("job_list_request", &job_list_request());
    golden("job_next_request", &job_next_request());
    golden("job_next_reply", &v1::JobNextReply { ticks: vec![TICK, TICK + 1_000, -1, 0] });
    golden("trigger_request", &trigger_request());
    golden("trigger_reply_run", &trigger_reply(v1::trigger_result::Result::Run(run())));
    golden("trigger_reply_error", &trigger_reply(v1::trigger_result::Result::Error(error_detail())));
    golden("run", &run());
    golden("run_get_by_key", &run_get_by_key());
    golden("run_list_request", &run_list_request());
    golden("run_wait_request", &run_wait_request());
    golden("run_retry_request", &run_retry_request());
    golden("dispatch", &dispatch());
    golden("dispatch_small", &dispatch_small());
    golden("cancel", &cancel());
    golden("outcome_succeeded", &outcome_succeeded());
    golden("outcome_failed", &outcome_failed());
    golden("error_detail", &error_detail());
}

fn golden(name: &str, message: &impl Message) {
    let dir =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../java-client/client/src/test/resources/golden");
    let path = dir.join(format!("{name}.bin"));
    let bytes = message.encode_to_vec();
    if std::env::var("FASTJOB_GOLDEN").is_ok_and(|wish| wish == "update") {
        std::fs::create_dir_all(&dir).expect("the tree can be written");
        std::fs::write(&path, &bytes).expect("the tree can be written");
    }
    let committed = std::fs::read(&path).unwrap_or_default();
    assert_eq!(committed, bytes, "{name}: run with FASTJOB_GOLDEN=update, and adapt the Java codec");
}

fn job_put_request() -> v1::JobPutRequest {
    let mut specs = vec![full_spec()];
    let kinds = [
        v1::trigger::Kind::FixedRate(v1::FixedRate { period_ms: 5_000, phase_ms: None }),
        v1::trigger::Kind::FixedDelay(v1::FixedDelay { delay_ms: 0 }),
        v1::trigger::Kind::At(v1::At { instants: vec![TICK, TICK + 1] }),
        v1::trigger::Kind::Api(v1::ApiOnly {}),
        v1::trigger::Kind::Cron(v1::Cron {
            expression: "30 2 * * 1".into(),
            dialect: "unix".into(),
            zone: String::new(),
            gap: "skip".into(),
            overlap: "both".into(),
        }),
        v1::trigger::Kind::FixedRate(v1::FixedRate { period_ms: 5_000, phase_ms: Some(0) }),
        v1::trigger::Kind::DailyWindow(v1::DailyWindow {
            weekdays: vec!["mon".into(), "sun".into()],
            from: "09:00".into(),
            to: "24:00".into(),
            every_ms: 1_200_000,
            zone: "Europe/Berlin".into(),
        }),
    ];
    specs.extend(kinds.into_iter().map(small_spec));
    v1::JobPutRequest { app: "demo".into(), jobs: specs }
}

fn full_spec() -> v1::JobSpec {
    v1::JobSpec {
        name: "nightly".into(),
        handler: "report".into(),
        trigger: Some(v1::Trigger {
            kind: Some(v1::trigger::Kind::Cron(v1::Cron {
                expression: "0 30 6 ? * MON-FRI".into(),
                zone: "Europe/Berlin".into(),
                ..v1::Cron::default()
            })),
        }),
        params: Some(payload(v1::Encoding::Text, b"w\xc3\xb6rld")),
        enabled: Some(false),
        overlap: v1::Overlap::AllowAll.into(),
        catch_up: Some(v1::CatchUp {
            policy: v1::CatchUpPolicy::None.into(),
            threshold_ms: Some(0),
            window_ms: Some(7_200_000),
            max_runs: None,
        }),
        retry: Some(v1::Retry {
            retries: 3,
            backoff: v1::Backoff::Exponential.into(),
            delay_ms: Some(500),
            max_delay_ms: Some(60_000),
            jitter: 0.25,
        }),
        attempt_timeout_ms: Some(1),
        start_deadline_ms: Some(300_000),
        cancel_grace_ms: Some(0),
        worker_lost_after_ms: Some(30_000),
        at_most_once: true,
        priority: -5,
        routing: v1::Routing::RoundRobin.into(),
        managed_by: "console".into(),
        source_version: Some(0),
        timing: None,
    }
}

fn small_spec(kind: v1::trigger::Kind) -> v1::JobSpec {
    v1::JobSpec {
        name: "j".into(),
        handler: "h".into(),
        trigger: Some(v1::Trigger { kind: Some(kind) }),
        params: Some(v1::Payload::default()),
        retry: Some(v1::Retry::default()),
        ..v1::JobSpec::default()
    }
}

fn job_put_reply() -> v1::JobPutReply {
    let job = v1::Job {
        id: RUN.to_vec().into(),
        app: "demo".into(),
        spec: Some(full_spec()),
        revision: 7,
        enabled: true,
        next_at: Some(TICK),
        created_at: TICK - 2,
        updated_at: TICK - 1,
    };
    let changed = v1::JobPutResult { change: v1::job_put_result::Change::Unchanged.into(), job: Some(job) };
    v1::JobPutReply { results: vec![changed] }
}

fn job_list_request() -> v1::JobListRequest {
    v1::JobListRequest { app: "demo".into(), after: "nightly".into(), limit: 500 }
}

fn job_next_request() -> v1::JobNextRequest {
    v1::JobNextRequest { app: "demo".into(), name: "nightly".into(), from: Some(0), count: 10 }
}

fn trigger_request() -> v1::TriggerRequest {
    let trigger = v1::TriggerSpec {
        job: "nightly".into(),
        params: Some(payload(v1::Encoding::Json, b"{}")),
        when: Some(v1::trigger_spec::When::DelayMs(0)),
        idempotency_key: "order-42".into(),
        request_id: REQUEST.to_vec().into(),
        overlap: Some(v1::Overlap::Skip.into()),
        manual: false,
    };
    v1::TriggerRequest { app: "demo".into(), triggers: vec![trigger] }
}

fn trigger_reply(result: v1::trigger_result::Result) -> v1::TriggerReply {
    v1::TriggerReply { results: vec![v1::TriggerResult { result: Some(result), existed: true }] }
}

fn run() -> v1::Run {
    v1::Run {
        id: RUN.to_vec().into(),
        app: "demo".into(),
        job: "nightly".into(),
        source: v1::Source::Cron.into(),
        tick: Some(TICK),
        due: TICK + 5,
        state: v1::RunState::Failed.into(),
        reason: "timeout".into(),
        attempt: 2,
        max_attempts: 4,
        worker: "host:1".into(),
        server: REQUEST.to_vec().into(),
        epoch: 1 << 40,
        revision: 7,
        fail_count: 2,
        lost_count: 1,
        retry_of: REQUEST.to_vec().into(),
        params: Some(payload(v1::Encoding::Binary, &[0, 255])),
        result: Some(payload(v1::Encoding::Json, b"")),
        error: Some(failure()),
        idempotency_key: "order-42".into(),
        created_at: TICK - 1,
        dispatched_at: Some(TICK + 6),
        started_at: Some(TICK + 7),
        ended_at: Some(TICK + 8),
        attempts: vec![v1::Attempt {
            attempt: 1,
            token_hash: "0123456789abcdef".into(),
            worker: "host:1".into(),
            server: REQUEST.to_vec().into(),
            epoch: 9,
            dispatched_at: TICK,
            started_at: None,
            ended_at: Some(TICK + 1),
            outcome: "undelivered".into(),
            error: None,
        }],
        progress_percent: Some(0),
        progress_note: "half".into(),
        fire_key: String::new(),
        jitter_ms: 0,
    }
}

fn run_get_by_key() -> v1::RunGetRequest {
    let key = v1::JobKey { job: "nightly".into(), idempotency_key: "order-42".into() };
    v1::RunGetRequest { app: "demo".into(), by: Some(v1::run_get_request::By::Key(key)) }
}

fn run_list_request() -> v1::RunListRequest {
    v1::RunListRequest {
        app: "demo".into(),
        job: "nightly".into(),
        states: vec![v1::RunState::Scheduled.into(), v1::RunState::Skipped.into()],
        limit: 500,
        before: RUN.to_vec().into(),
    }
}

fn run_wait_request() -> v1::RunWaitRequest {
    v1::RunWaitRequest {
        app: "demo".into(),
        id: RUN.to_vec().into(),
        timeout_ms: 60_000,
        ..Default::default()
    }
}

fn run_retry_request() -> v1::RunRetryRequest {
    v1::RunRetryRequest { app: "demo".into(), id: RUN.to_vec().into(), request_id: REQUEST.to_vec().into() }
}

fn dispatch() -> v1::Dispatch {
    v1::Dispatch {
        key: Some(key()),
        epoch: 1 << 40,
        job: "nightly".into(),
        handler: "report".into(),
        params: Some(payload(v1::Encoding::Text, b"world")),
        tick: Some(TICK),
        due: TICK + 5,
        previous_tick: Some(-TICK),
        timeout_ms: 60_000,
        grace_ms: 10_000,
        max_attempts: 4,
        revision: 7,
        source: v1::Source::Cron.into(),
        idempotency_key: "order-42".into(),
        lost_after_ms: None,
    }
}

fn dispatch_small() -> v1::Dispatch {
    v1::Dispatch { key: Some(key()), handler: "report".into(), ..v1::Dispatch::default() }
}

fn cancel() -> v1::Cancel {
    v1::Cancel { key: Some(key()), reason: v1::CancelReason::Timeout.into(), grace_ms: 10_000 }
}

fn outcome_succeeded() -> v1::Outcome {
    v1::Outcome {
        kind: v1::OutcomeKind::Succeeded.into(),
        result: Some(payload(v1::Encoding::Text, b"done")),
        ..v1::Outcome::default()
    }
}

fn outcome_failed() -> v1::Outcome {
    v1::Outcome {
        kind: v1::OutcomeKind::Failed.into(),
        error: Some(failure()),
        retry_after_ms: Some(0),
        give_up: true,
        ..v1::Outcome::default()
    }
}

fn error_detail() -> v1::ErrorDetail {
    v1::ErrorDetail {
        code: "idempotency_conflict".into(),
        message: "the key was used with other parameters".into(),
        field: "triggers[0].idempotency_key".into(),
        remedy: "use another key".into(),
    }
}

fn key() -> v1::AttemptKey {
    v1::AttemptKey { shard: 3, run: RUN.to_vec().into(), attempt: 2, token: u64::MAX - 1 }
}

fn failure() -> v1::Failure {
    v1::Failure { class: "java.io.IOException".into(), message: "broken".into(), trace: "at x".into() }
}

fn payload(encoding: v1::Encoding, data: &[u8]) -> v1::Payload {
    v1::Payload { encoding: encoding.into(), data: data.to_vec().into() }
}
