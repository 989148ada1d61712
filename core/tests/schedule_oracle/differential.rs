//! The engine beside the programs whose dialects it speaks: Quartz, Spring and croner, each asked by a small driver.
//!
//! `make differential` fetches them and runs this. A difference is either one of the kinds that `docs/cron-differences.md`
//! explains, or a failure. `FASTJOB_DIFFERENTIAL_CASES` and `FASTJOB_DIFFERENTIAL_SEED` choose how many and which cases.

use crate::engine;
use crate::instants::stretch;
use crate::known;
use crate::properties::show;
use crate::random::{Case, differential_cases, zone};
use crate::text::Dialect;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::{Command, Stdio};

/// How many ticks each case asks for.
const TICKS: usize = 5;

/// What one program says to one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Ticks(Vec<i64>),
    Refused(String),
}

#[test]
#[ignore = "needs Quartz: make differential"]
fn quartz_fires_when_we_do_but_for_the_known_differences() {
    let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schedule_oracle/drivers/QuartzTicks.java");
    // The one that Debian has and most have deployed, and a current one: each has faults that the other has not.
    for version in ["2.3", "2.5"] {
        let jar = env::var(format!("FASTJOB_QUARTZ_{}", version.replace('.', "_")))
            .expect("set by scripts/differential.sh");
        let name = format!("quartz-{version}");
        compare(
            Dialect::Quartz,
            &name,
            &["java", "-cp", &jar, driver],
            known::as_quartz_wants_it,
            known::of_quartz,
        );
    }
}

#[test]
#[ignore = "needs Spring: make differential"]
fn spring_fires_when_we_do_but_for_the_known_differences() {
    let jars = env::var("FASTJOB_SPRING").expect("set by scripts/differential.sh");
    let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schedule_oracle/drivers/SpringTicks.java");
    compare(Dialect::Spring, "spring", &["java", "-cp", &jars, driver], str::to_owned, known::of_spring);
}

#[test]
#[ignore = "needs croner: make differential"]
fn croner_fires_when_we_do_but_for_the_known_differences() {
    let folder = env::var("FASTJOB_CRONER").expect("set by scripts/differential.sh");
    let driver = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schedule_oracle/drivers/croner-ticks.mjs");
    compare(Dialect::Unix, "croner", &["node", driver, &folder], str::to_owned, known::of_croner);
}

/// A kind of difference, if it is a known one.
type Explain = fn(&Case, &Answer, &Answer) -> Option<&'static str>;

fn compare(dialect: Dialect, rival: &str, command: &[&str], spell: fn(&str) -> String, explain: Explain) {
    let cases = sample(dialect);
    let questions: String = cases.iter().fold(String::new(), |mut text, case| {
        writeln!(text, "{}\t{}\t{}\t{TICKS}", spell(&case.expression), case.zone, case.from).unwrap();
        text
    });
    let theirs = ask(rival, command, &questions);
    assert_eq!(theirs.len(), cases.len(), "{rival} answered every line");
    let mut kinds: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    let mut unknown = Vec::new();
    let (mut same, mut silent) = (0, 0);
    for (case, theirs) in cases.iter().zip(theirs) {
        let ours = our_answer(case);
        if agree(&ours, &theirs) {
            same += 1;
            silent += usize::from(ours == Answer::Ticks(Vec::new()));
            continue;
        }
        let example = || format!("{:?} in {} after {}", case.expression, case.zone, show(Some(case.from)));
        let explained = explain(case, &ours, &theirs).or_else(|| at_a_change(case, &ours, &theirs));
        match explained {
            Some(kind) => kinds.entry(kind).or_insert_with(|| (0, example())).0 += 1,
            None => {
                unknown.push(format!("{}\n  ours   {}\n  theirs {}", example(), tell(&ours), tell(&theirs)))
            }
        }
    }
    println!(
        "{rival}: {} cases, {same} the same ({silent} without a tick), {} unexplained",
        cases.len(),
        unknown.len()
    );
    for (kind, (count, example)) in &kinds {
        println!("{rival}: {count:6} {kind}; such as {example}");
    }
    assert!(
        unknown.is_empty(),
        "{} unexplained, such as\n{}",
        unknown.len(),
        unknown[..unknown.len().min(20)].join("\n")
    );
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn sample(dialect: Dialect) -> Vec<Case> {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("FASTJOB_DIFFERENTIAL_SEED", 1).to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let cases = differential_cases(dialect);
    (0..number("FASTJOB_DIFFERENTIAL_CASES", 3000))
        .map(|_| cases.new_tree(&mut runner).expect("the strategies reject nothing").current())
        .collect()
}

/// Runs a driver over all questions, by files: no pipe can fill up.
fn ask(rival: &str, command: &[&str], questions: &str) -> Vec<Answer> {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let (asked, answered) = (format!("{folder}/{rival}.questions"), format!("{folder}/{rival}.answers"));
    fs::write(&asked, questions).unwrap();
    let status = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::from(File::open(&asked).unwrap()))
        .stdout(Stdio::from(File::create(&answered).unwrap()))
        .status()
        .unwrap_or_else(|error| panic!("failed to start {}: {error}", command[0]));
    assert!(status.success(), "{rival} ended with {status}");
    fs::read_to_string(&answered).unwrap().lines().map(read_answer).collect()
}

fn read_answer(line: &str) -> Answer {
    let mut parts = line.split('\t');
    match parts.next() {
        Some("ticks") => Answer::Ticks(parts.map(|tick| tick.parse().expect("milliseconds")).collect()),
        Some("error") => Answer::Refused(parts.collect()),
        _ => panic!("a driver said {line:?}"),
    }
}

/// The engine's, after the oracle has said the same; an expression without a tick has none, whoever says so and when.
fn our_answer(case: &Case) -> Answer {
    let Ok(oracle) = engine::oracle(case) else {
        return Answer::Refused("the oracle refuses it".to_owned());
    };
    let mut expected = Vec::new();
    let mut at = case.from;
    while let Some(tick) = oracle.next(at).filter(|_| expected.len() < TICKS) {
        at = tick * 1000;
        expected.push(at);
    }
    match engine::compile(case) {
        Err(error) => assert!(expected.is_empty(), "the engine refuses {case:?}: {error}"),
        Ok(schedule) => {
            let mut at = case.from;
            for tick in &expected {
                assert_eq!(
                    show(engine::next(&schedule, at)),
                    show(Some(*tick)),
                    "{case:?} after {}",
                    show(Some(at))
                );
                at = *tick;
            }
            if expected.len() < TICKS {
                assert_eq!(show(engine::next(&schedule, at)), "none", "{case:?} after {}", show(Some(at)));
            }
        }
    }
    Answer::Ticks(expected)
}

fn agree(ours: &Answer, theirs: &Answer) -> bool {
    match (ours, theirs) {
        (Answer::Ticks(ours), Answer::Ticks(theirs)) => ours == theirs,
        (Answer::Refused(_), Answer::Refused(_)) => true,
        (Answer::Ticks(ours), Answer::Refused(_)) => ours.is_empty(),
        (Answer::Refused(_), Answer::Ticks(theirs)) => theirs.is_empty(),
    }
}

/// The ticks that only one of both has, up to where the shorter list ends.
pub(crate) fn only_one_has(ours: &[i64], theirs: &[i64]) -> Vec<i64> {
    let full =
        |ticks: &[i64]| if ticks.len() < TICKS { i64::MAX } else { *ticks.last().expect("it is full") };
    let horizon = full(ours).min(full(theirs));
    let missing = |from: &[i64], in_these: &[i64]| -> Vec<i64> {
        from.iter().copied().filter(|tick| *tick <= horizon && !in_these.contains(tick)).collect()
    };
    [missing(ours, theirs), missing(theirs, ours)].concat()
}

/// The rules at a change of the clocks differ; what the programs say within a day of one proves nothing about the rest.
fn at_a_change(case: &Case, ours: &Answer, theirs: &Answer) -> Option<&'static str> {
    let (Answer::Ticks(ours), Answer::Ticks(theirs)) = (ours, theirs) else { return None };
    let zone = zone(&case.zone);
    let near = |tick: &i64| {
        let here = stretch(&zone, tick / 1000);
        (tick / 1000).saturating_sub(here.start).min(here.end.saturating_sub(tick / 1000)) <= 90_000
    };
    only_one_has(ours, theirs).iter().all(near).then_some("rule at a change of the clocks")
}

fn tell(answer: &Answer) -> String {
    match answer {
        Answer::Ticks(ticks) => ticks.iter().map(|tick| show(Some(*tick))).collect::<Vec<_>>().join(" "),
        Answer::Refused(why) => format!("refuses: {why}"),
    }
}
