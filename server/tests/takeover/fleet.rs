//! Servers of one database, asked through the database about who owns what.

use std::collections::BTreeMap;

use fastjob_core::client::{Client, Job, Options, RunState, Trigger};
use fastjob_core::worker::{Context, HandlerError, Worker};
use tempfile::TempDir;

use crate::harness::{PATIENCE, Server, cluster_key};
use crate::postgres::{Durability, Postgres};

const APP: &str = "demo";

pub(crate) struct Fleet {
    pub(crate) servers: Vec<Server>,
    pub(crate) database: Postgres,
    name: String,
    admin: String,
    token: String,
    settings: Vec<(&'static str, &'static str)>,
    place: TempDir,
    started: usize,
}

/// Who owns a shard: app, server, epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Owned {
    pub(crate) app: String,
    pub(crate) server: String,
    pub(crate) epoch: i64,
}

impl Fleet {
    /// So many servers that are ready, and the app `demo` beside so many others.
    pub(crate) fn start(
        servers: usize,
        apps: usize,
        durability: Durability,
        settings: &[(&'static str, &'static str)],
    ) -> Self {
        let database = Postgres::start_with(durability).unwrap();
        let url = database.fresh_database().unwrap();
        let name = url.rsplit('/').next().unwrap().to_owned();
        let place = tempfile::tempdir().unwrap();
        let mut settings = settings.to_vec();
        settings.push(("FASTJOB_DATABASE__URL", url.leak()));
        let key = cluster_key(place.path()).unwrap().to_str().unwrap().to_owned();
        settings.push(("FASTJOB_CLUSTER__KEY_FILE", key.leak()));
        let mut fleet = Self {
            servers: Vec::new(),
            database,
            name,
            admin: String::new(),
            token: String::new(),
            settings,
            place,
            started: 0,
        };
        for _ in 0..servers {
            fleet.add();
        }
        fleet.admin = std::fs::read_to_string(fleet.place.path().join("admin")).unwrap().trim().to_owned();
        for app in (0..apps).map(|number| format!("app-{number}")).chain([APP.to_owned()]) {
            let made = fleet.ask(0, &["app", "create", &app]);
            fleet.token = made[0]["token"].as_str().unwrap().to_owned();
        }
        fleet.settled(apps + 1);
        fleet
    }

    /// One more server, ready.
    pub(crate) fn add(&mut self) {
        let place = self.place.path().join(format!("server-{}", self.started));
        self.started += 1;
        std::fs::create_dir(&place).unwrap();
        let admin = self.place.path().join("admin");
        let mut server =
            Server::new(&place, ["serve".as_ref(), "--admin-token-file".as_ref(), admin.as_os_str()]);
        server.settings = self.settings.clone();
        server.app = APP.into();
        server.start().unwrap();
        self.servers.push(server);
    }

    /// Asks a server as the administrator.
    pub(crate) fn ask(&self, server: usize, arguments: &[&str]) -> Vec<serde_json::Value> {
        let output =
            self.servers[server].command(arguments).env("FASTJOB_TOKEN", &self.admin).output().unwrap();
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "fastjob {}: {} {why}", arguments.join(" "), output.status);
        crate::harness::json_lines(&output.stdout).unwrap()
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.database.execute(&self.name, sql).unwrap().trim().to_owned()
    }

    /// The shards that a living server owns, in order of app.
    pub(crate) fn owned(&self) -> Vec<Owned> {
        let text = self.sql(
            "SELECT a.name, s.rpc_address, o.epoch FROM fastjob_app_owner o
             JOIN fastjob_app a ON a.id = o.app_id JOIN fastjob_server s ON s.id = o.server_id
             WHERE s.phase <> 'dead' ORDER BY a.name, o.shard",
        );
        let owned = text.lines().map(|line| {
            let mut fields = line.split('|').map(str::to_owned);
            let mut next = || fields.next().unwrap();
            Owned { app: next(), server: next(), epoch: next().parse().unwrap() }
        });
        owned.collect()
    }

    /// Waits until so many shards are owned.
    pub(crate) fn settled(&self, shards: usize) -> Vec<Owned> {
        self.until("every shard has an owner", || self.owned().len() == shards);
        self.owned()
    }

    /// Waits until so many shards are owned by servers other than this one.
    pub(crate) fn without(&self, server: &str, shards: usize) -> Vec<Owned> {
        let mut owned = Vec::new();
        self.until("the others own every shard", || {
            owned = self.owned();
            owned.len() == shards && owned.iter().all(|owned| owned.server != server)
        });
        owned
    }

    pub(crate) fn until(&self, what: &str, so: impl FnMut() -> bool) {
        assert!(crate::harness::wait_for(PATIENCE, so), "{what}: not within {PATIENCE:?}");
    }

    /// The server that owns the app `demo`.
    pub(crate) fn owner(&self) -> usize {
        let owned = self.owned();
        let owner = owned.iter().find(|owned| owned.app == APP).unwrap();
        self.servers.iter().position(|server| server.rpc == owner.server).unwrap()
    }

    /// Moves every other app away from where they are, so that each server owns some.
    pub(crate) fn spread(&self) {
        let before = self.owned();
        let count = self.servers.len();
        for (number, owned) in before.iter().enumerate() {
            let to = &self.servers[number % count].rpc;
            self.ask(0, &["app", "move", &owned.app, "--to", to]);
        }
        self.until("the apps are spread", || {
            let owned = self.owned();
            owned.len() == before.len()
                && owned
                    .iter()
                    .enumerate()
                    .all(|(number, owned)| owned.server == self.servers[number % count].rpc)
        });
    }

    /// A client of the app `demo` that knows every server.
    pub(crate) async fn client(&self) -> Client {
        self.client_of(APP, &self.token).await
    }

    /// As [`Fleet::client`], of another app.
    pub(crate) async fn client_of(&self, app: &str, token: &str) -> Client {
        let servers: Vec<_> = self.servers.iter().map(|server| server.rpc.clone()).collect();
        Client::connect(Options::new(servers, app, token.to_owned())).await.unwrap()
    }

    /// A worker of the handler `work`, and the job of the same name.
    pub(crate) async fn worker(&self, client: &Client) -> Worker {
        client.job_put(Job::named("work").handler("work").api()).await.unwrap();
        let work = async |_: Context| Ok::<_, HandlerError>("done".to_owned());
        Worker::builder(client).handler("work", work).start().await.unwrap()
    }

    /// A run of this key from its trigger to its success, however often the calls have to be repeated.
    pub(crate) async fn runs(&self, client: &Client, key: &str) {
        runs(client, "work", key).await;
    }

    pub(crate) fn log(&self, server: usize) -> String {
        std::fs::read_to_string(self.servers[server].log()).unwrap()
    }
}

/// A run of this job and key from its trigger to its success, however often the calls have to be repeated.
pub(crate) async fn runs(client: &Client, job: &str, key: &str) {
    let run = async {
        loop {
            let Ok(fired) = client.trigger(Trigger::of(job).key(key)).await else { continue };
            let Ok(run) = client.run_wait(fired.run.id, Some(PATIENCE)).await else { continue };
            return run.state;
        }
    };
    assert_eq!(tokio::time::timeout(2 * PATIENCE, run).await.unwrap(), RunState::Succeeded, "{job}");
}

/// Epochs by app.
pub(crate) fn epochs(owned: &[Owned]) -> BTreeMap<&str, i64> {
    owned.iter().map(|owned| (owned.app.as_str(), owned.epoch)).collect()
}
