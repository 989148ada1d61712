//! Several servers of one PostgreSQL as an operator meets them: their first start, what `fastjob doctor` says of them, and
//! of a database or an address that is not as it should be.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::harness::{PATIENCE, Server, cluster_key, fastjob, wait_for};
use super::postgres::{Durability, Postgres};
use super::stage::{Said, said};

fn doctor(url: &str) -> Said {
    let mut command = fastjob();
    command.args(["doctor", "--invariants", "-o", "json"]).env("FASTJOB_DATABASE__URL", url);
    // Servers want a key; doctor calls none of them.
    command.env("FASTJOB_CLUSTER__KEY_FILE", "cluster.key");
    said(command)
}

fn of<'a>(said: &'a Said, check: &str) -> &'a Value {
    let line = said.lines.iter().find(|line| line["check"] == check);
    line.unwrap_or_else(|| panic!("no {check} in {said:?}"))
}

/// A server of this database, in a directory of its own.
fn server(
    place: &Path,
    number: usize,
    url: &str,
    settings: &[(&'static str, &'static str)],
) -> (Server, PathBuf) {
    let own = place.join(format!("server-{number}"));
    std::fs::create_dir(&own).expect("it is new");
    let token = own.join("admin.token");
    let mut server = Server::new(&own, ["serve".as_ref(), "--admin-token-file".as_ref(), token.as_os_str()]);
    // For the life of the test's process, as the harness wants it.
    let key = cluster_key(place).expect("it can be written").display().to_string();
    server.settings = vec![
        ("FASTJOB_DATABASE__URL", Box::leak(url.to_owned().into_boxed_str())),
        ("FASTJOB_CLUSTER__KEY_FILE", key.leak()),
    ];
    server.settings.extend(settings);
    (server, token)
}

#[test]
fn servers_that_start_together_on_an_empty_database_share_one_schema_and_one_token() {
    let postgres = Postgres::start().unwrap();
    let (place, url) = (tempfile::tempdir().unwrap(), postgres.fresh_database().unwrap());
    let mut servers: Vec<(Server, PathBuf)> =
        (0..3).map(|number| server(place.path(), number, &url, &[])).collect();
    let ready: Vec<PathBuf> = servers.iter_mut().map(|(server, _)| server.spawn(&[]).unwrap()).collect();
    assert!(wait_for(PATIENCE, || ready.iter().all(|file| file.exists())), "not all of them became ready");

    let written: Vec<&PathBuf> =
        servers.iter().map(|(_, token)| token).filter(|token| token.exists()).collect();
    assert_eq!(written.len(), 1, "{written:?}");
    let addresses: Vec<String> = ready
        .iter()
        .map(|file| serde_json::from_slice::<Value>(&std::fs::read(file).unwrap()).unwrap())
        .map(|ready| ready["rpc"].as_str().unwrap().to_owned())
        .collect();
    for address in &addresses {
        let mut command = fastjob();
        command.args(["app", "list", "-o", "json", "--server", address, "--token-file"]).arg(written[0]);
        assert_eq!(said(command).code, 0, "the token serves at {address}");
    }
    let found = doctor(&url);
    let failed: Vec<&Value> = found.lines.iter().filter(|line| line["status"] == "fail").collect();
    assert_eq!((found.code, failed), (0, Vec::new()), "{}", found.err);
    assert_eq!(of(&found, "servers")["detail"], "3 at work");
    assert_eq!(of(&found, "reach")["detail"], "3 of 3 answer from here");
    for (server, _) in &mut servers {
        server.stop().unwrap();
    }
}

#[test]
fn doctor_names_lacking_rights_a_power_too_many_and_commits_that_wait_for_no_disk() {
    let postgres = Postgres::start_with(Durability::Memory).unwrap();
    let (place, url) = (tempfile::tempdir().unwrap(), postgres.fresh_database().unwrap());
    let (mut server, _) = server(place.path(), 0, &url, &[]);
    server.start().unwrap();
    server.stop().unwrap();

    let found = doctor(&url);
    assert_eq!(of(&found, "powers")["status"], "warn", "the tests' own user is a superuser");
    assert_eq!(of(&found, "servers")["status"], "warn", "none is at work");

    let database = url.rsplit('/').next().unwrap();
    let weak = "CREATE ROLE weak LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO weak; \
                GRANT INSERT, UPDATE, DELETE ON fastjob_run TO weak";
    postgres.execute(database, weak).unwrap();
    postgres.execute(database, &format!("ALTER DATABASE {database} SET synchronous_commit = off")).unwrap();
    let found = doctor(&url.replace("postgres@", "weak@"));
    assert_eq!(found.code, 1, "{found:?}");
    let rights = of(&found, "rights");
    assert_eq!(rights["status"], "fail");
    let detail = rights["detail"].as_str().unwrap();
    assert!(detail.contains("INSERT on fastjob_job") && !detail.contains("fastjob_run,"), "{detail}");
    assert_eq!(of(&found, "setting.synchronous_commit")["status"], "warn");

    postgres.execute(database, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM weak").unwrap();
    let found = doctor(&url.replace("postgres@", "weak@"));
    assert_eq!((found.code, of(&found, "schema")["status"].as_str()), (1, Some("fail")), "{found:?}");
    let nobody = doctor(&url.replace("postgres@", "nobody@"));
    assert_eq!(nobody.code, 5, "{nobody:?}");
}

#[test]
fn an_advertised_address_that_nobody_answers_is_warned_of_and_named_by_doctor() {
    let postgres = Postgres::start_with(Durability::Memory).unwrap();
    let (place, url) = (tempfile::tempdir().unwrap(), postgres.fresh_database().unwrap());
    let (mut server, _) = server(place.path(), 0, &url, &[("FASTJOB_RPC__ADVERTISE", "127.0.0.1:1")]);
    server.start().unwrap();
    let warned = || std::fs::read_to_string(server.log()).unwrap().contains("does not reach itself");
    assert!(wait_for(PATIENCE, warned), "no warning in the log");
    let found = doctor(&url);
    let reach = of(&found, "reach");
    assert_eq!(reach["status"], "warn");
    assert!(reach["detail"].as_str().unwrap().contains("127.0.0.1:1"), "{reach}");
    server.stop().unwrap();
}

#[test]
fn a_server_with_another_key_is_refused_while_the_clusters_servers_live_and_takes_over_once_they_are_gone() {
    let postgres = Postgres::start_with(Durability::Memory).unwrap();
    let (place, url) = (tempfile::tempdir().unwrap(), postgres.fresh_database().unwrap());
    let (mut first, _) = server(place.path(), 0, &url, &[]);
    first.start().unwrap();

    let key = place.path().join("other.key");
    std::fs::write(&key, "the key of another cluster, which is as long").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let key: &'static str = key.display().to_string().leak();
    let (mut other, _) = server(place.path(), 1, &url, &[("FASTJOB_CLUSTER__KEY_FILE", key)]);
    other.spawn(&[]).unwrap();
    let ended = other.ended(PATIENCE).unwrap().expect("it was started instead of refused");
    let log = std::fs::read_to_string(other.log()).unwrap();
    assert_eq!(ended.code(), Some(1), "{log}");
    assert!(log.contains("a cluster with another key") && log.contains("cluster.key_file"), "{log}");
    assert_eq!(of(&doctor(&url), "servers")["detail"], "1 at work");

    first.kill().unwrap();
    other.start().unwrap();
    other.stop().unwrap();
}
