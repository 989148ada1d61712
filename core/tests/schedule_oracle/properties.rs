//! What holds for every expression, zone and instant.

use crate::engine;
use crate::instants::{Oracle, stretch};
use crate::random::{Case, ZONES, cases, zone};
use crate::text::Dialect;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError};
use std::collections::BTreeSet;

/// How many cases each property tries: a few seconds by default, more by `FASTJOB_ORACLE_CASES`.
pub(crate) fn config() -> Config {
    let cases = std::env::var("FASTJOB_ORACLE_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    Config { cases, max_global_rejects: 1_000_000, failure_persistence: None, ..Config::default() }
}

/// No further than a rule may promise to fire; what the engine does beyond is not looked at.
const HUNDRED_YEARS: i64 = 100 * 365 * 86_400_000;

pub(crate) fn show(tick: Option<i64>) -> String {
    tick.map_or("none".to_owned(), |tick| {
        Timestamp::from_millisecond(tick).expect("a tick of these centuries").to_string()
    })
}

/// The engine's schedule and the oracle, if both find the case valid and alive.
fn both(case: &Case) -> Result<Option<(fastjob_core::schedule::Schedule, Oracle)>, TestCaseError> {
    let compiled = engine::compile(case);
    let oracle = engine::oracle(case);
    let alive = oracle.as_ref().ok().and_then(|oracle| oracle.next(case.from)).map(|tick| tick * 1000);
    match (compiled, oracle) {
        (Ok(schedule), Ok(oracle)) => Ok(Some((schedule, oracle))),
        (Err(_), Err(_)) => Ok(None),
        (Err(_), Ok(_)) if alive.is_none_or(|tick| tick > case.from + HUNDRED_YEARS) => Ok(None),
        (Err(error), Ok(_)) => Err(TestCaseError::fail(format!("the engine refuses it: {error}"))),
        (Ok(_), Err(error)) => Err(TestCaseError::fail(format!("the engine accepts it, though: {error}"))),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn ticks_are_those_of_the_oracle_in_both_directions(case in cases()) {
        let Some((schedule, oracle)) = both(&case)? else { return Ok(()) };
        let mut at = case.from;
        for _ in 0..6 {
            let expected = oracle.next(at).map(|tick| tick * 1000);
            if expected.is_some_and(|tick| tick > at + HUNDRED_YEARS) { break }
            prop_assert_eq!(show(engine::next(&schedule, at)), show(expected), "after {}", show(Some(at)));
            let Some(tick) = expected else { break };
            prop_assert_eq!(engine::date_of(&schedule, tick), oracle.date_of(tick / 1000), "of {}", show(expected));
            at = tick;
        }
        let mut at = case.from;
        for _ in 0..6 {
            let expected = oracle.previous(at).map(|tick| tick * 1000);
            if expected.is_none_or(|tick| tick < 0 || tick < at - HUNDRED_YEARS) { break }
            prop_assert_eq!(show(engine::previous(&schedule, at)), show(expected), "before {}", show(Some(at)));
            let Some(tick) = expected else { break };
            at = tick;
        }
    }

    #[test]
    fn ticks_rise_and_do_not_depend_on_where_the_search_began(case in cases(), part in 0.0..1.0_f64) {
        let Ok(schedule) = engine::compile(&case) else { return Ok(()) };
        let mut at = case.from;
        for _ in 0..4 {
            let Some(tick) = engine::next(&schedule, at) else { break };
            prop_assert!(tick > at, "{} after {}", show(Some(tick)), show(Some(at)));
            for between in [at + share(tick - at, part), tick - 1] {
                let again = engine::next(&schedule, between);
                prop_assert_eq!(show(again), show(Some(tick)), "after {}", show(Some(between)));
            }
            at = tick;
        }
    }

    #[test]
    fn walking_back_meets_the_same_ticks(case in cases(), part in 0.0..1.0_f64) {
        let Ok(schedule) = engine::compile(&case) else { return Ok(()) };
        let mut at = case.from;
        let mut met = Vec::new();
        while let Some(tick) = engine::next(&schedule, at).filter(|_| met.len() < 5) {
            met.push(tick);
            at = tick;
        }
        for pair in met.windows(2) {
            for between in [pair[0] + 1, pair[0] + 1 + share(pair[1] - pair[0] - 1, part), pair[1]] {
                let back = engine::previous(&schedule, between);
                prop_assert_eq!(show(back), show(Some(pair[0])), "before {}", show(Some(between)));
            }
        }
        if let Some(first) = met.first() {
            prop_assert!(engine::previous(&schedule, *first).is_none_or(|tick| tick <= case.from));
        }
    }

    #[test]
    fn a_fixed_rule_fires_once_for_each_civil_time(case in cases()) {
        let case = Case { gap: None, overlap: None, ..case };
        let (Ok(schedule), Ok(oracle)) = (engine::compile(&case), engine::oracle(&case)) else { return Ok(()) };
        if oracle.expression.interval { return Ok(()) }
        let mut civil_times = BTreeSet::new();
        let mut at = case.from;
        while let Some(tick) = engine::next(&schedule, at).filter(|_| civil_times.len() < 30) {
            let civil = tick / 1000 + stretch(&oracle.zone, tick / 1000).offset;
            prop_assert!(civil_times.insert(civil), "{} repeats a civil time", show(Some(tick)));
            at = tick;
        }
    }

    #[test]
    fn an_interval_keeps_its_period_across_an_overlap(
        period in select(&[1_i64, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60][..]),
        in_seconds in any::<bool>(),
        zone_name in select(ZONES.as_slice()),
        from in 0..2_200_000_000_i64,
    ) {
        let zone = zone(&zone_name);
        let here = stretch(&zone, from);
        let after = stretch(&zone, here.end.min(7_200_000_000));
        let overlap = here.offset - after.offset;
        let seconds = if in_seconds { period } else { period * 60 };
        if here.end > 7_200_000_000 || overlap <= 0 || overlap % seconds != 0 || here.offset % 60 != 0 {
            return Ok(());
        }
        let clock = if in_seconds { format!("*/{period} * *") } else { format!("0 */{period} *") };
        let expression = format!("{clock} * * ?");
        let case = Case { dialect: Dialect::Quartz, expression, zone: zone_name, from: (here.end - 7200) * 1000, gap: None, overlap: None };
        let Ok(schedule) = engine::compile(&case) else { return Ok(()) };
        let mut at = engine::next(&schedule, case.from).expect("an interval goes on");
        while at < (here.end + 7200).min(after.end) * 1000 {
            let tick = engine::next(&schedule, at).expect("an interval goes on");
            prop_assert!(tick - at <= seconds * 1000, "{} ms between {} and {}", tick - at, show(Some(at)), show(Some(tick)));
            at = tick;
        }
    }

    #[test]
    fn a_fixed_offset_shifts_the_ticks_of_utc(case in cases(), hours in -12..=14_i64) {
        // The names of these zones have the sign of POSIX.
        let away = Case { zone: format!("Etc/GMT{:+}", -hours), gap: None, overlap: None, ..case };
        let utc = Case { zone: "UTC".to_owned(), from: away.from + hours * 3_600_000, ..away.clone() };
        let (Ok(away_schedule), Ok(utc_schedule)) = (engine::compile(&away), engine::compile(&utc)) else {
            return Ok(());
        };
        let (mut at, mut at_utc) = (away.from, utc.from);
        for _ in 0..5 {
            let tick = engine::next(&utc_schedule, at_utc);
            let shifted = tick.map(|tick| tick - hours * 3_600_000);
            prop_assert_eq!(show(engine::next(&away_schedule, at)), show(shifted), "after {}", show(Some(at)));
            let (Some(tick), Some(shifted)) = (tick, shifted) else { break };
            (at, at_utc) = (shifted, tick);
        }
    }
}

/// That part of a span, below the whole.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "any instant within the span will do"
)]
fn share(span: i64, part: f64) -> i64 {
    ((span as f64 * part) as i64).clamp(0, (span - 1).max(0))
}
