//! The old engines as they are documented, and as they answer when they are asked: instants of the tables below come from
//! Quartz 2.3.2 and cron-utils 9.2.1. Quartz 2.5.0 skips days of `L-n` and `nW` that both documentations promise.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Engine, Flavour, Rival};

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a zone")
}

fn civil(rival: &Rival, zone: &TimeZone, from: &str, count: usize) -> Vec<String> {
    let from: Timestamp = from.parse().expect("an instant");
    let show =
        |at: Timestamp| at.to_zoned_datetime(zone.clone()).strftime("%m-%d %H:%M:%S %:::z").to_string();
    rival.ticks(from, count).into_iter().map(show).collect()
}

fn quartz(text: &str, zone_name: &str, from: &str, count: usize) -> Vec<String> {
    let zone = zone(zone_name);
    let rival =
        Rival::quartz(text, zone.clone(), Flavour::Quartz).unwrap_or_else(|why| panic!("{text}: {why:?}"));
    civil(&rival, &zone, from, count)
}

fn powerjob(text: &str, zone_name: &str, from: &str, count: usize) -> Vec<String> {
    let zone = zone(zone_name);
    let rival =
        Rival::quartz(text, zone.clone(), Flavour::CronUtils).unwrap_or_else(|why| panic!("{text}: {why:?}"));
    civil(&rival, &zone, from, count)
}

fn cron(text: &str, zone_name: &str, from: &str, count: usize) -> Vec<String> {
    let zone = zone(zone_name);
    let rival = Rival::crontab(text, zone.clone()).unwrap_or_else(|why| panic!("{text}: {why:?}"));
    civil(&rival, &zone, from, count)
}

const NEW_YORK: &str = "America/New_York";
const FORWARD: &str = "2026-03-08T06:40:00Z";
const BACK: &str = "2026-11-01T04:40:00Z";

#[test]
fn quartz_drops_what_falls_into_a_gap_and_fires_in_the_second_pass_alone() {
    assert_eq!(quartz("0 30 2 * * ?", NEW_YORK, FORWARD, 1), ["03-09 02:30:00 -04"]);
    assert_eq!(quartz("0 0/30 * * * ?", NEW_YORK, FORWARD, 2), ["03-08 03:00:00 -04", "03-08 03:30:00 -04"]);
    assert_eq!(quartz("0 15 2,3 * * ?", NEW_YORK, FORWARD, 2), ["03-08 03:15:00 -04", "03-09 02:15:00 -04"]);
    assert_eq!(quartz("0 30 1 * * ?", NEW_YORK, BACK, 2), ["11-01 01:30:00 -05", "11-02 01:30:00 -05"]);
    assert_eq!(quartz("0 0/30 * * * ?", NEW_YORK, BACK, 2), ["11-01 01:00:00 -05", "11-01 01:30:00 -05"]);
    let within = quartz("0 * * * * ?", NEW_YORK, "2026-11-01T05:40:00Z", 1);
    assert_eq!(within, ["11-01 01:41:00 -05"]);
    assert_eq!(quartz("0 0 10 * * ?", "Pacific/Apia", "2011-12-30T00:00:00Z", 1), ["12-31 10:00:00 +14"]);
}

#[test]
fn powerjob_fires_in_both_passes_if_more_is_due_within_the_hour() {
    assert_eq!(powerjob("0 30 2 * * ?", NEW_YORK, FORWARD, 1), ["03-09 02:30:00 -04"]);
    assert_eq!(powerjob("0 30 1 * * ?", NEW_YORK, BACK, 2), ["11-01 01:30:00 -04", "11-02 01:30:00 -05"]);
    let both = ["11-01 01:15:00 -04", "11-01 01:15:00 -05", "11-01 02:15:00 -05"];
    assert_eq!(powerjob("0 15 1,2 * * ?", NEW_YORK, BACK, 3), both);
    let both = ["11-01 01:00:00 -04", "11-01 01:30:00 -04", "11-01 01:00:00 -05", "11-01 01:30:00 -05"];
    assert_eq!(powerjob("0 0,30 1 * * ?", NEW_YORK, BACK, 4), both);
    assert_eq!(
        powerjob("0 0 0 13 * FRI", "UTC", "2026-01-01T00:00:00Z", 2),
        ["02-13 00:00:00 +00", "03-13 00:00:00 +00"]
    );
}

#[test]
fn cron_makes_up_for_a_gap_and_repeats_only_what_has_a_star() {
    assert_eq!(cron("30 2 * * *", NEW_YORK, FORWARD, 2), ["03-08 03:00:00 -04", "03-09 02:30:00 -04"]);
    assert_eq!(cron("*/30 2 * * *", NEW_YORK, FORWARD, 1), ["03-09 02:00:00 -04"]);
    assert_eq!(cron("30 1 * * *", NEW_YORK, BACK, 2), ["11-01 01:30:00 -04", "11-02 01:30:00 -05"]);
    assert_eq!(
        cron("30 * * * *", NEW_YORK, BACK, 3),
        ["11-01 01:30:00 -04", "11-01 01:30:00 -05", "11-01 02:30:00 -05"]
    );
    assert_eq!(
        cron("0 0 13 * fri", "UTC", "2026-02-01T00:00:00Z", 3),
        ["02-06 00:00:00 +00", "02-13 00:00:00 +00", "02-20 00:00:00 +00"]
    );
    assert_eq!(
        cron("0 0 */2 * 1", "UTC", "2026-02-01T00:00:00Z", 2),
        ["02-09 00:00:00 +00", "02-23 00:00:00 +00"]
    );
    assert_eq!(cron("0 0 * * 7", "UTC", "2026-02-02T00:00:00Z", 1), ["02-08 00:00:00 +00"]);
    assert_eq!(cron("@weekly", "UTC", "2026-02-02T00:00:00Z", 1), ["02-08 00:00:00 +00"]);
}

#[test]
fn special_days_are_those_of_the_documentation() {
    for (text, days) in [
        ("0 0 0 31W * ?", ["01-30", "03-31", "05-29"]),
        ("0 0 0 L-3 * ?", ["01-28", "02-25", "03-28"]),
        ("0 0 0 LW * ?", ["01-30", "02-27", "03-31"]),
        ("0 0 0 L-3W * ?", ["01-28", "02-25", "03-27"]),
        ("0 0 0 ? * 6#5", ["01-30", "05-29", "07-31"]),
        ("0 0 0 ? * 6L", ["01-30", "02-27", "03-27"]),
        ("0 0 0 ? * L", ["01-03", "01-10", "01-17"]),
        ("0 0 0 ? * FRI-MON", ["01-02", "01-03", "01-04"]),
        ("0 0 0 ? * 3/2", ["01-03", "01-06", "01-08"]),
        ("0 0 0 1/10 * ?", ["01-11", "01-21", "01-31"]),
        ("0 0 0 1 1,7 ? 2027-2028", ["01-01", "07-01", "01-01"]),
    ] {
        let ticks = quartz(text, "UTC", "2026-01-01T00:00:00Z", 3);
        let shown: Vec<&str> = ticks.iter().map(|tick| &tick[..5]).collect();
        assert_eq!(shown, days, "{text}");
    }
    assert!(quartz("0 0 0 30 2 ?", "UTC", "2026-01-01T00:00:00Z", 1).is_empty());
}

#[test]
fn what_is_not_documented_is_not_followed() {
    for text in [
        "0 0 0 13 * FRI",
        "0 0 0 L,15 * ?",
        "0 0 0 1,15W * ?",
        "0 0 0 ? * 2#1,3",
        "0 0/90 * * * ?",
        "0 0 0 ? * 0",
        "* *",
        "",
        "0 0 0 ? * ?",
    ] {
        assert!(Rival::quartz(text, TimeZone::UTC, Flavour::Quartz).is_err(), "{text}");
    }
    assert!(Rival::quartz("0 0 22-2 * * ?", TimeZone::UTC, Flavour::CronUtils).is_err());
    for text in
        ["* * * *", "60 * * * *", "5/15 * * * *", "5-1 * * * *", "*/0 * * * *", "@reboot", "* * * * mon-xyz"]
    {
        assert!(Rival::crontab(text, TimeZone::UTC).is_err(), "{text}");
    }
}

#[test]
fn a_grid_has_its_instants_and_no_other() {
    let ticks = |after: i64, last| {
        let grid = Rival::Grid { first: 1_000, period_ms: 500, last };
        let ticks = grid.ticks(Timestamp::from_millisecond(after).expect("in range"), 3);
        ticks.into_iter().map(Timestamp::as_millisecond).collect::<Vec<_>>()
    };
    assert_eq!(ticks(0, None), [1_000, 1_500, 2_000]);
    assert_eq!(ticks(1_500, None), [2_000, 2_500, 3_000]);
    assert_eq!(ticks(1_499, Some(2_100)), [1_500, 2_000]);
}

/// Asks the engines themselves; `make differential` names their jars.
mod engines {
    use std::fmt::Write as _;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    use super::*;

    const ZONES: [&str; 8] = [
        "UTC",
        "America/New_York",
        "Europe/Berlin",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Asia/Shanghai",
        "Europe/Dublin",
        "America/Sao_Paulo",
    ];

    #[test]
    #[ignore = "needs Quartz: make differential"]
    fn quartz_fires_when_its_evaluator_says() {
        let driver = "../core/tests/schedule_oracle/drivers/QuartzTicks.java";
        compare("FASTJOB_QUARTZ_2_3", driver, Flavour::Quartz);
    }

    #[test]
    #[ignore = "needs cron-utils: make differential"]
    fn cron_utils_fires_when_its_evaluator_says() {
        compare("FASTJOB_CRON_UTILS", "tests/drivers/CronUtilsTicks.java", Flavour::CronUtils);
    }

    fn field(least: u32, most: u32, step: u32) -> impl Strategy<Value = String> {
        prop_oneof![
            3 => Just("*".to_owned()),
            4 => (least..=most).prop_map(|value| value.to_string()),
            2 => prop::collection::btree_set(least..=most, 2..4)
                .prop_map(|set| set.iter().map(u32::to_string).collect::<Vec<_>>().join(",")),
            2 => (least..=most, least..=most).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            2 => (least..=most, 2..=step).prop_map(|(a, step)| format!("{a}/{step}")),
            1 => (2..=step).prop_map(|step| format!("*/{step}")),
        ]
    }

    fn days() -> impl Strategy<Value = (String, String)> {
        let open = |text: &str| Just(text.to_owned());
        let special = prop_oneof![
            open("L"),
            open("LW"),
            (1..=5_u32).prop_map(|days| format!("L-{days}")),
            (1..=28_u32).prop_map(|day| format!("{day}W"))
        ];
        let week = prop_oneof![
            field(1, 7, 3),
            open("MON-FRI"),
            open("FRI-SUN"),
            (1..=7_u32).prop_map(|day| format!("{day}L")),
            (1..=7_u32, 1..=5_u32).prop_map(|(day, n)| format!("{day}#{n}"))
        ];
        prop_oneof![
            3 => (field(1, 31, 10), open("?")),
            1 => (special, open("?")),
            3 => (open("?"), week),
        ]
    }

    fn expressions() -> impl Strategy<Value = String> {
        let months = prop_oneof![3 => Just("*".to_owned()), 1 => field(1, 12, 5)];
        (field(0, 59, 20), field(0, 59, 20), field(0, 23, 8), days(), months).prop_map(
            |(seconds, minutes, hours, (month_days, week_days), months)| {
                format!("{seconds} {minutes} {hours} {month_days} {months} {week_days}")
            },
        )
    }

    /// Half of the cases begin a few hours before a clock is changed.
    fn begins() -> impl Strategy<Value = i64> {
        let changes = [
            "2026-03-08T07:00:00Z",
            "2026-11-01T06:00:00Z",
            "2026-03-29T01:00:00Z",
            "2026-10-25T01:00:00Z",
            "2026-04-04T15:00:00Z",
            "2026-10-03T15:30:00Z",
            "2026-04-23T22:00:00Z",
            "2026-10-29T21:00:00Z",
        ];
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant").as_second();
        let near = prop::sample::select(changes.map(at).to_vec());
        prop_oneof![
            (near, -10_800..3_600_i64).prop_map(|(change, off)| (change + off) * 1_000),
            (1_577_836_800..2_208_988_800_i64).prop_map(|second| second * 1_000),
        ]
    }

    fn compare(classpath: &str, driver: &str, flavour: Flavour) {
        const TICKS: usize = 8;
        let jars = std::env::var(classpath)
            .unwrap_or_else(|_| panic!("{classpath} is set by scripts/differential.sh"));
        let count = std::env::var("FASTJOB_DIFFERENTIAL_CASES")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(3_000);
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let cases: Vec<(String, &str, i64)> = (0..count)
            .map(|_| {
                let case = (expressions(), prop::sample::select(ZONES.to_vec()), begins());
                case.new_tree(&mut runner).expect("nothing is rejected").current()
            })
            .collect();
        let questions = cases.iter().fold(String::new(), |mut text, (expression, zone, from)| {
            writeln!(text, "{expression}\t{zone}\t{from}\t{TICKS}").expect("a text takes it");
            text
        });
        let (mut same, mut passed_over, mut wrong) = (0, 0, Vec::new());
        for ((expression, zone_name, from), answer) in
            cases.iter().zip(ask(&jars, driver, &questions).lines())
        {
            let zone = zone(zone_name);
            let Ok(rival) = Rival::quartz(expression, zone.clone(), flavour) else {
                passed_over += 1;
                continue;
            };
            let theirs: Vec<i64> = answer.split('\t').filter_map(|tick| tick.parse().ok()).collect();
            let after = Timestamp::from_millisecond(*from).expect("in range");
            let ours: Vec<i64> =
                rival.ticks(after, TICKS).into_iter().map(Timestamp::as_millisecond).collect();
            if ours == theirs {
                same += 1;
            } else if is_known(&rival, answer) {
                passed_over += 1;
            } else {
                let show = |ticks: &[i64]| {
                    let at = |ms: &i64| {
                        Timestamp::from_millisecond(*ms).expect("in range").to_zoned_datetime(zone.clone())
                    };
                    ticks
                        .iter()
                        .map(|ms| at(ms).strftime("%y-%m-%d_%H:%M:%S%:::z ").to_string())
                        .collect::<String>()
                };
                let theirs = if theirs.is_empty() { answer.to_owned() } else { show(&theirs) };
                wrong.push(format!(
                    "{expression} in {zone_name} after {}\n  ours   {}\n  theirs {theirs}",
                    show(&[*from]),
                    show(&ours)
                ));
            }
        }
        println!(
            "{flavour:?}: {count} cases, {same} the same, {passed_over} passed over, {} wrong",
            wrong.len()
        );
        let shown = wrong.iter().take(12).cloned().collect::<Vec<_>>().join("\n");
        assert!(wrong.is_empty() && same * 10 > count * 9, "{} differ, such as\n{shown}", wrong.len());
    }

    /// A fault of cron-utils: it looks for the n-th day of months that are too short.
    fn is_known(rival: &Rival, answer: &str) -> bool {
        matches!(rival, Rival::Cron { engine: Engine::CronUtils, .. }) && answer.contains("DateTimeException")
    }

    fn ask(jars: &str, driver: &str, questions: &str) -> String {
        let folder = tempfile::tempdir().expect("a directory can be made");
        let (asked, answered) = (folder.path().join("questions"), folder.path().join("answers"));
        std::fs::write(&asked, questions).expect("the folder is ours");
        let output = std::fs::File::create(&answered).expect("the folder is ours");
        let status = Command::new("java")
            .args(["-cp", jars, driver])
            .stdin(Stdio::from(std::fs::File::open(&asked).expect("it was written")))
            .stdout(Stdio::from(output))
            .status()
            .expect("java can be started");
        assert!(status.success(), "the driver ended with {status}");
        std::fs::read_to_string(&answered).expect("it was written")
    }
}
