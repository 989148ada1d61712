//! A question about a cron expression, and its answer.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Cron, Dialect, GapRule, OverlapRule, Trigger};
use fastjob_core::schedule::{Explained, Language, Schedule, ScheduleError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::MAX_COUNT;
use crate::cli::{Exit, Failure, args, shape};

/// What is wanted of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Next,
    Previous,
    Explain,
    Check,
}

/// An expression, and where to look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Question {
    pub(super) cron: Cron,
    pub(super) from: Millis,
    pub(super) count: u32,
    /// Of an explanation.
    pub(super) language: Language,
}

impl Question {
    pub(super) fn schedule(&self) -> Result<Schedule, ScheduleError> {
        Schedule::compile(&Trigger::Cron(self.cron.clone()), self.from)
    }

    /// Next ones rising, previous ones falling.
    pub(super) fn ticks(&self, asked: Asked) -> Result<Vec<Millis>, ScheduleError> {
        Ok(self.ticks_of(&self.schedule()?, asked))
    }

    pub(super) fn ticks_of(&self, schedule: &Schedule, asked: Asked) -> Vec<Millis> {
        let count = self.count as usize;
        match asked {
            Asked::Previous => schedule.ticks_before(self.from).take(count).collect(),
            Asked::Next | Asked::Explain | Asked::Check => {
                schedule.ticks_after(self.from).take(count).collect()
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), ScheduleError> {
        self.schedule()?.must_fire_after(self.from)
    }

    pub(super) fn explain(&self) -> Result<Value, ScheduleError> {
        let schedule = self.schedule()?;
        let explained = Explained::of(&self.cron)?;
        let Cron { expression, dialect, zone, .. } = &self.cron;
        Ok(json!({
            "expression": expression,
            "dialect": dialect.as_str(),
            "zone": zone,
            "description": explained.words(self.language),
            "canonical": explained.canonical(),
            "kind": if explained.is_interval() { "interval" } else { "fixed" },
            "gap": explained.gap.as_str(),
            "overlap": explained.overlap.as_str(),
            "ticks": ticks(&self.ticks_of(&schedule, Asked::Next)),
        }))
    }
}

pub(super) fn ticks(ticks: &[Millis]) -> Value {
    ticks.iter().map(|tick| shape::instant(tick.get())).collect()
}

/// A question as a JSON line. What it leaves out is as the command line says.
#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    expression: String,
    dialect: Option<String>,
    zone: Option<String>,
    from: Option<At>,
    count: Option<u32>,
    gap: Option<String>,
    overlap: Option<String>,
}

#[derive(Deserialize, Debug)]
#[serde(untagged)]
enum At {
    Ms(i64),
    Text(String),
}

impl Line {
    pub(super) fn question(self, default: &Question) -> Result<Question, Refused> {
        let dialect = word("dialect", self.dialect, Dialect::parse, "give quartz, unix or spring")?;
        let gap = word("gap", self.gap, GapRule::parse, "give next or skip")?;
        let overlap = word("overlap", self.overlap, OverlapRule::parse, "give first or both")?;
        let from = match self.from {
            None => default.from,
            Some(At::Ms(ms)) => instant(&ms.to_string())?,
            Some(At::Text(text)) => instant(&text)?,
        };
        let count = self.count.unwrap_or(default.count);
        if !(1..=MAX_COUNT).contains(&count) {
            return Err(Refused::new("count", format!("is {count}"), "give 1 to 100000"));
        }
        let cron = Cron {
            expression: self.expression,
            dialect: dialect.unwrap_or(default.cron.dialect),
            zone: self.zone.unwrap_or_else(|| default.cron.zone.clone()),
            gap: gap.or(default.cron.gap),
            overlap: overlap.or(default.cron.overlap),
        };
        Ok(Question { cron, from, count, language: default.language })
    }
}

fn word<T>(
    field: &'static str,
    word: Option<String>,
    parse: fn(&str) -> Option<T>,
    remedy: &'static str,
) -> Result<Option<T>, Refused> {
    let known = |word: String| parse(&word).ok_or_else(|| Refused::new(field, "is not known", remedy));
    word.map(known).transpose()
}

fn instant(text: &str) -> Result<Millis, Refused> {
    args::instant(text).map(Millis::new).map_err(|why| Refused::new("from", why, ""))
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refused {
    pub(super) field: &'static str,
    pub(super) message: String,
    pub(super) position: Option<usize>,
    pub(super) remedy: &'static str,
}

impl Refused {
    pub(super) fn new(field: &'static str, message: impl Into<String>, remedy: &'static str) -> Self {
        Self { field, message: message.into(), position: None, remedy }
    }

    pub(super) fn shape(&self) -> Value {
        let Self { field, message, position, remedy } = self;
        json!({"error": {"message": message, "position": position, "field": field, "remedy": remedy}})
    }
}

impl From<ScheduleError> for Refused {
    fn from(error: ScheduleError) -> Self {
        let ScheduleError { field, message, position, remedy, .. } = error;
        Self { field: field.strip_prefix("cron.").unwrap_or(field), message, position, remedy }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let Refused { field, message, remedy, .. } = refused;
        Self { exit: Exit::Usage, field: field.to_owned(), message, remedy: remedy.to_owned() }
    }
}
