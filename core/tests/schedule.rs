//! At which instants triggers fire, by table, against a brute-force matcher, and by property.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should panic")]

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Cron, Dialect, Trigger};
use fastjob_core::schedule::{Schedule, ScheduleError};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn compile(expression: &str, zone: &str) -> Result<Schedule, ScheduleError> {
    let trigger = Trigger::Cron(Cron {
        expression: expression.to_owned(),
        dialect: Dialect::Quartz,
        zone: zone.to_owned(),
    });
    Schedule::compile(&trigger, Millis::new(0))
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

#[test]
fn ticks_end_with_the_year_2100_and_a_look_back_finds_the_last_month_of_an_earlier_year() {
    let schedule = compile("59 59 23 31 12 ? 2020,2100", "UTC").unwrap();
    assert_eq!(show(schedule.next(at("2026-01-01T00:00:00Z"))), "2100-12-31T23:59:59Z");
    assert_eq!(schedule.next(at("2100-12-31T23:59:59Z")), None);
    assert_eq!(schedule.next(Millis::MAX), None);
    assert_eq!(show(schedule.previous(Millis::MAX)), "2100-12-31T23:59:59Z");
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
        ("0 0 0 ? * * 2030-2101", "cron_bad_value", 17),
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
        ("0 /5 0 * * ?", "cron_bad_value", 2),
        ("0 0 22-2 * * ?", "cron_wrapped_range", 4),
        ("0 0 0 ? * FRI-MON", "cron_wrapped_range", 10),
        ("0 0 0 L * ?", "cron_not_yet", 6),
        ("0 0 0 1,LW * ?", "cron_not_yet", 8),
        ("0 0 0 L-3 * ?", "cron_not_yet", 6),
        ("0 0 0 L-3W * ?", "cron_not_yet", 6),
        ("0 0 0 15W * ?", "cron_not_yet", 6),
        ("0 0 0 ? * 6L", "cron_not_yet", 10),
        ("0 0 0 ? * FRI#2", "cron_not_yet", 10),
        ("0 0 0 ? * friL", "cron_not_yet", 10),
        ("@daily", "cron_not_yet", 0),
        (" @every 5s", "cron_not_yet", 1),
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
    fn nothing_like_a_rule_makes_a_panic(fields in prop::collection::vec("[0-9*?/,LW#A-F-]{1,6}|[*]|[0-9]{1,2}", 5..8), instant in any::<i64>()) {
        if let Ok(schedule) = compile(&fields.join(" "), "Africa/Casablanca") {
            let _ = (schedule.next(Millis::new(instant)), schedule.previous(Millis::new(instant)));
        }
    }
}
