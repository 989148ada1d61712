//! The fault harness: starts servers and workers, harms them by a seeded plan while they work, heals everything, and has the
//! history judged by a checker that knows nothing of the product (`checker/`, `HISTORY.md`).
//!
//! `cargo test --test chaos` runs the quick set. `make chaos PLAN=name SEED=n` runs one plan again, `PLAN=all` each of
//! them; DATABASE=name chooses the database, ROUNDS=n repeats what a plan does. `cargo test --test chaos -- check FILE`
//! judges a history.

mod checker;
mod clock;
mod database;
mod faketime;
mod handlers;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod ledger;
mod load;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../harness/mariadb.rs"]
mod mariadb;
mod mutants;
mod nodes;
mod observer;
mod plans;
#[path = "../harness/postgres.rs"]
mod postgres;
mod proxy;
mod record;
mod stage;
mod stalls;
#[path = "../harness/supervised.rs"]
mod supervised;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use database::Database;
use faketime::FakeTime;
use mutants::{MUTANTS, Mutant};
use plans::{PLANS, Plan};
use stage::{Judged, Setting, Stage};

/// Servers of a plan on a database that is reached by network.
const SERVERS: usize = 3;

fn main() -> ExitCode {
    if std::env::var_os("CHAOS_ROLE").is_some_and(|role| role == "worker") {
        return handlers::run();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, path] = &arguments[..]
        && word == "check"
    {
        return checker::program(Path::new(path));
    }
    if arguments.first().is_some_and(|word| word == "list") {
        chosen().iter().for_each(|(database, plan)| println!("{} {database}", plan.name));
        return ExitCode::SUCCESS;
    }
    let seed = number("SEED").unwrap_or_else(|| u64::from(std::process::id()));
    if let Ok(wanted) = std::env::var("MUTANTS") {
        return find_mutants(&wanted, seed);
    }
    let (mut passed, mut failed) = (0, 0);
    for (database, plan) in chosen() {
        let name = format!("{}/{database}", plan.name);
        let ended = run(plan, &database, seed, None).and_then(|Judged { violations, figures }| {
            if violations.is_empty() { Ok(figures) } else { Err(checker::told(&violations)) }
        });
        match ended {
            Ok(figures) => {
                passed += 1;
                println!("chaos: {name} seed {seed}: holds: {figures}");
            }
            Err(why) => {
                failed += 1;
                println!("chaos: {name} seed {seed}: FAILED: {why}");
                println!("  repeat: make chaos PLAN={} DATABASE={database} SEED={seed}", plan.name);
            }
        }
    }
    println!("chaos: {passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays each planted bug's plan until its invariant catches it. The server must have been built with them.
fn find_mutants(wanted: &str, seed: u64) -> ExitCode {
    let (mut found, mut missed) = (0, 0);
    for mutant in MUTANTS.iter().filter(|mutant| wanted == "all" || mutant.name == wanted) {
        let caught = (seed..seed + mutants::SEEDS).find_map(|seed| catch(mutant, seed).map(|by| (seed, by)));
        let Mutant { name, plan, database, .. } = mutant;
        match caught {
            Some((seed, by)) => {
                found += 1;
                println!("mutant | {name} | {plan}/{database} | {seed} | {by}");
            }
            None => {
                missed += 1;
                println!("mutant | {name} | {plan}/{database} | {seed}.. | NOT CAUGHT");
            }
        }
    }
    println!("chaos mutants: {found} passed, {missed} failed");
    if missed == 0 && found > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The invariants by which a planted bug was caught, if its own is among them.
fn catch(mutant: &Mutant, seed: u64) -> Option<String> {
    let plan = PLANS.iter().find(|plan| plan.name == mutant.plan)?;
    match run(plan, mutant.database, seed, Some(mutant)) {
        Ok(judged) => {
            let broken: std::collections::BTreeSet<&str> =
                judged.violations.iter().map(|violation| violation.invariant).collect();
            println!("  {} broke {broken:?}", mutant.name);
            let caught = mutant.breaks.iter().any(|own| broken.contains(own));
            caught.then(|| broken.into_iter().collect::<Vec<_>>().join(", "))
        }
        Err(why) => {
            println!("  {}: {why}", mutant.name);
            None
        }
    }
}

/// By PLAN and DATABASE; without PLAN the quick set.
fn chosen() -> Vec<(String, &'static Plan)> {
    let wanted = std::env::var("PLAN").unwrap_or_default();
    let databases = std::env::var("DATABASE").map_or_else(|_| Database::usable(), |one| vec![one]);
    let takes = |plan: &&Plan| match wanted.as_str() {
        "" => plan.quick,
        "all" => !plan.clock || FakeTime::is_usable(),
        name => plan.name == name,
    };
    // The quick set plays what one server shows on SQLite alone.
    let fits = |plan: &Plan, database: &str| match database {
        "sqlite" => !plan.cluster,
        _ => plan.cluster || !plan.alone || !wanted.is_empty(),
    };
    let plans = PLANS.iter().filter(takes);
    plans
        .flat_map(|plan| {
            databases.iter().filter(move |one| fits(plan, one)).map(move |one| (one.clone(), plan))
        })
        .collect()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One plan from a fresh start to the verdict. What it leaves behind is kept only if it fails.
fn run(plan: &'static Plan, database: &str, seed: u64, mutant: Option<&Mutant>) -> Result<Judged, String> {
    println!("chaos: {}/{database} seed {seed}: {}", plan.name, plan.about);
    let place = tempfile::Builder::new()
        .prefix("fastjob-chaos-")
        .tempdir()
        .map_err(|error| format!("failed to make a directory: {error}"))?;
    let ended = play(plan, database, seed, mutant, place.path());
    let failed = ended.as_ref().map_or(true, |judged| !judged.violations.is_empty());
    if (failed && mutant.is_none()) || std::env::var_os("CHAOS_KEEP").is_some() {
        let kept: PathBuf = place.keep();
        println!("  history and logs: {}", kept.display());
    }
    ended
}

fn play(
    plan: &'static Plan,
    database: &str,
    seed: u64,
    mutant: Option<&Mutant>,
    place: &Path,
) -> Result<Judged, String> {
    let clock = plan.clock.then(FakeTime::new).transpose()?;
    let database = Database::open(database, place, clock.as_ref())?;
    let setting = Setting {
        plan: plan.name,
        seed,
        servers: if database.address().is_some() { SERVERS } else { 1 },
        workers: plan.workers,
        terms: plan.terms,
        pulls: plan.pulls,
        mutant: mutant.copied(),
        rounds: number("ROUNDS").unwrap_or(1),
    };
    let mut stage = Stage::open(setting, place, database, clock)?;
    let played = (plan.run)(&mut stage);
    // With a planted bug the plan may not come to its end; what it did so far is judged.
    if mutant.is_none() {
        played?;
    }
    stage.close(&place.join("history.jsonl"))
}
