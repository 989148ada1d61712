//! The differences that `docs/cron-differences.md` explains, each told from the case alone or from the rival's own words.

use crate::differential::{Answer, only_one_has};
use crate::instants;
use crate::random::Case;

/// Quartz insists that exactly one day field is `?`.
pub(crate) fn as_quartz_wants_it(text: &str) -> String {
    let mut fields: Vec<&str> = text.split(' ').collect();
    let free = |text: &str| text == "*" || text == "?";
    match (free(fields[3]), free(fields[5])) {
        (true, true) => (fields[3], fields[5]) = ("*", "?"),
        (true, false) => fields[3] = "?",
        (false, _) => fields[5] = "?",
    }
    fields.join(" ")
}

fn refusal<'a>(ours: &Answer, theirs: &'a Answer) -> Option<&'a str> {
    match (ours, theirs) {
        (Answer::Ticks(_), Answer::Refused(why)) => Some(why),
        _ => None,
    }
}

pub(crate) fn of_quartz(case: &Case, ours: &Answer, theirs: &Answer) -> Option<&'static str> {
    if let Some(why) = refusal(ours, theirs) {
        let reasons = [
            ("Increment > ", "refuses a step as large as the field"),
            ("'L' and 'LW' with other days of the month", "2.3 refuses L in a list of days"),
            ("'L' with other days of the week", "refuses nL in a list"),
            ("multiple \"nth\" days", "refuses two # in a list"),
            ("Start year must be less", "refuses a step from a year that it does not know"),
        ];
        return reasons.iter().find(|(words, _)| why.contains(words)).map(|(_, kind)| *kind);
    }
    let (Answer::Ticks(ours), Answer::Ticks(theirs)) = (ours, theirs) else { return None };
    let fields: Vec<&str> = case.expression.split(' ').collect();
    let (month_days, week_days) = (fields[3], fields[5]);
    if week_days.contains('#') && week_days.contains(',') {
        return Some("forgets the other days beside one #");
    }
    if month_days.contains(['L', 'W']) && month_days.contains(',') {
        return Some("2.3 moves all days of a list by one W; 2.5 loses months to L and W in a list");
    }
    if month_days.starts_with('L') {
        return Some("2.5 loses months to L, L-n and L-nW");
    }
    if month_days.ends_with('W') {
        return Some("2.3 moves nW to the end of a month that has no day n; 2.5 loses months to nW");
    }
    // 2126-01-01: its last year is a hundred years after the one in which it runs.
    only_one_has(ours, theirs)
        .iter()
        .all(|tick| *tick >= 4_922_899_200_000)
        .then_some("stops after a hundred years")
}

pub(crate) fn of_spring(case: &Case, ours: &Answer, theirs: &Answer) -> Option<&'static str> {
    let month_days = case.expression.split(' ').nth(3).unwrap_or("*");
    let (Answer::Ticks(ours), Answer::Ticks(theirs)) = (ours, theirs) else { return None };
    if month_days.contains('W') && only_one_has(ours, theirs).iter().all(|tick| near_a_months_end(*tick)) {
        return Some("lets nW leave its month");
    }
    if month_days.contains("L-") {
        return Some("lets L-n reach into the month before");
    }
    None
}

fn near_a_months_end(tick: i64) -> bool {
    let (_, _, day) = instants::date(tick.div_euclid(86_400_000));
    day <= 3 || day >= 27
}

pub(crate) fn of_croner(case: &Case, _: &Answer, _: &Answer) -> Option<&'static str> {
    let fields: Vec<&str> = case.expression.split(' ').collect();
    let starred_step = |text: &str| text.starts_with('*') && text != "*";
    (fields.len() == 5 && (starred_step(fields[2]) || starred_step(fields[4])))
        .then_some("counts a day field that begins with */ as restricted")
}
