//! `fastjob lint` and `fastjob simulate` as a CI job and a person would call them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fastjob_core::client::Job;
use serde_json::{Value, json};

use super::harness::fastjob;
use super::stage::{Said, Stage, said};

fn file(place: &Path, name: &str, text: &str) -> PathBuf {
    let path = place.join(name);
    std::fs::write(&path, text).expect("it is writable");
    path
}

fn lint(file: &Path, arguments: &[&str]) -> Said {
    let mut command = fastjob();
    command.arg("lint").arg(file).args(arguments).args(["--from", "2026-01-01T12:00:00Z", "-o", "json"]);
    said(command)
}

fn codes(said: &Said) -> Vec<(u64, &str)> {
    let place = |line: &'_ serde_json::Value| line["line"].as_u64().expect("a line's number");
    said.lines.iter().map(|line| (place(line), line["code"].as_str().expect("a code"))).collect()
}

#[test]
fn lint_names_place_code_severity_and_remedy_and_its_exit_code_is_for_ci() {
    let place = tempfile::tempdir().unwrap();
    let clean = file(place.path(), "clean", "# nightly things\n0 10 4 * * ?  report\n");
    assert_eq!((lint(&clean, &["--strict"]).code, lint(&clean, &[]).lines), (0, Vec::new()));

    let warned = "CRON_TZ=Europe/Berlin\n0 30 2 * * ? berlin\n\nCRON_TZ=UTC\n0 */7 * * * ? sevens\n0 0 12 31 * ? last day\n";
    let warned = lint(&file(place.path(), "warned", warned), &[]);
    assert_eq!(codes(&warned), [(2, "dst_hour"), (5, "uneven_step"), (6, "short_month")]);
    assert_eq!(warned.code, 0, "warnings alone");
    assert_eq!(warned.lines[2]["job"], "last day");
    for line in &warned.lines {
        for key in ["place", "file", "line", "job", "severity", "code", "field", "message", "remedy"] {
            assert!(!line[key].is_null(), "{key} is missing in {line}");
        }
    }
    assert_eq!(lint(&place.path().join("warned"), &["--strict"]).code, 1);

    let jobs = [
        json!({"name": "gone", "trigger": {"kind": "cron", "expression": "0 0 0 1 1 ? 2020"}}),
        json!({"name": "slow", "trigger": {"kind": "fixed_rate", "period_ms": 60_000}}),
        json!({"name": "daily", "trigger": {"kind": "cron", "expression": "0 0 12 * * ?", "dialect": "quartz", "zone": "UTC"},
               "catch_up": {"policy": "none"}, "overlap": "allow_all"}),
        json!({"name": "called"}),
    ];
    let text: String = jobs.iter().map(|job| format!("{job}\n")).collect();
    let durations =
        file(place.path(), "durations", "# measured\nslow 5m\n{\"job\": \"daily\", \"usual_ms\": 10}\n");
    let found = lint(&file(place.path(), "jobs", &text), &["--durations", durations.to_str().unwrap()]);
    assert_eq!(codes(&found), [(1, "never_fires"), (2, "period_too_short"), (3, "no_catch_up")]);
    assert_eq!(found.code, 1);
}

#[test]
fn lint_reads_the_files_of_apply_and_names_the_line_of_the_field() {
    let place = tempfile::tempdir().unwrap();
    let yaml = "fastjob: 1\njobs:\n  - name: sevens\n    handler: work\n    trigger:\n      cron: 0 */7 * * * ?\n  \
                - name: daily\n    handler: work\n    trigger:\n      cron: 0 0 12 * * ?\n    catch_up: {policy: none}\n";
    for name in ["jobs.yaml", "without-extension"] {
        let found = lint(&file(place.path(), name, yaml), &[]);
        assert_eq!(codes(&found), [(6, "uneven_step"), (11, "no_catch_up")], "{found:?}");
    }
    let bad = lint(&file(place.path(), "bad.yaml", "fastjob: 1\njobs:\n  - nme: x\n"), &[]);
    assert!(bad.code == 2 && bad.err.contains("bad.yaml:3"), "{bad:?}");
}

#[test]
fn lint_refuses_what_it_cannot_read_with_file_line_and_remedy() {
    let place = tempfile::tempdir().unwrap();
    let table = [
        ("0 0 0 * * ? fine\n0 61 0 * * ? wrong\n", ":2", "61"),
        ("{\"name\": \"a\"\n", ":1", "is no job"),
        ("{\"name\": \"a\", \"overlap\": \"sometimes\"}\n", ":1", "not known"),
        (
            "{\"name\": \"a\", \"trigger\": {\"kind\": \"at\", \"instants\": [\"soon\"]}}\n",
            ":1",
            "not an instant",
        ),
        ("CRON_TZ=Mars/Base\n0 0 0 * * ? x\n", ":2", "Mars/Base"),
        ("0 0 0\n", ":1", "field"),
    ];
    for (text, line, why) in table {
        let said = lint(&file(place.path(), "bad", text), &[]);
        assert_eq!(said.code, 2, "{text}: {said:?}");
        assert!(
            said.err.contains(line) && said.err.contains(why) && said.err.contains("remedy:"),
            "{}",
            said.err
        );
    }
    assert_eq!(lint(&place.path().join("none"), &[]).code, 2);
    let bytes = place.path().join("bytes");
    std::fs::write(&bytes, [0xff, 0xfe]).unwrap();
    assert_eq!(lint(&bytes, &[]).code, 2);
}

fn summary(said: &mut Said) -> Value {
    let summary = said.lines.pop().unwrap_or_else(|| panic!("no summary: {said:?}"));
    assert_eq!(summary["summary"], true, "{said:?}");
    summary
}

#[test]
fn simulate_tells_of_files_what_arithmetic_says_and_draws_it() {
    let place = tempfile::tempdir().unwrap();
    let jobs = file(place.path(), "jobs", "0 0 12 * * ? noon\n0 0 * * * ? hourly\n0 * * * * ? minutely\n");
    let durations = file(place.path(), "durations", "minutely 90s\nnoon 1h\n");
    let (svg, html) = (place.path().join("map.svg"), place.path().join("map.html"));
    let call = |more: &[&str]| {
        let mut command = fastjob();
        command.args(["simulate", "--from", "2026-01-01T00:00:00Z", "--days", "2", "-f"]).arg(&jobs);
        command.arg("--durations").arg(&durations).args(more);
        command
    };
    let pictures = ["--svg", svg.to_str().unwrap(), "--html", html.to_str().unwrap(), "-o", "json"];
    let mut first = said(call(&pictures));
    assert_eq!(first.code, 0, "{first:?}");
    let sum = summary(&mut first);
    assert_eq!((&sum["ticks"], &sum["skipped"]), (&json!(2_880 + 48 + 2), &json!(1_440)), "{sum}");
    assert_eq!((&sum["collisions"], &sum["most_running"]), (&json!(48), &json!(3)), "{sum}");
    assert_eq!(sum["crowds"][0], json!({"at": "2026-01-01T12:00:00.000Z", "jobs": 3}), "{sum}");
    assert_eq!(first.lines[0]["job"], "minutely", "the worst first");
    assert!(std::fs::read_to_string(&svg).unwrap().starts_with("<svg"));
    assert!(std::fs::read_to_string(&html).unwrap().starts_with("<!doctype html>"));
    assert_eq!(said(call(&["-o", "json"])).lines, said(call(&["-o", "json"])).lines, "equal questions");

    let mut narrow = said(call(&["--slots", "1", "-o", "json"]));
    let narrow = summary(&mut narrow);
    assert!(narrow["saturated_ms"].as_u64() > Some(0) && narrow["most_running"] == 1, "{narrow}");
    let drawn = call(&["-o", "table"]).output().unwrap();
    let drawn = String::from_utf8(drawn.stdout).unwrap();
    assert!(drawn.contains("12:00  █") && drawn.contains("1440 of them skipped"), "{drawn}");
    assert!(!drawn.contains('\u{1b}'), "colours are for terminals");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulate_learns_durations_from_the_app_and_touches_nothing() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("rare").handler("work").every(Duration::from_secs(3_600))).await;
    stage.put(Job::named("off").handler("work").cron("* * * * * ?").disabled()).await;
    let run = stage.fire("rare").await;
    let visit = gate.entered().await;
    // It takes a while, so that there is something to learn.
    tokio::time::sleep(Duration::from_millis(30)).await;
    visit.succeed("done");
    stage.ended(run).await;
    let before = stage.shown(&["job", "get", "rare"]);
    let mut told = stage.cli(&["simulate", "--days", "1", "--default-duration", "1h"]);
    let sum = summary(&mut told);
    assert_eq!((told.code, &sum["jobs"]), (0, &json!(1)), "a disabled job takes no part: {sum}");
    let usual = told.lines[0]["usual_ms"].as_u64().unwrap();
    assert!((20..60_000).contains(&usual), "{usual} ms");
    assert_eq!(stage.shown(&["job", "get", "rare"]), before);
    let mut last = stage.cli(&["simulate", "--days", "1", "--last"]);
    assert_eq!(summary(&mut last)["jobs"], 1, "{last:?}");
}
