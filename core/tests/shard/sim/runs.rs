//! The simulation by many seeds, and the proof that it can fail. `FASTJOB_SIM_SEED` repeats one seed with its story,
//! `FASTJOB_SIM_RUNS` takes that many.

use std::collections::{BTreeMap, BinaryHeap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastjob_core::domain::{Name, State};
use fastjob_core::id::Chance;
use fastjob_core::shard::Call;

use super::clients::JOBS;
use super::faults::Weather;
use super::laws::Laws;
use super::store::Store;
use super::{Ms, Plant, Sim};

/// Seeds of a run without a wish.
const RUNS: u64 = 1_000;
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
            events_seen: 0,
        };
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

/// What a failed seed says.
fn run(seed: u64, plant: Option<Plant>) -> Result<u64, String> {
    let mut sim = Sim::new(seed, plant, None);
    let lived = catch_unwind(AssertUnwindSafe(|| sim.live()));
    lived.map(|()| sim.events_seen).map_err(|panic| said(&*panic))
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

#[test]
fn a_cluster_keeps_its_guarantees_through_any_faults() {
    if let Some(seed) = number("FASTJOB_SIM_SEED") {
        println!("{}", tell(seed, usize::MAX));
        return run(seed, None).map(drop).unwrap_or_else(|said| panic!("seed {seed}: {said}"));
    }
    let mut events = 0;
    for seed in 1..=number("FASTJOB_SIM_RUNS").unwrap_or(RUNS) {
        match run(seed, None) {
            Ok(seen) => events += seen,
            Err(said) => {
                let story = tell(seed, LINES);
                panic!("{story}\nseed {seed}: {said}\nFASTJOB_SIM_SEED={seed} repeats it");
            }
        }
    }
    println!("{events} events");
}
