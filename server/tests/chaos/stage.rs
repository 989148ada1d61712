//! A plan's stage: servers behind proxies, workers, the load, and the history of what is done to them.

mod harm;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use fastjob_core::client::{Client, Options, RunFilter};
use fastjob_core::protocol::v1::RunState;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::checker::{self, Figures, Violation};
use super::clock::Chance;
use super::database::{Access, Database};
use super::faketime::FakeTime;
use super::harness::fastjob;
use super::ledger;
use super::load::Load;
use super::mutants::Mutant;
use super::nodes::{Node, Workers, free_address};
use super::observer::Observer;
use super::plans::Terms;
use super::proxy::{Peers, Proxy};
use super::record::Record;
use super::stalls::Stalls;

pub(crate) use harm::Harm;

/// After healing, everything due must have ended within this.
const HEAL: Duration = Duration::from_secs(60);
/// Between two looks at what is open.
const LOOK: Duration = Duration::from_millis(250);
/// The name of the app under test.
pub(crate) const APP: &str = "chaos";
pub(crate) const LEASE_MS: i64 = 4_000;
pub(crate) const RENEW_MS: i64 = 1_000;
pub(crate) const LOST_AFTER_MS: i64 = 5_000;
/// A worker leaves a stream that is silent for so long, and for three quarters of a lease.
const SILENCE_MS: i64 = 3_000;
/// Handlers that must have been entered before the first fault.
const WARM: usize = 20;

/// What a plan is run with.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) plan: &'static str,
    pub(crate) seed: u64,
    pub(crate) servers: usize,
    pub(crate) workers: usize,
    pub(crate) terms: Terms,
    /// Workers pull their attempts.
    pub(crate) pulls: bool,
    /// A planted bug, in builds that have them.
    pub(crate) mutant: Option<Mutant>,
    /// Whether each round is done once, or as often as the full test asks.
    pub(crate) rounds: u64,
}

/// What the checker says of a plan.
pub(crate) struct Judged {
    pub(crate) violations: Vec<Violation>,
    pub(crate) figures: Figures,
}

pub(crate) struct Stage {
    pub(crate) setting: Setting,
    pub(crate) chance: Chance,
    pub(crate) nodes: Vec<Node>,
    pub(crate) workers: Workers,
    pub(crate) observer: Observer,
    pub(crate) database: Database,
    place: PathBuf,
    clock: Option<FakeTime>,
    load: Option<Load>,
    client: Client,
    record: Record,
    runtime: Runtime,
    revived: usize,
    _stalls: Stalls,
    /// Failpoints that must have been hit, and how often.
    points: (&'static [&'static str], u64),
}

impl Stage {
    /// Everything started and at work.
    pub(crate) fn open(
        setting: Setting,
        place: &Path,
        database: Database,
        clock: Option<FakeTime>,
    ) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let peers = Peers::default();
        let observer = Observer::listen()?;
        let mut nodes = Vec::new();
        for which in 0..setting.servers {
            nodes.push(node(&runtime, &setting, (&database, clock.as_ref()), place, which, &peers)?);
        }
        for node in &mut nodes {
            node.start()?;
        }
        let token = database.open_app(place, &mut nodes, APP)?;
        let addresses: Vec<String> = nodes.iter().map(|node| node.front.address.to_string()).collect();
        let mut workers = Workers::new(setting.workers, place, &observer, peers.clone());
        workers.variables = vec![
            ("FASTJOB_SERVERS", addresses.join(",")),
            ("FASTJOB_APP", APP.to_owned()),
            ("FASTJOB_TOKEN", token.clone()),
        ];
        if let Some(mutant) = &setting.mutant {
            workers.variables.push(("FASTJOB_MUTANT", mutant.name.to_owned()));
        }
        if setting.pulls {
            workers.variables.push(("CHAOS_PULL", "1".to_owned()));
        }
        workers.start_all()?;
        peers.add(std::process::id(), "client");
        let record = Record::default();
        let stalls = Stalls::watch(place, record.clone())?;
        let inserts = database.inserts(APP);
        let (client, load) = runtime.block_on(async {
            let mut options = Options::new(addresses, APP, token);
            options.call_timeout = Duration::from_secs(3);
            let client = Client::connect(options).await.map_err(|error| error.to_string())?;
            let load = Load::begin(client.clone(), record.clone(), setting.seed, inserts).await?;
            Ok::<_, String>((client, load))
        })?;
        let chance = Chance::new(setting.seed);
        let mut stage = Self {
            setting,
            chance,
            nodes,
            workers,
            observer,
            database,
            place: place.to_owned(),
            clock,
            load: Some(load),
            client,
            record,
            runtime,
            revived: 0,
            _stalls: stalls,
            points: (&[], 0),
        };
        stage.wait_until("handlers are entered", |stage| stage.observer.starts() >= WARM)?;
        if let Some(mutant) = stage.setting.mutant.filter(|mutant| mutant.late) {
            stage.plant(mutant)?;
        }
        Ok(stage)
    }

    /// Lets everything work for a time, drawn from up to `most_ms`, in which no server may end by itself.
    pub(crate) fn work_for(&mut self, least_ms: u64, most_ms: u64) -> Result<(), String> {
        let drawn = least_ms + self.chance.below((most_ms - least_ms).max(1));
        thread::sleep(Duration::from_millis(drawn));
        self.revive()
    }

    /// A server that others declared dead ends by itself: whoever supervises it starts it again. No other may.
    pub(crate) fn revive(&mut self) -> Result<(), String> {
        for node in &mut self.nodes {
            if node.has_ended() {
                if !node.was_declared_dead() {
                    return Err(format!(
                        "{} ended by itself; see {}",
                        node.name,
                        node.server.log().display()
                    ));
                }
                self.revived += 1;
                node.start()?;
            }
        }
        Ok(())
    }

    /// The history is void unless each of these failpoints was hit so often with attempts in flight.
    pub(crate) fn must_hit(&mut self, points: &'static [&'static str], times: u64) {
        self.points = (points, times);
    }

    /// Waits until attempts are in their handlers.
    pub(crate) fn wait_for_work(&mut self) -> Result<(), String> {
        self.wait_until("attempts are in flight", |stage| stage.observer.in_flight(&stage.workers.pids()) > 0)
    }

    /// Waits until a handler is entered that was not before.
    pub(crate) fn wait_for_progress(&mut self) -> Result<(), String> {
        let seen = self.observer.starts();
        self.wait_until("a handler is entered", |stage| stage.observer.starts() > seen)
    }

    pub(crate) fn wait_until(&mut self, what: &str, so: impl Fn(&Self) -> bool) -> Result<(), String> {
        if super::harness::wait_for(HEAL, || so(self)) {
            return Ok(());
        }
        Err(format!("within {HEAL:?} it did not come that {what}"))
    }

    /// Which server owns the app now, if that can be told.
    pub(crate) fn owner(&mut self) -> Option<usize> {
        let located = self.runtime.block_on(self.client.locate()).ok()?;
        let shard = located.shards.first()?;
        self.nodes.iter().position(|node| node.front.address.to_string() == shard.address)
    }

    /// Asks the others to hand the app to this server. Nobody may own it now: then it is to be asked again.
    pub(crate) fn move_app(&self, to: usize) -> Result<Child, String> {
        let others = self.nodes.iter().enumerate().filter(|(which, _)| *which != to);
        let others: Vec<String> = others.map(|(_, node)| node.front.address.to_string()).collect();
        let to = self.nodes[to].front.address.to_string();
        let mut command = self.database.as_admin(&self.place, &others.join(","));
        command.args(["app", "move", APP, "--to", &to]).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map_err(|error| format!("failed to run fastjob: {error}"))
    }

    /// So many more callers, of this job.
    pub(crate) fn call_more(&mut self, job: &'static str, callers: usize) -> Result<(), String> {
        let load = self.load.as_mut().ok_or("the load has ended")?;
        let _runtime = self.runtime.enter();
        load.call(job, callers);
        Ok(())
    }

    /// The newest epoch that a handler was told.
    pub(crate) fn newest_epoch(&self) -> u64 {
        self.observer.newest_epoch()
    }

    /// Puts one more job.
    pub(crate) fn put(&mut self, job: fastjob_core::protocol::v1::JobSpec) -> Result<(), String> {
        let load = self.load.as_mut().ok_or("the load has ended")?;
        self.runtime.block_on(load.put(job))
    }

    /// Fires a job once.
    pub(crate) fn fire(&self, job: &str, key: &str) -> Result<(), String> {
        let load = self.load.as_ref().ok_or("the load has ended")?;
        self.runtime.block_on(load.fire(job, key))
    }

    /// Whether the run with this key has ended.
    pub(crate) fn has_ended(&self, job: &str, key: &str) -> Result<bool, String> {
        let run =
            self.runtime.block_on(self.client.run_by_key(job, key)).map_err(|error| error.to_string())?;
        Ok(run.state.is_ended())
    }

    /// Heals everything, waits until nothing is open, writes the history, and has it judged.
    pub(crate) fn close(mut self, history: &Path) -> Result<Judged, String> {
        self.heal()?;
        let load = self.load.take().ok_or("the load has ended")?;
        let (jobs, quiet_ms) = self.runtime.block_on(load.end())?;
        let still_open = self.wait_until_nothing_is_open();
        let names: Vec<&str> = jobs.0.iter().map(|job| job.name.as_str()).collect();
        let variables = self.workers.variables.clone();
        let ask = |arguments: &[&str]| command(&variables, arguments);
        let mut lines = vec![self.config(quiet_ms)];
        lines.extend(self.record.lines());
        lines.extend(ledger::read(&ask, &names)?);
        self.workers.stop();
        lines.extend(self.observer.lines());
        for node in &mut self.nodes {
            node.stop()?;
        }
        lines.extend(self.runtime.block_on(self.database.sql().owner_log(APP))?);
        lines.extend(self.runtime.block_on(self.database.sql().commits())?);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(history, &text).map_err(|error| format!("failed to write the history: {error}"))?;
        let (violations, figures) = checker::check(&text)?;
        if violations.is_empty() {
            still_open?;
        }
        Ok(Judged { violations, figures })
    }

    /// Every process alive, every link whole.
    pub(crate) fn heal(&mut self) -> Result<(), String> {
        for node in &self.nodes {
            node.front.heal();
            node.database.iter().for_each(Proxy::heal);
            node.go_on();
        }
        self.database.set_access(Access::ReadWrite)?;
        for node in &mut self.nodes {
            if !node.alive {
                node.start()?;
            }
        }
        self.revive()?;
        for which in 0..self.workers.count() {
            self.workers.signal(which, rustix::process::Signal::CONT);
        }
        self.workers.start_all()
    }

    fn wait_until_nothing_is_open(&self) -> Result<(), String> {
        let mut last = String::from("nobody answered");
        for _ in 0..HEAL.as_millis() / LOOK.as_millis() {
            let filter = RunFilter {
                states: vec![RunState::Scheduled, RunState::Dispatched],
                limit: 10,
                ..RunFilter::default()
            };
            // In this order: what is taken from the inbox is an open run by then.
            let waiting = self.runtime.block_on(self.database.sql().waiting()).unwrap_or(i64::MAX);
            match self.runtime.block_on(self.client.run_list(filter)) {
                Ok(runs) if runs.is_empty() && waiting == 0 => return Ok(()),
                Ok(runs) if runs.is_empty() => last = format!("{waiting} rows of the inbox"),
                Ok(runs) => {
                    last = runs
                        .iter()
                        .map(|run| format!("{} {:?}", run.id, run.state))
                        .collect::<Vec<_>>()
                        .join(", ");
                }
                Err(error) => last = error.to_string(),
            }
            thread::sleep(LOOK);
        }
        Err(format!("after {HEAL:?} still open: {last}"))
    }

    fn config(&self, quiet_ms: i64) -> Value {
        let terms = self.setting.terms;
        let silence_ms = SILENCE_MS.min(terms.lease_ms / 4 * 3);
        json!({
            "kind": "config", "plan": self.setting.plan, "seed": self.setting.seed, "database": self.database.name(),
            "servers": self.nodes.len(), "workers": self.workers.count(), "lease_ms": terms.lease_ms,
            "renew_ms": terms.renew_ms, "lost_after_ms": LOST_AFTER_MS, "silence_ms": silence_ms, "quiet_ms": quiet_ms,
            "takeover_limit_ms": (self.nodes.len() > 1).then_some(terms.takeover_limit_ms), "points": self.points.0, "least_hits": self.points.1,
        })
    }
}

fn node(
    runtime: &Runtime,
    setting: &Setting,
    (database, clock): (&Database, Option<&FakeTime>),
    place: &Path,
    which: usize,
    peers: &Peers,
) -> Result<Node, String> {
    let name = format!("server-{which}");
    let home: PathBuf = place.join(&name);
    std::fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    let front = runtime.block_on(Proxy::listen(peers.clone()))?;
    let link = match database.address() {
        Some(address) => {
            let link = runtime.block_on(Proxy::listen(peers.clone()))?;
            link.leads_to(address);
            Some(link)
        }
        None => None,
    };
    let mut server = database.server(place, &home, APP)?;
    let mut set = |key: &'static str, value: String| server.settings.push((key, value.leak()));
    set("FASTJOB_RPC__ADVERTISE", front.address.to_string());
    set("FASTJOB_CLUSTER__LEASE_MS", setting.terms.lease_ms.to_string());
    set("FASTJOB_CLUSTER__RENEW_MS", setting.terms.renew_ms.to_string());
    set("FASTJOB_DEFAULTS__WORKER_LOST_AFTER_MS", LOST_AFTER_MS.to_string());
    if database.address().is_none() {
        for (key, value) in clock.map(FakeTime::environment).unwrap_or_default() {
            set(key, value.to_string_lossy().into_owned());
        }
    }
    if let Some(link) = &link {
        set("FASTJOB_DATABASE__URL", database.url_through(link.address));
    }
    if let Some(mutant) = setting.mutant.filter(|mutant| !mutant.late) {
        set("FASTJOB_MUTANT", mutant.name.to_owned());
    }
    let address =
        free_address(&mut Chance::new(setting.seed ^ which as u64 ^ u64::from(std::process::id())))?;
    Ok(Node::new(name, server, address, front, link, peers.clone()))
}

fn command(variables: &[(&'static str, String)], arguments: &[&str]) -> Command {
    let mut command = fastjob();
    command.args(arguments).args(["-o", "json"]);
    command.envs(variables.iter().map(|(key, value)| (*key, value)));
    command
}
