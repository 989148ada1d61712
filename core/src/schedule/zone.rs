//! From civil times to instants: what a rule means where a zone's clocks jump.
//!
//! A *fixed* rule names civil times. One that a gap swallows fires at the first instant after the gap; one that an
//! overlap shows twice fires in the first pass. An *interval* rule is a pattern of the running clock: it fires whenever
//! the clock shows a civil time of its own, so never in a gap and in both passes of an overlap. A fixed rule may be told
//! to do either as an interval does.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::ScheduleError;
use super::civil::{self, Civil, END, FIRST};
use super::expression::{Expression, Kind};
use super::window;
use crate::clock::Millis;
use crate::domain::{Cron, DailyWindow, GapRule, OverlapRule};

/// No clock is further from UTC than this, and none jumps by more.
const TWO_DAYS_S: i64 = 2 * 86_400;

/// Civil times in a zone.
#[derive(Debug)]
pub(super) struct Zoned {
    civil: Civil,
    gap: GapRule,
    overlap: OverlapRule,
    zone: TimeZone,
}

/// A time between two jumps of the clock, in which it runs evenly.
struct Stretch {
    start: i64,
    /// What the clock is ahead of UTC.
    offset: i64,
    /// What it was ahead before.
    offset_before: i64,
}

impl Zoned {
    pub(super) fn compile(cron: &Cron) -> Result<Self, ScheduleError> {
        let expression = Expression::read(cron)?;
        let (gap, overlap) = jump_rules(cron, expression.kind())?;
        let zone = find_zone("cron.zone", &cron.zone)?;
        let times = expression.times();
        Ok(Self { civil: Civil { days: expression.days, times }, gap, overlap, zone })
    }

    pub(super) fn window(window: &DailyWindow) -> Result<Self, ScheduleError> {
        let civil = Civil { days: window::days(window)?, times: window::times(window)? };
        let zone = find_zone("daily_window.zone", &window.zone)?;
        Ok(Self { civil, gap: GapRule::Skip, overlap: OverlapRule::Both, zone })
    }

    pub(super) const fn is_subdaily(&self) -> bool {
        self.civil.times.count > 1
    }

    pub(super) fn next(&self, after: Millis) -> Option<Millis> {
        let from = after.get().div_euclid(1_000).max(FIRST - TWO_DAYS_S) + 1;
        if from >= END + TWO_DAYS_S {
            return None;
        }
        self.next_second(from).map(|second| Millis::new(second * 1_000))
    }

    pub(super) fn previous(&self, before: Millis) -> Option<Millis> {
        let to = (before.get().saturating_sub(1)).div_euclid(1_000).min(END + TWO_DAYS_S);
        if to < FIRST - TWO_DAYS_S {
            return None;
        }
        self.previous_second(to).map(|second| Millis::new(second * 1_000))
    }

    /// The civil time that a tick stands for: what the clock shows, or the first time of its own that a gap lost.
    pub(super) fn civil_of(&self, tick: Millis) -> DateTime {
        let second = tick.get().div_euclid(1_000).clamp(FIRST - TWO_DAYS_S, END + TWO_DAYS_S);
        let stretch = self.stretch_of(second);
        let lost = if second == stretch.start { self.lost(&stretch) } else { None };
        civil::datetime(lost.unwrap_or(second + stretch.offset))
    }

    fn next_second(&self, mut from: i64) -> Option<i64> {
        let offset = self.offset_at(from);
        if let Some(tick) = self.civil.next(from + offset).map(|civil| civil - offset)
            && self.first_jump_after(from - TWO_DAYS_S) > tick
        {
            return Some(tick);
        }
        while from < END + TWO_DAYS_S {
            let stretch = self.stretch_of(from);
            if from == stretch.start && self.lost(&stretch).is_some() {
                return Some(from);
            }
            let end = self.first_jump_after(from);
            let civil = self.civil.next((from + stretch.offset).max(self.shown_first(&stretch)));
            if let Some(tick) = civil.map(|civil| civil - stretch.offset).filter(|tick| *tick < end) {
                return Some(tick);
            }
            // Once the stretch is longer than any jump, the clock cannot fall back to where this search began, and all
            // up to two days before the civil time is known to be empty.
            from = if end.saturating_sub(from) > 2 * TWO_DAYS_S { end.max(civil? - TWO_DAYS_S) } else { end };
        }
        None
    }

    fn previous_second(&self, mut to: i64) -> Option<i64> {
        while to >= FIRST - TWO_DAYS_S {
            let offset = self.offset_at(to);
            let civil = self.civil.previous(to + offset);
            let start = self.last_jump_to(to);
            if let Some(tick) = civil.map(|civil| civil - offset).filter(|tick| *tick >= start + TWO_DAYS_S) {
                return Some(tick);
            }
            let stretch = self.stretch(start, offset);
            if let Some(civil) = civil.filter(|civil| *civil >= self.shown_first(&stretch)) {
                return Some(civil - offset);
            }
            if self.lost(&stretch).is_some() {
                return Some(start);
            }
            let before = start.saturating_sub(1);
            to = if to.saturating_sub(start) > 2 * TWO_DAYS_S {
                before.min(civil? + TWO_DAYS_S)
            } else {
                before
            };
        }
        None
    }

    /// From which civil time on the stretch shows what the rule has not fired for.
    fn shown_first(&self, stretch: &Stretch) -> i64 {
        let ahead = match self.overlap {
            OverlapRule::First => stretch.offset.max(stretch.offset_before),
            OverlapRule::Both => stretch.offset,
        };
        stretch.start.saturating_add(ahead)
    }

    /// The first civil time of the rule in the gap before the stretch, for which its first instant is a tick.
    fn lost(&self, stretch: &Stretch) -> Option<i64> {
        if self.gap == GapRule::Skip || stretch.offset_before >= stretch.offset {
            return None;
        }
        self.civil.first_within(stretch.start + stretch.offset_before, stretch.start + stretch.offset)
    }

    fn stretch_of(&self, second: i64) -> Stretch {
        self.stretch(self.last_jump_to(second), self.offset_at(second))
    }

    fn stretch(&self, start: i64, offset: i64) -> Stretch {
        let offset_before = if start > LONG_AGO { self.offset_at(start - 1) } else { offset };
        Stretch { start, offset, offset_before }
    }

    fn offset_at(&self, second: i64) -> i64 {
        i64::from(self.zone.to_offset(timestamp(second)).seconds())
    }

    fn first_jump_after(&self, second: i64) -> i64 {
        self.zone.following(timestamp(second)).next().map_or(i64::MAX, |jump| jump.timestamp().as_second())
    }

    fn last_jump_to(&self, second: i64) -> i64 {
        let jump = self.zone.preceding(timestamp(second + 1)).next();
        jump.map_or(LONG_AGO, |jump| jump.timestamp().as_second().max(LONG_AGO))
    }
}

/// A year before the first civil time: what was before does not matter.
const LONG_AGO: i64 = FIRST - 366 * 86_400;

/// An interval has its own rules, and is not told others.
pub(super) fn jump_rules(cron: &Cron, kind: Kind) -> Result<(GapRule, OverlapRule), ScheduleError> {
    if kind == Kind::Fixed {
        return Ok((cron.gap.unwrap_or(GapRule::Next), cron.overlap.unwrap_or(OverlapRule::First)));
    }
    let field = match (cron.gap, cron.overlap) {
        (None, None) => return Ok((GapRule::Skip, OverlapRule::Both)),
        (Some(_), _) => "cron.gap",
        (None, Some(_)) => "cron.overlap",
    };
    Err(ScheduleError {
        code: "cron_not_fixed",
        field,
        message: "is for fixed rules, and the seconds, minutes or hours have a *, a range or a step"
            .to_owned(),
        position: None,
        remedy: "leave it out: such a rule skips gaps and fires in both passes of an overlap; or list the values",
    })
}

fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("seconds lie between 1969 and 2201")
}

/// Names that stand for whatever the machine is set to, or for nothing.
const NOT_ZONES: [&str; 4] = ["localtime", "posixrules", "Factory", "Etc/Unknown"];
/// The similarity from which on a name is worth suggesting.
const ALIKE: f64 = 0.8;
const MAX_ZONE_CHARS: usize = 64;

fn find_zone(field: &'static str, name: &str) -> Result<TimeZone, ScheduleError> {
    let unknown = |message: String| ScheduleError {
        code: "unknown_zone",
        field,
        message,
        position: None,
        remedy: "write the IANA name of the zone, as Europe/Berlin or UTC",
    };
    if name.is_empty() {
        return Err(unknown("names no zone".to_owned()));
    }
    if name.chars().count() > MAX_ZONE_CHARS {
        return Err(unknown(format!("is no zone: the name is longer than {MAX_ZONE_CHARS} characters")));
    }
    if !NOT_ZONES.iter().any(|not| not.eq_ignore_ascii_case(name))
        && let Ok(zone) = TimeZone::get(name)
    {
        return Ok(zone);
    }
    let nearest = jiff::tz::db()
        .available()
        .map(|known| (strsim::jaro_winkler(&known.as_str().to_lowercase(), &name.to_lowercase()), known))
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .filter(|(alike, _)| *alike >= ALIKE);
    Err(unknown(match nearest {
        Some((_, known)) => format!("{name:?} is no known zone; did you mean {known}?"),
        None => format!("{name:?} is no known zone"),
    }))
}
