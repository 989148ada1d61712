//! Each rule by a table: what it says of which job, and of which it says nothing.

use fastjob_core::domain::{CatchUp, CatchUpPolicy, Cron, Dialect, Limits, Overlap, Trigger};
use fastjob_core::protocol::{job, v1};

use super::*;

/// 2026-01-01T12:00:00Z.
const NOW: Millis = Millis::new(1_767_268_800_000);

fn definition(trigger: Trigger) -> Definition {
    let api = v1::Trigger { kind: Some(v1::trigger::Kind::Api(v1::ApiOnly {})) };
    let spec =
        v1::JobSpec { name: "job".into(), handler: "work".into(), trigger: Some(api), ..Default::default() };
    Definition { trigger, ..job::put(spec, Millis::new(0)).unwrap().definition }
}

fn cron_in(expression: &str, zone: &str) -> Trigger {
    Trigger::Cron(Cron::new(expression, Dialect::Quartz, zone))
}

fn cron(expression: &str) -> Trigger {
    cron_in(expression, "UTC")
}

fn subject(definition: Definition) -> Subject {
    Subject {
        id: JobId::from_bytes([1; 16]),
        name: "job".into(),
        definition: definition.into(),
        usual_ms: None,
    }
}

fn said(subject: Subject) -> Vec<(Code, Severity)> {
    let found = lint(&[subject], Settings { now: NOW, pile_up: 10 });
    found.into_iter().map(|finding| (finding.code, finding.severity)).collect()
}

fn codes(trigger: Trigger) -> Vec<Code> {
    said(subject(definition(trigger))).into_iter().map(|(code, _)| code).collect()
}

#[test]
fn a_cron_rule_is_told_what_its_text_makes_likely() {
    let table: [(&str, &[Code]); 22] = [
        ("0 0 3 * * ?", &[]),
        ("* * * * * ?", &[]),
        ("0 0 12 ? * MON-FRI", &[]),
        ("0 0 12 1 * ?", &[]),
        ("0 0 12 28 * ?", &[]),
        ("0 0 12 1 1 ? 2030-2040", &[]),
        ("0 0 12 1 1 ? 2020", &[Code::NeverFires]),
        ("0 0 12 31 * ?", &[Code::ShortMonth]),
        ("0 0 12 29 * ?", &[Code::ShortMonth]),
        ("0 0 12 29 2 ?", &[Code::ShortMonth]),
        ("0 0 12 1,31 * ?", &[Code::ShortMonth]),
        ("0 0 12 31 1,3,DEC ?", &[]),
        ("0 0 12 31 1,4 ?", &[Code::ShortMonth]),
        ("0 0 12 30 1-6 ?", &[]),
        ("0 */15 * * * ?", &[]),
        ("0 0/20 * * * ?", &[]),
        ("0 */7 * * * ?", &[Code::UnevenStep]),
        ("*/7 * * * * ?", &[Code::UnevenStep]),
        ("0 3/7 * * * ?", &[Code::UnevenStep]),
        ("0 0 */5 * * ?", &[Code::UnevenStep]),
        ("0 0 12 */2 * ?", &[Code::UnevenStep]),
        ("0 10-40/7 * * * ?", &[]),
    ];
    for (expression, expected) in table {
        assert_eq!(codes(cron(expression)), expected, "{expression}");
    }
}

#[test]
fn a_tick_where_the_clocks_are_changed_is_told_where_it_matters() {
    let berlin = "Europe/Berlin";
    let table = [
        ("0 30 2 * * ?", berlin, true),
        ("0 30 2 * * ?", "UTC", false),
        ("0 30 2 * * ?", "Asia/Kolkata", false),
        ("0 30 1 * * ?", berlin, false),
        ("0 0 3 * * ?", berlin, false),
        ("0 0 2 * * ?", berlin, true),
        ("0 30 2 ? * MON", berlin, false),
        ("0 30 2 ? * SUN", berlin, true),
        ("0 */10 2 * * ?", berlin, true),
        ("0 */10 * * * ?", berlin, false),
        ("* * * * * ?", berlin, false),
        ("0 0 0 * * ?", "Africa/Cairo", true),
        ("0 15 2 * * ?", "Australia/Lord_Howe", true),
        ("0 45 2 * * ?", "Australia/Lord_Howe", false),
    ];
    for (expression, zone, expected) in table {
        let told = codes(cron_in(expression, zone)).contains(&Code::DstHour);
        assert_eq!(told, expected, "{expression} in {zone}");
    }
    let found =
        lint(&[subject(definition(cron_in("0 30 2 * * ?", berlin)))], Settings { now: NOW, pile_up: 10 });
    assert_eq!(
        found[0].message,
        "2026-03-29 02:30:00 does not exist in Europe/Berlin: the clocks are set forward over it"
    );
}

#[test]
fn a_run_that_takes_longer_than_the_period_is_an_error_unless_runs_may_overlap() {
    let minutely = definition(cron("0 * * * * ?"));
    let with = |usual_ms, definition: &Definition| {
        said(Subject { usual_ms: Some(usual_ms), ..subject(definition.clone()) })
    };
    assert_eq!(with(59_000, &minutely), []);
    assert_eq!(with(61_000, &minutely), [(Code::PeriodTooShort, Severity::Error)]);
    let limits = Limits { overlap: Overlap::AllowAll, ..Limits::default() };
    let beside = Definition { limits, ..minutely.clone() };
    assert_eq!(with(61_000, &beside), [(Code::PeriodTooShort, Severity::Warning)]);
    let limits = Limits { attempt_timeout_ms: 120_000, ..Limits::default() };
    let timed = Definition { limits, ..minutely };
    assert_eq!(said(subject(timed.clone())), [(Code::TimeoutOverPeriod, Severity::Warning)]);
    assert_eq!(with(1_000, &timed), [], "how long it takes is known");
}

#[test]
fn the_shortest_time_between_two_ticks_counts() {
    let uneven = definition(cron("0 0,1 12 * * ?"));
    let usual = Subject { usual_ms: Some(90_000), ..subject(uneven) };
    assert_eq!(said(usual), [(Code::PeriodTooShort, Severity::Error)]);
}

#[test]
fn a_daily_job_without_catch_up_is_told_and_an_hourly_one_is_not() {
    let without = |trigger| {
        let catch_up = CatchUp { policy: CatchUpPolicy::None, ..CatchUp::default() };
        said(subject(Definition { catch_up, ..definition(trigger) }))
    };
    assert_eq!(without(cron("0 0 12 * * ?")), [(Code::NoCatchUp, Severity::Warning)]);
    assert_eq!(without(cron("0 0 * * * ?")), []);
    assert_eq!(without(Trigger::Api), []);
    let rate = |period_ms| Trigger::FixedRate { period_ms, phase: None };
    assert_eq!(without(rate(86_400_000)), [(Code::NoCatchUp, Severity::Warning)]);
    assert_eq!(without(rate(3_600_000)), []);
    let catch_up = CatchUp { window_ms: Some(60_000), ..CatchUp::default() };
    let narrow = Definition { catch_up, ..definition(cron("0 0 12 * * ?")) };
    assert_eq!(said(subject(narrow)), [(Code::NoCatchUp, Severity::Warning)]);
}

#[test]
fn many_jobs_at_one_instant_are_told_once_a_time_of_day() {
    let at = |expression: &str, jobs: usize| vec![subject(definition(cron(expression))); jobs];
    let piled = |subjects: Vec<Subject>| {
        let found = lint(&subjects, Settings { now: NOW, pile_up: 10 });
        found.into_iter().filter(|finding| finding.code == Code::PileUp).collect::<Vec<_>>()
    };
    assert_eq!(piled(at("0 0 0 * * ?", 9)), []);
    let found = piled([at("0 5 0 * * ?", 3), at("0 0 0 * * ?", 12)].concat());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].subject, 3);
    assert!(
        found[0].message.starts_with("12 jobs fire at 2026-01-02T00:00:00Z: job"),
        "{}",
        found[0].message
    );
    assert_eq!(piled(at("0 * * * * ?", 50)), [], "they are always there");
    assert_eq!(piled([at("0 0 0 * * ?", 6), at("0 0 0 ? * MON", 6)].concat()).len(), 1, "on Mondays");
}

#[test]
fn every_word_is_its_own() {
    let words: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words.len(), Code::ALL.len());
}
