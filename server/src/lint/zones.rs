//! Ticks in the hours in which a zone's clocks are changed.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Cron, Trigger};
use fastjob_core::schedule::Schedule;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Code, Finding};

/// Changes that are looked at: those of about two years, also where Ramadan makes four of them.
const CHANGES: usize = 8;
/// And none beyond this.
const AHEAD_MS: i64 = 800 * 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// A rule that fires in this many hours of a day is there in that hour as in any other.
const MANY_HOURS: usize = 12;

/// The first change of the clocks that the rule meets. The civil times of a rule are asked for as if they were UTC, which
/// knows no changes.
pub(super) fn dst_hour(cron: &Cron, now: Millis) -> Option<Finding> {
    let zone = TimeZone::get(&cron.zone).ok()?;
    let civil = Cron { zone: "UTC".to_owned(), ..cron.clone() };
    let civil = Schedule::compile(&Trigger::Cron(civil), now).ok()?;
    let from = Timestamp::from_millisecond(now.get()).ok()?;
    for change in zone.following(from).take(CHANGES) {
        let at = change.timestamp().as_millisecond();
        if at - now.get() > AHEAD_MS {
            break;
        }
        let before = zone.to_offset(Timestamp::from_millisecond(at - 1).ok()?).seconds();
        let after = change.offset().seconds();
        let (first, last) = (before.min(after), before.max(after));
        let (start, end) = (at + i64::from(first) * 1_000, at + i64::from(last) * 1_000);
        let named = civil.next(Millis::new(start - 1)).filter(|time| time.get() < end);
        let Some(time) = named.filter(|_| hours_of_day(&civil, start) < MANY_HOURS) else { continue };
        let told = format!("{:.0}", Timestamp::from_millisecond(time.get()).ok()?);
        let told = told.trim_end_matches('Z').replace('T', " ");
        // Who says what becomes of it has thought of it.
        let decided = if after > before { cron.gap.is_some() } else { cron.overlap.is_some() };
        if decided {
            continue;
        }
        let message = if after > before {
            format!("{told} does not exist in {}: the clocks are set forward over it", cron.zone)
        } else {
            format!("{told} comes twice in {}: the clocks are set back over it", cron.zone)
        };
        let remedy = "move it out of the hours in which the clocks are changed, use UTC, or give the rules for gap and overlap";
        return Some(Finding::warning(Code::DstHour, "trigger.cron.zone", message, remedy));
    }
    None
}

/// In how many hours of the civil day around this time the rule fires.
fn hours_of_day(civil: &Schedule, time: i64) -> usize {
    let day = time - time.rem_euclid(24 * HOUR_MS);
    let fires = |hour: &i64| {
        let start = day + hour * HOUR_MS;
        civil.next(Millis::new(start - 1)).is_some_and(|tick| tick.get() < start + HOUR_MS)
    };
    (0..24).filter(fires).count()
}
