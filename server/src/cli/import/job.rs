//! A job on its way from another scheduler: what it will be, how the old engine timed it, and what people should know.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Name, Trigger};
use fastjob_core::protocol::v1;

use super::rival::{NotFollowed, Rival};
use crate::cli::jobfile::{CATCH_UPS, OVERLAPS};

/// The longest timeout: the old engine has none.
const LONGEST_TIMEOUT_MS: i64 = 30 * 86_400_000;

/// A job that was read.
pub(super) struct Imported {
    pub(super) spec: v1::JobSpec,
    /// Where it comes from, for people.
    pub(super) from: String,
    /// How the old engine timed it; none if it had no times of its own.
    pub(super) old: Option<Result<Rival, NotFollowed>>,
    pub(super) mapped: Vec<String>,
    /// What has no counterpart, and why.
    pub(super) lost: Vec<String>,
}

/// A job that cannot be taken.
pub(super) struct Refused {
    pub(super) from: String,
    pub(super) why: String,
}

/// What was read of a file.
#[derive(Default)]
pub(super) struct Import {
    pub(super) jobs: Vec<Imported>,
    pub(super) refused: Vec<Refused>,
    /// About the file as a whole.
    pub(super) notes: Vec<String>,
}

impl Imported {
    pub(super) fn new(from: impl Into<String>, name: &str, handler: &str) -> Self {
        let spec = v1::JobSpec {
            name: fitting(name),
            handler: fitting(handler),
            trigger: Some(v1::Trigger { kind: Some(v1::trigger::Kind::Api(v1::ApiOnly {})) }),
            attempt_timeout_ms: Some(LONGEST_TIMEOUT_MS),
            ..Default::default()
        };
        Self { spec, from: from.into(), old: None, mapped: Vec::new(), lost: Vec::new() }
    }

    /// Timed by the old engine like this, and by ours like that.
    pub(super) fn fires(&mut self, kind: v1::trigger::Kind, old: Result<Rival, NotFollowed>) {
        self.spec.trigger = Some(v1::Trigger { kind: Some(kind) });
        self.old = Some(old);
    }

    pub(super) fn cron(
        &mut self,
        expression: &str,
        dialect: &str,
        zone: &str,
        old: Result<Rival, NotFollowed>,
    ) {
        let (expression, dialect, zone) = (expression.to_owned(), dialect.to_owned(), zone.to_owned());
        self.fires(
            v1::trigger::Kind::Cron(v1::Cron { expression, dialect, zone, ..Default::default() }),
            old,
        );
    }

    /// An even pace on the old engine's grid.
    pub(super) fn every(&mut self, period_ms: i64, first: i64, last: Option<i64>) {
        let phase_ms = Some(first);
        self.fires(
            v1::trigger::Kind::FixedRate(v1::FixedRate { period_ms, phase_ms }),
            Ok(Rival::Grid { first, period_ms, last }),
        );
    }

    pub(super) fn map(&mut self, what: impl Into<String>) {
        self.mapped.push(what.into());
    }

    pub(super) fn lose(&mut self, what: impl Into<String>) {
        self.lost.push(what.into());
    }

    /// `0`, or nothing: no timeout.
    pub(super) fn timeout_ms(&mut self, ms: i64, what: &str) {
        if ms > 0 {
            self.spec.attempt_timeout_ms = Some(ms.min(LONGEST_TIMEOUT_MS));
            self.map(format!("{what} -> timeout"));
        }
    }

    /// An overlap policy by its name; skip if this version does not have it.
    pub(super) fn overlap(&mut self, word: &str, what: &str) {
        match OVERLAPS.value(word) {
            Some(value) => {
                self.spec.overlap = value;
                self.map(format!("{what} -> overlap {word}"));
            }
            None => self
                .lose(format!("{what} is overlap {word}, which this version does not have: skip is taken")),
        }
    }

    /// A catch-up policy by its name; latest if this version does not have it.
    pub(super) fn catch_up(&mut self, word: &str, what: &str) {
        match CATCH_UPS.value(word) {
            Some(value) => {
                self.spec.catch_up.get_or_insert_default().policy = value;
                self.map(format!("{what} -> catch_up {word}"));
            }
            None => self.lose(format!(
                "{what} is catch_up {word}, which this version does not have: latest is taken"
            )),
        }
    }

    pub(super) fn disabled(&mut self, what: &str) {
        self.spec.enabled = Some(false);
        self.map(format!("{what} -> enabled false"));
    }

    pub(super) fn text_params(&mut self, text: Option<String>) {
        self.spec.params =
            text.map(|text| v1::Payload { encoding: v1::Encoding::Text.into(), data: text.into() });
    }
}

impl Import {
    pub(super) fn refuse(&mut self, from: impl Into<String>, why: impl Into<String>) {
        self.refused.push(Refused { from: from.into(), why: why.into() });
    }

    /// Gives each job a name of its own: the second `a` is `a-2`.
    pub(super) fn name_apart(&mut self) {
        let mut taken = std::collections::HashSet::new();
        for job in &mut self.jobs {
            let wanted = job.spec.name.clone();
            let mut n = 1;
            while !taken.insert(job.spec.name.clone()) {
                n += 1;
                let room: String = wanted.chars().take(Name::MAX_CHARS - 12).collect();
                job.spec.name = format!("{room}-{n}");
            }
        }
    }
}

/// The instants at which a period fires so often: for rules that end.
pub(super) fn instants(first: i64, period_ms: i64, count: i64, after: Millis) -> Vec<i64> {
    let all = (0..count).map_while(|n| first.checked_add(period_ms.checked_mul(n)?));
    all.filter(|at| *at > after.get()).take(Trigger::MAX_INSTANTS + 1).collect()
}

/// A name as FastJob allows it.
fn fitting(text: &str) -> String {
    let text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let text: String = text.trim().chars().take(Name::MAX_CHARS).collect();
    let text = text.trim().to_owned();
    if text.is_empty() { "unnamed".to_owned() } else { text }
}
