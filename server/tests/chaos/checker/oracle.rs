//! Which ticks there should be: a walk by seconds for the cron forms in use, plain arithmetic for an even pace.

use std::collections::BTreeSet;

use super::history::{At, Revision, Rule};

const SECOND_MS: i64 = 1_000;

/// The rule's ticks in `after_ms < tick <= until_ms`; none for what makes no ticks of its own.
pub(crate) fn ticks(revision: &Revision, after_ms: i64, until_ms: i64) -> Result<Vec<i64>, String> {
    match &revision.trigger {
        Rule::Cron { expression } => {
            let fields = Fields::read(expression)?;
            let first = after_ms.div_euclid(SECOND_MS) + 1;
            Ok((first..)
                .take_while(|second| second * SECOND_MS <= until_ms)
                .filter(|second| fields.hold(*second))
                .map(|second| second * SECOND_MS)
                .collect())
        }
        Rule::FixedRate { period_ms, phase_ms } => {
            let phase = phase_ms.unwrap_or(revision.created_ms);
            let after = after_ms.max(revision.created_ms);
            let first = (after - phase).div_euclid(*period_ms) + 1;
            let tick = move |n: i64| phase + n * period_ms;
            Ok((first..).map(tick).take_while(|tick| *tick <= until_ms).collect())
        }
        Rule::FixedDelay { .. } | Rule::Api => Ok(Vec::new()),
    }
}

/// A stretch of a job's life under one revision: ticks after `after_ms` up to and with `until_ms`.
pub(crate) struct Stretch<'a> {
    pub(crate) revision: &'a At<Revision>,
    pub(crate) after_ms: i64,
    pub(crate) until_ms: i64,
}

/// The job's life by revision; the last stretch ends where nothing new was asked for.
pub(crate) fn stretches(revisions: &[At<Revision>], quiet_ms: i64) -> Vec<Stretch<'_>> {
    let ends = revisions.iter().skip(1).map(|next| next.at_ms).chain([quiet_ms]);
    revisions
        .iter()
        .zip(ends)
        .map(|(revision, until_ms)| Stretch { revision, after_ms: revision.at_ms, until_ms })
        .collect()
}

/// Seconds and minutes of a six-field Quartz expression in UTC; the other fields must be `*` or `?`.
struct Fields {
    seconds: BTreeSet<i64>,
    minutes: BTreeSet<i64>,
}

impl Fields {
    fn read(expression: &str) -> Result<Self, String> {
        let fields: Vec<&str> = expression.split_whitespace().collect();
        match fields[..] {
            [seconds, minutes, "*" | "?", "*" | "?", "*" | "?", "*" | "?"] => {
                let refuse = || format!("the oracle does not know the cron form {expression:?}");
                Ok(Self {
                    seconds: field(seconds).ok_or_else(refuse)?,
                    minutes: field(minutes).ok_or_else(refuse)?,
                })
            }
            _ => Err(format!("the oracle does not know the cron form {expression:?}")),
        }
    }

    fn hold(&self, second: i64) -> bool {
        self.seconds.contains(&second.rem_euclid(60))
            && self.minutes.contains(&second.div_euclid(60).rem_euclid(60))
    }
}

/// `*`, `n`, `n/step`, or a list of these, over 0 to 59.
fn field(text: &str) -> Option<BTreeSet<i64>> {
    let mut values = BTreeSet::new();
    for part in text.split(',') {
        let (from, step) = part.split_once('/').unwrap_or((part, ""));
        let open_ended = from == "*" || !step.is_empty();
        let first = if from == "*" { 0 } else { from.parse().ok().filter(|n| (0..60).contains(n))? };
        let step = if step.is_empty() { 1 } else { step.parse().ok().filter(|n| *n > 0)? };
        let last = if open_ended { 59 } else { first };
        values.extend((first..=last).step_by(usize::try_from(step).ok()?));
    }
    Some(values)
}
