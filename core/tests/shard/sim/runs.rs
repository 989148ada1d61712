//! The simulation by many seeds, and the proof that it can fail. `FASTJOB_SIM_SEED` repeats one seed with its story,
//! `FASTJOB_SIM_RUNS` takes that many.

use std::collections::{BTreeMap, BinaryHeap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fastjob_core::domain::{Name, State};
use fastjob_core::id::Chance;
use fastjob_core::shard::Call;

use super::clients::JOBS;
use super::faults::Weather;
use super::laws::Laws;
use super::store::Store;
use super::{Ms, Plant, Sim};

/// Seeds of a run without a wish.
const RUNS: u64 = 600;
/// What the simulation is for: a run that has not seen each of these proves little.
const SEEN: [&str; 22] = [
    "shard claimed",
    "server declared dead",
    "server learned that it is dead",
    "orphan adopted",
    "trust regained",
    "owner fenced",
    "commit met the fence",
    "waited for the fence",
    "commit landed after its owner had given it up",
    "memory thrown away",
    "suspect found",
    "attempts given up",
    "call repeated",
    "scheduled -> dispatched",
    "dispatched -> succeeded",
    "dispatched -> Lost",
    "dispatched -> Undelivered",
    "dispatched -> Failed",
    "dispatched -> Timeout",
    "scheduled -> skipped(catch_up)",
    "gap -> CatchUp",
    "outage made up for",
];

/// A fault, the guarantees one of which must notice it, and within how many seeds.
const PLANTS: [(Plant, &[&str], u64); 11] = [
    (Plant::FenceIgnored, &["G6"], 100),
    (Plant::FenceWithoutLock, &["G6"], 100),
    (Plant::ClaimKeepsEpoch, &["G6"], 20),
    (Plant::ReloadKeepsEpoch, &["G4", "G5", "G6"], 100),
    (Plant::MemoryKept, &["G1", "G4", "G5", "G12"], 50),
    (Plant::ActBeforeCommit, &["G2", "G3"], 20),
    (Plant::FiredNotLoaded, &["G12"], 20),
    (Plant::OutageUntold, &["G8"], 50),
    (Plant::HelloListsNothing, &["G5"], 20),
    (Plant::OutboxForgets, &["G5", "G3"], 50),
    (Plant::RequestRenamed, &["G12"], 50),
];

/// Within this time everything due has ended, once all faults have.
const HEALED_WITHIN_MS: Ms = 240_000;
/// Lines of the story that a failure shows.
const LINES: usize = 150;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

impl Sim {
    fn new(seed: u64, plant: Option<Plant>, story: Option<Vec<String>>) -> Self {
        let mut sim = Self {
            now: 0,
            chance: Chance::from_seed(seed),
            events: BinaryHeap::new(),
            ordinal: 0,
            at_once: 0,
            store: Store::new(),
            servers: Vec::new(),
            machines: Vec::new(),
            workers: Vec::new(),
            clients: Vec::new(),
            streams: BTreeMap::new(),
            next_name: 0,
            asking: BTreeMap::new(),
            weather: Weather::default(),
            laws: Laws::default(),
            plant,
            story,
            patience_ms: 10_000,
            crons: false,
            seen: BTreeMap::new(),
            events_seen: 0,
        };
        sim.crons = sim.below(4) == 0;
        sim.patience_ms = sim.pick(&[1_500, 4_000, 10_000]);
        for machine in 0..2 + sim.below(3) as usize {
            sim.machines.push(usize::MAX);
            sim.start(machine);
        }
        for worker in 0..2 + sim.below(4) as usize {
            sim.hire(worker);
        }
        (0..2).for_each(|_| sim.add_client());
        sim
    }

    /// A stormy time, then a calm one in which everything must come to its end.
    fn live(&mut self) {
        let end = self.between(15_000, 45_000);
        let faults = if self.below(10) == 0 { 0 } else { 1 + self.below(16) };
        for _ in 0..faults {
            let at = self.between(2_000, end - 1);
            self.at(at, move |sim| sim.fault(end));
        }
        while self.now < end {
            let until = (self.now + 5_000).min(end);
            self.run_until(until);
            self.judge();
        }
        self.calm();
        self.clients.iter_mut().for_each(|client| client.rests = true);
        self.run_until(end + 20_000);
        let deadline = end + HEALED_WITHIN_MS;
        for name in JOBS {
            while !self.is_answered(0) && self.now < deadline {
                self.run_until(self.now + 200);
            }
            self.call(0, Call::JobEnable { name: Name::parse(name).unwrap(), enabled: false });
        }
        let open = |sim: &Self| {
            sim.store.tables.runs.values().any(|run| !matches!(run.state, State::Ended(_)))
                || !sim.workers.iter().all(super::fleet::Worker::is_idle)
                || !sim.is_answered(0)
        };
        while self.now < deadline && open(self) {
            self.run_until(self.now + 1_000);
        }
        self.judge_end();
    }
}

/// What a run tells.
#[derive(Default)]
struct Tale {
    events: u64,
    /// When it ended, and what chance would have said next: equal for equal runs.
    end: (Ms, u64),
    seen: BTreeMap<String, u64>,
}

/// One seed from its beginning to its end, or to what is wrong with it.
fn run(seed: u64, plant: Option<Plant>) -> Result<Tale, String> {
    let mut sim = Sim::new(seed, plant, None);
    catch_unwind(AssertUnwindSafe(|| sim.live())).map_err(|panic| said(&*panic))?;
    let mut seen = sim.store.tables.taken.clone();
    seen.extend(sim.seen.iter().map(|(what, times)| ((*what).to_owned(), *times)));
    Ok(Tale { events: sim.events_seen, end: (sim.now, sim.chance.next_u64()), seen })
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// The same seed again, with its story told.
fn tell(seed: u64, lines: usize) -> String {
    let mut sim = Sim::new(seed, None, Some(Vec::new()));
    let lived = catch_unwind(AssertUnwindSafe(|| sim.live()));
    let story = sim.story.take().unwrap_or_default();
    let last = story[story.len().saturating_sub(lines)..].join("\n");
    match lived {
        Ok(()) => last,
        Err(panic) => format!("{last}\n{}", said(&*panic)),
    }
}

/// Takes seeds until one fails, on as many threads as there are processors.
fn run_all(seeds: u64) -> Result<Tale, (u64, String)> {
    let next = AtomicU64::new(1);
    let total = Mutex::new(Ok(Tale::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > seeds {
                return;
            }
            let tale = run(seed, None);
            let mut total = total.lock().expect("nobody panics with it");
            match (tale, &mut *total) {
                (_, Err(_)) => return,
                (Err(said), total) => *total = Err((seed, said)),
                (Ok(tale), Ok(total)) => {
                    total.events += tale.events;
                    tale.seen
                        .into_iter()
                        .for_each(|(what, times)| *total.seen.entry(what).or_default() += times);
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    total.into_inner().expect("nobody panicked with it")
}

#[test]
fn a_cluster_keeps_its_guarantees_through_any_faults() {
    if let Some(seed) = number("FASTJOB_SIM_SEED") {
        println!("{}", tell(seed, usize::MAX));
        return run(seed, None).map(drop).unwrap_or_else(|said| panic!("seed {seed}: {said}"));
    }
    let wish = number("FASTJOB_SIM_RUNS");
    let total = run_all(wish.unwrap_or(RUNS)).unwrap_or_else(|(seed, said)| {
        let story = tell(seed, LINES);
        panic!("{story}\nseed {seed}: {said}\nFASTJOB_SIM_SEED={seed} repeats it");
    });
    println!("{:>9}  events", total.events);
    for (what, times) in &total.seen {
        println!("{times:>9}  {what}");
    }
    let never: Vec<_> = SEEN.iter().filter(|what| !total.seen.contains_key(**what)).collect();
    assert!(wish.is_some() || never.is_empty(), "what no seed has seen: {never:?}");
}

#[test]
fn a_seed_repeats_what_happened() {
    for seed in 1..=12 {
        let (first, second) = (run(seed, None).unwrap(), run(seed, None).unwrap());
        assert_eq!((first.events, first.end, first.seen), (second.events, second.end, second.seen));
    }
}

#[test]
fn each_fault_that_is_planted_in_the_simulation_is_caught_by_its_guarantee() {
    for (plant, laws, seeds) in PLANTS {
        let caught = (1..=seeds).find_map(|seed| Some((seed, run(seed, Some(plant)).err()?)));
        let Some((seed, said)) = caught else { panic!("{plant:?} was not caught by {seeds} seeds") };
        let line: String = said.lines().next().unwrap_or_default().chars().take(110).collect();
        println!("{plant:?} was caught by seed {seed}: {line}");
        assert!(laws.iter().any(|law| said.contains(law)), "{plant:?} broke none of {laws:?}: {said}");
    }
}
