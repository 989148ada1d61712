//! What a cron trigger means, for people.

use super::ScheduleError;
use super::expression::{Expression, Kind, Language};
use super::zone::jump_rules;
use crate::domain::{Cron, GapRule, OverlapRule};

/// A cron trigger, read.
#[derive(Clone, Debug)]
pub struct Explained {
    expression: Expression,
    source: String,
    /// What becomes of civil times in a gap: as it was told, or as its text says.
    pub gap: GapRule,
    /// In which passes of an overlap it fires: as it was told, or as its text says.
    pub overlap: OverlapRule,
}

impl Explained {
    /// Reads the expression; the zone is not looked at.
    ///
    /// # Errors
    /// As [`Schedule::compile`](super::Schedule::compile).
    pub fn of(cron: &Cron) -> Result<Self, ScheduleError> {
        let expression = Expression::read(cron)?;
        let (gap, overlap) = jump_rules(cron, expression.kind())?;
        let words: Vec<&str> = cron.expression.split_ascii_whitespace().collect();
        Ok(Self { expression, source: words.join(" "), gap, overlap })
    }

    /// Its seconds, minutes or hours have a `*`, a range or a step: it follows the clock, not civil times.
    pub const fn is_interval(&self) -> bool {
        matches!(self.expression.kind(), Kind::Interval)
    }

    /// The one way to write the rule in its dialect. An expression whose print would be longer than an expression may be
    /// stays as it is.
    pub fn canonical(&self) -> String {
        Some(self.expression.print())
            .filter(|print| print.len() <= Cron::MAX_CHARS)
            .unwrap_or_else(|| self.source.clone())
    }

    /// One line that says when it fires, without the zone.
    pub fn words(&self, language: Language) -> String {
        self.expression.describe(language)
    }
}
