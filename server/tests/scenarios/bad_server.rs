//! A server that cannot start says why and what to do, at once, and touches nothing.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use fastjob_core::client::{Job, RunState};
use sqlx::Connection as _;

use super::harness::fastjob;
use super::stage::{Stage, end};

/// A user who owns nothing.
const NOBODY: u32 = 65_534;

/// `fastjob dev` in this directory, on free ports.
fn dev(data: &Path) -> Command {
    let mut command = fastjob();
    command.arg("dev").arg("--data").arg(data).args(["--rpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    command
}

/// Runs a server that must end by itself; its code and words.
fn refused(mut command: Command) -> (i32, String) {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("fastjob can be started");
    let pid = rustix::process::Pid::from_child(&child);
    let (ended, end) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || ended.send(child.wait_with_output()));
    let Ok(output) = end.recv_timeout(super::harness::PATIENCE) else {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        let _ = waiting.join();
        panic!("it was started instead of refused");
    };
    let output = output.expect("it has ended");
    assert!(output.stdout.is_empty(), "errors go to stderr");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let place = tempfile::tempdir().expect("a directory can be made");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound").to_string();
    for (setting, name) in
        [("FASTJOB_RPC__ADDRESS", "rpc.address"), ("FASTJOB_HTTP__ADDRESS", "http.address")]
    {
        let data = place.path().join("data");
        let mut command = fastjob();
        command.arg("dev").arg("--data").arg(&data);
        command.env("FASTJOB_RPC__ADDRESS", "127.0.0.1:0").env("FASTJOB_HTTP__ADDRESS", "127.0.0.1:0");
        command.env(setting, &address);
        let (code, said) = refused(command);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&address) && said.contains(name), "{said}");
        assert!(said.starts_with("error: "), "{said}");
        assert!(!data.join("fastjob.db").exists(), "it made a database all the same");
    }
}

#[test]
fn a_data_directory_that_cannot_be_made_or_written_is_named() {
    let place = tempfile::tempdir().expect("a directory can be made");
    let file = place.path().join("file");
    std::fs::write(&file, "no directory").expect("it can be written");
    let (code, said) = refused(dev(&file.join("data")));
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--data") && said.contains("remedy: "), "{said}");

    let closed = place.path().join("closed");
    std::fs::create_dir(&closed).expect("it can be made");
    for (folder, mode) in [(place.path(), 0o755), (&*closed, 0o555)] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    let mut command = dev(&closed);
    if rustix::process::geteuid().is_root() {
        // Nothing is closed to the superuser, and the program may lie where nobody else comes.
        let program = place.path().join("fastjob");
        std::fs::copy(command.get_program(), &program).expect("there is room");
        let mut by_nobody = Command::new(program);
        by_nobody.args(command.get_args()).uid(NOBODY).gid(NOBODY).current_dir("/");
        command = by_nobody;
    }
    let (code, said) = refused(command);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("closed") && said.contains("write access"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_one_file_is_refused_and_told_the_pid_of_the_first() {
    let stage = Stage::open().await;
    let data = stage.server.place.join("data");
    let pid = std::fs::read_to_string(data.join("dev.json")).expect("it is written");
    let pid = serde_json::from_str::<serde_json::Value>(&pid).expect("it is JSON")["pid"].to_string();
    let (code, said) = refused(dev(&data));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("pid {pid}")) && said.contains("fastjob.db"), "{said}");
    stage.put(Job::named("job").handler("nobody's")).await;
    assert_eq!(stage.run(stage.fire("job").await).await.state, RunState::Scheduled, "the first goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_newer_than_the_program_is_refused_and_left_as_it_is() {
    let mut stage = Stage::open().await;
    stage.put(Job::named("kept").handler("work")).await;
    stage.server.stop().expect("it ends in order");
    let data = stage.server.place.join("data");
    let file = data.join("fastjob.db");
    let mut database = sqlx::SqliteConnection::connect(&format!("sqlite:{}", file.display())).await;
    let database = database.as_mut().expect("the file is a database");
    let newest = "INSERT INTO fastjob_schema (version, name, applied_at) VALUES (999, 'from the future', 0)";
    sqlx::raw_sql(newest).execute(&mut *database).await.expect("the table is as it was");
    let (code, said) = refused(dev(&data));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("schema 999") && said.contains("newer"), "{said}");
    sqlx::raw_sql("DELETE FROM fastjob_schema WHERE version = 999")
        .execute(database)
        .await
        .expect("it is there");
    stage.server.start().expect("it starts again");
    let (_worker, mut gate) = stage.held("work").await;
    let run = stage.fire("kept").await;
    gate.entered().await.succeed("kept");
    assert_eq!(end(&stage.ended(run).await), (RunState::Succeeded, ""));
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_as_it_is() {
    let place = tempfile::tempdir().expect("a directory can be made");
    let file = place.path().join("fastjob.db");
    let letter = "dear diary, ".repeat(1_000);
    std::fs::write(&file, &letter).expect("it can be written");
    let (code, said) = refused(dev(place.path()));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("fastjob.db") && said.contains("not a database"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), letter);
}

#[test]
fn a_configuration_with_an_unknown_key_is_refused_with_line_and_nearest_key() {
    let place = tempfile::tempdir().expect("a directory can be made");
    let config = place.path().join("fastjob.toml");
    let serve = || {
        let mut command = fastjob();
        command.arg("serve").arg("--config").arg(&config).current_dir(place.path());
        command
    };
    let table = [
        ("[cluster]\nleese_ms = 4000\n", "cluster.leese_ms", "cluster.lease_ms"),
        ("[database]\nurl = \"sqlite:x.db\"\nmax_conections = 2\n", "line 3", "database.max_connections"),
        ("[rpc]\naddress = \"example.org\"\n", "rpc.address", "IP:PORT"),
        ("[rpc]\naddress = \"0.0.0.0:7180\"\n", "rpc.address", "insecure_plaintext"),
        ("[cluster]\nlease_ms = 5\n", "cluster.lease_ms", "1000"),
        ("[database]\nurl = \"oracle://root:secret@host/db\"\n", "database.url", "sqlite"),
        ("lease_ms = ", "line 1", "correct the line"),
    ];
    for (text, named, remedy) in table {
        std::fs::write(&config, text).expect("it can be written");
        let (code, said) = refused(serve());
        assert_eq!(code, 2, "{text}: {said}");
        assert!(said.contains(named) && said.contains(remedy), "{text}: {said}");
        assert!(!said.contains("secret"), "it shows a password: {said}");
    }
    std::fs::remove_file(&config).expect("it is there");
    let (code, said) = refused(serve());
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("fastjob.toml"), "{said}");
    let mut command = serve();
    std::fs::write(&config, "").expect("it can be written");
    command.env("FASTJOB_CLUSTER_LEASE_MS", "4000");
    let (code, said) = refused(command);
    assert!(code == 2 && said.contains("FASTJOB_CLUSTER__LEASE_MS"), "{said}");
    assert_eq!(std::fs::read_dir(place.path()).expect("it is there").count(), 1, "it made something");
}

#[test]
fn a_first_start_without_a_file_for_the_administrators_token_is_refused() {
    let place = tempfile::tempdir().expect("a directory can be made");
    let mut command = fastjob();
    command.arg("serve").current_dir(place.path());
    command.env("FASTJOB_RPC__ADDRESS", "127.0.0.1:0").env("FASTJOB_HTTP__ADDRESS", "127.0.0.1:0");
    let (code, said) = refused(command);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("--admin-token-file"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_on_its_ports_disturbs_no_one() {
    let stage = Stage::open().await;
    let (_worker, mut gate) = stage.held("work").await;
    stage.put(Job::named("job").handler("work")).await;
    let run = stage.fire("job").await;
    let visit = gate.entered().await;
    let http = stage.one(&["server", "list"])["http_address"].as_str().expect("an address").to_owned();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
    let frame = [preface, &[0xff; 4_096]].concat();
    let headers = [b"GET / HTTP/1.1\r\n".as_slice(), &b"a: b\r\n".repeat(100_000)].concat();
    for address in [&stage.server.rpc, &http] {
        for junk in [&b"\0\xff\x16\x03\x01"[..], b"GET / HTTP/1.1\r\n\r\n", &frame, &headers] {
            let mut stream = TcpStream::connect(address).expect("it listens");
            // It may hang up while it is being told.
            let _ = stream.write_all(junk);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
        }
    }
    assert!(!visit.ctx.is_cancelled());
    visit.succeed("undisturbed");
    let run = stage.ended(run).await;
    assert_eq!((end(&run), run.attempt), ((RunState::Succeeded, ""), 1));
    assert_eq!(stage.shown(&["worker", "list"])[0]["connected"], true);
}
