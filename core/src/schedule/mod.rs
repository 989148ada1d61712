//! Pure time: at which instants a trigger fires.

use crate::clock::Millis;
use crate::domain::Trigger;

/// A trigger, compiled.
#[derive(Clone, Debug)]
pub struct Schedule {}

/// Why a trigger makes no schedule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ScheduleError {
    /// A stable word in snake_case.
    pub code: &'static str,
    /// The field of the trigger, as `cron.expression`.
    pub field: &'static str,
    /// What is wrong, with the position in the expression.
    pub message: String,
    /// Position in the expression, from 0, if it is about one.
    pub position: Option<usize>,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Schedule {
    /// Compiles a trigger of a job created at `created_at`.
    pub fn compile(trigger: &Trigger, created_at: Millis) -> Result<Self, ScheduleError> {
        todo!()
    }

    /// Refuses a schedule without a tick within 100 years after `from`.
    pub fn must_fire_after(&self, from: Millis) -> Result<(), ScheduleError> {
        todo!()
    }

    /// The first tick strictly after `after`. `None`: there is none; always for fixed delay and API.
    pub fn next(&self, after: Millis) -> Option<Millis> {
        todo!()
    }

    /// The last tick strictly before `before`.
    pub fn previous(&self, before: Millis) -> Option<Millis> {
        todo!()
    }

    /// The ticks repeat within a day.
    pub fn is_subdaily(&self) -> bool {
        todo!()
    }
}
