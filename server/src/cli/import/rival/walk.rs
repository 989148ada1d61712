//! From civil times to instants, as each old engine does it where clocks are changed.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::Rule;

/// Civil times in a row that do not exist: a day of seconds, and no zone loses more.
const MAX_MISSING: usize = 100_000;
/// Changes of the clock that one search may pass.
const MAX_CHANGES: usize = 400;

/// A civil time that is missing has no tick; of two instants with the same civil time the later one is meant.
pub(super) fn quartz(rule: &Rule, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let mut civil = zone.to_datetime(after);
    for _ in 0..MAX_MISSING {
        civil = rule.after(civil)?;
        let ambiguous = zone.to_ambiguous_timestamp(civil);
        if matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
            continue;
        }
        let tick = ambiguous.later().ok()?;
        if tick > after {
            return Some(tick);
        }
    }
    None
}

/// Every instant whose civil time is one of the rule's.
pub(super) fn by_the_wall(rule: &Rule, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let mut at = after;
    for _ in 0..MAX_CHANGES {
        let offset = zone.to_offset(at);
        let change = zone.following(at).next().map(|change| change.timestamp());
        let tick = offset.to_timestamp(rule.after(offset.to_datetime(at))?).ok();
        match (tick, change) {
            (Some(tick), Some(change)) if tick < change => return Some(tick),
            (tick, None) => return tick,
            (_, Some(change)) => {
                let offset = zone.to_offset(change);
                let before = offset.to_datetime(change).checked_sub(SignedDuration::from_secs(1)).ok()?;
                if rule.after(before) == Some(offset.to_datetime(change)) {
                    return Some(change);
                }
                at = change;
            }
        }
    }
    None
}

/// As the wall says; but the same civil time again is left out unless the rule has another one within the hour after.
pub(super) fn cron_utils(
    rule: &Rule,
    zone: &TimeZone,
    after: Timestamp,
    last: Option<Timestamp>,
) -> Option<Timestamp> {
    let tick = by_the_wall(rule, zone, after)?;
    let again = last.is_some_and(|last| zone.to_datetime(last) == zone.to_datetime(tick));
    if !again {
        return Some(tick);
    }
    let following = by_the_wall(rule, zone, tick)?;
    let hour = SignedDuration::from_hours(1);
    Some(if following.duration_since(tick) <= hour { tick } else { following })
}

/// A missing civil time is made up for at the end of the gap, once; of two instants the first one is meant.
pub(super) fn vixie(rule: &Rule, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let mut civil = zone.to_datetime(after);
    for _ in 0..MAX_MISSING {
        civil = rule.after(civil)?;
        let ambiguous = zone.to_ambiguous_timestamp(civil);
        let tick = match ambiguous.offset() {
            AmbiguousOffset::Gap { before, .. } => end_of_gap(zone, civil, before)?,
            _ => ambiguous.earlier().ok()?,
        };
        if tick > after {
            return Some(tick);
        }
    }
    None
}

fn end_of_gap(zone: &TimeZone, civil: DateTime, before: jiff::tz::Offset) -> Option<Timestamp> {
    let within = before.to_timestamp(civil).ok()?;
    let just_after = within.checked_add(SignedDuration::from_nanos(1)).ok()?;
    zone.preceding(just_after).next().map(|change| change.timestamp())
}
