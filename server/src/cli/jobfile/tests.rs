//! What is read from a file is what was written to it, and what is wrong is said with its place and what to do.

use proptest::prelude::*;

use super::tree::{Node, Value};
use super::*;

const NOW: Millis = Millis::new(1_800_000_000_000);

fn source(text: impl Into<Vec<u8>>) -> Source {
    Source { file: "a.yaml".into(), bytes: text.into() }
}

fn lines(faults: Vec<Fault>) -> Vec<String> {
    faults.iter().map(Fault::to_string).collect()
}

fn faults(text: impl Into<Vec<u8>>) -> Vec<String> {
    match read(&[source(text)], Some("demo"), NOW) {
        Ok(jobs) => panic!("{} jobs were read", jobs.len()),
        Err(faults) => lines(faults),
    }
}

fn jobs(text: &str) -> Vec<FileJob> {
    read(&[source(text)], Some("demo"), NOW).unwrap_or_else(|faults| panic!("{:#?}\n{text}", lines(faults)))
}

/// A file of one job, whose name and handler stand in lines 3 and 4.
fn job_with(more: &str) -> String {
    format!("fastjob: 1\njobs:\n  - name: a\n    handler: h\n    {more}\n")
}

#[test]
fn what_is_wrong_is_one_line_with_file_place_field_and_remedy() {
    let cases: &[(&str, &str)] = &[
        ("", "a.yaml:1:1: is empty (begin the file with `fastjob: 1`)"),
        ("jobs: []\n", "a.yaml:1:1: fastjob: is missing (begin the file with `fastjob: 1`)"),
        (
            "fastjob: 2\njobs: []\n",
            "a.yaml:1:10: fastjob: is \"2\", and this command reads version 1 (write `fastjob: 1`, or use a command of that version)",
        ),
        (
            "fastjob: 1\napp: other\njobs: []\n",
            "a.yaml:2:6: app: is \"other\", and the command is for \"demo\" (give --app other, or another file)",
        ),
        ("fastjob: 1\n", "a.yaml:1:1: jobs: is missing (list the jobs under `jobs:`; `jobs: []` for none)"),
        ("fastjob: 1\njobs: 3\n", "a.yaml:2:7: jobs: is no list (begin each job with `- name: …`)"),
        (
            "fastjob: 1\njob: []\njobs: []\n",
            "a.yaml:2:1: job: \"job\" is not known here (did you mean \"jobs\"?)",
        ),
        (
            "fastjob: 1\njobs: [5]\n",
            "a.yaml:2:8: jobs[0]: is a single value, and a mapping belongs here (write `name: value` lines: name, handler, trigger, start_at …)",
        ),
        ("fastjob: 1\njobs:\n  - handler: h\n", "a.yaml:3:5: jobs[0].name: is missing (give `name: …`)"),
        (
            "a: 1\n---\nb: 2\n",
            "a.yaml:2:1: is a second document (put every job under the `jobs` of one document, or into a file of its own)",
        ),
        (
            "fastjob: 1\nfastjob: 1\njobs: []\n",
            "a.yaml:2:1: \"fastjob\" stands twice in this mapping (keep one of them)",
        ),
        (
            "fastjob: !!int 1\njobs: []\n",
            "a.yaml:1:10: has the tag tag:yaml.org,2002:int (remove it: tags are not read)",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(faults(*text), [*expected], "{text}");
    }
    let cases: &[(&str, &str)] = &[
        ("handlr: x", "a.yaml:5:5: jobs[0].handlr: \"handlr\" is not known here (did you mean \"handler\"?)"),
        (
            "trigger: {crn: '* * * * * ?'}",
            "a.yaml:5:15: jobs[0].trigger.crn: \"crn\" is not known here (did you mean \"cron\"?)",
        ),
        (
            "timeout: 5",
            "a.yaml:5:14: jobs[0].timeout: is \"5\", time unit needed, for example 5sec or 5ms (give a number with its unit, as 500ms, 5s or 1h30m)",
        ),
        ("timeout: 40d", "a.yaml:5:14: jobs[0].timeout: is 3456000000 (give 1 to 2592000000)"),
        (
            "priority: high",
            "a.yaml:5:15: jobs[0].priority: is \"high\", not a whole number within its bounds (write digits alone)",
        ),
        (
            "enabled: yes",
            "a.yaml:5:14: jobs[0].enabled: is \"yes\", neither true nor false (write one of them)",
        ),
        (
            "overlap: skipp",
            "a.yaml:5:14: jobs[0].overlap: is \"skipp\", which is not known (did you mean \"skip\"? give one of: skip, allow_all, buffer_one, buffer_all, cancel_other, terminate_other)",
        ),
        (
            "trigger: {cron: '* * * * * ?', every: 5s}",
            "a.yaml:5:14: jobs[0].trigger: has cron and every (keep one: a job has one trigger)",
        ),
        (
            "trigger: {every: 5s, zone: UTC}",
            "a.yaml:5:32: jobs[0].trigger.zone: has no meaning beside `every` (remove it)",
        ),
        (
            "trigger: {at: [2026-01-01]}",
            "a.yaml:5:20: jobs[0].trigger.at[0]: is not an instant (give RFC 3339 with an offset, as 2026-01-31T12:00:00Z, or milliseconds since 1970)",
        ),
        (
            "params: [0x10]",
            "a.yaml:5:14: jobs[0].params: has \"0x10\", which is a number in YAML, but not in JSON (quote it if it is a text)",
        ),
        (
            "params_base64: '%'",
            "a.yaml:5:20: jobs[0].params_base64: is not base64: Invalid symbol 37, offset 0. (give base64 with its padding)",
        ),
        (
            "params: 1\n    params_text: x",
            "a.yaml:6:18: jobs[0].params_text: stands beside `params` (keep one of them)",
        ),
        ("trigger: {cron: '0 0 3 * * ?', zone: Nowhere}", "a.yaml:5:42: jobs[0].trigger.zone: "),
        ("trigger: {cron: '99 * * * * ?'}", "a.yaml:5:21: jobs[0].trigger.cron: "),
        ("retry: {delay: 1h, max_delay: 1s}", "a.yaml:5:35: jobs[0].retry.max_delay: "),
    ];
    for (more, expected) in cases {
        let found = faults(job_with(more));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{more}: {found:#?}");
        assert!(found[0].ends_with(')'), "a remedy: {found:#?}");
    }
}

#[test]
fn every_fault_of_every_file_is_said_at_once() {
    let first = "fastjob: 1\njobs:\n  - name: a\n    handler: ''\n    timeout: x\n    priority: 500\n    trigger: {cron: bad}\n  - name: b\n    handlr: h\n";
    let second = "fastjob: 1\njobs:\n  - {name: a, handler: h}\n  - {name: a, handler: h}\n";
    let sources = [source(first), Source { file: "b.yaml".into(), bytes: second.into() }];
    let Err(found) = read(&sources, None, NOW) else { panic!("nothing was found") };
    let fields: Vec<(&str, usize, &str)> =
        found.iter().map(|fault| (&*fault.file, fault.at.line, &*fault.field)).collect();
    let expected = [
        ("a.yaml", 5, "jobs[0].timeout"),
        ("a.yaml", 7, "jobs[0].trigger.cron"),
        ("a.yaml", 4, "jobs[0].handler"),
        ("a.yaml", 6, "jobs[0].priority"),
        ("a.yaml", 9, "jobs[1].handlr"),
        ("a.yaml", 8, "jobs[1].handler"),
        ("b.yaml", 4, "jobs[1].name"),
    ];
    for one in &expected {
        assert!(fields.contains(one), "{one:?} is not in {fields:#?}");
    }
    assert_eq!(fields.len(), expected.len(), "{:#?}", lines(found));
}

#[test]
fn a_file_that_no_reader_should_meet_is_refused_in_one_short_line() {
    let mut laughs =
        String::from("fastjob: 1\nx-0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        laughs += &format!("x-{level}: &a{level} [{}]\n", vec![before; 10].join(", "));
    }
    let mut invalid = b"fastjob: 1\njobs:\n  - name: ".to_vec();
    invalid.extend([0xff, 0xfe, b'\n']);
    let nested = |open: &str| format!("fastjob: 1\njobs: {}", open.repeat(100_000));
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (laughs.into_bytes(), "is more than a file may hold with its aliases written out"),
        (invalid, "a.yaml:3:11: is not UTF-8 from here on"),
        (b"fastjob: 1\njobs:\n\t- name: a\n".to_vec(), "indent by spaces: YAML allows no tab there"),
        (nested("[").into_bytes(), "is not YAML"),
        (nested("- ").into_bytes(), "is not YAML"),
        (b"a: &a [*a]\n".to_vec(), "is an alias of what it stands in"),
        (b"a: *b\n".to_vec(), "is not YAML"),
        (job_with(&format!("grace: {}", "9".repeat(1_000_000))).into_bytes(), "jobs[0].grace: is \"9999"),
        (format!("fastjob: 1\n{}: 1\n", "k".repeat(1_000_000)).into_bytes(), "is not YAML"),
        (vec![b' '; MAX_FILE_BYTES + 1], "is larger than 16 MiB"),
        (b"fastjob: 1\njobs:\n  - name: \"a\x1b[2J\n".to_vec(), "is not YAML"),
        (b"\0\0\0".to_vec(), "a.yaml:1:1"),
    ];
    for (bytes, expected) in cases {
        let begin: String = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let found = faults(bytes);
        assert!(found[0].contains(expected), "{begin}: {found:#?}");
        assert!(found.iter().all(|line| line.len() < 700 && !line.contains(char::is_control)), "{found:#?}");
    }
}

#[test]
fn ten_thousand_jobs_are_read_and_one_more_is_refused() {
    let file = |count: usize| {
        let job = |at| format!("  - {{name: job-{at}, handler: h}}\n");
        format!("fastjob: 1\njobs:\n{}", (0..count).map(job).collect::<String>())
    };
    assert_eq!(jobs(&file(MAX_JOBS)).len(), MAX_JOBS);
    let found = faults(file(MAX_JOBS + 1));
    assert_eq!(
        found,
        ["a.yaml: there are 10001 jobs: at most 10000 are taken at a time (give fewer at a time)"]
    );
}

#[test]
fn anchors_and_merges_give_jobs_what_they_share() {
    let text = "fastjob: 1\nx-shared: &shared\n  handler: h\n  retry: {retries: 3}\n  timeout: 5s\njobs:\n  \
                - {name: a, <<: *shared}\n  - name: b\n    <<: *shared\n    timeout: 7s\n";
    let read = jobs(text);
    let seen: Vec<_> = read.iter().map(|job| (&*job.spec.handler, job.spec.attempt_timeout_ms)).collect();
    assert_eq!(seen, [("h", Some(5_000)), ("h", Some(7_000))]);
    assert_eq!(read[0].spec.retry.expect("it was merged").retries, 3);
}

#[test]
fn a_job_that_says_little_is_written_short() {
    let text = "fastjob: 1\njobs:\n  - name: nightly\n    handler: report\n    trigger:\n      cron: 0 0 3 * * ?\n      \
                zone: Europe/Berlin\n    params:\n      a: 1\n      b:\n        - \"yes\"\n        - 1.50\n        - \
                \"2\"\n    retry:\n      retries: 3\n    timeout: 1h30m\n";
    let put = &jobs(text)[0].put;
    let shown = job::spec(&put.name, &put.definition, true);
    assert_eq!(write([shown].iter()), text);
}

#[test]
fn the_published_schema_is_that_of_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/jobs.schema.json");
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(published == schema(), "run `fastjob export --schema > docs/jobs.schema.json`");
}

#[test]
fn every_field_of_the_form_is_written_by_some_job() {
    let mut written = BTreeSet::new();
    for more in [
        "{cron: '0 0 3 * * ?', zone: Asia/Tokyo}",
        "{every: 5s, phase: 2026-01-01T00:00:00Z}",
        "{cron: '0 0 3 * * ?', zone: Asia/Tokyo, gap: skip, overlap: both, dialect: spring}",
        "{daily_window: {from: '09:00', to: '17:30', every: 20m, weekdays: mon-fri}, zone: Asia/Tokyo}",
        "{delay: 5s}",
        "{at: 2026-01-01T00:00:00Z}",
        "{api: true}",
    ] {
        let text = format!(
            "fastjob: 1\njobs:\n  - name: a\n    handler: h\n    trigger: {more}\n    params: 1\n    enabled: false\n    \
             start_at: 2026-01-01T00:00:00Z\n    end_at: 2036-01-01T00:00:00Z\n    jitter: 1s\n    overlap: allow_all\n    catch_up: {{policy: all, threshold: 1s, window: 1s, max_runs: 7}}\n    retry: {{retries: 1, \
             backoff: exponential, delay: 5s, max_delay: 6s, jitter: 0.5}}\n    timeout: 1s\n    start_deadline: \
             1s\n    grace: 1s\n    worker_lost_after: 1s\n    at_most_once: true\n    priority: 1\n    routing: \
             round_robin\n    managed_by: console\n    source_version: 1\n"
        );
        let put = &jobs(&text)[0].put;
        let spec = job::spec(&put.name, &put.definition, false);
        written.extend(values(&spec).into_iter().map(|(field, _)| field.replace("[0]", "")));
    }
    // These are other ways to say the same.
    written.extend(["params_json", "params_text", "params_base64", "trigger.api"].map(Into::into));
    let under = |name: &str| written.iter().any(|field| field.starts_with(&format!("{name}.")));
    for field in shape::JOB {
        let inner = if let Kind::Fields(inner) = field.kind { inner } else { &[] };
        let names = inner.iter().map(|of| format!("{}.{}", field.name, of.name));
        let all: Vec<String> = if inner.is_empty() { vec![field.name.to_owned()] } else { names.collect() };
        all.iter().for_each(|name| {
            assert!(written.contains(name) || under(name), "{name} is never written: {written:?}")
        });
    }
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}".prop_map(String::from),
        "\\PC{0,12}".prop_map(String::from),
        any::<String>(),
        prop::sample::select(vec![
            "", "~", "null", "true", "No", "1", "1e3", "0x1f", "- a", "a: b", "#c", "  x ", "\n", ".5"
        ])
        .prop_map(String::from),
    ]
}

fn json_values() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(texts(), inner, 0..5).prop_map(|map| json!(map)),
        ]
    })
}

fn payloads() -> impl Strategy<Value = v1::Payload> {
    let of =
        |encoding: v1::Encoding, data: Vec<u8>| v1::Payload { encoding: encoding.into(), data: data.into() };
    prop_oneof![
        json_values().prop_map(move |value| of(v1::Encoding::Json, value.to_string().into_bytes())),
        json_values().prop_map(move |value| {
            of(v1::Encoding::Json, serde_json::to_vec_pretty(&value).expect("it is JSON"))
        }),
        texts().prop_map(move |text| of(v1::Encoding::Text, text.into_bytes())),
        any::<Vec<u8>>().prop_map(move |bytes| of(v1::Encoding::Binary, bytes)),
    ]
}

fn triggers() -> impl Strategy<Value = v1::trigger::Kind> {
    use v1::trigger::Kind;
    let instants = || 0_i64..4_000_000_000_000;
    prop_oneof![
        prop::sample::select(vec![("0 0 3 * * ?", ""), ("*/7 * 9-17 ? * MON-FRI", "Asia/Shanghai")])
            .prop_map(|(expression, zone)| {
                Kind::Cron(v1::Cron {
                    expression: expression.into(),
                    zone: zone.into(),
                    ..Default::default()
                })
            }),
        (1_000_i64..1_000_000_000_000, prop::option::of(instants()))
            .prop_map(|(period_ms, phase_ms)| Kind::FixedRate(v1::FixedRate { period_ms, phase_ms })),
        (
            0..43_200_i64,
            0..43_200_i64,
            1..86_400_i64,
            prop::sample::subsequence(vec!["mon", "wed", "sun"], 0..3)
        )
            .prop_map(|(from, more, every_s, days)| {
                use fastjob_core::domain::DailyWindow;
                let time = |second: i64| DailyWindow::time_text(second.try_into().expect("within a day"));
                let weekdays = days.into_iter().map(str::to_owned).collect();
                let (from, to, every_ms) = (time(from), time(from + more), every_s * 1_000);
                Kind::DailyWindow(v1::DailyWindow { weekdays, from, to, every_ms, zone: "Asia/Tokyo".into() })
            }),
        (0_i64..1_000_000_000_000).prop_map(|delay_ms| Kind::FixedDelay(v1::FixedDelay { delay_ms })),
        prop::collection::vec(instants(), 1..5).prop_map(|instants| Kind::At(v1::At { instants })),
        Just(Kind::Api(v1::ApiOnly {})),
    ]
}

fn names() -> impl Strategy<Value = String> {
    texts().prop_filter("a name", |text| fastjob_core::domain::Name::parse(text).is_ok())
}

fn specs() -> impl Strategy<Value = v1::JobSpec> {
    let ms = || prop::option::of(1_000_i64..3_600_000);
    let retry = (0_u32..1_000, 0..2_i32, ms(), prop::bool::ANY, 0.0..1.0_f64).prop_map(
        |(retries, backoff, delay_ms, longer, jitter)| {
            let max_delay_ms = delay_ms.filter(|_| longer).map(|ms| ms * 2);
            v1::Retry { retries, backoff, delay_ms, max_delay_ms, jitter }
        },
    );
    let first = (names(), names(), triggers(), prop::option::of(payloads()), any::<Option<bool>>(), 0..6_i32);
    let second = (0..3_i32, ms(), ms(), prop::option::of(retry), ms(), ms(), ms(), ms());
    let third =
        (any::<bool>(), -100..=100_i32, 0..2_i32, any::<bool>(), prop::option::of(0..i64::MAX as u64));
    (first, second, third).prop_map(|(first, second, third)| {
        let (name, handler, kind, params, enabled, overlap) = first;
        let (policy, threshold_ms, window_ms, retry, timeout, deadline, grace, lost) = second;
        let (at_most_once, priority, routing, console, source_version) = third;
        v1::JobSpec {
            name,
            handler,
            trigger: Some(v1::Trigger { kind: Some(kind) }),
            params,
            enabled,
            timing: threshold_ms.map(|ms| v1::Timing {
                start_at: Some(ms),
                end_at: window_ms.map(|more| ms + more),
                jitter_ms: ms,
            }),
            overlap,
            catch_up: Some(v1::CatchUp {
                policy,
                threshold_ms,
                window_ms,
                max_runs: (policy == 2).then_some(7),
            }),
            retry,
            attempt_timeout_ms: timeout,
            start_deadline_ms: deadline,
            cancel_grace_ms: grace,
            worker_lost_after_ms: lost,
            at_most_once,
            priority,
            routing,
            managed_by: if console { "console".into() } else { String::new() },
            source_version,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_of_a_job_is_read_as_the_same_job(spec in specs()) {
        let put = job::put(spec.clone(), NOW).expect("it is within its bounds");
        let enabled = spec.enabled.unwrap_or(true);
        let shown = job::spec(&put.name, &put.definition, enabled);
        let text = write([shown].iter());
        let read = jobs(&text);
        prop_assert_eq!(&read[0].put.name, &put.name, "{}", text);
        prop_assert_eq!(&read[0].put.definition, &put.definition, "{}", text);
        prop_assert_eq!(read[0].put.enabled.unwrap_or(true), enabled);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[-\\[\\]{}:,&*!|>'\"#%@`?a0~ \n\t<.]{0,80}") {
        if let Err(faults) = read(&[source(text)], None, NOW) {
            for line in lines(faults) {
                prop_assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }

    #[test]
    fn no_job_that_is_nearly_right_makes_the_reader_panic(
        name in prop::sample::select(shape::JOB.iter().map(|field| field.name).collect::<Vec<_>>()),
        value in "[-\\[\\]{}:,a0~ .]{0,12}",
    ) {
        let _ = read(&[source(job_with(&format!("{name}: {value}")))], None, NOW);
    }

    #[test]
    fn a_tree_is_written_so_that_it_is_read_as_itself(value in json_values()) {
        let node = tree::read(&value.to_string());
        prop_assume!(node.is_ok());
        let node = Node::fields(vec![("a", node.expect("it was read"))]);
        let again = tree::read(&write::text(&node)).expect("it is YAML");
        prop_assert!(same(&node, &again), "{}", write::text(&node));
    }
}

fn same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Scalar { text: a, quoted: _ }, Value::Scalar { text: b, quoted: _ }) => a == b,
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Fields(a), Value::Fields(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0.text == b.0.text && same(&a.1, &b.1))
        }
        _ => false,
    }
}
