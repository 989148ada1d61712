//! What a trigger means, for people.

use super::expression::{Expression, Kind, Language, describe};
use super::zone::jump_rules;
use super::{ScheduleError, window};
use crate::domain::{Cron, DailyWindow, GapRule, OverlapRule, Trigger};

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

/// One line that says when a trigger fires, without the zone.
///
/// # Errors
/// As [`Schedule::compile`](super::Schedule::compile), for what cannot be read.
pub fn words(trigger: &Trigger, language: Language) -> Result<String, ScheduleError> {
    Ok(match (trigger, language) {
        (Trigger::Cron(cron), _) => Explained::of(cron)?.words(language),
        (Trigger::DailyWindow(daily), _) => {
            let days = describe::days(&window::days(daily)?, language);
            let every = duration(daily.every_ms, language);
            let (from, to) = (DailyWindow::time_text(daily.from_s), DailyWindow::time_text(daily.to_s));
            match language {
                Language::English => format!("every {every} from {from} to {to}, {days}"),
                Language::Chinese => format!("{days}，{from} 至 {to}，每 {every}"),
            }
        }
        (Trigger::FixedRate { period_ms, .. }, Language::English) => {
            format!("every {}", duration(*period_ms, language))
        }
        (Trigger::FixedRate { period_ms, .. }, Language::Chinese) => {
            format!("每 {}", duration(*period_ms, language))
        }
        (Trigger::FixedDelay { delay_ms }, Language::English) => {
            format!("{} after the end of the run before", duration(*delay_ms, language))
        }
        (Trigger::FixedDelay { delay_ms }, Language::Chinese) => {
            format!("上次运行结束后 {}", duration(*delay_ms, language))
        }
        (Trigger::At(instants), Language::English) => format!("once at each of {} instants", instants.len()),
        (Trigger::At(instants), Language::Chinese) => format!("在 {} 个时刻各一次", instants.len()),
        (Trigger::Api, Language::English) => "only when it is called".to_owned(),
        (Trigger::Api, Language::Chinese) => "仅在调用时".to_owned(),
    })
}

/// By its largest units.
fn duration(ms: i64, language: Language) -> String {
    let units = match language {
        Language::English => [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")],
        Language::Chinese => {
            [(86_400_000, "天"), (3_600_000, "小时"), (60_000, "分钟"), (1_000, "秒"), (1, "毫秒")]
        }
    };
    let mut rest = ms;
    let mut said = Vec::new();
    for (size, unit) in units {
        if rest >= size {
            said.push(format!("{} {unit}", rest / size));
            rest %= size;
        }
    }
    if said.is_empty() { format!("0 {}", units[3].1) } else { said.join(" ") }
}
