//! Files of jobs, by the real binary against a real server.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use fastjob_core::client::Job;
use serde_json::{Value, json};

use super::stage::{Said, Stage};

const TWO: &str = "fastjob: 1\napp: demo\njobs:\n  - name: nightly\n    handler: report\n    trigger: {cron: 0 0 3 * * ?, zone: \
                   Europe/Berlin}\n    params: {a: [1, two]}\n  - {name: often, handler: report, trigger: {every: 5s}, retry: \
                   {retries: 2}}\n";

fn put_file(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the folder is ours");
    path.display().to_string()
}

/// Job, change and revision of each line.
fn changes(lines: &[Value]) -> Vec<(&str, &str, Option<u64>)> {
    let of = |line| -> (&str, &str, Option<u64>) {
        let line: &Value = line;
        let word = |key: &str| line[key].as_str().unwrap_or_else(|| panic!("{line}"));
        (word("job"), word("change"), line["revision"].as_u64())
    };
    lines.iter().map(of).collect()
}

/// What a command writes to stdout that is no JSON.
fn plain(stage: &Stage, arguments: &[&str]) -> String {
    let mut command = super::harness::fastjob();
    stage.server.point(&mut command);
    let output = command.args(arguments).output().expect("fastjob can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is text")
}

fn piped(stage: &Stage, arguments: &[&str], input: &[u8]) -> Said {
    let mut command = stage.server.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("fastjob can be started");
    child.stdin.take().expect("it is piped").write_all(input).expect("it is read to its end");
    let output = child.wait_with_output().expect("it ends");
    Said {
        code: output.status.code().unwrap_or(-1),
        lines: super::harness::json_lines(&output.stdout).expect("stdout holds JSON lines"),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_shown_applied_exported_and_applied_again_without_a_change() {
    let stage = Stage::open().await;
    let file = put_file(stage.place(), "two.yaml", TWO);
    let shown = stage.shown(&["diff", "-f", &file]);
    assert_eq!(changes(&shown), [("nightly", "created", None), ("often", "created", None)]);
    assert_eq!(stage.cli(&["diff", "-f", &file, "--exit-code"]).code, 4);
    assert_eq!(changes(&stage.shown(&["apply", "-f", &file, "--dry-run"])).len(), 2);
    assert!(stage.shown(&["job", "list"]).is_empty(), "nothing was done");

    let done = stage.shown(&["apply", "-f", &file]);
    assert_eq!(changes(&done), [("nightly", "created", Some(1)), ("often", "created", Some(1))]);
    let stored = stage.shown(&["job", "list"]);
    assert_eq!(
        (&stored[0]["params"], &stored[1]["retry"]["retries"]),
        (&json!({"a": [1, "two"]}), &2.into())
    );
    let again = stage.shown(&["apply", "-f", &file]);
    assert_eq!(changes(&again), [("nightly", "unchanged", None), ("often", "unchanged", None)]);
    assert!(stage.shown(&["diff", "-f", &file, "--exit-code"]).is_empty());

    let exported = put_file(stage.place(), "exported.yaml", plain(&stage, &["export"]));
    assert!(stage.shown(&["diff", "-f", &exported, "--prune", "--exit-code"]).is_empty());
    assert_eq!(stage.shown(&["job", "list"]), stored, "nothing was written");

    let edited = TWO.replace("every: 5s", "every: 7s").replace("params: {a: [1, two]}", "enabled: false");
    let edited = put_file(stage.place(), "two.yaml", edited);
    let shown = stage.shown(&["diff", "-f", &edited]);
    assert_eq!(
        shown[0]["fields"],
        json!([
            {"field": "enabled", "from": null, "to": "false"},
            {"field": "params.a[0]", "from": "1", "to": null},
            {"field": "params.a[1]", "from": "two", "to": null},
        ])
    );
    assert_eq!(shown[1]["fields"], json!([{"field": "trigger.every", "from": "5s", "to": "7s"}]));
    let done = stage.shown(&["apply", "-f", &edited]);
    assert_eq!(changes(&done), [("nightly", "updated", Some(2)), ("often", "updated", Some(2))]);
    assert_eq!(stage.one(&["job", "get", "nightly"])["enabled"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prune_deletes_what_code_manages_and_no_file_names_and_only_when_told() {
    let stage = Stage::open().await;
    stage.put(Job::named("old").handler("h")).await;
    let console = Job::named("people").handler("h").into_spec();
    let console = fastjob_core::protocol::v1::JobSpec { managed_by: "console".into(), ..console };
    stage.put(console.into()).await;
    let file = put_file(stage.place(), "two.yaml", TWO);
    stage.shown(&["apply", "-f", &file]);
    let names = || -> Vec<String> {
        stage.shown(&["job", "list"]).iter().map(|job| super::stage::text(&job["name"])).collect()
    };
    assert_eq!(names(), ["nightly", "often", "old", "people"]);
    let refused = stage.cli(&["apply", "-f", &file, "--prune"]);
    assert!(
        refused.code == 2 && refused.err.contains("would delete 1 jobs, and nobody can be asked"),
        "{refused:?}"
    );
    assert_eq!(names().len(), 4);
    let shown = stage.shown(&["diff", "-f", &file, "--prune"]);
    assert_eq!(changes(&shown), [("old", "deleted", None)]);
    let done = piped(&stage, &["apply", "-f", "-", "--prune", "--yes"], TWO.as_bytes());
    let deleted: Vec<_> =
        changes(&done.lines).into_iter().filter(|(_, change, _)| *change == "deleted").collect();
    assert_eq!(deleted, [("old", "deleted", None)]);
    assert_eq!(names(), ["nightly", "often", "people"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_written_unless_everything_is_right() {
    let stage = Stage::open().await;
    let folder = stage.place().join("jobs");
    std::fs::create_dir(&folder).expect("the place is ours");
    put_file(&folder, "a.yaml", TWO);
    put_file(
        &folder,
        "b.yml",
        "fastjob: 1\njobs:\n  - {name: x, handlr: h}\n  - {name: nightly, handler: h}\n",
    );
    put_file(&folder, "notes.txt", "not looked at");
    let folder = folder.display().to_string();
    let refused = stage.cli(&["apply", "-f", &folder]);
    assert_eq!(refused.code, 2, "{refused:?}");
    for part in [
        "3 faults; nothing was changed",
        "b.yml:3:15: jobs[0].handlr: \"handlr\" is not known here (did you mean \"handler\"?)",
        "b.yml:3:5: jobs[0].handler: is missing",
        "b.yml:4:12: jobs[1].name: \"nightly\" stands also in",
    ] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    assert!(stage.shown(&["job", "list"]).is_empty());

    let console = fastjob_core::protocol::v1::JobSpec {
        managed_by: "console".into(),
        ..Job::named("often").handler("h").into_spec()
    };
    stage.put(console.into()).await;
    let file = put_file(stage.place(), "two.yaml", TWO);
    let refused = stage.cli(&["apply", "-f", &file]);
    assert!(
        refused.code == 4 && refused.err.contains("job \"often\" is managed by the console"),
        "{refused:?}"
    );
    assert_eq!(stage.shown(&["job", "list"]).len(), 1);

    let past = "fastjob: 1\njobs:\n  - {name: good, handler: h}\n  - {name: past, handler: h, trigger: {at: 2020-01-01T00:00:00Z}}\n";
    let refused = piped(&stage, &["apply", "-f", "-"], past.as_bytes());
    assert!(
        refused.code == 2 && refused.err.contains("stdin:4:44: jobs[1].trigger.at: has no tick"),
        "{refused:?}"
    );
    assert_eq!(stage.shown(&["job", "list"]).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_is_refused_at_once_and_in_few_words() {
    let stage = Stage::open().await;
    let mut laughs =
        String::from("fastjob: 1\nx-0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..12 {
        laughs += &format!("x-{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    }
    let many: String = (0..10_001).map(|at| format!("  - {{name: j{at}, handler: h}}\n")).collect();
    let cases: [(&str, Vec<u8>); 7] = [
        ("is more than a file may hold with its aliases written out", laughs.into_bytes()),
        (
            "there are 10001 jobs: at most 10000 are taken at a time",
            format!("fastjob: 1\njobs:\n{many}").into(),
        ),
        ("stdin:3:2: is not YAML", "fastjob: 1\njobs:\n\t- name: a\n".into()),
        ("is not UTF-8 from here on", b"fastjob: 1\njobs: \"\xff\"\n".to_vec()),
        ("is \"9\", and this command reads version 1", "fastjob: 9\njobs: []\n".into()),
        (
            "stdin:3:12: jobs[0].name: has 1000000 characters",
            format!("fastjob: 1\njobs:\n  - {{name: {}, handler: h}}\n", "x".repeat(1_000_000)).into(),
        ),
        ("stdin:1:1: is empty", Vec::new()),
    ];
    for (expected, input) in cases {
        let refused = piped(&stage, &["apply", "-f", "-"], &input);
        assert_eq!(refused.code, 2, "{expected}: {refused:?}");
        assert!(refused.err.contains(expected), "{expected}: {}", refused.err);
        assert!(refused.err.len() < 700, "{}", refused.err.len());
    }
    let missing = stage.cli(&["apply", "-f", "nowhere.yaml"]);
    assert!(missing.code == 2 && missing.err.contains("cannot read nowhere.yaml"), "{missing:?}");
    assert!(stage.shown(&["job", "list"]).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_changes_than_a_shard_makes_as_a_whole_are_made_in_steps_if_that_is_asked_for() {
    let stage = Stage::open().await;
    let text = "x".repeat(60_000);
    let big = |at| format!("  - {{name: big-{at:02}, handler: h, params_text: {text}}}\n");
    let small = |at| format!("  - {{name: small-{at:04}, handler: h, trigger: {{every: 1h}}}}\n");
    let jobs: String = (0..60).map(big).chain((0..1_200).map(small)).collect();
    let file = put_file(stage.place(), "many.yaml", format!("fastjob: 1\njobs:\n{jobs}"));
    let refused = stage.cli(&["apply", "-f", &file]);
    assert!(refused.code == 2 && refused.err.contains("has 1260 changes for one shard"), "{}", refused.err);
    assert!(stage.shown(&["job", "list"]).is_empty());
    assert_eq!(stage.shown(&["apply", "-f", &file, "--in-steps"]).len(), 1_260);
    assert_eq!(stage.shown(&["job", "list"]).len(), 1_260);
    let exported = put_file(stage.place(), "exported.yaml", plain(&stage, &["export"]));
    assert!(stage.shown(&["diff", "-f", &exported, "--prune"]).is_empty(), "all of them were written");
    assert!(stage.shown(&["diff", "-f", &file]).is_empty());
}
