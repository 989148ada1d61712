//! When a job should fire.

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

/// A cron expression with all that is needed to understand it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cron {
    /// As the user wrote it, at most [`Cron::MAX_CHARS`] characters.
    pub expression: String,
    /// How it is read; never guessed.
    pub dialect: Dialect,
    /// IANA name of the zone whose civil time it speaks of.
    pub zone: String,
}

impl Cron {
    /// The longest expression.
    pub const MAX_CHARS: usize = 256;
}

/// How a cron expression is read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Dialect {
    /// 6 or 7 fields, 1 = Sunday, `?` where the other day field rules.
    #[default]
    Quartz,
}
