//! From civil times to instants: what a rule means where a zone's clocks jump.
//!
//! A *fixed* rule names civil times. One that a gap swallows fires at the first instant after the gap; one that an
//! overlap shows twice fires in the first pass. An *interval* rule is a pattern of the running clock: it fires whenever
//! the clock shows a civil time of its own, so never in a gap and in both passes of an overlap.

use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::ScheduleError;
use super::civil::{Civil, END, FIRST};
use super::cron::{self, Kind};
use crate::clock::Millis;
use crate::domain::Cron;

/// No clock is further from UTC than this, and none jumps by more.
const TWO_DAYS_S: i64 = 2 * 86_400;

/// A cron rule in its zone.
#[derive(Debug)]
pub(super) struct Zoned {
    civil: Civil,
    kind: Kind,
    subdaily: bool,
    zone: TimeZone,
}

impl Zoned {
    pub(super) fn compile(cron: &Cron) -> Result<Self, ScheduleError> {
        let parsed = cron::parse(cron)?;
        Ok(Self {
            civil: parsed.civil,
            kind: parsed.kind,
            subdaily: parsed.subdaily,
            zone: find_zone(&cron.zone)?,
        })
    }

    pub(super) const fn is_subdaily(&self) -> bool {
        self.subdaily
    }

    pub(super) fn next(&self, after: Millis) -> Option<Millis> {
        let after = after.get().div_euclid(1_000).max(FIRST - TWO_DAYS_S);
        if after >= END + TWO_DAYS_S {
            return None;
        }
        let tick = match self.kind {
            Kind::Fixed => self.next_fixed(after),
            Kind::Interval => self.next_interval(after),
        };
        tick.map(|second| Millis::new(second * 1_000))
    }

    pub(super) fn previous(&self, before: Millis) -> Option<Millis> {
        let last = (before.get().saturating_sub(1)).div_euclid(1_000).min(END + TWO_DAYS_S);
        if last < FIRST - TWO_DAYS_S {
            return None;
        }
        let tick = match self.kind {
            Kind::Fixed => self.last_fixed(last),
            Kind::Interval => self.last_interval(last),
        };
        tick.map(|second| Millis::new(second * 1_000))
    }

    /// Instants rise with the civil times they stand for, so the next civil time has the next instant.
    fn next_fixed(&self, after: i64) -> Option<i64> {
        let mut civil = match self.second_pass(after) {
            Some(overlap_end) => overlap_end - 1,
            None => self.clock_at(after),
        };
        loop {
            civil = self.civil.next(civil)?;
            let instant = self.instant_of(civil).second;
            if instant > after {
                return Some(instant);
            }
        }
    }

    fn last_fixed(&self, last: i64) -> Option<i64> {
        let mut before = match self.second_pass(last) {
            Some(overlap_end) => overlap_end,
            None => self.clock_at(last) + 1,
        };
        loop {
            let civil = self.civil.previous(before)?;
            let instant = self.instant_of(civil);
            if instant.second <= last {
                return Some(instant.second);
            }
            before = instant.lost_from.unwrap_or(civil);
        }
    }

    /// Goes from one stretch of even clock to the next until the clock shows a civil time of the rule.
    fn next_interval(&self, after: i64) -> Option<i64> {
        let mut from = after + 1;
        while from < END + TWO_DAYS_S {
            let offset = self.offset_at(from);
            let end = self.stretch_end(from);
            let civil = self.civil.next(from + offset - 1);
            if let Some(tick) = civil.map(|civil| civil - offset).filter(|tick| *tick < end) {
                return Some(tick);
            }
            // Once the stretch is longer than any jump, the clock cannot fall back to where this search began, and all
            // up to two days before the civil time is known to be empty.
            from = if end.saturating_sub(from) > 2 * TWO_DAYS_S { end.max(civil? - TWO_DAYS_S) } else { end };
        }
        None
    }

    fn last_interval(&self, last: i64) -> Option<i64> {
        let mut to = last;
        while to >= FIRST - TWO_DAYS_S {
            let offset = self.offset_at(to);
            let start = self.stretch_start(to);
            let civil = self.civil.previous(to + offset + 1);
            if let Some(tick) = civil.map(|civil| civil - offset).filter(|tick| *tick >= start) {
                return Some(tick);
            }
            to = if to.saturating_sub(start) > 2 * TWO_DAYS_S {
                (start - 1).min(civil? + TWO_DAYS_S)
            } else {
                start - 1
            };
        }
        None
    }

    /// If the clock shows at `instant` what it has shown before, the civil time at which that ends.
    fn second_pass(&self, instant: i64) -> Option<i64> {
        let offset = self.offset_at(instant);
        let civil = instant + offset;
        match self.zone.to_ambiguous_timestamp(datetime(civil)).offset() {
            AmbiguousOffset::Fold { before, after } if i64::from(after.seconds()) == offset => {
                Some(self.jump(civil, before, after)? + i64::from(before.seconds()))
            }
            _ => None,
        }
    }

    fn instant_of(&self, civil: i64) -> Instant {
        match self.zone.to_ambiguous_timestamp(datetime(civil)).offset() {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                Instant { second: civil - i64::from(offset.seconds()), lost_from: None }
            }
            AmbiguousOffset::Gap { before, after } => match self.jump(civil, before, after) {
                Some(jump) => Instant { second: jump, lost_from: Some(jump + i64::from(before.seconds())) },
                None => Instant { second: civil - i64::from(before.seconds()), lost_from: None },
            },
        }
    }

    /// The instant at which the clock jumps over, or back to before, this civil time.
    fn jump(&self, civil: i64, before: Offset, after: Offset) -> Option<i64> {
        let one = civil - i64::from(before.seconds());
        let other = civil - i64::from(after.seconds());
        self.zone
            .following(timestamp(one.min(other)))
            .take_while(|jump| jump.timestamp().as_second() <= one.max(other))
            .find(|jump| jump.offset() == after)
            .map(|jump| jump.timestamp().as_second())
    }

    fn clock_at(&self, instant: i64) -> i64 {
        instant + self.offset_at(instant)
    }

    fn offset_at(&self, instant: i64) -> i64 {
        i64::from(self.zone.to_offset(timestamp(instant)).seconds())
    }

    fn stretch_end(&self, instant: i64) -> i64 {
        self.zone.following(timestamp(instant)).next().map_or(i64::MAX, |jump| jump.timestamp().as_second())
    }

    fn stretch_start(&self, instant: i64) -> i64 {
        self.zone
            .preceding(timestamp(instant + 1))
            .next()
            .map_or(i64::MIN, |jump| jump.timestamp().as_second())
    }
}

/// When a civil time happens.
struct Instant {
    second: i64,
    /// The first civil time of the gap that swallowed it.
    lost_from: Option<i64>,
}

fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("seconds lie between 1969 and 2101")
}

fn datetime(civil: i64) -> jiff::civil::DateTime {
    Offset::UTC.to_datetime(timestamp(civil))
}

/// Names that stand for whatever the machine is set to, or for nothing.
const NOT_ZONES: [&str; 4] = ["localtime", "posixrules", "Factory", "Etc/Unknown"];
/// The similarity from which on a name is worth suggesting.
const ALIKE: f64 = 0.8;
const MAX_ZONE_CHARS: usize = 64;

fn find_zone(name: &str) -> Result<TimeZone, ScheduleError> {
    let unknown = |message: String| ScheduleError {
        code: "unknown_zone",
        field: "cron.zone",
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
