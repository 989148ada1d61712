//! Random walks through everything that can happen to a shard, checked at each step, healed and checked at their end. A
//! walk that fails is shrunk, and its seed is kept in `model.regressions`, which each later run repeats first.
//! `FASTJOB_MODEL_SEED` chooses other walks, `FASTJOB_MODEL_WALKS` that many, `FASTJOB_MODEL_STEPS` makes them longer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    Backoff, CatchUp, CatchUpPolicy, Cron, Definition, Dialect, Limits, ManagedBy, Name, Overlap, Payload,
    Retry, Routing, Source, State, Timing, Trigger,
};
use fastjob_core::id::{Id, RunId};
use fastjob_core::schedule::Schedule;
use fastjob_core::shard::{Backfill, Call, Fire, JobPut, Order, When};

use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestRunner};

use crate::steps::{self, Action, Step};
use crate::worker::Worker;
use crate::world::{Fate, World};
use crate::{checks, inbox};

const JOBS: [&str; 8] = ["rate", "cron", "at", "delay", "api", "once", "strict", "serial"];

/// Policies under which no two runs of a job run at a time.
const DISJOINT: [Overlap; 4] = [Overlap::Skip, Overlap::BufferOne, Overlap::BufferAll, Overlap::CancelOther];

/// Steps between two looks at the whole history; each commit is checked by itself.
const CHECK_EVERY: usize = 25;

/// Every row of the state table, by the names of the rows.
const TABLE: [&str; 34] = [
    "- -> scheduled",
    "- -> dispatched",
    "- -> skipped(overlap)",
    "scheduled -> dispatched",
    "scheduled -> skipped(overlap)",
    "scheduled -> skipped(catch_up)",
    "scheduled -> skipped(disabled)",
    "scheduled -> skipped(deleted)",
    "scheduled -> skipped(start_deadline)",
    "scheduled -> cancelled",
    "scheduled -> cancelled(overlap)",
    "dispatched -> cancelled",
    "dispatched -> cancelled(overlap)",
    "dispatched -> succeeded",
    "dispatched -> failed(error)",
    "dispatched -> failed(timeout)",
    "dispatched -> failed(lost)",
    "dispatched -> failed(quarantined)",
    "dispatched -> Failed",
    "dispatched -> Timeout",
    "dispatched -> Lost",
    "dispatched -> Undelivered",
    "report -> Accepted",
    "report -> Duplicate",
    "report -> Late",
    "command carried out",
    "command set aside",
    "report through another server",
    "gap -> CatchUp",
    "gap -> Disabled",
    "outage made up for",
    "run taken back",
    "tick run again",
    "run follows an edit",
];

/// Of the walks that each run takes unless told otherwise.
const SEED: u64 = 1;
/// A walk that fails is made simpler for this long, and in so many tries.
const SHRINK_MS: u32 = 120_000;
const SHRINK_STEPS: u32 = 100_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_walk_breaks_a_guarantee_and_every_row_of_the_state_table_is_taken() {
    let steps = number("FASTJOB_MODEL_STEPS", 800);
    let walks = number("FASTJOB_MODEL_WALKS", 60);
    let kept =
        FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shard/model.regressions"));
    let mut runner = TestRunner::new(Config {
        cases: walks as u32,
        rng_seed: RngSeed::Fixed(number("FASTJOB_MODEL_SEED", SEED)),
        failure_persistence: Some(Box::new(kept)),
        max_shrink_time: SHRINK_MS,
        max_shrink_iters: SHRINK_STEPS,
        ..Config::default()
    });
    let taken: RefCell<BTreeMap<String, u64>> = RefCell::default();
    let walked = runner.run(&steps::walk(steps as usize), |(seed, steps)| {
        let rows = walk(seed, steps);
        rows.into_iter().for_each(|(row, times)| *taken.borrow_mut().entry(row).or_default() += times);
        Ok(())
    });
    if let Err(failed) = walked {
        panic!("{failed}");
    }
    let taken = taken.into_inner();
    for row in TABLE {
        println!("{:>8}  {row}", taken.get(row).copied().unwrap_or(0));
    }
    let never: Vec<_> = TABLE.iter().filter(|row| !taken.contains_key(**row)).collect();
    assert!(never.is_empty(), "rows of the state table that no walk took: {never:?}");
}

fn walk(seed: u64, steps: Vec<Step>) -> BTreeMap<String, u64> {
    let mut world = World::new(seed);
    for slots in [1, 3] {
        let worker = Worker::new(&["a", "b"], slots, world.now, &mut world.chance);
        world.workers.push(worker);
    }
    let mut requests: Vec<Fire> = Vec::new();
    for (n, Step { action, choices }) in steps.into_iter().enumerate() {
        world.choices = choices.into();
        step(&mut world, action, &mut requests);
        if n % CHECK_EVERY == 0 {
            check(&world);
        }
    }
    world.choices.clear();
    heal(&mut world);
    world.rows_taken()
}

fn check(world: &World) {
    let past = world.past();
    checks::every_tick_is_accounted_for(past);
    checks::executions_are_explained(past);
    checks::chains_are_consecutive(past);
    checks::skipped_runs_never_started(past);
    inbox::stored_outcomes_are_recorded(&world.tables, &world.stored);
}

fn step(world: &mut World, action: Action, requests: &mut Vec<Fire>) {
    match action {
        Action::TimePasses => time_passes(world),
        Action::WorkersRead => read_some(world),
        Action::HandlerReturns => {
            let worker = world.below(world.workers.len() as u64) as usize;
            let odd = world.below(8);
            world.finish_one(worker, odd);
        }
        Action::WorkersConnect => reconnect(world),
        Action::StreamBreaks => break_something(world),
        Action::JobEdited => edit(world),
        Action::JobsTriggered => trigger(world, requests),
        Action::ToldThroughOthers => through_others(world, requests),
        Action::RunCancelledOrRetried => cancel_or_retry(world),
        Action::CommitFails => {
            world.pump();
            let size = 1 + world.below(6) as usize;
            let fate = [Fate::Refused, Fate::Unknown, Fate::Committed][world.below(3) as usize];
            world.turn(size, fate);
        }
        Action::ClockSetBack => world.now = world.now.plus(-4_000),
        Action::ServerDies => {
            let down_ms = [100, 3_000, 90_000, 4_000_000][world.below(4) as usize];
            world.kill_server(down_ms);
        }
        Action::OwnerSettles => {
            world.pump();
            world.settle();
        }
    }
    world.workers_give_up();
}

fn time_passes(world: &mut World) {
    world.pump();
    let wake = world.shard.next_wake();
    let ms = match (world.below(10), wake) {
        (0..=5, Some(at)) => at.since(world.now).clamp(0, 20_000),
        (6..=8, _) => world.below(2_000) as i64,
        _ => world.below(12_000) as i64,
    };
    world.advance(ms);
    let size = 1 + world.below(20) as usize;
    world.turn(size, Fate::Committed);
}

fn read_some(world: &mut World) {
    let streams: Vec<_> = world.wires.keys().copied().collect();
    for stream in streams {
        for _ in 0..world.below(6) {
            world.worker_reads(stream);
        }
    }
    world.pump();
    world.turn(50, Fate::Committed);
}

fn reconnect(world: &mut World) {
    for worker in 0..world.workers.len() {
        if world.workers[worker].stream.is_none() && world.below(2) == 0 {
            world.connect(worker);
        }
    }
}

fn break_something(world: &mut World) {
    let worker = world.below(world.workers.len() as u64) as usize;
    if world.below(3) == 0 {
        world.kill_worker(worker);
    } else if let Some(stream) = world.workers[worker].stream {
        world.break_stream(stream);
    }
}

fn edit(world: &mut World) {
    let name = Name::parse(JOBS[world.below(JOBS.len() as u64) as usize]).unwrap();
    let call = match world.below(10) {
        0 => Call::JobDelete { name },
        1..=2 => Call::JobEnable { name, enabled: false },
        3..=4 => Call::JobEnable { name, enabled: true },
        _ => {
            let enabled = [None, None, Some(true), Some(false)][world.below(4) as usize];
            Call::JobPut(vec![JobPut { definition: definition(world, &name), name, enabled }])
        }
    };
    world.call(call);
}

fn definition(world: &mut World, name: &Name) -> Definition {
    let seconds = 1_000 * (1 + world.below(4) as i64);
    let trigger = match name.as_str() {
        "rate" | "strict" | "serial" => Trigger::FixedRate {
            period_ms: seconds,
            phase: [None, Some(Millis::new(seconds / 3))][world.below(2) as usize],
        },
        "cron" => Trigger::Cron(Cron::new(
            format!("*/{} * * * * ?", [2, 4, 5][world.below(3) as usize]),
            Dialect::Quartz,
            "UTC",
        )),
        "at" | "once" => {
            let from = world.now.plus(-2_000);
            Trigger::At((0..8).map(|n| from.plus(n * n * seconds / 2 + n)).collect())
        }
        "delay" => Trigger::FixedDelay { delay_ms: [0, 500, 3_000, 40_000][world.below(4) as usize] },
        _ => Trigger::Api,
    };
    Definition {
        handler: Name::parse(["a", "b"][world.below(2) as usize]).unwrap(),
        trigger,
        params: Payload::text(format!("{}", world.below(3))),
        timing: timing(world, name.as_str()),
        catch_up: CatchUp {
            policy: [CatchUpPolicy::Latest, CatchUpPolicy::None, CatchUpPolicy::All(3)]
                [world.below(3) as usize],
            threshold_ms: [0, 2_000, 60_000][world.below(3) as usize],
            window_ms: [None, Some(5_000)][world.below(2) as usize],
        },
        limits: limits(world, name.as_str()),
        managed_by: ManagedBy::Code,
        source_version: None,
    }
}

fn timing(world: &mut World, name: &str) -> Timing {
    let now = world.now;
    Timing {
        start_at: [None, None, Some(now.plus(3_000))][world.below(3) as usize],
        end_at: [None, None, Some(now.plus(20_000))][world.below(3) as usize],
        // The runs of these are judged by the instants of their ticks.
        jitter_ms: if matches!(name, "at" | "once") { 0 } else { [0, 700, 5_000][world.below(3) as usize] },
    }
}

fn limits(world: &mut World, name: &str) -> Limits {
    Limits {
        // Two jobs keep to policies that let runs be disjoint, so that this can be judged over their whole lives.
        overlap: match name {
            "strict" => Overlap::Skip,
            "serial" => DISJOINT[world.below(DISJOINT.len() as u64) as usize],
            _ => Overlap::ALL[world.below(6) as usize],
        },
        retry: Retry {
            retries: world.below(3) as u32,
            backoff: [Backoff::Fixed, Backoff::Exponential][world.below(2) as usize],
            delay_ms: [0, 700, 20_000][world.below(3) as usize],
            max_delay_ms: 30_000,
            jitter: 0.5,
        },
        attempt_timeout_ms: [2_000, 30_000, 3_600_000][world.below(3) as usize],
        start_deadline_ms: [None, Some(0), Some(3_000)][world.below(3) as usize],
        cancel_grace_ms: [0, 3_000][world.below(2) as usize],
        worker_lost_after_ms: [None, Some(1_000)][world.below(2) as usize],
        at_most_once: world.below(4) == 0,
        priority: world.below(3) as i32,
        routing: [Routing::LeastBusy, Routing::RoundRobin][world.below(2) as usize],
    }
}

/// Some of the ticks that have just passed are run again; sometimes the same backfill is asked for twice.
fn backfill(world: &mut World) {
    let name = Name::parse(JOBS[world.below(JOBS.len() as u64) as usize]).unwrap();
    let Some(job) = world.tables.job_named(&name) else { return };
    let Some(schedule) = Schedule::of(job) else { return };
    let now = world.now;
    let from = now.plus(-10_000);
    let ticks = std::iter::successors(schedule.next(from), |tick| schedule.next(*tick));
    let ticks: Vec<Millis> = ticks.take_while(|tick| *tick <= now).take(4).collect();
    let part = Backfill {
        job: name,
        id: Id::from_bytes([world.below(3) as u8; 16]),
        first: 0,
        ticks,
        overlap: Overlap::ALL.get(world.below(12) as usize).copied(),
    };
    world.call(Call::JobBackfill(part));
}

fn trigger(world: &mut World, requests: &mut Vec<Fire>) {
    if world.below(6) == 0 {
        backfill(world);
    }
    let mut fires = Vec::new();
    for _ in 0..1 + world.below(3) {
        let again = !requests.is_empty() && world.below(4) == 0;
        let fire = if again {
            requests[world.below(requests.len() as u64) as usize].clone()
        } else {
            let key =
                [None, Some(Arc::from(format!("key {}", world.below(12))))][world.below(2) as usize].clone();
            Fire {
                job: Name::parse(JOBS[world.below(JOBS.len() as u64) as usize]).unwrap(),
                params: [None, Some(Payload::text(format!("{}", world.below(2))))][world.below(2) as usize]
                    .clone(),
                when: match world.below(5) {
                    0 => When::AfterMs(world.below(60_000) as i64),
                    1 => When::At(world.now.plus(world.below(30_000) as i64 - 5_000)),
                    _ => When::Now,
                },
                idempotency_key: key,
                request: Id::new(world.now, &mut world.chance),
                overlap: Overlap::ALL.get(world.below(12) as usize).copied(),
                source: [Source::Api, Source::Manual][world.below(2) as usize],
            }
        };
        requests.push(fire.clone());
        fires.push(fire);
    }
    if world.below(4) == 0 {
        for fire in fires {
            world.put_fire(fire);
        }
    } else {
        world.call(Call::Trigger(fires));
    }
}

/// The inbox is read, or a worker is heard of without a stream of its own.
fn through_others(world: &mut World, requests: &[Fire]) {
    let worker = world.below(world.workers.len() as u64) as usize;
    match world.below(7) {
        0 => {
            world.put_command(Order::Junk("it holds nothing that can be read".into()));
        }
        1 if !requests.is_empty() => {
            let fire = requests[world.below(requests.len() as u64) as usize].clone();
            world.put_fire(fire);
        }
        2..=3 => world.store_outcome(worker),
        4 => world.report(worker),
        _ => {
            let at_most = 1 + world.below(5) as usize;
            world.read_inbox(at_most);
        }
    }
}

fn cancel_or_retry(world: &mut World) {
    let ended = world.below(3) == 0;
    let open = |state: State| !matches!(state, State::Ended(_));
    let runs: Vec<RunId> =
        world.tables.runs.values().filter(|run| open(run.state) != ended).map(|run| run.id).collect();
    if runs.is_empty() {
        return;
    }
    let run = runs[world.below(runs.len() as u64) as usize];
    let request = Id::new(world.now, &mut world.chance);
    let call = if ended { Call::RunRetry { run, request } } else { Call::RunCancel { run } };
    let times = 1 + world.below(2);
    (0..times).for_each(|_| {
        world.call(call.clone());
    });
}

/// All faults end, workers come, no more ticks are made: everything that is due ends, and then the owner sleeps.
fn heal(world: &mut World) {
    world.now = world.latest;
    world.boot();
    for worker in 0..world.workers.len() {
        if let Some(stream) = world.workers[worker].stream {
            world.break_stream(stream);
        }
        world.connect(worker);
    }
    world.quiet();
    for name in JOBS {
        world.call(Call::JobEnable { name: Name::parse(name).unwrap(), enabled: false });
    }
    world.quiet();
    while world.read_inbox(usize::MAX).is_some() {
        world.quiet();
    }
    check(world);
    let deadline = world.latest.plus(4 * 3_600_000);
    while world.latest < deadline && !world.open_runs().is_empty() {
        for worker in 0..world.workers.len() {
            while !world.workers[worker].held.is_empty() {
                world.finish_one(worker, 7);
            }
        }
        world.quiet();
        let next = world.shard.next_wake().map_or(deadline, |at| at.max(world.latest.plus(1)));
        world.advance(next.since(world.now).min(60_000));
        world.quiet();
    }
    check(world);
    checks::overlap_is_respected(world.past());
    assert!(world.open_runs().is_empty(), "G3: still open after healing: {:?}", world.open_runs());
    assert_eq!(world.tables.outage_from, None, "the outage is made up for");
    assert!(world.workers.iter().all(|worker| worker.outbox.is_empty()), "every outcome is answered");
    for _ in 0..10 {
        let Some(wake) = world.shard.next_wake() else { return };
        world.advance(wake.since(world.now).max(0));
        world.quiet();
    }
    panic!("an idle owner does not sleep: {:?} at {:?}", world.shard.next_wake(), world.now);
}
