//! What it costs to read a cron expression and to find its ticks, and the dearest question that a search finds.

use std::path::PathBuf;

use clap::Args;
use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::domain::{Cron, Dialect, Trigger};
use fastjob_core::schedule::Schedule;
use serde_json::json;

use crate::figures::{Figure, percentile};
use crate::report::Report;

/// How much is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; each measures every line once.
    #[arg(long, env = "ROUNDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Ticks found per line and round.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    ticks: u32,
    /// Random questions of the search for the dearest one, per round.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    search: u32,
    /// Where the JSON goes.
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

/// Expressions as people write them: dialect, expression, zone.
const COMMON: [(Dialect, &str, &str); 11] = [
    (Dialect::Quartz, "* * * * * ?", "UTC"),
    (Dialect::Quartz, "0 */5 * * * ?", "UTC"),
    (Dialect::Quartz, "0 0/15 9-17 ? * MON-FRI", "Europe/Berlin"),
    (Dialect::Quartz, "0 30 2 * * ?", "Europe/Berlin"),
    (Dialect::Quartz, "0 0 6 LW * ?", "America/New_York"),
    (Dialect::Quartz, "0 0 12 ? * FRI#2", "Asia/Shanghai"),
    (Dialect::Unix, "*/10 * * * *", "UTC"),
    (Dialect::Unix, "30 3 13 * FRI", "America/New_York"),
    (Dialect::Unix, "@daily", "Europe/London"),
    (Dialect::Spring, "0 0 8 * * MON-FRI", "Europe/Berlin"),
    (Dialect::Spring, "0 0 0 L * *", "Asia/Tokyo"),
];

/// 2026-11-25T00:00:00Z.
const START: Millis = Millis::new(1_795_564_800_000);

/// Measures every line, in interleaved rounds.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut taken: Vec<[Vec<f64>; 3]> = COMMON.iter().map(|_| [vec![], vec![], vec![]]).collect();
    let mut dearest: [Vec<f64>; 2] = [vec![], vec![]];
    let mut questions: Vec<String> = Vec::new();
    for round in 1..=options.rounds {
        for ((dialect, expression, zone), taken) in COMMON.iter().zip(&mut taken) {
            let trigger = Trigger::Cron(Cron::new(*expression, *dialect, *zone));
            for (taken, ns) in taken.iter_mut().zip(costs(&trigger, options.ticks)?) {
                taken.push(ns);
            }
        }
        let found = search(u64::from(round), options.search);
        for (dearest, found) in dearest.iter_mut().zip(&found) {
            dearest.push(found.ns);
        }
        questions.extend(found.map(|found| found.question));
    }
    let mut figures = Vec::new();
    for ((dialect, expression, zone), [parse, next, previous]) in COMMON.iter().zip(taken) {
        let name = |what| format!("{what}: {} {expression} in {zone}", dialect.as_str());
        figures.push(Figure::new(name("compile"), "ns", parse));
        figures.push(Figure::new(name("next"), "ns", next).beside("goal: 1,000"));
        figures.push(Figure::new(name("previous"), "ns", previous));
    }
    let [next, previous] = dearest;
    figures.push(Figure::new("dearest next found", "ns", next).beside("goal: 1,000,000"));
    figures.push(Figure::new("dearest previous found", "ns", previous).beside("goal: 1,000,000"));
    let settings = json!({ "ticks": options.ticks, "search": options.search, "dearest": questions });
    let about = "cron expressions compiled, and the median cost of a tick".to_owned();
    Report { name: "schedule".to_owned(), about, settings, figures }.publish(&options.results)
}

/// Nanoseconds of a compilation, and the medians of next and previous over ticks in a row.
fn costs(trigger: &Trigger, ticks: u32) -> anyhow::Result<[f64; 3]> {
    const COMPILES: u32 = 200;
    let started = SystemClock.elapsed();
    for _ in 1..COMPILES {
        std::hint::black_box(Schedule::compile(std::hint::black_box(trigger), START)?);
    }
    let schedule = Schedule::compile(trigger, START)?;
    let compile = (SystemClock.elapsed() - started).as_nanos() as f64 / f64::from(COMPILES);
    let next = median(ticks, START, |at| schedule.next(at));
    let previous = median(ticks, START, |at| schedule.previous(at));
    Ok([compile, next, previous])
}

/// Of bunches of 20, so that the clock's own cost does not matter.
fn median(ticks: u32, start: Millis, step: impl Fn(Millis) -> Option<Millis>) -> f64 {
    const BUNCH: u32 = 20;
    let mut samples = Vec::new();
    let mut at = start;
    for _ in 0..ticks / BUNCH {
        let started = SystemClock.elapsed();
        for _ in 0..BUNCH {
            at = step(at).unwrap_or(start);
        }
        samples.push((SystemClock.elapsed() - started).as_nanos() as f64 / f64::from(BUNCH));
    }
    samples.sort_by(f64::total_cmp);
    percentile(&samples, 50.0)
}

/// The dearest question of a search.
struct Dearest {
    ns: f64,
    question: String,
}

/// Rules that fire rarely, at jumps of the clock or never, asked from anywhere: next and previous.
fn search(seed: u64, questions: u32) -> [Dearest; 2] {
    const CLOCKS: [&str; 8] =
        ["0 30 2-2", "0 30 2", "* * *", "59 59 23", "0 0 0-0", "0/59 1,59 */23", "0 15,45 1-3", "30 30 0,12"];
    const DAYS: [&str; 12] = [
        "29 2 ?",
        "? 3 1L",
        "? 3,10 SUN",
        "L 2 ?",
        "31W 1 ?",
        "? 2 SUN#5",
        "29W 2 ?",
        "30 12 ?",
        "? * *",
        "L-30 3 ?",
        "? 2 MON#5",
        "29 2 ? 2096,2100,2104",
    ];
    const ZONES: [&str; 8] = [
        "UTC",
        "Europe/Berlin",
        "Africa/Casablanca",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Antarctica/Troll",
        "Africa/Cairo",
        "America/Sao_Paulo",
    ];
    let mut random = seed;
    let mut dearest = [(); 2].map(|()| Dearest { ns: 0.0, question: String::new() });
    for _ in 0..questions {
        let expression = format!("{} {}", pick(&mut random, &CLOCKS), pick(&mut random, &DAYS));
        let zone = *pick(&mut random, &ZONES);
        let from = Millis::new((draw(&mut random) % 7_258_118_400_000) as i64);
        let trigger = Trigger::Cron(Cron::new(&expression, Dialect::Quartz, zone));
        let Ok(schedule) = Schedule::compile(&trigger, from) else { continue };
        for (dearest, back) in dearest.iter_mut().zip([false, true]) {
            let ns = least(|| if back { schedule.previous(from) } else { schedule.next(from) });
            if ns > dearest.ns {
                *dearest = Dearest { ns, question: format!("{expression} in {zone} from {}", from.get()) };
            }
        }
    }
    dearest
}

/// The least of three, which leaves out what the machine did meanwhile.
fn least(ask: impl Fn() -> Option<Millis>) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        let started = SystemClock.elapsed();
        std::hint::black_box(ask());
        least = least.min((SystemClock.elapsed() - started).as_nanos() as f64);
    }
    least
}

fn pick<'a, T>(random: &mut u64, from: &'a [T]) -> &'a T {
    &from[(draw(random) % from.len() as u64) as usize]
}

/// SplitMix64.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}
