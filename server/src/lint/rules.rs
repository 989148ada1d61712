//! The rules that look at one job.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{CatchUpPolicy, Cron, Limits, Overlap, Trigger};
use fastjob_core::schedule::Schedule;

use super::text::{self, Field};
use super::{Code, Finding, Subject, zones};

/// So many ticks are looked at to find the shortest time between two.
const TICKS_COMPARED: usize = 500;
const HOUR_MS: i64 = 3_600_000;
const EXPRESSION: &str = "trigger.cron.expression";

/// Everything about one job.
pub(super) fn check(subject: &Subject, schedule: &Schedule, now: Millis, found: &mut Vec<Finding>) {
    let definition = &subject.definition;
    if schedule.must_fire_after(now).is_err() {
        let remedy = "name a day, year or instant that still comes, or delete the job";
        let message = "has no tick within the next 100 years".to_owned();
        found.push(Finding::error(Code::NeverFires, trigger_field(&definition.trigger), message, remedy));
        return;
    }
    if let Trigger::Cron(cron) = &definition.trigger {
        check_expression(cron, found);
        found.extend(zones::dst_hour(cron, now));
    }
    check_period(subject, schedule, now, found);
    found.extend(no_catch_up(subject, schedule));
}

pub(super) const fn trigger_field(trigger: &Trigger) -> &'static str {
    match trigger {
        Trigger::Cron(_) => EXPRESSION,
        Trigger::FixedRate { .. } => "trigger.fixed_rate.period_ms",
        Trigger::FixedDelay { .. } => "trigger.fixed_delay.delay_ms",
        Trigger::DailyWindow(_) => "trigger.daily_window",
        Trigger::At(_) => "trigger.at.instants",
        Trigger::Api => "trigger",
    }
}

fn check_expression(cron: &Cron, found: &mut Vec<Finding>) {
    let fields = text::fields(cron);
    let (days, weekdays) = (text::field(&fields, Field::DayOfMonth), text::field(&fields, Field::DayOfWeek));
    if let (Some(days), Some(weekdays)) = (days, weekdays)
        && !text::is_open(days)
        && !text::is_open(weekdays)
    {
        let message = format!("restricts the day of month ({days}) and the day of week ({weekdays})");
        let remedy =
            "dialects differ in whether either or both must match: write * or ? in one of them, or two jobs";
        found.push(Finding::warning(Code::TwoDayFields, EXPRESSION, message, remedy));
    }
    found.extend(short_month(&fields));
    for (field, text) in fields {
        found.extend(uneven_step(field, text));
    }
}

fn short_month(fields: &[(Field, &str)]) -> Option<Finding> {
    let months = text::months(text::field(fields, Field::Month)?)?;
    let days: Vec<u32> = text::numbers(text::field(fields, Field::DayOfMonth)?).collect();
    let longest = |month: &u32| match month {
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let lacks = |day: &&u32| months.iter().any(|month| longest(month) < **day);
    let day = days.iter().filter(lacks).max()?;
    let lacking = months.iter().filter(|month| longest(month) < *day).count();
    let message = match (day, months.as_slice()) {
        (29, [2]) => "fires on February 29 alone: once in four years".to_owned(),
        _ => format!("does not fire in the {lacking} of its {} months that have no day {day}", months.len()),
    };
    let remedy = "write L for the last day where the dialect knows it, or a day up to 28";
    Some(Finding::warning(Code::ShortMonth, EXPRESSION, message, remedy))
}

fn uneven_step(field: Field, text: &str) -> Option<Finding> {
    let values = field.values();
    let first_of: u32 = if matches!(field, Field::Seconds | Field::Minutes | Field::Hours) { 0 } else { 1 };
    let (first, step) = text::open_steps(text).find(|(first, step)| {
        let starts_late = first.is_some_and(|first| first >= first_of + step);
        *step > 1 && !starts_late && (field == Field::DayOfMonth || !values.is_multiple_of(*step))
    })?;
    let base = first.map_or("*".to_owned(), |first| first.to_string());
    let over = match field {
        Field::DayOfMonth => "months differ in length".to_owned(),
        _ => format!("it does not divide the {values} values of the field"),
    };
    let message =
        format!("{}: the step {base}/{step} begins anew at each start of the field: {over}", field.name());
    let remedy = "take a step that divides the field, or a fixed rate, which keeps its pace for ever";
    Some(Finding::warning(Code::UnevenStep, EXPRESSION, message, remedy))
}

fn check_period(subject: &Subject, schedule: &Schedule, now: Millis, found: &mut Vec<Finding>) {
    let Some(shortest) = shortest_period(schedule, now) else { return };
    let definition = &subject.definition;
    let field = trigger_field(&definition.trigger);
    if let Some(usual) = subject.usual_ms.filter(|usual| *usual > shortest) {
        let message =
            format!("fires again after {}, and a run usually takes {}", span(shortest), span(usual));
        found.push(match definition.limits.overlap {
            Overlap::AllowAll => Finding::warning(
                Code::PeriodTooShort,
                field,
                format!("{message}: {} runs of it are alive at a time", usual / shortest + 1),
                "make the period longer than a run, or be sure that the runs may overlap",
            ),
            _ => Finding::error(
                Code::PeriodTooShort,
                field,
                format!("{message}: ticks do not run as planned"),
                "make the period longer than a run, take a fixed delay, or allow overlap",
            ),
        });
    }
    let timeout = definition.limits.attempt_timeout_ms;
    let said = timeout != Limits::default().attempt_timeout_ms;
    if said && timeout > shortest && subject.usual_ms.is_none() {
        let message =
            format!("fires again after {}, and an attempt may take {}", span(shortest), span(timeout));
        let remedy =
            "make the timeout shorter than the period, so that a hanging run does not take the next tick";
        found.push(Finding::warning(Code::TimeoutOverPeriod, "attempt_timeout_ms", message, remedy));
    }
}

fn shortest_period(schedule: &Schedule, now: Millis) -> Option<i64> {
    let ticks = std::iter::successors(schedule.next(now), |tick| schedule.next(*tick));
    let ticks: Vec<Millis> = ticks.take(TICKS_COMPARED).collect();
    ticks.windows(2).map(|pair| pair[1].since(pair[0])).min()
}

fn no_catch_up(subject: &Subject, schedule: &Schedule) -> Option<Finding> {
    let catch_up = &subject.definition.catch_up;
    let timed = !matches!(subject.definition.trigger, Trigger::FixedDelay { .. } | Trigger::Api);
    if !timed || schedule.is_subdaily() {
        return None;
    }
    let (field, message) = match (catch_up.policy, catch_up.window_ms) {
        (CatchUpPolicy::None, _) => (
            "catch_up.policy",
            "fires once a day or less, and a tick that nobody sees in time is lost".to_owned(),
        ),
        (_, Some(window)) if window < HOUR_MS => (
            "catch_up.window_ms",
            format!(
                "fires once a day or less, and a missed tick is made up for within {} only",
                span(window)
            ),
        ),
        _ => return None,
    };
    let remedy = "take catch-up latest, with a window as long as an outage may last";
    Some(Finding::warning(Code::NoCatchUp, field, message, remedy))
}

/// As people say it.
pub(super) fn span(ms: i64) -> String {
    humantime::format_duration(std::time::Duration::from_millis(ms.unsigned_abs())).to_string()
}
