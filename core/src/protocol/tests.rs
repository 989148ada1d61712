//! What is read from the wire is what was written to it, and what is out of bounds is refused by name.

use bytes::Bytes;
use proptest::prelude::*;

use super::{field, job, peer, run, session, v1};
use crate::clock::Millis;
use crate::domain::{
    Assignment, CatchUpPolicy, Ended, FailReason, FireKey, Limits, Name, Outcome, OutcomeKind, Overlap,
    Payload, Refusal, RefusalKind, Run, Source, State, Timing, Trigger,
};
use crate::id::{AppId, AttemptKey, Epoch, JobId, RunId, ServerId, SessionId, ShardKey, Token};
use crate::shard::{Call, Frame, JobChange, JobEdit, JobPut, When, WorkerReport};

const NOW: Millis = Millis::new(1_800_000_000_000);

fn spec() -> v1::JobSpec {
    v1::JobSpec {
        name: "nightly".into(),
        handler: "report".into(),
        trigger: Some(cron("0 0 3 * * ?")),
        ..v1::JobSpec::default()
    }
}

fn cron(expression: &str) -> v1::Trigger {
    trigger(v1::trigger::Kind::Cron(v1::Cron { expression: expression.into(), ..v1::Cron::default() }))
}

fn trigger(kind: v1::trigger::Kind) -> v1::Trigger {
    v1::Trigger { kind: Some(kind) }
}

fn at(instants: Vec<i64>) -> v1::Trigger {
    trigger(v1::trigger::Kind::At(v1::At { instants }))
}

fn life(start_at: i64, end_at: i64) -> v1::Timing {
    v1::Timing { start_at: Some(start_at), end_at: Some(end_at), jitter_ms: 0 }
}

fn catch_up_all(max_runs: u32) -> v1::CatchUp {
    v1::CatchUp { policy: v1::CatchUpPolicy::All.into(), max_runs: Some(max_runs), ..v1::CatchUp::default() }
}

fn json(text: impl Into<Bytes>) -> Option<v1::Payload> {
    Some(v1::Payload { encoding: v1::Encoding::Json.into(), data: text.into() })
}

#[test]
fn a_bare_job_gets_every_default() {
    let put = job::put(spec(), NOW).expect("a handler and a trigger are enough");
    assert_eq!(put.enabled, None);
    assert_eq!(put.definition.limits, Limits::default());
    assert_eq!(put.definition.params, Payload::default());
    let Trigger::Cron(cron) = &put.definition.trigger else { panic!("it is a cron trigger") };
    assert_eq!(cron.zone, "UTC");
}

#[test]
fn instants_are_sorted_and_each_stands_once() {
    let put = job::put(v1::JobSpec { trigger: Some(at(vec![30, 10, 30, 20])), ..spec() }, NOW);
    let expected = Trigger::At([10, 20, 30].map(Millis::new).to_vec());
    assert_eq!(put.expect("they are instants").definition.trigger, expected);
}

/// A change of a good job that makes it bad, with the field and code of its refusal.
type BadJob = (fn(&mut v1::JobSpec), &'static str, &'static str);

const BAD_JOBS: &[BadJob] = &[
    (|spec| spec.name.clear(), "name", "bad_name"),
    (|spec| spec.name = "x".repeat(129), "name", "bad_name"),
    (|spec| spec.name = "a\u{7}b".into(), "name", "bad_name"),
    (|spec| spec.handler = " x".into(), "handler", "bad_name"),
    (|spec| spec.trigger = None, "trigger", "trigger_missing"),
    (|spec| spec.trigger = Some(v1::Trigger { kind: None }), "trigger", "trigger_missing"),
    (|spec| spec.trigger = Some(cron("0 0 3 * *")), "trigger.cron.expression", "cron_field_count"),
    (|spec| set_cron(spec, |cron| cron.zone = "Mars/Base".into()), "trigger.cron.zone", "unknown_zone"),
    (|spec| spec.trigger = Some(cron(&"1".repeat(257))), "trigger.cron.expression", "too_long"),
    (|spec| set_cron(spec, |cron| cron.dialect = "Unix".into()), "trigger.cron.dialect", "unknown_value"),
    (
        |spec| set_cron(spec, |cron| cron.dialect = "unix".into()),
        "trigger.cron.expression",
        "cron_field_count",
    ),
    (|spec| set_cron(spec, |cron| cron.gap = "skipp".into()), "trigger.cron.gap", "unknown_value"),
    (|spec| set_cron(spec, |cron| cron.overlap = "last".into()), "trigger.cron.overlap", "unknown_value"),
    (|spec| set_cron(spec, |cron| pattern(cron).gap = "skip".into()), "trigger.cron.gap", "cron_not_fixed"),
    (
        |spec| set_cron(spec, |cron| pattern(cron).overlap = "first".into()),
        "trigger.cron.overlap",
        "cron_not_fixed",
    ),
    (|spec| set_cron(spec, |cron| cron.zone = "z".repeat(65)), "trigger.cron.zone", "too_long"),
    (|spec| spec.trigger = Some(rate(999, None)), "trigger.fixed_rate.period_ms", "period_too_short"),
    (|spec| spec.trigger = Some(rate(-1, None)), "trigger.fixed_rate.period_ms", "out_of_bounds"),
    (|spec| spec.trigger = Some(rate(i64::MAX, None)), "trigger.fixed_rate.period_ms", "out_of_bounds"),
    (|spec| spec.trigger = Some(rate(1_000, Some(-1))), "trigger.fixed_rate.phase_ms", "out_of_bounds"),
    (|spec| set_window(spec, |it| it.from.clear()), "trigger.daily_window.from", "bad_time"),
    (|spec| set_window(spec, |it| it.from = "9:00".into()), "trigger.daily_window.from", "bad_time"),
    (|spec| set_window(spec, |it| it.from = "24:00".into()), "trigger.daily_window.from", "out_of_bounds"),
    (|spec| set_window(spec, |it| it.to = "24:00:01".into()), "trigger.daily_window.to", "bad_time"),
    (|spec| set_window(spec, |it| it.to = "08:59:59".into()), "trigger.daily_window.to", "window_reversed"),
    (|spec| set_window(spec, |it| it.every_ms = 0), "trigger.daily_window.every_ms", "period_out_of_bounds"),
    (
        |spec| set_window(spec, |it| it.every_ms = 1_500),
        "trigger.daily_window.every_ms",
        "period_out_of_bounds",
    ),
    (
        |spec| set_window(spec, |it| it.weekdays = vec!["may".into()]),
        "trigger.daily_window.weekdays",
        "unknown_value",
    ),
    (|spec| set_window(spec, |it| it.zone = "Mars/Base".into()), "trigger.daily_window.zone", "unknown_zone"),
    (|spec| spec.trigger = Some(delay(-1)), "trigger.fixed_delay.delay_ms", "out_of_bounds"),
    (|spec| spec.trigger = Some(at(vec![])), "trigger.at.instants", "out_of_bounds"),
    (|spec| spec.trigger = Some(at(vec![1; 1_001])), "trigger.at.instants", "out_of_bounds"),
    (|spec| spec.trigger = Some(at(vec![1, i64::MAX])), "trigger.at.instants[1]", "out_of_bounds"),
    (|spec| spec.params = json("{"), "params", "payload_not_json"),
    (|spec| spec.params = json("\"\\ud800"), "params", "payload_not_json"),
    (|spec| spec.params = json(vec![b'1'; 65_537]), "params", "payload_too_large"),
    (
        |spec| spec.params = Some(v1::Payload { encoding: 9, data: Bytes::new() }),
        "params.encoding",
        "unknown_value",
    ),
    (
        |spec| spec.params = Some(v1::Payload { encoding: 1, data: vec![0xff].into() }),
        "params",
        "payload_not_text",
    ),
    (|spec| spec.overlap = 6, "overlap", "unknown_value"),
    (|spec| spec.timing = Some(life(5, 5)), "timing.end_at", "end_before_start"),
    (|spec| spec.timing = Some(life(-1, 5)), "timing.start_at", "out_of_bounds"),
    (
        |spec| spec.timing = Some(v1::Timing { jitter_ms: -1, ..life(1, 5) }),
        "timing.jitter_ms",
        "out_of_bounds",
    ),
    (
        |spec| spec.timing = Some(v1::Timing { jitter_ms: 86_400_001, ..life(1, 5) }),
        "timing.jitter_ms",
        "out_of_bounds",
    ),
    (|spec| spec.catch_up = Some(catch_up_all(0)), "catch_up.max_runs", "out_of_bounds"),
    (|spec| spec.catch_up = Some(catch_up_all(1_001)), "catch_up.max_runs", "out_of_bounds"),
    (|spec| spec.routing = -1, "routing", "unknown_value"),
    (|spec| spec.attempt_timeout_ms = Some(0), "attempt_timeout_ms", "out_of_bounds"),
    (|spec| spec.attempt_timeout_ms = Some(30 * 86_400_000 + 1), "attempt_timeout_ms", "out_of_bounds"),
    (|spec| spec.start_deadline_ms = Some(0), "start_deadline_ms", "out_of_bounds"),
    (|spec| spec.cancel_grace_ms = Some(3_600_001), "cancel_grace_ms", "out_of_bounds"),
    (|spec| spec.worker_lost_after_ms = Some(999), "worker_lost_after_ms", "out_of_bounds"),
    (|spec| spec.worker_lost_after_ms = Some(86_400_001), "worker_lost_after_ms", "out_of_bounds"),
    (|spec| spec.priority = 101, "priority", "out_of_bounds"),
    (|spec| spec.managed_by = "me".into(), "managed_by", "unknown_value"),
    (|spec| spec.source_version = Some(u64::MAX), "source_version", "out_of_bounds"),
    (|spec| set_retry(spec, |retry| retry.retries = 1_001), "retry.retries", "out_of_bounds"),
    (|spec| set_retry(spec, |retry| retry.jitter = f64::NAN), "retry.jitter", "out_of_bounds"),
    (|spec| set_retry(spec, |retry| retry.jitter = f64::INFINITY), "retry.jitter", "out_of_bounds"),
    (|spec| set_retry(spec, |retry| retry.jitter = 1.01), "retry.jitter", "out_of_bounds"),
    (|spec| set_retry(spec, |retry| retry.delay_ms = Some(-1)), "retry.delay_ms", "out_of_bounds"),
    (|spec| set_retry(spec, |retry| retry.max_delay_ms = Some(999)), "retry.max_delay_ms", "out_of_bounds"),
    (|spec| set_retry(spec, |retry| retry.backoff = 7), "retry.backoff", "unknown_value"),
    (|spec| set_catch_up(spec, |catch_up| catch_up.policy = 7), "catch_up.policy", "unknown_value"),
    (|spec| set_catch_up(spec, |up| up.threshold_ms = Some(-1)), "catch_up.threshold_ms", "out_of_bounds"),
    (|spec| set_catch_up(spec, |up| up.window_ms = Some(i64::MAX)), "catch_up.window_ms", "out_of_bounds"),
];

fn set_cron(spec: &mut v1::JobSpec, change: fn(&mut v1::Cron)) {
    let mut cron = v1::Cron { expression: "0 0 3 * * ?".into(), ..v1::Cron::default() };
    change(&mut cron);
    spec.trigger = Some(trigger(v1::trigger::Kind::Cron(cron)));
}

fn window() -> v1::DailyWindow {
    let weekdays = vec!["mon".into(), "fri".into()];
    v1::DailyWindow {
        weekdays,
        from: "09:00".into(),
        to: "17:30:15".into(),
        every_ms: 60_000,
        ..Default::default()
    }
}

fn set_window(spec: &mut v1::JobSpec, change: fn(&mut v1::DailyWindow)) {
    let mut window = window();
    change(&mut window);
    spec.trigger = Some(trigger(v1::trigger::Kind::DailyWindow(window)));
}

/// Makes it an interval.
fn pattern(cron: &mut v1::Cron) -> &mut v1::Cron {
    cron.expression = "0 */5 * * * ?".into();
    cron
}

fn set_retry(spec: &mut v1::JobSpec, change: fn(&mut v1::Retry)) {
    change(spec.retry.get_or_insert_default());
}

fn set_catch_up(spec: &mut v1::JobSpec, change: fn(&mut v1::CatchUp)) {
    change(spec.catch_up.get_or_insert_default());
}

fn rate(period_ms: i64, phase_ms: Option<i64>) -> v1::Trigger {
    trigger(v1::trigger::Kind::FixedRate(v1::FixedRate { period_ms, phase_ms }))
}

fn delay(delay_ms: i64) -> v1::Trigger {
    trigger(v1::trigger::Kind::FixedDelay(v1::FixedDelay { delay_ms }))
}

#[test]
fn a_bad_job_is_refused_by_field_and_code_with_a_remedy() {
    for (at, (spoil, field, code)) in BAD_JOBS.iter().enumerate() {
        let mut spec = spec();
        spoil(&mut spec);
        let refusal = job::put(spec, NOW).expect_err(&format!("case {at}: {field} {code}"));
        assert_eq!((&*refusal.field, refusal.code), (*field, *code), "case {at}: {refusal}");
        assert_eq!(refusal.kind, RefusalKind::Invalid);
        assert!(!refusal.remedy.is_empty(), "case {at}");
    }
}

#[test]
fn a_job_that_never_fires_is_refused_apart_from_its_reading() {
    let past = at(vec![NOW.get() - 1, NOW.get()]);
    for (trigger, fires) in [
        (cron("0 0 3 * * ? 2020"), false),
        (past, false),
        (at(vec![NOW.get() + 1]), true),
        (delay(0), true),
        (rate(1_000, None), true),
        (trigger(v1::trigger::Kind::Api(v1::ApiOnly {})), true),
    ] {
        let put =
            job::put(v1::JobSpec { trigger: Some(trigger.clone()), ..spec() }, NOW).expect("it can be read");
        assert_eq!(job::must_fire(&put, NOW).is_ok(), fires, "{trigger:?}");
    }
}

#[test]
fn a_job_at_its_bounds_is_taken() {
    let spec = v1::JobSpec {
        name: "é".repeat(128),
        params: json(format!("\"{}\"", "x".repeat(65_534))),
        attempt_timeout_ms: Some(30 * 86_400_000),
        cancel_grace_ms: Some(3_600_000),
        worker_lost_after_ms: Some(86_400_000),
        priority: -100,
        trigger: Some(at((0..1_000).collect())),
        retry: Some(v1::Retry { retries: 1_000, jitter: 1.0, ..v1::Retry::default() }),
        ..spec()
    };
    job::put(spec, NOW).expect("everything is within its bounds");
}

#[test]
fn a_first_wait_longer_than_the_default_cap_raises_the_cap() {
    let retry = v1::Retry { delay_ms: Some(7_200_000), ..v1::Retry::default() };
    let put = job::put(v1::JobSpec { retry: Some(retry), ..spec() }, NOW).expect("it is within its bounds");
    assert_eq!(put.definition.limits.retry.max_delay_ms, 7_200_000);
}

fn triggers() -> impl Strategy<Value = v1::Trigger> {
    prop_oneof![
        Just(cron("0 0/5 8-17 ? * MON-FRI")),
        Just(trigger(v1::trigger::Kind::Cron(v1::Cron {
            expression: "0 3 1 * MON".into(),
            dialect: "unix".into(),
            zone: "Europe/Berlin".into(),
            gap: "skip".into(),
            overlap: "both".into(),
        }))),
        (1_000..Trigger::MAX_PERIOD_MS, proptest::option::of(0..field::MAX_INSTANT))
            .prop_map(|(period, phase)| rate(period, phase)),
        (0..Trigger::MAX_PERIOD_MS).prop_map(delay),
        proptest::collection::vec(0..field::MAX_INSTANT, 1..20).prop_map(at),
        Just(trigger(v1::trigger::Kind::DailyWindow(v1::DailyWindow {
            zone: "Asia/Tokyo".into(),
            ..window()
        }))),
        Just(trigger(v1::trigger::Kind::Api(v1::ApiOnly {}))),
    ]
}

fn specs() -> impl Strategy<Value = v1::JobSpec> {
    let numbers = (
        proptest::option::of(1..=Limits::MAX_TIMEOUT_MS),
        proptest::option::of(1..=Trigger::MAX_PERIOD_MS),
        proptest::option::of(0..=Limits::MAX_GRACE_MS),
        proptest::option::of(1_000..=Limits::MAX_LOST_AFTER_MS),
        -100..=100,
        proptest::option::of(0..=i64::MAX as u64),
    );
    let retry = (0u32..=1_000, 0..=1, proptest::option::of(0..3_600_000i64), 0.0..=1.0f64);
    let words = (any::<bool>(), 0..=5, 0..=1, 0..=2, prop_oneof!["", "code", "console"]);
    let timing = (
        proptest::option::of(0..1_000i64),
        proptest::option::of(1_000..2_000i64),
        0..=Timing::MAX_JITTER_MS,
        proptest::option::of(1..=CatchUpPolicy::MAX_RUNS),
    );
    let parts = (triggers(), numbers, retry, words, timing);
    parts.prop_map(|(trigger, numbers, retry, words, timing)| v1::JobSpec {
        trigger: Some(trigger),
        attempt_timeout_ms: numbers.0,
        start_deadline_ms: numbers.1,
        cancel_grace_ms: numbers.2,
        worker_lost_after_ms: numbers.3,
        priority: numbers.4,
        source_version: numbers.5,
        retry: Some(v1::Retry {
            retries: retry.0,
            backoff: retry.1,
            delay_ms: retry.2,
            max_delay_ms: None,
            jitter: retry.3,
        }),
        at_most_once: words.0,
        overlap: words.1,
        routing: words.2,
        catch_up: Some(v1::CatchUp {
            policy: words.3,
            threshold_ms: None,
            window_ms: None,
            max_runs: timing.3,
        }),
        timing: Some(v1::Timing { start_at: timing.0, end_at: timing.1, jitter_ms: timing.2 }),
        managed_by: words.4,
        ..spec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_job_shown_and_put_again_is_the_same_job(spec in specs()) {
        let put = job::put(spec, NOW).expect("it is within its bounds");
        let shown = job::spec(&put.name, &put.definition, true);
        let again = job::put(shown, NOW.plus(86_400_000)).expect("what is shown can be put");
        prop_assert_eq!(again.definition, put.definition);
    }

    #[test]
    fn a_put_that_is_handed_on_is_the_same_put(spec in specs(), enabled in any::<Option<bool>>()) {
        let put = JobPut { enabled, ..job::put(spec, NOW).expect("it is within bounds") };
        let delete = JobChange { edit: JobEdit::Delete(put.name.clone()), seen: None };
        let change = JobChange { edit: JobEdit::Put(Box::new(put.clone())), seen: Some(7) };
        for call in [Call::JobPut(vec![put]), Call::JobApply(vec![change, delete])] {
            prop_assert_eq!(peer::call(peer::call_to(&call, 3), NOW), Ok(call));
        }
    }
}

fn fire_spec() -> v1::TriggerSpec {
    v1::TriggerSpec { job: "nightly".into(), request_id: vec![7; 16].into(), ..v1::TriggerSpec::default() }
}

#[test]
fn a_bare_trigger_fires_at_once_by_a_program_with_the_job_s_own_params() {
    let fire = run::fire(fire_spec()).expect("job and request id are enough");
    assert_eq!((fire.when, fire.source, fire.params), (When::Now, Source::Api, None));
    assert_eq!((fire.idempotency_key, fire.overlap), (None, None));
    let manual = v1::TriggerSpec { manual: true, overlap: Some(1), ..fire_spec() };
    let fire = run::fire(manual).expect("it is within its bounds");
    assert_eq!((fire.source, fire.overlap), (Source::Manual, Some(Overlap::AllowAll)));
}

#[test]
fn a_bad_trigger_is_refused_by_field_and_code() {
    use v1::trigger_spec::When;
    let cases: [(v1::TriggerSpec, &str, &str); 8] = [
        (v1::TriggerSpec { job: String::new(), ..fire_spec() }, "job", "bad_name"),
        (v1::TriggerSpec { request_id: Bytes::new(), ..fire_spec() }, "request_id", "bad_id"),
        (v1::TriggerSpec { request_id: vec![7; 15].into(), ..fire_spec() }, "request_id", "bad_id"),
        (v1::TriggerSpec { when: Some(When::At(-1)), ..fire_spec() }, "at", "out_of_bounds"),
        (v1::TriggerSpec { when: Some(When::DelayMs(-1)), ..fire_spec() }, "delay_ms", "out_of_bounds"),
        (v1::TriggerSpec { overlap: Some(9), ..fire_spec() }, "overlap", "unknown_value"),
        (v1::TriggerSpec { params: json("nul"), ..fire_spec() }, "params", "payload_not_json"),
        (v1::TriggerSpec { idempotency_key: "k".repeat(257), ..fire_spec() }, "idempotency_key", "too_long"),
    ];
    for (spec, field, code) in cases {
        let refusal = run::fire(spec).expect_err(field);
        assert_eq!((&*refusal.field, refusal.code), (field, code));
    }
}

fn dispatched() -> Run {
    Run {
        id: RunId::from_bytes([1; 16]),
        shard: ShardKey { app: AppId(1), shard: 0 },
        job: JobId::from_bytes([2; 16]),
        job_name: Name::parse("nightly").expect("a name"),
        fire_key: FireKey::Tick(NOW),
        source: Source::Cron,
        tick: Some(NOW),
        jitter_ms: 0,
        due: NOW,
        revision: 3,
        handler: Name::parse("report").expect("a name"),
        params: Payload::json("{}"),
        limits: Limits::default().into(),
        state: State::Dispatched,
        attempt: 2,
        assignment: Some(Assignment {
            token: Token(0x0102_0304_0506_0708),
            session: SessionId::from_bytes([3; 16]),
            worker: "host:1".into(),
            server: ServerId::from_bytes([4; 16]),
            epoch: Epoch(9),
            dispatched_at: NOW.plus(5),
        }),
        fail_count: 1,
        lost_count: 0,
        created_at: NOW.plus(-10_000),
        started_at: None,
        cancel: None,
        ended_at: None,
        result: None,
        error: None,
        idempotency_key: None,
        retry_of: None,
    }
}

#[test]
fn a_call_that_is_handed_on_is_the_same_call() {
    let name = || Name::parse("nightly").expect("a name");
    let run = RunId::from_bytes([7; 16]);
    let request = crate::id::RequestId::from_bytes([8; 16]);
    let fire = |when, key: Option<&str>, overlap, source| crate::shard::Fire {
        job: name(),
        params: Some(Payload::text("p")),
        when,
        idempotency_key: key.map(Into::into),
        request,
        overlap,
        source,
    };
    let key = AttemptKey { run, attempt: 2, token: Token(u64::MAX) };
    let outcome = read(v1::Outcome { retry_after_ms: Some(4), give_up: true, ..wire_outcome(3) });
    let calls = [
        Call::JobEnable { name: name(), enabled: true },
        Call::JobEnable { name: name(), enabled: false },
        Call::JobDelete { name: name() },
        Call::Trigger(vec![
            fire(When::Now, None, None, Source::Api),
            fire(When::At(NOW), Some("k"), Some(Overlap::Skip), Source::Manual),
            fire(When::AfterMs(9), None, Some(Overlap::AllowAll), Source::Api),
        ]),
        Call::JobBackfill(crate::shard::Backfill {
            job: name(),
            id: request,
            first: 1_000,
            ticks: vec![NOW.plus(-5), NOW],
            overlap: Some(Overlap::BufferOne),
        }),
        Call::RunCancel { run },
        Call::RunRetry { run, request },
        Call::Workers,
        Call::Progress { run },
        Call::Report(WorkerReport {
            session: SessionId::from_bytes([9; 16]),
            life: Some(0),
            running: vec![key],
            outcomes: vec![outcome],
        }),
    ];
    for call in calls {
        assert_eq!(peer::call(peer::call_to(&call, 3), NOW), Ok(call));
    }
    assert_eq!(peer::call_to(&Call::Inbox(vec![]), 3), None);
    assert_eq!(peer::call(None, NOW).expect_err("it is none").code, "call_missing");
}

#[test]
fn an_attempt_s_token_is_shown_as_the_head_of_its_hash() {
    let shown = run::attempts(&dispatched(), &[]);
    assert_eq!(shown.len(), 1);
    assert_eq!((shown[0].attempt, &*shown[0].outcome), (2, "running"));
    // printf '\1\2\3\4\5\6\7\10' | sha256sum
    assert_eq!(shown[0].token_hash, "66840dda154e8a11");
}

#[test]
fn a_run_shows_its_state_and_reason() {
    let name = Name::parse("demo").expect("a name");
    let shown = run::run(&dispatched(), &name);
    assert_eq!((shown.state(), &*shown.reason), (v1::RunState::Dispatched, ""));
    assert_eq!((shown.dispatched_at, shown.tick), (Some(NOW.get() + 5), Some(NOW.get())));
    let failed = Run { state: State::Ended(Ended::Failed(FailReason::Quarantined)), ..dispatched() };
    let shown = run::run(&failed, &name);
    assert_eq!((shown.state(), &*shown.reason), (v1::RunState::Failed, "quarantined"));
    assert_eq!(run::attempts(&failed, &[])[0].outcome, "lost");
}

#[test]
fn a_waiting_run_has_no_current_attempt() {
    let waiting = Run { state: State::Scheduled, assignment: None, ..dispatched() };
    assert_eq!(run::attempts(&waiting, &[]), []);
}

fn hello() -> v1::Hello {
    v1::Hello {
        app: "demo".into(),
        session: vec![1; 16].into(),
        ordinal: 1,
        worker: "host:1".into(),
        sdk: "rust/0.1.0".into(),
        protocol: session::PROTOCOL,
        handlers: vec![v1::Handler { name: "report".into(), version: String::new() }],
        slots: 8,
        ..v1::Hello::default()
    }
}

fn wire_key(shard: u32) -> Option<v1::AttemptKey> {
    Some(v1::AttemptKey { shard, run: vec![shard as u8; 16].into(), attempt: 1, token: 5 })
}

fn wire_outcome(shard: u32) -> v1::Outcome {
    v1::Outcome { key: wire_key(shard), kind: v1::OutcomeKind::Failed.into(), ..v1::Outcome::default() }
}

#[test]
fn a_hello_tells_each_shard_its_own() {
    let running = |shard| v1::RunningAttempt { key: wire_key(shard), phase: v1::Phase::Running.into() };
    let hello = session::hello(v1::Hello {
        floors: vec![v1::ShardEpoch { shard: 1, epoch: 7 }],
        running: vec![running(0), running(1)],
        unacked: vec![wire_outcome(1)],
        ..hello()
    });
    let hello = hello.expect("it is within its bounds");
    let (first, second) = (hello.of_shard(0), hello.of_shard(1));
    assert_eq!((first.floor, first.running.len(), first.unacked.len()), (None, 1, 0));
    assert_eq!((second.floor, second.running.len(), second.unacked.len()), (Some(Epoch(7)), 1, 1));
    assert_eq!(second.running[0].run, RunId::from_bytes([1; 16]));
    assert_eq!(first.profile, second.profile);
}

#[test]
fn a_bad_hello_is_refused_by_field_and_code() {
    let handler = |name: &str| v1::Handler { name: name.into(), version: String::new() };
    let label = v1::Label { key: "k".into(), value: "v".repeat(129) };
    let many = (0..10_001).map(|at| handler(&at.to_string())).collect();
    let headless = v1::Outcome { key: None, ..wire_outcome(0) };
    let cases: Vec<(v1::Hello, &str, &str)> = vec![
        (v1::Hello { protocol: 0, ..hello() }, "protocol", "protocol_unknown"),
        (v1::Hello { protocol: 2, ..hello() }, "protocol", "protocol_unknown"),
        (v1::Hello { app: String::new(), ..hello() }, "app", "bad_name"),
        (v1::Hello { session: vec![1; 17].into(), ..hello() }, "session", "bad_id"),
        (v1::Hello { slots: 0, ..hello() }, "slots", "out_of_bounds"),
        (v1::Hello { slots: 100_001, ..hello() }, "slots", "out_of_bounds"),
        (v1::Hello { worker: "w".repeat(129), ..hello() }, "worker", "too_long"),
        (v1::Hello { handlers: many, ..hello() }, "handlers", "out_of_bounds"),
        (
            v1::Hello { handlers: vec![handler("a"), handler("a")], ..hello() },
            "handlers[1].name",
            "handler_twice",
        ),
        (v1::Hello { handlers: vec![handler("")], ..hello() }, "handlers[0].name", "bad_name"),
        (v1::Hello { tags: vec![String::new(); 101], ..hello() }, "tags", "out_of_bounds"),
        (v1::Hello { labels: vec![label], ..hello() }, "labels.value", "too_long"),
        (v1::Hello { unacked: vec![headless], ..hello() }, "unacked[0].key", "key_missing"),
        (
            v1::Hello { unacked: vec![wire_outcome(70_000)], ..hello() },
            "unacked[0].key.shard",
            "out_of_bounds",
        ),
        (
            v1::Hello { running: vec![v1::RunningAttempt::default()], ..hello() },
            "running[0].key",
            "key_missing",
        ),
    ];
    for (hello, field, code) in cases {
        let refusal = session::hello(hello).expect_err(field);
        assert_eq!((&*refusal.field, refusal.code), (field, code));
        assert!(!refusal.remedy.is_empty(), "{field}");
    }
}

fn read(outcome: v1::Outcome) -> Outcome {
    session::outcome(outcome).expect("it names its attempt and kind").1
}

#[test]
fn a_result_that_cannot_be_kept_becomes_a_failure_that_says_so() {
    let too_large = v1::Outcome {
        kind: v1::OutcomeKind::Succeeded.into(),
        result: json(vec![b' '; 65_537]),
        ..wire_outcome(0)
    };
    let OutcomeKind::Failed(failure) = read(too_large).kind else { panic!("it cannot be kept") };
    assert_eq!(&*failure.class, "fastjob.BadResult");
    assert!(failure.message.contains("65537 bytes"), "{}", failure.message);
}

#[test]
fn an_outcome_s_texts_are_cut_and_its_instants_are_instants() {
    let error =
        v1::Failure { class: "é".repeat(300), message: "m".repeat(5_000), trace: "t".repeat(20_000) };
    let outcome = read(v1::Outcome {
        error: Some(error),
        started_at: i64::MIN,
        ended_at: i64::MAX,
        retry_after_ms: Some(i64::MIN),
        ..wire_outcome(0)
    });
    let OutcomeKind::Failed(failure) = outcome.kind else { panic!("it failed") };
    assert_eq!((failure.class.len(), failure.message.len(), failure.trace.len()), (256, 4_096, 16_384));
    assert_eq!((outcome.started_at, outcome.retry_after_ms), (None, Some(0)));
    assert_eq!(outcome.ended_at, Millis::new(field::MAX_INSTANT));
}

#[test]
fn an_outcome_without_a_kind_is_refused() {
    let unspecified = v1::Outcome { kind: 0, ..wire_outcome(0) };
    let refusal: Refusal = session::outcome(unspecified).expect_err("how did it end?");
    assert_eq!((&*refusal.field, refusal.code), ("kind", "unknown_value"));
}

#[test]
fn a_progress_is_cut_to_its_bounds() {
    let progress = v1::Progress { key: wire_key(2), percent: 900, note: "é".repeat(2_000) };
    let (shard, _, percent, note) = session::progress(&progress).expect("it names its attempt");
    assert_eq!((shard, percent, note.chars().count()), (2, 100, 1_024));
}

#[test]
fn a_welcome_says_who_speaks_and_names_attempts_by_shard() {
    let key = AttemptKey { run: RunId::from_bytes([1; 16]), attempt: 1, token: Token(5) };
    let greeting =
        session::Greeting { server: ServerId::from_bytes([4; 16]), ping_ms: 1_000, silence_ms: 3_000 };
    let frame = Frame::Welcome {
        epoch: Epoch(9),
        ordinal: 3,
        lost_after_ms: 30_000,
        adopted: vec![key],
        drop: vec![],
    };
    let message = session::frame(frame, 1, &greeting, NOW).message;
    let Some(v1::server_message::Message::Welcome(welcome)) = message else { panic!("it is a welcome") };
    assert_eq!(welcome.shards, [v1::ShardEpoch { shard: 1, epoch: 9 }]);
    assert_eq!((welcome.server_time, welcome.ping_ms, welcome.silence_ms), (NOW.get(), 1_000, 3_000));
    assert_eq!((welcome.protocol, welcome.lost_after_ms), (1, 30_000));
    assert_eq!(welcome.adopted, [v1::AttemptKey { shard: 1, ..wire_key(1).expect("a key") }]);
}

#[test]
fn a_limit_above_its_bound_is_refused_by_name() {
    assert_eq!(field::limit("limit", 0, 100, 500), Ok(100));
    assert_eq!(field::limit("limit", 500, 100, 500), Ok(500));
    let refusal = field::limit("limit", 501, 100, 500).expect_err("it is too large");
    assert_eq!((&*refusal.field, &*refusal.message), ("limit", "is 501"));
}
