//! Two servers on a shared database: plain SQL fires jobs, calls find their owner through either server, and what a dead
//! owner would have been asked waits for the next one.

#[expect(dead_code, reason = "each test program uses a part")]
#[path = "harness/mod.rs"]
mod harness;
#[expect(dead_code, reason = "each test program uses a part")]
#[path = "harness/mariadb.rs"]
mod mariadb;
#[path = "harness/postgres.rs"]
mod postgres;
#[path = "harness/supervised.rs"]
mod supervised;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use fastjob_core::client::{Client, Job, Options};
use fastjob_core::worker::{Context, Worker};
use harness::Server;
use mariadb::MariaDb;
use postgres::Postgres;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(60);
const SHARDS: &str = "8";
const JOBS: usize = 12;

/// The example of the documentation.
fn example(section: &str) -> String {
    let page = include_str!("../../docs/sql-door.md");
    let section = page.split(&format!("\n## {section}\n")).nth(1).expect("the page has the section");
    let block = section.split("```sql\n").nth(1).expect("the section has an example");
    block.split("```").next().expect("it ends").to_owned()
}

fn server(place: &Path, number: usize, url: &str) -> Server {
    let own = place.join(format!("server-{number}"));
    fs::create_dir(&own).expect("a directory can be made");
    let config = own.join("fastjob.toml");
    let key = place.join("cluster.key");
    let text = format!("[database]\nurl = \"{url}\"\n[cluster]\nkey_file = \"{}\"\n", key.display());
    fs::write(&config, text).expect("it is writable");
    let arguments = ["serve".into(), "--config".into(), config.into_os_string(), "--admin-token-file".into()];
    Server::new(&own, arguments.into_iter().chain([place.join("admin.token").into_os_string()]))
}

/// Two servers, of an app with several shards.
async fn two_servers(place: &Path, url: &str) -> [Server; 2] {
    let key = place.join("cluster.key");
    fs::write(&key, "0123456789abcdef0123456789abcdef").expect("it is writable");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let mut servers = [0, 1].map(|number| server(place, number, url));
    servers.iter_mut().for_each(|server| server.start().expect("the server becomes ready"));
    let admin = fs::read_to_string(place.join("admin.token")).expect("the first server wrote it");
    let admin = admin.trim().to_owned();
    servers[0].token.clone_from(&admin);
    let made = servers[0].ask(&["app", "create", "demo", "--shards", SHARDS]).expect("it is new");
    let token = harness::text_of(&made[0], "token");
    servers[0].app = "demo".into();
    let owners = |server: &Server| server.ask(&["app", "locate"]).unwrap_or_default();
    let owned = |owners: &[serde_json::Value], address: &str| {
        owners.iter().filter(|owner| owner["address"] == *address).count()
    };
    assert!(harness::wait_for(PATIENCE, || owned(&owners(&servers[0]), "") == 0), "every shard is claimed");
    // Who claims first may have nearly all of them.
    for shard in 0..4 {
        let (shard, to) = (shard.to_string(), servers[(shard + 1) % 2].rpc.clone());
        servers[0].ask(&["app", "move", "demo", "--shard", &shard, "--to", &to]).expect("it may");
    }
    for server in &mut servers {
        (server.app, server.token) = ("demo".into(), token.clone());
    }
    // A token is known to the other servers with their next renewal.
    let both = |server: &Server| {
        let owners = owners(server);
        servers.iter().all(|other| owned(&owners, &other.rpc) >= 2)
    };
    assert!(harness::wait_for(PATIENCE, || servers.iter().all(both)), "both servers own shards");
    servers
}

/// A worker that tells the parameters of each run of "ship".
async fn shipping(client: &Client) -> (Worker, mpsc::UnboundedReceiver<String>) {
    let (shipped, seen) = mpsc::unbounded_channel();
    let ship = move |ctx: Context| {
        let shipped = shipped.clone();
        async move {
            let params = ctx.params().text().unwrap_or_default().to_owned();
            let _ = shipped.send(params);
            Ok("shipped")
        }
    };
    let worker = Worker::builder(client).slots(16).handler("ship", ship).start().await;
    (worker.expect("the worker is welcomed"), seen)
}

async fn client_of(servers: &[Server]) -> Client {
    let seeds: Vec<&str> = servers.iter().map(|server| server.rpc.as_str()).collect();
    let options = Options::new(seeds, "demo", &servers[0].token);
    Client::connect(options).await.expect("the options are sound")
}

async fn a_transaction_fires_its_job(url: &str, section: &str, execute: impl Fn(&str)) {
    let place = tempfile::tempdir().expect("a directory can be made");
    let servers = two_servers(place.path(), url).await;
    let client = client_of(&servers).await;
    let (_worker, mut seen) = shipping(&client).await;
    client.job_put(Job::named("ship-order").handler("ship").api()).await.expect("it is taken");
    execute("CREATE TABLE shop_order (id INTEGER PRIMARY KEY, article TEXT NOT NULL)");
    let committed = example(section);
    let other = committed.replace("order-2", "order-1").replace("(2, ", "(1, ").replace("\": 2", "\": 1");
    execute(&other.replace("COMMIT", "ROLLBACK"));
    execute(&committed);
    let shipped = tokio::time::timeout(PATIENCE, seen.recv()).await.expect("it fires").expect("it lives");
    assert_eq!(shipped, "{\"order\": 2}");
    calls_and_triggers_find_their_owner(servers, client).await;
    while let Ok(params) = seen.try_recv() {
        assert_ne!(params, "{\"order\": 1}", "what was rolled back fires nothing");
    }
}

/// Through either server, and while one of them is dead.
async fn calls_and_triggers_find_their_owner(mut servers: [Server; 2], client: Client) {
    let jobs: Vec<String> = (0..JOBS).map(|n| format!("job-{n}")).collect();
    for (n, job) in jobs.iter().enumerate() {
        servers[n % 2].ask(&["job", "put", job, "--handler", "ship", "--api"]).expect("it finds its owner");
    }
    let ended = |server: &Server, job: &str| {
        let run = server.ask(&["job", "run", job, "--wait"]).expect("it finds its owner");
        assert_eq!(harness::text_of(&run[0], "state"), "succeeded", "{run:?}");
    };
    for (n, job) in jobs.iter().enumerate() {
        ended(&servers[(n + 1) % 2], job);
    }
    servers[1].kill().expect("it runs");
    let mut accepted = Vec::new();
    for job in &jobs {
        let said = servers[0].ask(&["job", "run", job]).expect("the inbox takes what its owner cannot");
        match said[0]["request_id"].as_str() {
            Some(request) => accepted.push((job, request.to_owned())),
            None => assert!(said[0]["id"].is_string(), "{said:?}"),
        }
    }
    for (job, request) in accepted {
        let run = servers[0].ask(&["run", "wait", "--job", job, "--request", &request]);
        assert_eq!(harness::text_of(&run.expect("it is made")[0], "state"), "succeeded");
    }
    for job in &jobs {
        let filter = fastjob_core::client::RunFilter { job: job.clone(), ..Default::default() };
        let runs = client.run_list(filter).await.expect("a server lives");
        assert_eq!(runs.len(), 2, "{job}: {runs:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_a_transaction_fires_its_job_and_calls_find_their_owner() {
    let database = Postgres::start().expect("PostgreSQL is installed");
    let url = database.fresh_database().expect("it is empty");
    let name = url.rsplit('/').next().expect("it names a database").to_owned();
    let execute =
        |sql: &str| drop(database.execute(&name, sql).unwrap_or_else(|error| panic!("{sql}: {error}")));
    a_transaction_fires_its_job(&url, "PostgreSQL", execute).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_mariadb_a_transaction_fires_its_job_and_calls_find_their_owner() {
    let database = MariaDb::start().expect("MariaDB is installed");
    let url = database.fresh_database().expect("it is empty");
    let name = url.rsplit('/').next().expect("it names a database").to_owned();
    let execute = |sql: &str| {
        drop(database.execute(&format!("USE {name}; {sql}")).unwrap_or_else(|error| panic!("{sql}: {error}")))
    };
    a_transaction_fires_its_job(&url, "MariaDB and MySQL", execute).await;
}
