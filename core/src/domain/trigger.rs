//! When a job should fire.

use std::collections::BTreeSet;

use crate::clock::Millis;

/// When a job should fire. What it means, instant by instant, is in [`crate::schedule`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Trigger {
    /// At the instants that a cron expression names in a zone.
    Cron(Cron),
    /// At `phase + n * period`; an absent phase is the job's creation.
    FixedRate {
        /// At least [`Trigger::MIN_PERIOD_MS`].
        period_ms: i64,
        /// Any instant of the grid.
        phase: Option<Millis>,
    },
    /// This long after the end of the previous run.
    FixedDelay {
        /// At least 0.
        delay_ms: i64,
    },
    /// At an even pace within a window of the day, on some weekdays.
    DailyWindow(DailyWindow),
    /// Once at each of these instants: at least one, rising, at most [`Trigger::MAX_INSTANTS`].
    At(Vec<Millis>),
    /// Only when called.
    Api,
}

impl Trigger {
    /// The shortest period of a job timed by the server.
    pub const MIN_PERIOD_MS: i64 = 1_000;
    /// The longest period or delay: a hundred years.
    pub const MAX_PERIOD_MS: i64 = 100 * 366 * 86_400_000;
    /// The most instants of one job.
    pub const MAX_INSTANTS: usize = 1_000;
}

/// A window of the day, in civil time. Where clocks jump it is a pattern of the running clock: what lies in a gap does not
/// exist, and in an overlap it fires in both passes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DailyWindow {
    /// At least one.
    pub weekdays: BTreeSet<Weekday>,
    /// The first tick of the day, in seconds after midnight: 0 to 86,399.
    pub from_s: i32,
    /// No tick is later, in seconds after midnight: `from_s` to 86,400.
    pub to_s: i32,
    /// From one tick to the next: whole seconds, 1 s to 24 h.
    pub every_ms: i64,
    /// IANA name of the zone whose civil time it speaks of.
    pub zone: String,
}

impl DailyWindow {
    /// The longest pace: a day.
    pub const MAX_EVERY_MS: i64 = 86_400_000;

    /// A time of day: `09:00`, `17:30:15`, and `24:00` for the end of the day; in seconds after midnight.
    pub fn time(text: &str) -> Option<i32> {
        let mut parts = text.split(':').map(|part| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<i32>().ok()).flatten()
        });
        let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
        let time = hour * 3_600 + minute * 60 + second;
        (parts.next().is_none() && minute < 60 && second < 60 && time <= 86_400).then_some(time)
    }

    /// A time of day as [`DailyWindow::time`] reads it, without seconds if they are 0.
    pub fn time_text(second: i32) -> String {
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let seconds = if second == 0 { String::new() } else { format!(":{second:02}") };
        format!("{hour:02}:{minute:02}{seconds}")
    }
}

/// A day of the week.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "everybody knows them")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// Its word: three small letters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monday => "mon",
            Self::Tuesday => "tue",
            Self::Wednesday => "wed",
            Self::Thursday => "thu",
            Self::Friday => "fri",
            Self::Saturday => "sat",
            Self::Sunday => "sun",
        }
    }

    /// The day with this word, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(word))
    }
}

/// A cron expression with all that is needed to understand it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cron {
    /// As the user wrote it, at most [`Cron::MAX_CHARS`] characters.
    pub expression: String,
    /// How it is read; never guessed.
    pub dialect: Dialect,
    /// IANA name of the zone whose civil time it speaks of.
    pub zone: String,
    /// What becomes of civil times in a gap. `None`: as its text says; only a fixed rule may be told.
    pub gap: Option<GapRule>,
    /// In which passes of an overlap it fires. `None`: as its text says; only a fixed rule may be told.
    pub overlap: Option<OverlapRule>,
}

impl Cron {
    /// The longest expression.
    pub const MAX_CHARS: usize = 256;

    /// An expression that behaves at jumps of the clock as its text says.
    pub fn new(expression: impl Into<String>, dialect: Dialect, zone: impl Into<String>) -> Self {
        Self { expression: expression.into(), dialect, zone: zone.into(), gap: None, overlap: None }
    }
}

/// How a cron expression is read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Dialect {
    /// 6 or 7 fields, 1 = Sunday, `?` or `*` where the other day field rules.
    #[default]
    Quartz,
    /// 5 fields, 0 and 7 = Sunday; either day field is enough, unless one begins with `*`.
    Unix,
    /// 6 fields, 0 and 7 = Sunday; both day fields must match.
    Spring,
}

/// What becomes of a civil time that a gap swallows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GapRule {
    /// It fires at the first instant after the gap.
    Next,
    /// It does not fire.
    Skip,
}

/// What becomes of a civil time that an overlap shows twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OverlapRule {
    /// It fires in the first pass.
    First,
    /// It fires in both.
    Both,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Quartz, Self::Unix, Self::Spring];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quartz => "quartz",
            Self::Unix => "unix",
            Self::Spring => "spring",
        }
    }

    /// The dialect with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

impl GapRule {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Next, Self::Skip];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Skip => "skip",
        }
    }

    /// The rule with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

impl OverlapRule {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::First, Self::Both];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Both => "both",
        }
    }

    /// The rule with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}
