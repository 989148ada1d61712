//! At which instants triggers fire, by table, against a brute-force matcher, and by property.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should panic")]

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Cron, DailyWindow, Dialect, GapRule, OverlapRule, Trigger, Weekday};
use fastjob_core::schedule::{Explained, Language, Schedule, ScheduleError};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn compile(expression: &str, zone: &str) -> Result<Schedule, ScheduleError> {
    compile_in(Dialect::Quartz, expression, zone)
}

fn compile_in(dialect: Dialect, expression: &str, zone: &str) -> Result<Schedule, ScheduleError> {
    Schedule::compile(&Trigger::Cron(Cron::new(expression, dialect, zone)), Millis::new(0))
}

fn at(text: &str) -> Millis {
    Millis::new(text.parse::<Timestamp>().unwrap().as_millisecond())
}

fn show(tick: Option<Millis>) -> String {
    tick.map_or("none".to_owned(), |tick| Timestamp::from_millisecond(tick.get()).unwrap().to_string())
}

/// Follows the ticks after `from` and checks that walking back finds the same.
fn assert_ticks(expression: &str, zone: &str, from: &str, expected: &[&str]) {
    let schedule = compile(expression, zone).unwrap();
    let mut after = at(from);
    for (nth, expected_tick) in expected.iter().enumerate() {
        let tick = schedule.next(after);
        assert_eq!(show(tick), *expected_tick, "{expression} in {zone}, tick {nth} after {from}");
        if nth > 0 {
            assert_eq!(
                schedule.previous(tick.unwrap()),
                Some(after),
                "{expression} in {zone}, before {expected_tick}"
            );
        }
        after = tick.unwrap();
    }
}

#[test]
fn a_fixed_rule_fires_after_the_gap_and_in_the_first_pass_only() {
    let berlin = "Europe/Berlin";
    let daily = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    assert_ticks("0 30 2 * * ?", berlin, "2026-03-27T12:00:00Z", &daily);
    let overlap = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    assert_ticks("0 30 2 * * ?", berlin, "2026-10-23T12:00:00Z", &overlap);
    let collapsed = ["2026-03-28T01:45:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:15:00Z"];
    assert_ticks("0 15,45 2 * * ?", berlin, "2026-03-28T01:30:00Z", &collapsed);
    assert_ticks(
        "0 30,0 2,3 * * ?",
        berlin,
        "2026-03-28T02:30:00Z",
        &["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
    );
}

#[test]
fn a_search_that_starts_in_the_second_pass_repeats_no_fixed_tick() {
    let berlin = "Europe/Berlin";
    assert_ticks("0 30 2 * * ?", berlin, "2026-10-25T01:10:00Z", &["2026-10-26T01:30:00Z"]);
    assert_ticks("0 30 2 * * ?", berlin, "2026-10-25T01:00:00Z", &["2026-10-26T01:30:00Z"]);
    assert_ticks("0 0 3 * * ?", berlin, "2026-10-25T01:10:00Z", &["2026-10-25T02:00:00Z"]);
    let schedule = compile("0 30 2 * * ?", berlin).unwrap();
    for before in
        ["2026-10-25T00:30:01Z", "2026-10-25T01:30:00Z", "2026-10-25T01:45:00Z", "2026-10-25T02:00:00Z"]
    {
        assert_eq!(show(schedule.previous(at(before))), "2026-10-25T00:30:00Z", "before {before}");
    }
}

#[test]
fn an_interval_rule_skips_the_gap_and_fires_in_both_passes() {
    let berlin = "Europe/Berlin";
    let gap =
        ["2026-03-29T00:00:00Z", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"];
    assert_ticks("0 */30 * * * ?", berlin, "2026-03-28T23:45:00Z", &gap);
    let overlap = [
        "2026-10-25T00:00:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T02:00:00Z",
    ];
    assert_ticks("0 */30 * * * ?", berlin, "2026-10-24T23:45:00Z", &overlap);
    // By its text 2-2 is an interval: absent in the gap, twice in the overlap.
    assert_ticks("0 30 2-2 * * ?", berlin, "2026-03-28T12:00:00Z", &["2026-03-30T00:30:00Z"]);
    assert_ticks(
        "0 30 2/24 * * ?",
        berlin,
        "2026-10-24T12:00:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"],
    );
}

#[test]
fn unusual_jumps_follow_the_same_rules() {
    // Lord Howe jumps by half an hour: 02:00 +10:30 becomes 02:30 +11, and 02:00 +11 becomes 01:30 +10:30.
    let howe = "Australia/Lord_Howe";
    assert_ticks(
        "0 15 2 * * ?",
        howe,
        "2026-10-03T00:00:00Z",
        &["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"],
    );
    assert_ticks(
        "0 45 1 * * ?",
        howe,
        "2026-04-04T00:00:00Z",
        &["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"],
    );
    assert_ticks(
        "0 */15 1 * * ?",
        howe,
        "2026-04-04T14:20:00Z",
        &[
            "2026-04-04T14:30:00Z",
            "2026-04-04T14:45:00Z",
            "2026-04-04T15:00:00Z",
            "2026-04-04T15:15:00Z",
            "2026-04-05T14:30:00Z",
        ],
    );
    // Apia left out 2011-12-30.
    let apia = "Pacific/Apia";
    assert_ticks(
        "0 0 12 * * ?",
        apia,
        "2011-12-29T00:00:00Z",
        &["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"],
    );
    assert_ticks(
        "0 0 */12 * * ?",
        apia,
        "2011-12-29T00:00:00Z",
        &["2011-12-29T10:00:00Z", "2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z"],
    );
    // Cairo and, until 2018, Sao Paulo jump at midnight.
    assert_ticks(
        "0 0 0 * * ?",
        "Africa/Cairo",
        "2026-04-23T00:00:00Z",
        &["2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"],
    );
    assert_ticks(
        "0 0 0 * * ?",
        "America/Sao_Paulo",
        "2018-11-03T12:00:00Z",
        &["2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"],
    );
    assert_ticks(
        "0 30 23 * * ?",
        "America/Sao_Paulo",
        "2018-02-17T12:00:00Z",
        &["2018-02-18T01:30:00Z", "2018-02-19T02:30:00Z"],
    );
    // Troll jumps by two hours.
    assert_ticks(
        "0 30 2 * * ?",
        "Antarctica/Troll",
        "2026-03-28T12:00:00Z",
        &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
    );
}

#[test]
fn days_and_years_are_quartz_ones() {
    assert_ticks(
        "0 0 0 ? * 1",
        "UTC",
        "2026-11-24T00:00:00Z",
        &["2026-11-29T00:00:00Z", "2026-12-06T00:00:00Z"],
    );
    assert_ticks("0 0 0 ? * sun", "UTC", "2026-11-24T00:00:00Z", &["2026-11-29T00:00:00Z"]);
    assert_ticks(
        "0 0 0 ? * 2/5",
        "UTC",
        "2026-11-24T00:00:00Z",
        &["2026-11-28T00:00:00Z", "2026-11-30T00:00:00Z"],
    );
    assert_ticks(
        "0 0 0 29 2 ?",
        "UTC",
        "2026-11-24T00:00:00Z",
        &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"],
    );
    assert_ticks(
        "0 0 0 1 JAN ? 2030,2040",
        "UTC",
        "2026-11-24T00:00:00Z",
        &["2030-01-01T00:00:00Z", "2040-01-01T00:00:00Z"],
    );
    assert_ticks(
        "5/20 0 0 31 * ?",
        "UTC",
        "2026-11-24T00:00:00Z",
        &["2026-12-31T00:00:05Z", "2026-12-31T00:00:25Z", "2026-12-31T00:00:45Z", "2027-01-31T00:00:05Z"],
    );
}

/// The dates at midnight UTC after the start of a year.
fn dates(dialect: Dialect, expression: &str, year: i16, count: usize) -> Vec<String> {
    let schedule = compile_in(dialect, expression, "UTC").unwrap();
    let mut after = at(&format!("{year}-01-01T00:00:00Z")).plus(-1);
    let mut dates = Vec::new();
    for _ in 0..count {
        let tick = schedule.next(after).unwrap();
        assert_eq!(schedule.previous(tick.plus(1)), Some(tick), "{expression}");
        dates.push(show(Some(tick))[5..10].to_owned());
        after = tick;
    }
    dates
}

#[test]
fn days_that_only_a_calendar_tells_are_found() {
    // 2026 begins on a Thursday; February 1, March 1 and November 1 are Sundays, August 1 is a Saturday.
    let quartz: &[(&str, &[&str])] = &[
        ("0 0 0 L * ?", &["01-31", "02-28", "03-31", "04-30"]),
        ("0 0 0 L-3 * ?", &["01-28", "02-25", "03-28"]),
        ("0 0 0 l-30 * ?", &["01-01", "03-01", "05-01", "07-01"]),
        ("0 0 0 LW * ?", &["01-30", "02-27", "03-31", "04-30", "05-29"]),
        ("0 0 0 L-1W * ?", &["01-30", "02-27", "03-30", "04-29", "05-29"]),
        ("0 0 0 15W 2,3,8,11 ?", &["02-16", "03-16", "08-14", "11-16"]),
        ("0 0 0 1W 2,8 ?", &["02-02", "08-03"]),
        ("0 0 0 31W 1,5 ?", &["01-30", "05-29"]),
        ("0 0 0 30W * ?", &["01-30", "03-30", "04-30", "05-29", "06-30"]),
        ("0 0 0 1,15W,L 2 ?", &["02-01", "02-16", "02-28"]),
        ("0 0 0 ? * 6L", &["01-30", "02-27", "03-27", "04-24"]),
        ("0 0 0 ? * friL", &["01-30", "02-27"]),
        ("0 0 0 ? * FRI#2", &["01-09", "02-13", "03-13"]),
        ("0 0 0 ? * 6#5", &["01-30", "05-29", "07-31", "10-30"]),
        ("0 0 0 ? * L", &["01-03", "01-10"]),
        ("0 0 0 ? 2 1#1,FRIL,TUE", &["02-01", "02-03", "02-10", "02-17", "02-24", "02-27"]),
        ("0 0 0 ? * FRI-MON", &["01-02", "01-03", "01-04", "01-05", "01-09"]),
        ("0 0 0 ? * 6-2/2", &["01-02", "01-04", "01-09"]),
        ("0 0 0 30-2 3,4 ?", &["03-01", "03-02", "03-30", "03-31", "04-01", "04-02", "04-30"]),
        ("0 0 0 1 NOV-FEB ?", &["01-01", "02-01", "11-01", "12-01"]),
        ("0 0 0 /10 * ?", &["01-01", "01-11", "01-21", "01-31", "02-01"]),
        ("0 0 0 ? * */2", &["01-01", "01-03", "01-04", "01-06"]),
    ];
    let unix: &[(&str, &[&str])] = &[
        ("0 0 13 * FRI", &["01-02", "01-09", "01-13", "01-16"]),
        ("0 0 */2 * MON", &["01-05", "01-19", "02-09"]),
        ("0 0 ? * 1", &["01-05", "01-12"]),
        ("0 0 13 * ?", &["01-13", "02-13"]),
        ("0 0 1-31/2 * MON", &["01-01", "01-03", "01-05", "01-07", "01-09", "01-11", "01-12"]),
        ("0 0 13 * */2", &["01-13", "06-13"]),
        ("0 0 30 2 MON", &["02-02", "02-09"]),
        ("0 0 * * 0", &["01-04", "01-11"]),
        ("0 0 * * 7", &["01-04", "01-11"]),
        ("0 0 * * 5-7", &["01-02", "01-03", "01-04"]),
        ("0 0 * * fri-sun", &["01-02", "01-03", "01-04", "01-09"]),
        ("0 0 * * SUN-TUE", &["01-04", "01-05", "01-06", "01-11"]),
        ("0 0 * * */2", &["01-01", "01-03", "01-04", "01-06"]),
        ("0 0 * * 1/2", &["01-02", "01-05", "01-07", "01-09"]),
        ("0 0 * * 5/2", &["01-02", "01-09"]),
        ("@yearly", &["01-01"]),
        ("@Monthly", &["01-01", "02-01"]),
        ("@weekly", &["01-04", "01-11"]),
        ("@daily", &["01-01", "01-02"]),
    ];
    let spring: &[(&str, &[&str])] = &[
        ("0 0 0 13 * FRI", &["02-13", "03-13", "11-13"]),
        ("0 0 0 ? * ?", &["01-01", "01-02"]),
        ("0 0 0 * * */2", &["01-02", "01-04", "01-05", "01-07"]),
        ("0 0 0 * * 0/3", &["01-03", "01-04", "01-07", "01-10"]),
        ("0 0 0 * * SUN-TUE", &["01-04", "01-05", "01-06", "01-11"]),
        ("0 0 0 * * 6-7", &["01-03", "01-04", "01-10"]),
        ("0 0 0 * * 0,3", &["01-04", "01-07", "01-11"]),
        ("0 0 0 L * *", &["01-31", "02-28"]),
        ("0 0 0 L-3,15W * *", &["01-15", "01-28", "02-16"]),
        ("0 0 0 LW * *", &["01-30", "02-27"]),
        ("0 0 0 * * MONL", &["01-26", "02-23"]),
        ("0 0 0 * * 7#1", &["01-04", "02-01"]),
        ("0 0 0 * * 5L,0#2", &["01-11", "01-30", "02-08"]),
        ("@midnight", &["01-01", "01-02"]),
        ("@annually", &["01-01"]),
    ];
    for (dialect, table) in [(Dialect::Quartz, quartz), (Dialect::Unix, unix), (Dialect::Spring, spring)] {
        for (expression, expected) in table {
            assert_eq!(dates(dialect, expression, 2026, expected.len()), *expected, "{expression}");
        }
    }
}

#[test]
fn wrapped_ranges_go_on_from_the_start_and_hourly_is_an_interval() {
    assert_ticks(
        "0 0 22-2/2 * * ?",
        "UTC",
        "2026-01-01T12:00:00Z",
        &["2026-01-01T22:00:00Z", "2026-01-02T00:00:00Z", "2026-01-02T02:00:00Z", "2026-01-02T22:00:00Z"],
    );
    let hourly = compile_in(Dialect::Unix, "@hourly", "Europe/Berlin").unwrap();
    let mut tick = at("2026-10-24T22:30:00Z");
    for hour in ["23:00", "00:00", "01:00", "02:00"] {
        tick = hourly.next(tick).unwrap();
        assert_eq!(&show(Some(tick))[11..16], hour);
    }
}

#[test]
fn a_fixed_rule_can_be_told_to_skip_gaps_and_to_fire_in_both_passes() {
    let ticks = |gap, overlap, from: &str, count| {
        let cron = Cron { gap, overlap, ..Cron::new("0 15,45 2 * * ?", Dialect::Quartz, "Europe/Berlin") };
        let schedule = Schedule::compile(&Trigger::Cron(cron), Millis::new(0)).unwrap();
        let mut after = at(from);
        let mut ticks = Vec::new();
        for _ in 0..count {
            let tick = schedule.next(after).unwrap();
            let last = ticks.is_empty().then_some(tick).or(Some(after));
            assert_eq!(schedule.previous(tick.plus(i64::from(ticks.is_empty()))), last);
            ticks.push(show(Some(tick))[8..16].to_owned());
            after = tick;
        }
        ticks
    };
    let (skip, both) = (Some(GapRule::Skip), Some(OverlapRule::Both));
    let (gap, overlap) = ("2026-03-28T12:00:00Z", "2026-10-24T12:00:00Z");
    for rule in [None, both] {
        assert_eq!(ticks(Some(GapRule::Next), rule, gap, 2), ["29T01:00", "30T00:15"]);
        assert_eq!(ticks(None, rule, gap, 2), ["29T01:00", "30T00:15"]);
        assert_eq!(ticks(skip, rule, gap, 2), ["30T00:15", "30T00:45"]);
    }
    for rule in [None, skip] {
        assert_eq!(
            ticks(rule, both, overlap, 5),
            ["25T00:15", "25T00:45", "25T01:15", "25T01:45", "26T01:15"]
        );
        let first = ["25T00:15", "25T00:45", "26T01:15"];
        assert_eq!(ticks(rule, None, overlap, 3), first);
        assert_eq!(ticks(rule, Some(OverlapRule::First), overlap, 3), first);
    }
    let told = Cron { gap: skip, ..Cron::new("0 15 2-2 * * ?", Dialect::Quartz, "UTC") };
    let error = Schedule::compile(&Trigger::Cron(told), Millis::new(0)).unwrap_err();
    assert_eq!((error.code, error.field), ("cron_not_fixed", "cron.gap"));
}

#[test]
fn a_tick_stands_for_the_date_that_a_gap_lost() {
    let date = |zone, tick| {
        let schedule = compile("0 0 0 * * ?", zone).unwrap();
        assert_eq!(schedule.previous(at(tick).plus(1)), Some(at(tick)));
        schedule.civil_date(at(tick)).unwrap().to_string()
    };
    assert_eq!(date("Pacific/Apia", "2011-12-30T10:00:00Z"), "2011-12-30");
    assert_eq!(date("Africa/Cairo", "2026-04-23T22:00:00Z"), "2026-04-24");
    assert_eq!(date("Europe/Berlin", "2026-03-28T23:00:00Z"), "2026-03-29");
}

#[test]
fn ticks_end_with_the_year_2199_and_a_look_back_finds_the_last_month_of_an_earlier_year() {
    let schedule = compile("59 59 23 31 12 ? 2020,2199", "UTC").unwrap();
    assert_eq!(show(schedule.next(at("2026-01-01T00:00:00Z"))), "2199-12-31T23:59:59Z");
    assert_eq!(schedule.next(at("2199-12-31T23:59:59Z")), None);
    assert_eq!(schedule.next(Millis::MAX), None);
    assert_eq!(show(schedule.previous(Millis::MAX)), "2199-12-31T23:59:59Z");
    assert_eq!(show(schedule.previous(at("2026-05-10T00:00:00Z"))), "2020-12-31T23:59:59Z");
    assert_eq!(schedule.previous(at("2020-12-31T23:59:59Z")), None);
    assert_eq!(schedule.previous(Millis::new(i64::MIN)), None);
    assert_eq!(show(schedule.next(Millis::new(i64::MIN))), "2020-12-31T23:59:59Z");
    let every_second = compile("* * * * * ?", "Pacific/Kiritimati").unwrap();
    assert!(every_second.next(Millis::new(i64::MIN)).is_some());
    assert!(every_second.previous(Millis::MAX).is_some());
    let passed = compile("0 0 0 1 1 ? 2020", "UTC").unwrap();
    assert_eq!(passed.must_fire_after(at("2026-01-01T00:00:00Z")).unwrap_err().code, "never_fires");
    let no_leap = compile("0 0 0 29 2 ? 2027", "UTC").unwrap();
    assert_eq!(no_leap.must_fire_after(at("2026-01-01T00:00:00Z")).unwrap_err().code, "never_fires");
    assert_eq!(no_leap.must_fire_after(Millis::new(i64::MIN)).unwrap_err().code, "never_fires");
}

#[test]
fn bad_expressions_are_refused_with_code_and_position() {
    let too_long = format!("{} * * * * ?", ["0"; 130].join(","));
    let table: &[(&str, &str, usize)] = &[
        ("", "cron_field_count", 0),
        ("   ", "cron_field_count", 3),
        ("0 12 * * MON", "cron_field_count", 0),
        ("0 0 12 * * ? 2030 7", "cron_field_count", 18),
        ("0 0 0 ? * ?", "cron_no_day", 10),
        ("0 0 0 1 * MON", "cron_two_days", 10),
        ("0 0 0 */2 * 2", "cron_two_days", 12),
        ("? 0 0 * * *", "cron_question_mark", 0),
        ("0 0 0 1,? * *", "cron_question_mark", 8),
        ("60 0 0 * * ?", "cron_bad_value", 0),
        ("0 0 24 * * ?", "cron_bad_value", 4),
        ("0 0 0 0 * ?", "cron_bad_value", 6),
        ("0 0 0 ? * 0", "cron_bad_value", 10),
        ("0 0 0 ? * 8", "cron_bad_value", 10),
        ("0 0 0 ? * MONDAY", "cron_bad_value", 10),
        ("0 0 0 ? FOO *", "cron_bad_value", 8),
        ("0 0 0 ? * * 1969", "cron_bad_value", 12),
        ("0 0 0 ? * * 2030-2200", "cron_bad_value", 17),
        ("0 0 0 ? * * 2031-2030", "cron_reversed_range", 12),
        ("0 -5 0 * * ?", "cron_bad_value", 2),
        ("0 5- 0 * * ?", "cron_bad_value", 4),
        ("0 1-2-3 0 * * ?", "cron_bad_value", 4),
        ("0 99999999999 0 * * ?", "cron_bad_value", 2),
        ("0 0 0 ? * *-5", "cron_bad_value", 10),
        ("0 5,,6 0 * * ?", "cron_empty_item", 4),
        ("0 5, 0 * * ?", "cron_empty_item", 4),
        ("0 */0 0 * * ?", "cron_bad_step", 4),
        ("0 */x 0 * * ?", "cron_bad_step", 4),
        ("0 */5/5 0 * * ?", "cron_bad_step", 4),
        ("0 */61 0 * * ?", "cron_step_too_large", 4),
        ("0 0 */25 * * ?", "cron_step_too_large", 6),
        ("0 0 0 ? * */8", "cron_step_too_large", 12),
        ("0 / 0 * * ?", "cron_bad_step", 3),
        ("0 0 0 L2 * ?", "cron_bad_value", 7),
        ("0 0 0 2L * ?", "cron_bad_value", 6),
        ("0 0 0 L-31 * ?", "cron_bad_value", 7),
        ("0 0 0 L- * ?", "cron_bad_value", 7),
        ("0 0 0 W * ?", "cron_bad_value", 6),
        ("0 0 0 WL * ?", "cron_bad_value", 6),
        ("0 0 0 1,32W * ?", "cron_bad_value", 8),
        ("0 0 0 1-5W * ?", "cron_bad_value", 6),
        ("0 0 0 L/2 * ?", "cron_bad_value", 7),
        ("0 0 0 ? * 8L", "cron_bad_value", 10),
        ("0 0 0 ? * MON,L", "cron_unknown_feature", 14),
        ("0 0 0 ? * FRI#6", "cron_bad_value", 14),
        ("0 0 0 ? * FRI#", "cron_bad_value", 14),
        ("0 0 0 ? * #2", "cron_bad_value", 10),
        ("0 0 0 ? * FRI#2/2", "cron_bad_value", 14),
        ("0 0 0 L * FRI#2", "cron_two_days", 10),
        ("@daily", "cron_unknown_feature", 0),
        (" @every 5s", "cron_unknown_feature", 1),
        ("@reboot", "cron_unknown_feature", 0),
        ("0 0 0 31W 2 ?", "cron_impossible_date", 6),
        ("0 0 0 30 2 ?", "cron_impossible_date", 6),
        ("0 0 0 31 FEB,APR ?", "cron_impossible_date", 6),
        ("0 0 0 é * ?", "cron_bad_character", 6),
        ("0 0 0\n* * ?", "cron_bad_character", 5),
        (&too_long, "cron_too_long", 256),
    ];
    for (expression, code, position) in table {
        let error = compile(expression, "UTC").unwrap_err();
        assert_eq!((error.code, error.position), (*code, Some(*position)), "{expression:?}: {error}");
        assert_eq!(error.field, "cron.expression");
        assert!(!error.remedy.is_empty());
    }
    assert!(compile("0 12 * * MON", "UTC").unwrap_err().remedy.contains("prepend `0 `"));
}

#[test]
fn each_dialect_refuses_what_it_has_not_and_tells_where() {
    let unix: &[(&str, &str, usize)] = &[
        ("", "cron_field_count", 0),
        ("0 0 * *", "cron_field_count", 7),
        ("0 0 12 * * ?", "cron_field_count", 11),
        ("0 0 12 * *  2030 7", "cron_field_count", 12),
        ("0 22-2 * * *", "cron_reversed_range", 2),
        ("0 0 * * FRI-MON", "cron_reversed_range", 8),
        ("0 0 * * 5-0", "cron_reversed_range", 8),
        ("0 0 * * 8", "cron_bad_value", 8),
        ("0 0 * * */8", "cron_step_too_large", 10),
        ("/5 0 * * *", "cron_bad_value", 0),
        ("? 0 * * *", "cron_question_mark", 0),
        ("0 0 L * *", "cron_unknown_feature", 4),
        ("0 0 1,15W * *", "cron_unknown_feature", 6),
        ("0 0 * * FRI#2", "cron_unknown_feature", 8),
        ("0 0 * * 5L", "cron_unknown_feature", 8),
        ("0 0 30 2 *", "cron_impossible_date", 4),
        ("@reboot", "cron_unknown_feature", 0),
        ("@every 1h", "cron_unknown_feature", 0),
        (" @fortnightly", "cron_unknown_feature", 1),
        ("@daily 5", "cron_field_count", 7),
    ];
    let spring: &[(&str, &str, usize)] = &[
        ("0 12 * * *", "cron_field_count", 0),
        ("0 0 12 * * * 2030", "cron_field_count", 13),
        ("0 0 22-2 * * *", "cron_reversed_range", 4),
        ("0 0 0 * * SAT-MON", "cron_reversed_range", 10),
        ("0 0 0 L-3W * *", "cron_unknown_feature", 6),
        ("0 0 0 * * L", "cron_unknown_feature", 10),
        ("0 0 0 * * 5#0", "cron_bad_value", 12),
        ("0 0 0 * * 8", "cron_bad_value", 10),
        ("0 0 0 30 2 MON", "cron_impossible_date", 6),
        ("@reboot", "cron_unknown_feature", 0),
    ];
    for (dialect, table) in [(Dialect::Unix, unix), (Dialect::Spring, spring)] {
        for (expression, code, position) in table {
            let error = compile_in(dialect, expression, "UTC").unwrap_err();
            assert_eq!((error.code, error.position), (*code, Some(*position)), "{expression:?}: {error}");
            assert!(!error.remedy.is_empty() && !error.message.contains('\n'));
        }
    }
    assert!(compile_in(Dialect::Unix, "@every 1h", "UTC").unwrap_err().remedy.contains("fixed rate"));
}

fn canonical(dialect: Dialect, expression: &str) -> String {
    Explained::of(&Cron::new(expression, dialect, "UTC")).unwrap().canonical()
}

#[test]
fn the_canonical_print_is_one_for_rules_that_say_the_same_and_keeps_their_class() {
    use Dialect::{Quartz, Spring, Unix};
    for (dialect, expression, print) in [
        (Quartz, "00 0/15  9-17 ? * 2-6", "0 */15 9-17 ? * MON-FRI"),
        (Quartz, "0 0 0 1/1 * ? *", "0 0 0 * * ?"),
        (Quartz, "0 0 0 * * 1-7 1970-2199", "0 0 0 * * ?"),
        (Quartz, "0 30,0 2-2 L,15w,l-3,LW * ? 2030/20", "0 0,30 2-2 15W,L,L-3,LW * ? 2030/20"),
        (Quartz, "0 0 22-2 ? jan,MAR,5 FRI-MON", "0 0 0-2,22,23 ? 1-5/2 SUN,MON,FRI,SAT"),
        (Quartz, "0 0 2/24 ? * 6l,fri#2,7", "0 0 2-2 ? * SAT,FRI#2,FRIL"),
        (Unix, "@hourly", "0 * * * *"),
        (Unix, "0 0 */2 * MON", "0 0 */2 * MON"),
        (Unix, "0 0 1-31/2 * MON", "0 0 1/2 * MON"),
        (Unix, "0 0 1-31/2 * *", "0 0 */2 * *"),
        (Unix, "0 0 13 * */2", "0 0 13 * */2"),
        (Unix, "0 0 1-31 * 5-7", "0 0 1-31 * SUN,FRI,SAT"),
        (Unix, "0 0 ? * */2,5", "0 0 * * SUN,TUE,THU-SAT"),
        (Unix, "0 0 13 * */2,5", "0 0 13 * */2,FRI"),
        (Spring, "0 0 0 ? * 0,6", "0 0 0 * * SAT,SUN"),
        (Spring, "0 0 0 L * SUN-TUE", "0 0 0 L * MON,TUE,SUN"),
        (Spring, "@weekly", "0 0 0 * * SUN"),
    ] {
        let cron = Cron::new(expression, dialect, "UTC");
        let explained = Explained::of(&cron).unwrap();
        assert_eq!(explained.canonical(), print, "{expression}");
        let again = Explained::of(&Cron::new(print, dialect, "UTC")).unwrap();
        assert_eq!((again.canonical(), again.is_interval()), (print.to_owned(), explained.is_interval()));
    }
}

#[test]
fn a_rule_is_told_in_words_in_english_and_chinese() {
    use Dialect::{Quartz, Spring, Unix};
    for (dialect, expression, english, chinese) in [
        (Quartz, "* * * * * ?", "every second, every day", "每天，每秒"),
        (Quartz, "0 30 2 * * ?", "at 02:30, every day", "每天，02:30"),
        (
            Quartz,
            "0 15,45 2 ? * MON-FRI",
            "at 02:15 and 02:45, on Monday to Friday",
            "周一至周五，02:15、02:45",
        ),
        (
            Quartz,
            "0 */5 9-17 * * ?",
            "every 5 minutes, in hours 9 to 17, every day",
            "每天，第 9至17 点，每 5 分钟",
        ),
        (Quartz, "*/10 * * * * ?", "every 10 seconds, every day", "每天，每 10 秒"),
        (
            Quartz,
            "0 0 12 LW * ? 2030",
            "at 12:00, on the last weekday of the month, in 2030",
            "2030 年，每月 最后一个工作日，12:00",
        ),
        (
            Quartz,
            "0 0 0 1,15W 1,2,3 ?",
            "at 00:00, on day 1 and the weekday nearest day 15 of the month, in January to March",
            "1至3 月，每月 1 日、最接近 15 日的工作日，00:00",
        ),
        (
            Quartz,
            "0 0 0 ? * FRI#2,MONL",
            "at 00:00, on the second Friday of the month and the last Monday of the month",
            "每月第 2 个周五、每月最后一个周一，00:00",
        ),
        (Unix, "0 * * * *", "in minute 0, every hour, every day", "每天，每小时，第 0 分"),
        (
            Unix,
            "0 0 13 * FRI",
            "at 00:00, on day 13 of the month, and also on Friday",
            "每月 13 日以及周五，00:00",
        ),
        (
            Spring,
            "0 0 0 13 * FRI",
            "at 00:00, on day 13 of the month, if it is Friday",
            "每月 13 日且为周五，00:00",
        ),
        (
            Spring,
            "30 0 */6 L-3 * *",
            "at 00:00:30, 06:00:30, 12:00:30 and 18:00:30, on the day 3 days before the last of the month",
            "每月 最后一天的前 3 天，00:00:30、06:00:30、12:00:30、18:00:30",
        ),
    ] {
        let explained = Explained::of(&Cron::new(expression, dialect, "UTC")).unwrap();
        assert_eq!(explained.words(Language::English), english);
        assert_eq!(explained.words(Language::Chinese), chinese);
    }
}

#[test]
fn unknown_zones_are_refused_and_the_name_that_was_meant_is_suggested() {
    for zone in [
        "Europe/Berln",
        "Europe/Berlin ",
        "",
        "localtime",
        "Etc/Unknown",
        "../../etc/passwd",
        "/etc/localtime",
        "EST5EDT,M3.2.0,M11.1.0",
        "\0",
    ] {
        let error = compile("0 0 0 * * ?", zone).unwrap_err();
        assert_eq!((error.code, error.field), ("unknown_zone", "cron.zone"), "{zone:?}");
    }
    let error = compile("0 0 0 * * ?", "Europe/Berln").unwrap_err();
    assert!(error.message.contains("did you mean Europe/Berlin?"), "{error}");
}

#[test]
fn periods_delays_and_instants_out_of_bounds_are_refused() {
    let rate = |period_ms| Trigger::FixedRate { period_ms, phase: None };
    let instants = |ms: &[i64]| Trigger::At(ms.iter().copied().map(Millis::new).collect());
    let table = [
        (rate(999), "period_out_of_bounds"),
        (rate(i64::MIN), "period_out_of_bounds"),
        (rate(Trigger::MAX_PERIOD_MS + 1), "period_out_of_bounds"),
        (Trigger::FixedDelay { delay_ms: -1 }, "delay_out_of_bounds"),
        (Trigger::FixedDelay { delay_ms: i64::MAX }, "delay_out_of_bounds"),
        (instants(&[]), "no_instant"),
        (instants(&[1, 1]), "instants_not_rising"),
        (instants(&[2, 1]), "instants_not_rising"),
        (instants(&(0..1_001).collect::<Vec<_>>()), "too_many_instants"),
    ];
    for (trigger, code) in table {
        assert_eq!(Schedule::compile(&trigger, Millis::new(0)).unwrap_err().code, code, "{trigger:?}");
    }
}

fn window(from_s: i32, to_s: i32, every_ms: i64, weekdays: &[Weekday], zone: &str) -> Schedule {
    let weekdays = weekdays.iter().copied().collect();
    let window = DailyWindow { weekdays, from_s, to_s, every_ms, zone: zone.to_owned() };
    Schedule::compile(&Trigger::DailyWindow(window), Millis::new(0)).unwrap()
}

#[test]
fn a_daily_window_fires_evenly_from_its_start_and_follows_the_clock_where_it_jumps() {
    let hour = 3_600;
    let workdays = &Weekday::ALL[..5];
    let schedule = window(9 * hour, 10 * hour, 1_500_000, workdays, "Europe/Berlin");
    let ticks: Vec<_> = schedule.ticks_after(at("2026-11-27T00:00:00Z")).take(5).collect();
    let shown: Vec<_> = ticks.iter().map(|tick| show(Some(*tick))[8..16].to_owned()).collect();
    assert_eq!(shown, ["27T08:00", "27T08:25", "27T08:50", "30T08:00", "30T08:25"]);
    let back: Vec<_> = schedule.ticks_before(ticks[4].plus(1)).take(5).collect();
    assert_eq!(back, ticks.iter().rev().copied().collect::<Vec<_>>());
    let night = window(hour, 24 * hour, 1_800_000, &Weekday::ALL, "Europe/Berlin");
    let from = |text: &str, count| {
        let ticks = night.ticks_after(at(text)).take(count);
        ticks.map(|tick| show(Some(tick))[11..16].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(from("2026-03-28T22:30:00Z", 3), ["00:00", "00:30", "01:00"]);
    assert_eq!(
        from("2026-10-24T22:00:00Z", 7),
        ["23:00", "23:30", "00:00", "00:30", "01:00", "01:30", "02:00"]
    );
    assert_eq!(from("2026-11-24T22:00:00Z", 3), ["22:30", "00:00", "00:30"]);
    assert!(night.is_subdaily() && !window(5, 5, 1_000, workdays, "UTC").is_subdaily());
}

#[test]
fn a_fixed_rate_keeps_to_its_grid_and_starts_after_the_creation() {
    let compile = |phase| {
        let trigger = Trigger::FixedRate { period_ms: 10_000, phase };
        Schedule::compile(&trigger, Millis::new(25_000)).unwrap()
    };
    let own = compile(None);
    assert_eq!(own.next(Millis::new(0)), Some(Millis::new(35_000)));
    assert_eq!(own.next(Millis::new(35_000)), Some(Millis::new(45_000)));
    assert_eq!(own.previous(Millis::new(45_000)), Some(Millis::new(35_000)));
    assert_eq!(own.previous(Millis::new(35_000)), None);
    for phase in [3_000, 1_000_003_000, -7_000] {
        let phased = compile(Some(Millis::new(phase)));
        assert_eq!(phased.next(Millis::new(i64::MIN)), Some(Millis::new(33_000)), "phase {phase}");
        assert_eq!(phased.next(Millis::new(33_000)), Some(Millis::new(43_000)));
        assert_eq!(phased.next(Millis::MAX), None);
    }
}

#[test]
fn instants_fire_once_each_and_untimed_triggers_never() {
    let schedule =
        Schedule::compile(&Trigger::At(vec![Millis::new(5), Millis::new(9)]), Millis::new(7)).unwrap();
    assert_eq!(schedule.next(Millis::new(4)), Some(Millis::new(5)));
    assert_eq!(schedule.next(Millis::new(5)), Some(Millis::new(9)));
    assert_eq!(schedule.next(Millis::new(9)), None);
    assert_eq!(schedule.previous(Millis::new(9)), Some(Millis::new(5)));
    assert_eq!(schedule.must_fire_after(Millis::new(9)).unwrap_err().code, "never_fires");
    for trigger in [Trigger::Api, Trigger::FixedDelay { delay_ms: 0 }] {
        let schedule = Schedule::compile(&trigger, Millis::new(0)).unwrap();
        assert_eq!((schedule.next(Millis::new(0)), schedule.previous(Millis::MAX)), (None, None));
        assert_eq!(schedule.must_fire_after(Millis::new(0)), Ok(()));
    }
}

#[test]
fn several_ticks_a_day_make_a_rule_subdaily() {
    for (expression, subdaily) in
        [("0 0 12 * * ?", false), ("0 0 0,12 * * ?", true), ("* * * * * ?", true), ("0 0 2-2 * * ?", false)]
    {
        assert_eq!(compile(expression, "UTC").unwrap().is_subdaily(), subdaily, "{expression}");
    }
}

const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Cairo",
    "America/Sao_Paulo",
    "Antarctica/Troll",
    "Africa/Casablanca",
];

/// One field as text, and its values by brute force.
fn field(min: u32, max: u32) -> impl Strategy<Value = (String, Vec<u32>)> {
    let item = prop_oneof![
        4 => (min..=max).prop_map(|a| (a.to_string(), vec![a])),
        1 => Just(("*".to_owned(), (min..=max).collect())),
        1 => (1..=(max - min + 1)).prop_map(move |n| (format!("*/{n}"), (min..=max).filter(|v| (v - min).is_multiple_of(n)).collect())),
        1 => ((min..=max), 1..=(max - min + 1)).prop_map(move |(a, n)| (format!("{a}/{n}"), (a..=max).filter(|v| (v - a).is_multiple_of(n)).collect())),
        1 => ((min..=max), (min..=max)).prop_map(|(a, b)| (format!("{}-{}", a.min(b), a.max(b)), (a.min(b)..=a.max(b)).collect::<Vec<_>>())),
    ];
    prop::collection::vec(item, 1..3).prop_map(|items| {
        let text: Vec<_> = items.iter().map(|(text, _)| text.clone()).collect();
        (text.join(","), items.into_iter().flat_map(|(_, values)| values).collect())
    })
}

/// Many values as a plain list, so that a fixed rule has ticks near every jump.
fn list(max: u32, size: std::ops::Range<usize>) -> impl Strategy<Value = (String, Vec<u32>)> {
    prop::sample::subsequence((0..=max).collect::<Vec<_>>(), size).prop_map(|values| {
        let text: Vec<_> = values.iter().map(u32::to_string).collect();
        (text.join(","), values)
    })
}

fn clock_text() -> impl Strategy<Value = (String, String, String)> {
    (field(0, 59), field(0, 59), field(0, 23)).prop_map(|(second, minute, hour)| (second.0, minute.0, hour.0))
}

/// Day of month and day of week, plain and special.
fn day_texts() -> impl Strategy<Value = (String, String)> {
    let special = prop::string::string_regex("L|LW|L-[0-9]|[1-9]W|[12][0-9]W,L|[1-9],L-[0-9]W").unwrap();
    let day = prop_oneof![
        2 => Just("*".to_owned()),
        2 => field(1, 31).prop_map(|(text, _)| text),
        1 => special,
    ];
    let special = prop::string::string_regex("[1-6]L|[1-6]#[1-5]|FRI,[1-3]L|MON#1,[1-5]#2").unwrap();
    let weekday = prop_oneof![
        2 => Just("*".to_owned()),
        2 => field(1, 7).prop_map(|(text, _)| text),
        1 => special,
    ];
    (day, weekday)
}

/// A rule whose fields are known, so that any civil time can be tested against it.
#[derive(Clone, Debug)]
struct Known {
    expression: String,
    values: Vec<Vec<u32>>,
    interval: bool,
}

impl Known {
    fn matches(&self, civil: jiff::civil::DateTime) -> bool {
        let weekday = u32::from(civil.weekday().to_sunday_zero_offset().unsigned_abs()) + 1;
        let parts = [civil.second(), civil.minute(), civil.hour(), civil.day(), civil.month()];
        parts.iter().zip(&self.values).all(|(part, values)| values.contains(&u32::from(part.unsigned_abs())))
            && self.values[5].contains(&weekday)
    }
}

fn known() -> impl Strategy<Value = Known> {
    let days = prop_oneof![
        3 => Just((("*".to_owned(), (1..=31).collect::<Vec<u32>>()), ("?".to_owned(), (1..=7).collect::<Vec<u32>>()))),
        1 => field(1, 31).prop_map(|days| (days, ("?".to_owned(), (1..=7).collect()))),
        1 => field(1, 7).prop_map(|days| (("?".to_owned(), (1..=31).collect()), days)),
    ];
    let clock = prop_oneof![
        1 => (field(0, 59), field(0, 59), field(0, 23)),
        1 => (list(59, 1..3), list(59, 2..6), list(23, 12..24)),
    ];
    let month = prop_oneof![3 => Just(("*".to_owned(), (1..=12).collect())), 1 => field(1, 12)];
    (clock, days, month)
        .prop_map(|((second, minute, hour), (day, weekday), month)| {
            let fields = [second, minute, hour, day, month, weekday];
            let text: Vec<_> = fields.iter().map(|(text, _)| text.clone()).collect();
            let interval = text[..3].iter().any(|text| text.contains(['*', '-', '/']));
            Known {
                expression: text.join(" "),
                values: fields.into_iter().map(|(_, values)| values).collect(),
                interval,
            }
        })
        .prop_filter("the date exists", |known| compile(&known.expression, "UTC").is_ok())
}

/// Instants near a jump of the clocks, and others.
fn moment(zone: &'static str) -> impl Strategy<Value = i64> {
    let jumps: Vec<i64> = TimeZone::get(zone)
        .unwrap()
        .following(at_second("2009-01-01T00:00:00Z"))
        .take_while(|jump| jump.timestamp() < at_second("2030-01-01T00:00:00Z"))
        .map(|jump| jump.timestamp().as_second())
        .collect();
    let anywhere = 1_230_768_000_i64..1_893_456_000;
    if jumps.is_empty() {
        return anywhere.boxed();
    }
    prop_oneof![1 => anywhere, 3 => (prop::sample::select(jumps), -9_000_i64..4_000).prop_map(|(jump, by)| jump + by)].boxed()
}

fn at_second(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn rule_and_moment() -> impl Strategy<Value = (Known, &'static str, i64)> {
    (known(), prop::sample::select(&ZONES[..]))
        .prop_flat_map(|(known, zone)| (Just(known), Just(zone), moment(zone)))
}

/// All ticks in `from..to`, second by second: what the clock shows, and which of the rule's civil times it lost.
fn brute_force(known: &Known, zone: &TimeZone, from: i64, to: i64) -> Vec<i64> {
    let mut ticks = Vec::new();
    let civil = |second| zone.to_datetime(Timestamp::from_second(second).unwrap());
    let seconds = |later: jiff::civil::DateTime, earlier| later.duration_since(earlier).as_secs();
    // The furthest that the clock has shown: just now, or before it was last put back.
    let jumps = zone.preceding(Timestamp::from_second(from).unwrap()).take(2);
    let before_jumps = jumps.map(|jump| civil(jump.timestamp().as_second() - 1)).max();
    let mut furthest = civil(from - 1).max(before_jumps.unwrap_or(civil(from - 1)));
    for second in from..to {
        let shown = civil(second);
        let mut lost_a_tick = false;
        let mut first_pass = shown > furthest;
        let ahead = seconds(shown, furthest);
        if ahead > 1 {
            let skipped = |by| furthest.checked_add(jiff::SignedDuration::from_secs(by)).unwrap();
            lost_a_tick = (1..ahead).any(|by| known.matches(skipped(by)));
        }
        furthest = furthest.max(shown);
        first_pass |= known.interval;
        if (known.matches(shown) && first_pass) || (lost_a_tick && !known.interval) {
            ticks.push(second);
        }
    }
    ticks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ticks_are_those_that_a_walk_over_every_second_finds((known, zone, start) in rule_and_moment()) {
        let schedule = compile(&known.expression, zone).unwrap();
        let end = start + 10_000;
        let expected = brute_force(&known, &TimeZone::get(zone).unwrap(), start, end);
        let mut found = Vec::new();
        let mut after = Millis::new(start * 1_000 - 1);
        while let Some(tick) = schedule.next(after).filter(|tick| tick.get() < end * 1_000) {
            prop_assert!(tick > after);
            found.push(tick.get() / 1_000);
            after = tick;
        }
        prop_assert_eq!(&found, &expected, "{} in {} from {}", &known.expression, zone, start);
        let mut back = Vec::new();
        let mut before = Millis::new(end * 1_000);
        while let Some(tick) = schedule.previous(before).filter(|tick| tick.get() >= start * 1_000) {
            back.push(tick.get() / 1_000);
            before = tick;
        }
        back.reverse();
        prop_assert_eq!(&back, &expected, "back: {} in {} from {}", &known.expression, zone, start);
    }

    #[test]
    fn next_rises_knows_no_history_and_is_inverted_by_previous((known, zone, start) in rule_and_moment(), part in 0.0..1.0_f64) {
        let schedule = compile(&known.expression, zone).unwrap();
        let from = Millis::new(start * 1_000);
        if let Some(next) = schedule.next(from) {
            prop_assert!(next > from);
            let between = from.plus(((next.since(from) - 1) as f64 * part) as i64);
            prop_assert_eq!(schedule.next(between), Some(next), "{} in {}", &known.expression, zone);
            let last = schedule.previous(next);
            prop_assert!(last.is_none_or(|last| last <= from));
            prop_assert_eq!(schedule.previous(between.plus(1)), last.max(schedule.previous(from.plus(1))));
            if let Some(last) = last {
                prop_assert_eq!(schedule.next(last), Some(next), "{} in {}", &known.expression, zone);
            }
        }
    }

    #[test]
    fn a_fixed_rule_fires_at_most_once_per_civil_time(minutes in prop::collection::vec(0..60_u32, 1..4), hour in 0..24_u32, zone in prop::sample::select(&ZONES[..])) {
        let minutes: Vec<_> = minutes.iter().map(u32::to_string).collect();
        let schedule = compile(&format!("0 {} {hour} * * ?", minutes.join(",")), zone).unwrap();
        let clock = TimeZone::get(zone).unwrap();
        let mut after = at("2011-01-01T00:00:00Z");
        let mut shown = None;
        for _ in 0..1_200 {
            after = schedule.next(after).unwrap();
            let now = Some(clock.to_datetime(Timestamp::from_millisecond(after.get()).unwrap()));
            prop_assert!(now > shown);
            shown = now;
        }
    }

    #[test]
    fn an_interval_keeps_its_spacing_across_overlaps(period in prop::sample::select(&[1, 2, 5, 10, 15, 30][..]), zone in prop::sample::select(&ZONES[..])) {
        let schedule = compile(&format!("0 */{period} * * * ?"), zone).unwrap();
        for jump in TimeZone::get(zone).unwrap().following(at_second("2009-01-01T00:00:00Z")).take(40) {
            let mut after = Millis::new(jump.timestamp().as_millisecond() - 7_200_000);
            after = schedule.next(after).unwrap();
            for _ in 0..(4 * 60 / period) {
                let next = schedule.next(after).unwrap();
                prop_assert_eq!(next.since(after), i64::from(period) * 60_000);
                after = next;
            }
        }
    }

    #[test]
    fn no_text_and_no_instant_makes_a_panic(text in "[ -~]{0,40}", zone in "[ -~]{0,20}", instant in any::<i64>()) {
        let _ = compile(&text, &zone);
        if let Ok(schedule) = compile(&text, "Europe/Berlin") {
            let _ = (schedule.next(Millis::new(instant)), schedule.previous(Millis::new(instant)));
        }
    }

    #[test]
    fn a_print_reads_as_the_rule_it_was_printed_from(
        (clock, days, months, years) in (clock_text(), day_texts(), field(1, 12), "(\\*|20[3-9][0-9]|2030-2040|2031/7|2150,2160)?"),
        dialect in prop::sample::select(&Dialect::ALL[..]),
    ) {
        let (second, minute, hour) = clock;
        let (day, weekday) = days;
        let expression = match dialect {
            Dialect::Quartz if day == "*" => format!("{second} {minute} {hour} ? {} {weekday} {years}", months.0),
            Dialect::Quartz => format!("{second} {minute} {hour} {day} {} ? {years}", months.0),
            Dialect::Unix => format!("{minute} {hour} {day} {} {weekday}", months.0),
            Dialect::Spring => format!("{second} {minute} {hour} {day} {} {weekday}", months.0),
        };
        if let Ok(schedule) = compile_in(dialect, &expression, "Europe/Berlin") {
            let print = canonical(dialect, &expression);
            prop_assert_eq!(&canonical(dialect, &print), &print, "{}", &expression);
            let printed = compile_in(dialect, &print, "Europe/Berlin").unwrap();
            let interval = |text: &str| Explained::of(&Cron::new(text, dialect, "UTC")).unwrap().is_interval();
            prop_assert_eq!(interval(&expression), interval(&print), "{} {}", &expression, &print);
            let mut tick = at("2026-01-01T00:00:00Z");
            for _ in 0..50 {
                let next = schedule.next(tick);
                prop_assert_eq!(next, printed.next(tick), "{} and {}", &expression, &print);
                let Some(next) = next else { break };
                tick = next.plus(next.since(tick) / 2 * 3);
            }
        }
    }

    #[test]
    fn nothing_like_a_rule_makes_a_panic(
        fields in prop::collection::vec("[0-9*?/,LW#A-F-]{1,6}|[*]|[0-9]{1,2}|[0-9]L|L-[0-9]W?|[0-9]{1,2}W|[0-9]#[1-5]", 5..8),
        dialect in prop::sample::select(&Dialect::ALL[..]),
        instant in any::<i64>(),
    ) {
        if let Ok(schedule) = compile_in(dialect, &fields.join(" "), "Africa/Casablanca") {
            let _ = (schedule.next(Millis::new(instant)), schedule.previous(Millis::new(instant)));
        }
    }
}
