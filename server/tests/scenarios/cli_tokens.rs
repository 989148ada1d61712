//! Who may do what: apps' tokens, the administrator's, rotation and revocation; and `fastjob serve`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fastjob_core::client::{Client, ErrorKind, Job, Options, RunState};
use fastjob_core::worker::{Context, Worker};

use super::harness::{Server, fastjob};
use super::stage::{PATIENCE, Said, Stage, client_of, end, said, text, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_one_app_is_not_one_of_another_nor_the_administrators() {
    let mut stage = Stage::open().await;
    stage.put(Job::named("secret").handler("work")).await;
    let run = stage.fire("secret").await.to_string();
    let other = stage.one(&["app", "create", "other"]);
    stage.server.token = text(&other["token"]);
    let foreign: [&[&str]; 11] = [
        &["job", "list"],
        &["job", "get", "secret"],
        &["job", "put", "mine", "--handler", "work"],
        &["job", "run", "secret"],
        &["job", "delete", "secret"],
        &["run", "get", &run],
        &["run", "cancel", &run],
        &["worker", "list"],
        &["token", "list"],
        &["token", "create"],
        &["app", "create", "third"],
    ];
    for arguments in foreign {
        let said = stage.cli(arguments);
        assert_eq!(said.code, 6, "fastjob {}: {said:?}", arguments.join(" "));
        assert!(said.err.contains("remedy: "), "{said:?}");
    }
    let apps = stage.shown(&["app", "list", "--app", "other"]);
    assert_eq!(apps.iter().map(|app| text(&app["name"])).collect::<Vec<_>>(), ["other"]);
    assert_eq!(stage.cli(&["job", "list", "--app", "other"]).code, 0);
    let thief = client_of(&stage.server, "demo", &stage.server.token).await;
    let refused = Worker::builder(&thief).handler("work", async |_: Context| Ok("stolen")).start().await;
    assert_eq!(refused.expect_err("it is another app's token").kind, ErrorKind::NotPermitted);
    assert_eq!(stage.client.job_list("", 0).await.expect("the app is known").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_refused_everywhere_in_the_same_words() {
    let mut stage = Stage::open().await;
    let mut words = Vec::new();
    for wrong in ["fjt_0000000000000000000000000000000000000000000000000000000000000000", "x", "fjt_"] {
        stage.server.token = wrong.into();
        for arguments in
            [&["job", "list"][..], &["app", "list"], &["server", "list"], &["app", "create", "a"]]
        {
            let said = stage.cli(arguments);
            assert_eq!(said.code, 6, "{said:?}");
            words.push(said.err);
        }
        let client = client_of(&stage.server, "demo", wrong).await;
        let worker = Worker::builder(&client).handler("work", async |_: Context| Ok("")).start().await;
        assert_eq!(worker.expect_err("it is no token").kind, ErrorKind::Unauthenticated);
    }
    words.dedup();
    assert_eq!(words.len(), 1, "{words:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_ends_its_workers_stream_and_the_other_token_goes_on() {
    let stage = Stage::open().await;
    let created = stage.one(&["app", "create", "rotated"]);
    let first = client_of(&stage.server, "rotated", &text(&created["token"])).await;
    let answering = |answer: &'static str| move |_: Context| async move { Ok(answer) };
    let builder = Worker::builder(&first).name("first").handler("work", answering("by the first"));
    let _first_worker = builder.start().await.expect("the token is valid");
    let fresh = stage.one(&["token", "create", "--app", "rotated"]);
    let third = stage.cli(&["token", "create", "--app", "rotated"]);
    assert_eq!(third.code, 4, "an app has two valid tokens at most: {third:?}");
    let second = client_of(&stage.server, "rotated", &text(&fresh["token"])).await;
    let tokens = stage.shown(&["token", "list", "--app", "rotated"]);
    let old = tokens.iter().find(|token| token["id"] != fresh["id"]).expect("the first one is listed");
    stage.shown(&["token", "revoke", "--app", "rotated", &text(&old["id"])]);
    until("the worker's stream has ended", async || {
        let workers = second.worker_list().await.expect("the token is valid");
        workers.iter().all(|worker| !worker.connected).then_some(())
    })
    .await;
    assert_eq!(first.job_list("", 0).await.expect_err("it is revoked").kind, ErrorKind::Unauthenticated);
    let builder = Worker::builder(&second).name("second").handler("work", answering("by the second"));
    let _second_worker = builder.start().await.expect("the token is valid");
    second.job_put(Job::named("job").handler("work")).await.expect("the token is valid");
    let run = second.trigger(fastjob_core::client::Trigger::of("job")).await.expect("it is fired").run.id;
    let run = second.run_wait(run, Some(PATIENCE)).await.expect("it is known");
    assert_eq!(end(&run), (RunState::Succeeded, ""));
    assert_eq!(run.message().worker, "second");
    let again = stage.cli(&["token", "revoke", "--app", "rotated", &text(&old["id"])]);
    assert_eq!(again.code, 3, "{again:?}");
    stage.one(&["token", "create", "--app", "rotated"]);
}

/// A server of `fastjob serve` in a directory of its own.
fn serving(place: &Path) -> Server {
    let config = place.join("fastjob.toml");
    let url = format!("[database]\nurl = \"sqlite:{}\"\n", place.join("fastjob.db").display());
    std::fs::write(&config, url).expect("the directory can be written");
    let admin = place.join("admin.token");
    Server::new(
        place,
        [
            "serve".as_ref(),
            "--config".as_ref(),
            config.as_os_str(),
            "--admin-token-file".as_ref(),
            admin.as_os_str(),
        ],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_server_gives_its_administrator_a_token_by_a_private_file_and_lets_nobody_else_in() {
    let place = tempfile::tempdir().expect("a directory can be made");
    let mut server = serving(place.path());
    server.start().expect("it becomes ready");
    let file = place.path().join("admin.token");
    let mode = std::fs::metadata(&file).expect("it is written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ask = |server: &Server, arguments: &[&str]| -> Said { said(server.command(arguments)) };

    server.token = "fjt_guess".into();
    for arguments in [&["app", "create", "demo"][..], &["app", "list"], &["server", "list"]] {
        assert_eq!(ask(&server, arguments).code, 6);
    }
    server.token = std::fs::read_to_string(&file).expect("it is readable").trim().to_owned();
    let created = ask(&server, &["app", "create", "demo"]);
    assert_eq!(created.code, 0, "{created:?}");
    let keys: Vec<&String> = created.lines[0].as_object().expect("one object").keys().collect();
    assert_eq!(keys, ["app", "token"]);
    let token = text(&created.lines[0]["token"]);
    let client = Client::connect(Options::new([server.rpc.as_str()], "demo", token)).await;
    let client = client.expect("the options are sound");
    let worker = Worker::builder(&client).handler("work", async |_: Context| Ok("served"));
    let _worker = worker.start().await.expect("the app's token is valid");
    client.job_put(Job::named("job").handler("work")).await.expect("it is taken");
    let run = client.trigger(fastjob_core::client::Trigger::of("job")).await.expect("it is fired").run.id;
    let run = client.run_wait(run, Some(PATIENCE)).await.expect("it is known");
    assert_eq!(end(&run), (RunState::Succeeded, ""));

    server.kill().expect("it runs");
    server.start().expect("it starts again");
    let token = std::fs::read_to_string(&file).expect("it is readable");
    assert_eq!(token.trim(), server.token, "the token is given once");
    server.app = "demo".into();
    let listed = ask(&server, &["job", "list"]);
    assert_eq!((listed.code, listed.lines.len()), (0, 1), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_effective_configuration_is_shown_without_starting_anything() {
    let place = tempfile::tempdir().expect("a directory can be made");
    let config = place.path().join("fastjob.toml");
    std::fs::write(&config, "[cluster]\nhorizon_ms = 5000\n").expect("the directory can be written");
    let mut command = fastjob();
    command.args(["serve", "--check", "--config"]).arg(&config).env("FASTJOB_CLUSTER__LEASE_MS", "9000");
    let output = command.current_dir(place.path()).output().expect("fastjob can be started");
    assert!(output.status.success(), "{output:?}");
    let shown: toml::Table = String::from_utf8_lossy(&output.stdout).parse().expect("it is TOML");
    let cluster = shown["cluster"].as_table().expect("a section");
    assert_eq!(
        (cluster["horizon_ms"].as_integer(), cluster["lease_ms"].as_integer()),
        (Some(5_000), Some(9_000))
    );
    let files = std::fs::read_dir(place.path()).expect("it is there").count();
    assert_eq!(files, 1, "it made something");
}
