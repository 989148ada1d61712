//! What is answered to a line.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Cron, Dialect};
use fastjob_core::schedule::Language;
use serde_json::{Value, json};

use super::batch::Batch;
use super::question::{Asked, Question};
use crate::cli::Exit;

fn default() -> Question {
    let from = Millis::new("2026-03-28T12:00:00Z".parse::<jiff::Timestamp>().unwrap().as_millisecond());
    Question { cron: Cron::new("-", Dialect::Quartz, "UTC"), from, count: 2, language: Language::English }
}

fn answers(asked: Asked, lines: &[&str]) -> (Vec<Value>, Exit) {
    let default = default();
    let mut batch = Batch { asked, default: &default, last: None, refused: false };
    let answers = lines.iter().filter_map(|line| batch.answer(line.as_bytes())).collect();
    (answers, batch.exit())
}

#[test]
fn each_line_is_answered_with_its_ticks_as_instants_in_utc_with_milliseconds() {
    let lines = [
        r#"{"expression":"0 30 2 * * ?","zone":"Europe/Berlin"}"#,
        r#"{"expression":"0 30 2 * * ?","zone":"Europe/Berlin","gap":"skip"}"#,
        r#"{"expression":"30 2 * * 7","dialect":"unix","zone":null,"from":"2026-01-01T00:00:00+01:00","count":1}"#,
        " ",
        r#"{"expression":"0 0 0 1 1 ? 2020"}"#,
        r#"{"expression":"0 0 0 L * *","dialect":"spring","from":0,"count":3}"#,
    ];
    let (said, exit) = answers(Asked::Next, &lines);
    let expected = [
        json!({"ticks": ["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]}),
        json!({"ticks": ["2026-03-30T00:30:00.000Z", "2026-03-31T00:30:00.000Z"]}),
        json!({"ticks": ["2026-01-04T02:30:00.000Z"]}),
        json!({"ticks": []}),
        json!({"ticks": ["1970-01-31T00:00:00.000Z", "1970-02-28T00:00:00.000Z", "1970-03-31T00:00:00.000Z"]}),
    ];
    assert_eq!((said, exit), (expected.to_vec(), Exit::Done));
    let (said, _) = answers(Asked::Previous, &lines[..1]);
    assert_eq!(said, [json!({"ticks": ["2026-03-28T01:30:00.000Z", "2026-03-27T01:30:00.000Z"]})]);
}

#[test]
fn a_bad_line_is_answered_with_the_fault_and_its_position_and_the_next_goes_on() {
    for (line, position, word) in [
        (r#"{"expression":"0 60 * * * ?"}"#, json!(2), "minutes"),
        (r#"{"expression":"0 */5 * * * ?","gap":"next"}"#, json!(null), "fixed"),
        (r#"{"expression":"0 0 3 * * ?","zone":"Europe/Berln"}"#, json!(null), "Europe/Berlin"),
        (r#"{"expression":"0 0 3 * * ?","dialect":"cron4j"}"#, json!(null), "not known"),
        (r#"{"expression":"0 0 3 * * ?","count":0}"#, json!(null), "is 0"),
        (r#"{"expression":"0 0 3 * * ?","from":"noon"}"#, json!(null), "not an instant"),
        (r#"{"expression":"0 0 3 * * ?","form":1}"#, json!(null), "form"),
        (r#"{"zone":"UTC"}"#, json!(null), "expression"),
        ("[]", json!(null), "question"),
        ("\u{1}", json!(null), "question"),
    ] {
        let good = r#"{"expression":"0 0 3 * * ?"}"#;
        let (said, exit) = answers(Asked::Check, &[line, good]);
        let error = &said[0]["error"];
        assert_eq!(error["position"], position, "{line}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(word) && !message.contains('\n'), "{line}: {message}");
        assert_eq!((&said[1], exit), (&json!({"ok": true}), Exit::Usage));
    }
}

#[test]
fn a_check_also_refuses_what_never_fires() {
    let (said, exit) = answers(Asked::Check, &[r#"{"expression":"0 0 0 1 1 ? 2020"}"#]);
    assert!(said[0]["error"]["message"].as_str().unwrap().contains("100 years"), "{said:?}");
    assert_eq!(exit, Exit::Usage);
}

#[test]
fn an_explanation_has_words_the_canonical_print_and_the_rules_at_jumps() {
    let line = r#"{"expression":"0 0/15 9-17 ? * 2-6","zone":"Europe/Berlin","count":1}"#;
    let (said, _) = answers(Asked::Explain, &[line]);
    assert_eq!(
        said[0],
        json!({
            "expression": "0 0/15 9-17 ? * 2-6",
            "dialect": "quartz",
            "zone": "Europe/Berlin",
            "description": "every 15 minutes, in hours 9 to 17, on Monday to Friday",
            "canonical": "0 */15 9-17 ? * MON-FRI",
            "kind": "interval",
            "gap": "skip",
            "overlap": "both",
            "ticks": ["2026-03-30T07:00:00.000Z"],
        })
    );
}
