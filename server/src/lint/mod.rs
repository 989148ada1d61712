//! What is likely wrong with jobs, told from their definitions alone: pure rules over what a file says, each with a
//! stable code, a severity and a remedy. Whether a job can be read at all is decided before.

mod findings;
mod fleet;
mod rules;
#[cfg(test)]
mod tests;
mod text;
mod zones;

pub use findings::{Code, Finding, Severity};

use std::sync::Arc;

use fastjob_core::clock::Millis;
use fastjob_core::domain::Definition;
use fastjob_core::id::JobId;
use fastjob_core::schedule::Schedule;

/// A job to look at.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Draws its jitter.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// What it does and when.
    pub definition: Arc<Definition>,
    /// How long its runs usually take, if that is known.
    pub usual_ms: Option<i64>,
}

impl Subject {
    /// Its ticks if it were put now; `None`: its trigger does not compile.
    fn schedule(&self, now: Millis) -> Option<Schedule> {
        let schedule = Schedule::compile(&self.definition.trigger, now).ok()?;
        Some(schedule.timed(&self.definition.timing, self.id))
    }
}

/// What the rules may be told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// From when on ticks are looked at.
    pub now: Millis,
    /// So many jobs at one instant are a pile-up.
    pub pile_up: usize,
}

impl Settings {
    /// The default of [`Settings::pile_up`].
    pub const PILE_UP: usize = 10;
}

/// Everything that the rules say, in the order of the jobs; what concerns several jobs stands at the first of them.
pub fn lint(subjects: &[Subject], settings: Settings) -> Vec<Finding> {
    let compiled: Vec<Option<Schedule>> =
        subjects.iter().map(|subject| subject.schedule(settings.now)).collect();
    let mut found = Vec::new();
    for (at, (subject, schedule)) in subjects.iter().zip(&compiled).enumerate() {
        let mut own = Vec::new();
        if let Some(schedule) = schedule {
            rules::check(subject, schedule, settings.now, &mut own);
        }
        found.extend(own.into_iter().map(|finding| Finding { subject: at, ..finding }));
    }
    found.extend(fleet::pile_ups(&compiled, subjects, settings));
    found.sort_by_key(|finding| finding.subject);
    found
}
