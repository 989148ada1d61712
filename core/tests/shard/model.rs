//! A random walk through everything that can happen to a shard, checked at each step, healed and checked at its end.
//! `FASTJOB_MODEL_SEED` runs one walk, `FASTJOB_MODEL_WALKS` that many, `FASTJOB_MODEL_STEPS` makes them longer.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    Backoff, CatchUp, CatchUpPolicy, Cron, Definition, Dialect, Limits, ManagedBy, Name, Overlap, Payload,
    Retry, Routing, Source, State, Trigger,
};
use fastjob_core::id::{Id, RunId};
use fastjob_core::shard::{Call, Fire, JobPut, Order, When};

use crate::worker::Worker;
use crate::world::{Fate, World};
use crate::{checks, inbox};

const JOBS: [&str; 7] = ["rate", "cron", "at", "delay", "api", "once", "strict"];

/// Steps between two looks at the whole history; each commit is checked by itself.
const CHECK_EVERY: u64 = 25;

/// Every row of the state table, by the names of the rows.
const TABLE: [&str; 31] = [
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
    "dispatched -> cancelled",
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
    "run follows an edit",
];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_walk_breaks_a_guarantee_and_every_row_of_the_state_table_is_taken() {
    let steps = number("FASTJOB_MODEL_STEPS", 400);
    let one = std::env::var("FASTJOB_MODEL_SEED").ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match one {
        Some(seed) => seed..seed + 1,
        None => 1..number("FASTJOB_MODEL_WALKS", 60) + 1,
    };
    let mut taken: BTreeMap<String, u64> = BTreeMap::new();
    for seed in seeds {
        let walked = std::panic::catch_unwind(|| walk(seed, steps));
        let Ok(rows) = walked else { panic!("walk {seed} failed: FASTJOB_MODEL_SEED={seed} repeats it") };
        rows.into_iter().for_each(|(row, times)| *taken.entry(row).or_default() += times);
    }
    for row in TABLE {
        println!("{:>8}  {row}", taken.get(row).copied().unwrap_or(0));
    }
    let never: Vec<_> = TABLE.iter().filter(|row| !taken.contains_key(**row)).collect();
    assert!(one.is_some() || never.is_empty(), "rows of the state table that no walk took: {never:?}");
}

fn walk(seed: u64, steps: u64) -> BTreeMap<String, u64> {
    let mut world = World::new(seed);
    for _ in 0..2 {
        let slots = 1 + world.below(3) as u32;
        let worker = Worker::new(&["a", "b"], slots, world.now, &mut world.chance);
        world.workers.push(worker);
    }
    let mut requests: Vec<Fire> = Vec::new();
    for n in 0..steps {
        step(&mut world, &mut requests);
        if n % CHECK_EVERY == 0 {
            check(&world);
        }
    }
    heal(&mut world);
    world.rows_taken()
}

fn check(world: &World) {
    checks::every_tick_is_accounted_for(world);
    checks::executions_are_explained(world);
    checks::chains_are_consecutive(world);
    checks::skipped_runs_never_started(world);
    inbox::stored_outcomes_are_recorded(world);
}

fn step(world: &mut World, requests: &mut Vec<Fire>) {
    match world.below(100) {
        0..=29 => time_passes(world),
        30..=44 => read_some(world),
        45..=59 => {
            let worker = world.below(world.workers.len() as u64) as usize;
            let odd = world.below(8);
            world.finish_one(worker, odd);
        }
        60..=67 => reconnect(world),
        68..=70 => break_something(world),
        71..=75 => edit(world),
        76..=82 => trigger(world, requests),
        83..=84 => through_others(world, requests),
        85..=89 => cancel_or_retry(world),
        90..=96 => {
            world.pump();
            let size = 1 + world.below(6) as usize;
            let fate = [Fate::Refused, Fate::Unknown, Fate::Committed][world.below(3) as usize];
            world.turn(size, fate);
        }
        97 => world.now = world.now.plus(-4_000),
        98 => {
            let down_ms = [100, 3_000, 90_000, 4_000_000][world.below(4) as usize];
            world.kill_server(down_ms);
        }
        _ => {
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
        "rate" | "strict" => Trigger::FixedRate {
            period_ms: seconds,
            phase: [None, Some(Millis::new(seconds / 3))][world.below(2) as usize],
        },
        "cron" => Trigger::Cron(Cron {
            expression: format!("*/{} * * * * ?", [2, 4, 5][world.below(3) as usize]),
            dialect: Dialect::Quartz,
            zone: "UTC".into(),
        }),
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
        catch_up: CatchUp {
            policy: [CatchUpPolicy::Latest, CatchUpPolicy::None][world.below(2) as usize],
            threshold_ms: [0, 2_000, 60_000][world.below(3) as usize],
            window_ms: [None, Some(5_000)][world.below(2) as usize],
        },
        limits: limits(world, name.as_str()),
        managed_by: ManagedBy::Code,
        source_version: None,
    }
}

fn limits(world: &mut World, name: &str) -> Limits {
    Limits {
        // One job keeps its policy, so that disjointness can be judged over its whole life.
        overlap: if name == "strict" || world.below(2) == 0 { Overlap::Skip } else { Overlap::AllowAll },
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

fn trigger(world: &mut World, requests: &mut Vec<Fire>) {
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
                overlap: [None, Some(Overlap::AllowAll), Some(Overlap::Skip)][world.below(3) as usize],
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
    checks::overlap_is_respected(world);
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
