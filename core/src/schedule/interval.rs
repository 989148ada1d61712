//! Triggers that count milliseconds and know neither zones nor calendars.

use super::ScheduleError;
use crate::clock::Millis;
use crate::domain::Trigger;

/// `phase + n * period` for every whole n, as far as it lies after the job's creation.
#[derive(Debug)]
pub(super) struct Grid {
    period_ms: i64,
    phase: i128,
    created_at: Millis,
}

impl Grid {
    pub(super) fn compile(
        period_ms: i64,
        phase: Option<Millis>,
        created_at: Millis,
    ) -> Result<Self, ScheduleError> {
        if !(Trigger::MIN_PERIOD_MS..=Trigger::MAX_PERIOD_MS).contains(&period_ms) {
            return Err(ScheduleError {
                code: "period_out_of_bounds",
                field: "fixed_rate.period_ms",
                message: format!("the period is {period_ms} ms"),
                position: None,
                remedy: "a period is at least 1000 ms and at most 100 years",
            });
        }
        Ok(Self { period_ms, phase: i128::from(phase.unwrap_or(created_at).get()), created_at })
    }

    pub(super) const fn period_ms(&self) -> i64 {
        self.period_ms
    }

    pub(super) fn next(&self, after: Millis) -> Option<Millis> {
        let period = i128::from(self.period_ms);
        let after = i128::from(after.max(self.created_at).get());
        let tick = self.phase + ((after - self.phase).div_euclid(period) + 1) * period;
        i64::try_from(tick).ok().map(Millis::new)
    }

    pub(super) fn previous(&self, before: Millis) -> Option<Millis> {
        let period = i128::from(self.period_ms);
        let last = i128::from(before.get()) - 1;
        let tick = self.phase + (last - self.phase).div_euclid(period) * period;
        i64::try_from(tick).ok().map(Millis::new).filter(|tick| *tick > self.created_at)
    }

    pub(super) fn count(&self, first: Millis, last: Millis) -> u64 {
        match (self.next(first.plus(-1)), self.previous(last.plus(1))) {
            (Some(first), Some(last)) if first <= last => {
                let periods = (i128::from(last.get()) - i128::from(first.get())) / i128::from(self.period_ms);
                u64::try_from(periods).unwrap_or(u64::MAX).saturating_add(1)
            }
            _ => 0,
        }
    }
}

/// One-off instants, rising.
#[derive(Debug)]
pub(super) struct Instants(Vec<Millis>);

impl Instants {
    pub(super) fn compile(instants: &[Millis]) -> Result<Self, ScheduleError> {
        let refuse =
            |code, message, remedy| Err(ScheduleError { code, field: "at", message, position: None, remedy });
        if instants.is_empty() {
            return refuse("no_instant", "names no instant".to_owned(), "give at least one");
        }
        if instants.len() > Trigger::MAX_INSTANTS {
            let message = format!("names {} instants", instants.len());
            return refuse("too_many_instants", message, "give at most 1000, or a rule");
        }
        if let Some(at) = instants.windows(2).position(|pair| pair[0] >= pair[1]) {
            let message = format!("instant {} is not later than the one before it", at + 1);
            return refuse("instants_not_rising", message, "sort them and name each once");
        }
        Ok(Self(instants.to_vec()))
    }

    pub(super) fn next(&self, after: Millis) -> Option<Millis> {
        self.0.get(self.0.partition_point(|tick| *tick <= after)).copied()
    }

    pub(super) fn previous(&self, before: Millis) -> Option<Millis> {
        self.0[..self.0.partition_point(|tick| *tick < before)].last().copied()
    }
}

pub(super) fn check_delay(delay_ms: i64) -> Result<(), ScheduleError> {
    if (0..=Trigger::MAX_PERIOD_MS).contains(&delay_ms) {
        return Ok(());
    }
    Err(ScheduleError {
        code: "delay_out_of_bounds",
        field: "fixed_delay.delay_ms",
        message: format!("the delay is {delay_ms} ms"),
        position: None,
        remedy: "a delay is at least 0 and at most 100 years",
    })
}
