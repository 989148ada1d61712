//! The simulation against arithmetic, and its pictures against what they show.

use fastjob_core::domain::{Cron, Dialect, Trigger};
use proptest::prelude::*;

use super::*;

/// 2026-01-01T00:00:00Z.
const FROM: Millis = Millis::new(1_767_225_600_000);
const DAY_S: u64 = 86_400;

fn player(expression: &str, usual_ms: i64) -> Player {
    let cron = Cron::new(expression, Dialect::Quartz, "UTC");
    Player {
        name: "job".into(),
        schedule: Schedule::compile(&Trigger::Cron(cron), Millis::new(0)).unwrap(),
        delay_ms: None,
        overlap: Overlap::Skip,
        priority: 0,
        usual_ms,
    }
}

fn beside(player: Player) -> Player {
    Player { overlap: Overlap::AllowAll, ..player }
}

fn day(players: &[Player], slots: Option<u32>) -> Outcome {
    simulate(players, Span { from: FROM, days: 1, slots })
}

#[test]
fn a_run_longer_than_its_period_skips_ticks_unless_overlap_is_allowed() {
    let outcome = day(&[player("0 * * * * ?", 90_000)], None);
    assert_eq!((outcome.jobs[0].ticks, outcome.jobs[0].skipped), (1_440, 720));
    let outcome = day(&[beside(player("0 * * * * ?", 90_000))], None);
    assert_eq!((outcome.jobs[0].ticks, outcome.jobs[0].skipped), (1_440, 0));
    assert_eq!(outcome.minutes[5].running, 2);
    let outcome = day(&[player("0 * * * * ?", 60_000)], None);
    assert_eq!(outcome.jobs[0].skipped, 0, "an end frees the job before the tick of its instant comes");
}

#[test]
fn each_overlap_policy_does_with_a_tick_what_its_name_says() {
    // A run of 90 s each minute of one hour.
    let of = |overlap| {
        let outcome = day(&[Player { overlap, ..player("0 * 12 * * ?", 90_000) }], None);
        let job = outcome.jobs[0].clone();
        (job.ticks, job.skipped, job.cancelled, job.busy_ms / 1_000)
    };
    assert_eq!(of(Overlap::Skip), (60, 30, 0, 30 * 90));
    assert_eq!(of(Overlap::AllowAll), (60, 0, 0, 60 * 90));
    assert_eq!(of(Overlap::BufferAll), (60, 0, 0, 60 * 90));
    assert_eq!(of(Overlap::CancelOther), (60, 0, 59, 59 * 60 + 90));
    assert_eq!(of(Overlap::TerminateOther), (60, 0, 59, 59 * 60 + 90));
    let (ticks, skipped, cancelled, busy_s) = of(Overlap::BufferOne);
    assert_eq!((ticks, cancelled, busy_s as u64), (60, 0, (60 - skipped) * 90));
    assert!((18..=21).contains(&skipped), "{skipped}: a run starts each 90 s, and one waits at the end");
}

#[test]
fn a_fixed_delay_counts_from_the_end() {
    let chain = Player { delay_ms: Some(20_000), ..player("0 * * * * ?", 10_000) };
    let outcome = day(&[chain], None);
    assert_eq!(outcome.jobs[0].ticks, DAY_S / 30);
}

#[test]
fn jobs_of_one_instant_collide_and_the_most_crowded_instants_come_first() {
    let outcome =
        day(&[player("0 0 * * * ?", 1), player("0 0 12 * * ?", 1), player("0 0 12,13 * * ?", 1)], None);
    assert_eq!(outcome.collisions, 2);
    let noon = FROM.plus(12 * 3_600_000);
    let crowds: Vec<_> = outcome.crowds.iter().map(|crowd| (crowd.jobs, crowd.at.0)).collect();
    assert_eq!(crowds, [(3, noon), (2, noon.plus(3_600_000))]);
}

#[test]
fn who_finds_no_slot_waits_by_priority_and_the_time_without_slots_is_counted() {
    let urgent = Player { priority: 5, ..player("0 0 12 * * ?", 10_000) };
    let outcome = day(&[player("0 0 12 * * ?", 10_000), player("0 0 12 * * ?", 10_000), urgent], Some(1));
    let waits: Vec<i64> = outcome.jobs.iter().map(|job| job.longest_wait_ms).collect();
    assert_eq!(waits, [10_000, 20_000, 0]);
    assert_eq!(outcome.saturated_ms, 20_000);
    assert_eq!((outcome.minutes[720].running, outcome.minutes[720].waiting), (1, 2));
}

#[test]
fn a_long_run_is_seen_in_every_minute_that_it_takes() {
    let outcome = day(&[player("0 0 12 * * ?", 600_000)], None);
    let busy: Vec<usize> = (0..1_440).filter(|at| outcome.minutes[*at].running > 0).collect();
    assert_eq!((busy[0], busy.len()), (720, 10));
}

#[test]
fn too_many_events_cut_the_simulation_off() {
    let hasty = Player { delay_ms: Some(0), ..player("0 * * * * ?", 1) };
    let outcome = fleet::simulate_within(&[hasty], Span { from: FROM, days: 366, slots: None }, 1_000);
    assert!(outcome.cut_at.is_some());
    assert!(
        outcome.words().iter().any(|line| line.starts_with("cut off at 2026-01-01T")),
        "{:?}",
        outcome.words()
    );
}

#[test]
fn the_heat_map_has_a_line_for_each_hour_and_a_sign_for_each_minute() {
    let outcome = day(
        &[player("0 30 7 * * ?", 1_000), player("0 30 7 * * ?", 1_000), player("0 0 9 * * ?", 1_000)],
        None,
    );
    let map = heat_map(&outcome, Measure::Ticks, false);
    let lines: Vec<&str> = map.lines().collect();
    assert_eq!(lines.len(), 26);
    assert!(lines[1..25].iter().all(|line| line.chars().count() == 67), "{map}");
    assert_eq!(lines[8].chars().nth(7 + 30), Some('█'));
    assert_eq!(lines[10].chars().nth(7), Some('▄'));
    assert_eq!(lines[1], format!("00:00  {}", "·".repeat(60)));
}

#[test]
fn the_page_and_the_picture_load_nothing_and_escape_names() {
    let strange = Player { name: "<script>&".into(), ..player("0 30 7 * * ?", 1_000) };
    let outcome = simulate(&[strange], Span { from: FROM, days: 3, slots: Some(4) });
    let page = html(&outcome, Measure::Running);
    assert!(page.contains("&lt;script&gt;&amp;") && !page.contains("<script"));
    let links = page.matches("http").count() - page.matches("http://www.w3.org/2000/svg").count();
    assert_eq!((links, page.matches("src=").count(), page.matches("href=").count()), (0, 0, 0));
    let picture = svg(&outcome, Measure::Running);
    assert_eq!(picture.matches("2026-01-0").count(), 3);
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_tick_is_run_or_skipped_and_slots_are_never_exceeded(
        fleet in proptest::collection::vec((1..60_u32, 1..3_000_000_i64, any::<bool>(), -3..3), 1..12),
        slots in proptest::option::of(1..5_u32),
    ) {
        let players: Vec<Player> = fleet.into_iter().map(|(minute, usual_ms, skips, priority)| {
            let player = Player { priority, ..player(&format!("0 {minute} * * * ?"), usual_ms) };
            if skips { player } else { beside(player) }
        }).collect();
        let outcome = day(&players, slots);
        prop_assert_eq!(&outcome, &day(&players, slots));
        let ticks: u64 = outcome.jobs.iter().map(|job| job.ticks).sum();
        prop_assert_eq!(ticks, 24 * players.len() as u64);
        prop_assert_eq!(u64::from(outcome.minutes.iter().map(|minute| minute.ticks).sum::<u32>()), ticks);
        for minute in &outcome.minutes {
            prop_assert!(slots.is_none_or(|slots| minute.running <= slots));
        }
        if slots.is_none() {
            prop_assert_eq!(outcome.saturated_ms, 0);
            prop_assert!(outcome.jobs.iter().all(|job| job.longest_wait_ms == 0));
        }
    }
}
