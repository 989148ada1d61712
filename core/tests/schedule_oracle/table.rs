//! What the public test suites of other projects expect, as rows of data.
//!
//! Each row names its source and licence. Where an expression had to be put into one of our dialects, `written` is how the
//! source has it; `gap` and `overlap` name the rule under which the source's expectation is ours as well.

use crate::engine;
use crate::instants::{Gap, Overlap};
use crate::properties::show;
use crate::random::Case;
use crate::text::Dialect;
use jiff::Timestamp;
use serde_json::Value;

const TABLES: [(&str, &str); 3] = [
    ("robfig", include_str!("tables/robfig.jsonl")),
    ("spring", include_str!("tables/spring.jsonl")),
    ("croner", include_str!("tables/croner.jsonl")),
];

/// A row: the case, and what is expected of it.
struct Row {
    case: Case,
    ticks: Vec<i64>,
    absent: Option<i64>,
    is_error: bool,
}

fn millis(text: &Value) -> i64 {
    text.as_str().expect("an instant").parse::<Timestamp>().expect("RFC 3339").as_millisecond()
}

fn read_row(line: &str) -> Row {
    let row: Value = serde_json::from_str(line).expect("a row is JSON");
    let text = |key: &str| row[key].as_str().unwrap_or_else(|| panic!("{key} in {line}")).to_owned();
    assert!(!text("source").is_empty() && !text("licence").is_empty(), "{line} says where it comes from");
    let case = Case {
        dialect: Dialect::ALL.into_iter().find(|known| known.name() == text("dialect")).expect("a dialect"),
        expression: text("expression"),
        zone: text("zone"),
        from: millis(&row["from"]),
        gap: row["gap"].as_str().map(|word| if word == "skip" { Gap::Skip } else { Gap::Next }),
        overlap: row["overlap"]
            .as_str()
            .map(|word| if word == "both" { Overlap::Both } else { Overlap::First }),
    };
    Row {
        case,
        ticks: row["ticks"].as_array().map(|ticks| ticks.iter().map(millis).collect()).unwrap_or_default(),
        absent: row.get("absent").map(millis),
        is_error: row["error"] == true,
    }
}

/// Holds `next` against every row; no tick at all counts as an error, for the registration refuses it.
fn check(name: &str, next: impl Fn(&Case, i64) -> Option<i64>) {
    let (_, lines) = TABLES.into_iter().find(|(table, _)| *table == name).expect("a table");
    let mut wrong = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let row = read_row(line);
        let mut complain = |at, found, expected: &str| {
            wrong.push(format!(
                "{name}.jsonl:{}: after {} {found}, not {expected}: {line}",
                number + 1,
                show(Some(at))
            ));
        };
        let first = next(&row.case, row.case.from);
        if row.is_error && first.is_some() {
            complain(row.case.from, show(first), "an error");
        }
        if row.absent.is_some() && (first.is_none() || first == row.absent) {
            complain(row.case.from, show(first), "another tick");
        }
        let mut at = row.case.from;
        for expected in row.ticks {
            let found = next(&row.case, at);
            if found != Some(expected) {
                complain(at, show(found), &show(Some(expected)));
            }
            at = expected;
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn by_the_engine(case: &Case, after: i64) -> Option<i64> {
    engine::next(&engine::compile(case).ok()?, after)
}

fn by_the_oracle(case: &Case, after: i64) -> Option<i64> {
    engine::oracle(case).ok()?.next(after).map(|tick| tick * 1000)
}

#[test]
fn the_engine_meets_the_suite_of_robfig_cron() {
    check("robfig", by_the_engine);
}

#[test]
fn the_engine_meets_the_suite_of_spring() {
    check("spring", by_the_engine);
}

#[test]
fn the_engine_meets_the_suites_of_croner() {
    check("croner", by_the_engine);
}

#[test]
fn the_oracle_meets_the_same_suites() {
    for (name, _) in TABLES {
        check(name, by_the_oracle);
    }
}
