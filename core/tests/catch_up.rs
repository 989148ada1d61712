//! What becomes of the ticks of an outage.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should panic")]

use fastjob_core::clock::Millis;
use fastjob_core::domain::{CatchUp, CatchUpPolicy, Cron, Dialect, Trigger};
use fastjob_core::schedule::{Judged, Missed, MissedTicks, Outage, Schedule};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn every(period_ms: i64) -> Schedule {
    Schedule::compile(&Trigger::FixedRate { period_ms, phase: Some(Millis::new(0)) }, Millis::new(0)).unwrap()
}

fn cron(expression: &str) -> Schedule {
    let trigger = Trigger::Cron(Cron::new(expression, Dialect::Quartz, "UTC"));
    Schedule::compile(&trigger, Millis::new(0)).unwrap()
}

fn policy(policy: CatchUpPolicy) -> CatchUp {
    CatchUp { policy, ..CatchUp::default() }
}

fn ms(ticks: &[i64]) -> Vec<Millis> {
    ticks.iter().copied().map(Millis::new).collect()
}

fn judge(
    schedule: &Schedule,
    catch_up: &CatchUp,
    next_at: i64,
    written: &[i64],
    outage: (i64, i64),
) -> Judged {
    let outage = Outage { from: Millis::new(outage.0), until: Millis::new(outage.1) };
    let missed = Missed { catch_up, next_at: Some(Millis::new(next_at)), written: &ms(written) };
    schedule.judge(missed, outage)
}

fn gap(from: i64, to: i64, count: u64) -> Option<MissedTicks> {
    Some(MissedTicks { from: Millis::new(from), to: Millis::new(to), count: Some(count) })
}

#[test]
fn ticks_within_the_threshold_fire_late_and_older_ones_are_one_gap() {
    for policy in [policy(CatchUpPolicy::None), policy(CatchUpPolicy::Latest)] {
        let judged = judge(&every(20_000), &policy, 20_000, &[], (10_000, 150_000));
        assert_eq!(judged.fire_late, ms(&[100_000, 120_000, 140_000]));
        assert_eq!(judged.gap, gap(20_000, 80_000, 4));
        assert_eq!(judged.next_at, Some(Millis::new(160_000)));
    }
}

#[test]
fn a_tick_exactly_as_late_as_the_threshold_fires() {
    let judged = judge(&every(HOUR), &policy(CatchUpPolicy::None), HOUR, &[], (0, HOUR + MINUTE));
    assert_eq!((judged.fire_late, judged.gap), (ms(&[HOUR]), None));
    let judged = judge(&every(HOUR), &policy(CatchUpPolicy::None), HOUR, &[], (0, HOUR + MINUTE + 1));
    assert_eq!((judged.fire_late, judged.gap), (vec![], gap(HOUR, HOUR, 1)));
}

#[test]
fn latest_fires_the_newest_within_the_window_alone() {
    let latest = policy(CatchUpPolicy::Latest);
    let judged = judge(&every(10 * MINUTE), &latest, 10 * MINUTE, &[], (0, 65 * MINUTE));
    assert_eq!((judged.fire_late, judged.gap), (ms(&[HOUR]), gap(10 * MINUTE, 50 * MINUTE, 5)));
    // By default an hour for what fires several times a day, else a day.
    let judged = judge(&every(2 * HOUR), &latest, 2 * HOUR, &[], (0, 3 * HOUR + 1));
    assert_eq!((judged.fire_late, judged.gap), (vec![], gap(2 * HOUR, 2 * HOUR, 1)));
    let daily = cron("0 0 12 * * ?");
    let judged = judge(&daily, &latest, 12 * HOUR, &[], (0, 36 * HOUR));
    assert_eq!((judged.fire_late, judged.gap), (ms(&[36 * HOUR]), gap(12 * HOUR, 12 * HOUR, 1)));
    let judged = judge(&daily, &latest, 12 * HOUR, &[], (0, 36 * HOUR - 1));
    assert_eq!((judged.fire_late, judged.gap), (ms(&[12 * HOUR]), None));
    let narrow = CatchUp { window_ms: Some(HOUR), ..latest };
    let judged = judge(&daily, &narrow, 12 * HOUR, &[], (0, 14 * HOUR));
    assert_eq!((judged.fire_late, judged.gap), (vec![], gap(12 * HOUR, 12 * HOUR, 1)));
}

#[test]
fn the_newest_is_chosen_among_written_and_unwritten_ticks() {
    let latest = policy(CatchUpPolicy::Latest);
    let schedule = every(10 * MINUTE);
    let written = [10 * MINUTE, 20 * MINUTE];
    let judged = judge(&schedule, &latest, 30 * MINUTE, &written[1..], (15 * MINUTE, 45 * MINUTE));
    assert_eq!(judged.skip_written, ms(&[20 * MINUTE]));
    assert_eq!((judged.fire_late, judged.gap), (ms(&[40 * MINUTE]), gap(30 * MINUTE, 30 * MINUTE, 1)));
    let judged = judge(&schedule, &latest, 30 * MINUTE, &written, (0, 25 * MINUTE));
    assert_eq!(judged.skip_written, ms(&[10 * MINUTE]), "the newest is written already and runs");
    assert_eq!((judged.fire_late, judged.gap), (vec![], None));
    assert_eq!(judged.next_at, Some(Millis::new(30 * MINUTE)));
    let judged = judge(&schedule, &policy(CatchUpPolicy::None), 30 * MINUTE, &written, (0, 25 * MINUTE));
    assert_eq!(judged.skip_written, ms(&written));
}

#[test]
fn a_long_outage_is_neither_counted_nor_enumerated() {
    let latest = policy(CatchUpPolicy::Latest);
    for schedule in [every(1_000), cron("* * * * * ?")] {
        let judged = judge(&schedule, &latest, 1_000, &[], (0, 3_650 * DAY));
        assert_eq!(judged.fire_late.len(), 61);
        let to = Millis::new(3_650 * DAY - 61_000);
        assert_eq!(judged.gap, Some(MissedTicks { from: Millis::new(1_000), to, count: None }));
    }
    let judged = judge(&every(1_000), &policy(CatchUpPolicy::None), 1_000, &[], (0, 100_061_000));
    assert_eq!(judged.gap.unwrap().count, Some(100_000));
}

#[test]
fn at_most_a_thousand_ticks_fire_late_and_the_older_ones_join_the_gap() {
    let patient = CatchUp { threshold_ms: i64::MAX, ..policy(CatchUpPolicy::None) };
    let judged = judge(&every(1_000), &patient, 1_000, &[], (0, 5_000_000));
    assert_eq!(judged.fire_late.len(), Schedule::MAX_FIRE_LATE);
    assert_eq!(judged.fire_late.last(), Some(&Millis::new(5_000_000)));
    assert_eq!(judged.gap, gap(1_000, 4_000_000, 4_000));
}

#[test]
fn a_job_without_ticks_left_or_without_any_has_nothing_to_judge() {
    let catch_up = CatchUp::default();
    let outage = Outage { from: Millis::new(0), until: Millis::new(DAY) };
    let missed = Missed { catch_up: &catch_up, next_at: None, written: &[] };
    assert_eq!(every(1_000).judge(missed, outage), Judged::default());
    let once = Schedule::compile(&Trigger::At(ms(&[HOUR])), Millis::new(0)).unwrap();
    let judged = judge(&once, &catch_up, HOUR, &[], (0, 2 * HOUR));
    assert_eq!((judged.fire_late, judged.gap, judged.next_at), (ms(&[HOUR]), None, None));
}

#[test]
fn all_fires_as_many_of_the_newest_within_the_window_as_it_says() {
    let all = |most| policy(CatchUpPolicy::All(most));
    let judged = judge(&every(10 * MINUTE), &all(3), 10 * MINUTE, &[], (0, 65 * MINUTE));
    assert_eq!(judged.fire_late, ms(&[40 * MINUTE, 50 * MINUTE, HOUR]));
    assert_eq!(judged.gap, gap(10 * MINUTE, 30 * MINUTE, 3));
    let written = [10 * MINUTE, 20 * MINUTE, 30 * MINUTE];
    let judged = judge(&every(10 * MINUTE), &all(4), 40 * MINUTE, &written, (0, 65 * MINUTE));
    assert_eq!(judged.fire_late, ms(&[40 * MINUTE, 50 * MINUTE, HOUR]));
    assert_eq!((judged.gap, judged.skip_written), (None, ms(&[10 * MINUTE, 20 * MINUTE])));
    let narrow = CatchUp { window_ms: Some(20 * MINUTE), ..all(100) };
    let judged = judge(&every(10 * MINUTE), &narrow, 10 * MINUTE, &[], (0, 65 * MINUTE));
    assert_eq!((judged.fire_late, judged.gap), (ms(&[50 * MINUTE, HOUR]), gap(10 * MINUTE, 40 * MINUTE, 4)));
    let judged = judge(&every(1_000), &all(100), 1_000, &[], (0, 3_650 * DAY));
    assert_eq!(judged.fire_late.len(), 61 + 100, "those within the threshold, and a hundred more");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_tick_of_an_outage_is_accounted_for_exactly_once(
        period_s in 1..400_i64, written in 0..20_i64, from_s in 0..5_000_i64, length_s in 0..5_000_i64,
        threshold_ms in 0..300_000_i64, window_ms in proptest::option::of(0..4_000_000_i64), kind in 0..3,
        most in 1..40_u32,
    ) {
        let schedule = every(period_s * 1_000);
        let policy = [CatchUpPolicy::Latest, CatchUpPolicy::None, CatchUpPolicy::All(most)][kind as usize];
        let catch_up = CatchUp { policy, threshold_ms, window_ms };
        let (from, until) = (from_s * 1_000, (from_s + length_s) * 1_000);
        let tick = |n: i64| n * period_s * 1_000;
        let rows: Vec<i64> = (1..=written).map(tick).filter(|tick| *tick > from && *tick <= until).collect();
        let judged = judge(&schedule, &catch_up, tick(written + 1), &rows, (from, until));

        let last = until / tick(1);
        let unwritten: Vec<i64> = (written + 1..=last).map(tick).collect();
        let missed_rows = rows.iter().copied();
        let newest = missed_rows.clone().chain(unwritten.iter().copied()).max();
        let window = window_ms.unwrap_or(HOUR);
        let late = |tick: &i64| until - tick > threshold_ms && until - tick <= window;
        let mut newest_late: Vec<i64> = missed_rows.clone().chain(unwritten.iter().copied()).filter(late).collect();
        newest_late.sort_unstable_by(|a, b| b.cmp(a));
        newest_late.truncate(most as usize);
        let fires = |tick: i64| until - tick <= threshold_ms || match policy {
            CatchUpPolicy::Latest => Some(tick) == newest && until - tick <= window,
            CatchUpPolicy::None => false,
            CatchUpPolicy::All(_) => newest_late.contains(&tick),
        };
        let late: Vec<i64> = unwritten.iter().copied().filter(|tick| fires(*tick)).collect();
        let late = &late[late.len().saturating_sub(Schedule::MAX_FIRE_LATE)..];
        prop_assert_eq!(&judged.fire_late, &ms(late));
        prop_assert_eq!(judged.skip_written, ms(&missed_rows.filter(|tick| !fires(*tick)).collect::<Vec<_>>()));
        let lost = &unwritten[..unwritten.len() - late.len()];
        let expected = lost.first().and_then(|first| gap(*first, lost[lost.len() - 1], lost.len() as u64));
        prop_assert_eq!(judged.gap, expected);
        prop_assert_eq!(judged.next_at, Some(Millis::new(tick(last.max(written) + 1))));
    }
}
