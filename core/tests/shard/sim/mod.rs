//! A whole cluster in one process under virtual time: servers that run owners of one shard, a model of the database,
//! workers and clients, and a network and machines that fail. Everything that happens is drawn from one seed, so that a
//! seed repeats a failure. Shards share nothing but their database, so one is enough.

mod clients;
mod faults;
mod fleet;
mod laws;
mod owner;
mod runs;
mod server;
mod store;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use fastjob_core::clock::Millis;
use fastjob_core::id::Chance;
use fastjob_core::shard::StreamId;

use self::clients::Client;
use self::faults::Weather;
use self::fleet::{Stream, Worker};
use self::laws::Laws;
use self::server::Server;
use self::store::{Answer, Ask, Store};

/// Virtual milliseconds since the beginning.
type Ms = i64;

/// The database's time at the beginning.
const BEGINNING: i64 = 1_800_000_000_000;
/// More events at one instant are a spin.
const EVENTS_AT_ONCE: u32 = 20_000;

fn millis(at: Ms) -> Millis {
    Millis::new(BEGINNING + at)
}

/// A fault in the simulation's own parts, to prove that it would be noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plant {
    FenceIgnored,
    FenceWithoutLock,
    ClaimKeepsEpoch,
    ReloadKeepsEpoch,
    MemoryKept,
    ActBeforeCommit,
    FiredNotLoaded,
    OutageUntold,
    HelloListsNothing,
    OutboxForgets,
    RequestRenamed,
}

type Then = Box<dyn FnOnce(&mut Sim)>;
type Answered = Box<dyn FnOnce(&mut Sim, Option<Answer>)>;

struct Due {
    at: Ms,
    ordinal: u64,
    then: Then,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.ordinal) == (other.at, other.ordinal)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.ordinal).cmp(&(other.at, other.ordinal))
    }
}

/// A place on the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    Database,
    /// A machine; a process that restarts stays there.
    Machine(usize),
    Worker(usize),
    Client(usize),
}

/// Everything.
struct Sim {
    now: Ms,
    chance: Chance,
    events: BinaryHeap<Reverse<Due>>,
    ordinal: u64,
    at_once: u32,
    store: Store,
    /// Processes, the dead ones included.
    servers: Vec<Server>,
    /// The process of each machine.
    machines: Vec<usize>,
    workers: Vec<Worker>,
    clients: Vec<Client>,
    streams: BTreeMap<StreamId, Stream>,
    next_name: u64,
    /// Questions to the database without an answer.
    asking: BTreeMap<u64, (usize, Answered)>,
    weather: Weather,
    laws: Laws,
    plant: Option<Plant>,
    /// How long a server waits for the database.
    patience_ms: Ms,
    /// Cron jobs have cron expressions.
    crons: bool,
    /// How often what a simulation is for has happened.
    seen: BTreeMap<&'static str, u64>,
    /// `None`: nobody reads it.
    story: Option<Vec<String>>,
    events_seen: u64,
}

impl Sim {
    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.chance.next_u64() % n
    }

    fn between(&mut self, from: Ms, to: Ms) -> Ms {
        from + self.below((to - from + 1).max(1) as u64) as Ms
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let at = self.below(from.len() as u64) as usize;
        from[at].clone()
    }

    fn name(&mut self) -> u64 {
        self.next_name += 1;
        self.next_name
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn trace(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(story) = &mut self.story {
            story.push(format!("{now:>7} {}", line()));
        }
    }

    fn at(&mut self, delay: Ms, then: impl FnOnce(&mut Sim) + 'static) {
        self.ordinal += 1;
        let due = Due { at: self.now + delay.max(0), ordinal: self.ordinal, then: Box::new(then) };
        self.events.push(Reverse(due));
    }

    /// In a process: later if it stands still then, never if it is dead.
    fn on(&mut self, server: usize, delay: Ms, then: impl FnOnce(&mut Sim) + 'static) {
        self.at(delay, move |sim| {
            let process = &sim.servers[server];
            if !process.alive {
                return;
            }
            let still_ms = process.paused_until - sim.now;
            if still_ms > 0 { sim.on(server, still_ms, then) } else { then(sim) }
        });
    }

    /// Runs everything that happens before `until`.
    fn run_until(&mut self, until: Ms) {
        while let Some(Reverse(next)) = self.events.peek() {
            if next.at > until {
                break;
            }
            let Some(Reverse(due)) = self.events.pop() else { break };
            self.at_once = if due.at > self.now { 0 } else { self.at_once + 1 };
            assert!(self.at_once < EVENTS_AT_ONCE, "something spins at {}", self.now);
            self.now = due.at;
            self.events_seen += 1;
            (due.then)(self);
        }
        self.now = until;
    }

    /// How long a message from one place to another is under way; `None`: it is lost.
    fn transit(&mut self, from: Place, to: Place) -> Option<Ms> {
        let delay = match self.below(40) {
            0 => self.between(50, 900),
            _ => self.between(1, 6),
        };
        let blocked_until = self.weather.blocked_until(from, to, self.now);
        if blocked_until <= self.now {
            return Some(delay);
        }
        // What is sent again and again may arrive once the way is free; what gives up does not.
        (self.below(3) == 0).then(|| blocked_until - self.now + delay)
    }

    /// Asks the database; `then` hears `None` if no answer came in time.
    fn ask(
        &mut self,
        server: usize,
        patience_ms: Ms,
        ask: Ask,
        then: impl FnOnce(&mut Sim, Option<Answer>) + 'static,
    ) {
        let op = self.name();
        self.asking.insert(op, (server, Box::new(then)));
        self.on(server, patience_ms, move |sim| sim.answer_is_here(op, None));
        let machine = Place::Machine(self.servers[server].machine);
        if let Some(delay) = self.transit(machine, Place::Database) {
            self.at(delay, move |sim| sim.asked(op, ask));
        }
    }

    /// The database answers.
    fn answered(&mut self, op: u64, answer: Answer) {
        let Some((server, _)) = self.asking.get(&op) else { return };
        let server = *server;
        let machine = Place::Machine(self.servers[server].machine);
        if let Some(delay) = self.transit(Place::Database, machine) {
            self.on(server, delay, move |sim| sim.answer_is_here(op, Some(answer)));
        }
    }

    fn answer_is_here(&mut self, op: u64, answer: Option<Answer>) {
        if let Some((_, then)) = self.asking.remove(&op) {
            then(self, answer);
        }
    }
}
