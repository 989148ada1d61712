//! The edit history of a job: which rule stood at which tick, and whether the history is whole.

use std::sync::Arc;

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Definition, Revision, Source, Trigger};
use fastjob_core::id::JobId;
use fastjob_core::schedule::{Schedule, ScheduleError};

use super::{Code, Finding};

/// What the job's own row says.
#[derive(Clone, PartialEq, Debug)]
pub struct Marks {
    /// Its id, which draws the jitter.
    pub id: JobId,
    /// Its newest revision.
    pub revision: u64,
    /// What it does and when, by the newest revision.
    pub definition: Arc<Definition>,
    /// Whether it makes ticks.
    pub enabled: bool,
    /// The first tick that is neither a run nor in a gap.
    pub next_at: Option<Millis>,
    /// Ordinal of the newest run of a fixed-delay chain.
    pub chain_seq: u64,
    /// When it was put first.
    pub created_at: Millis,
    /// When the newest revision was put.
    pub updated_at: Millis,
    /// When it was deleted.
    pub deleted_at: Option<Millis>,
}

/// The revisions of a job from the first on, as they were read.
#[derive(Debug, Default)]
pub struct History {
    revisions: Vec<Revision>,
}

/// A stretch of a job's life under one revision: ticks after `after` up to and with `until`.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) revision: u64,
    pub(super) after: Millis,
    pub(super) until: Millis,
    /// `None`: nothing is expected here, for the job has no ticks, is deleted, or the history has a hole.
    pub(super) schedule: Option<Schedule>,
    /// What happened here cannot be told.
    pub(super) unknown: bool,
    pub(super) enabled: bool,
    /// What fires its ticks.
    pub(super) source: Source,
}

impl History {
    /// Takes in the next page. Equal neighbours share their definition.
    pub fn extend(&mut self, page: impl IntoIterator<Item = Revision>) {
        for mut revision in page {
            if let Some(last) = self.revisions.last()
                && *last.definition == *revision.definition
            {
                revision.definition = last.definition.clone();
            }
            self.revisions.push(revision);
        }
    }

    /// The number of the newest one; 0 if there is none.
    pub fn newest(&self) -> u64 {
        self.revisions.last().map_or(0, |revision| revision.revision)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.revisions.len()
    }

    /// None was read.
    pub fn is_empty(&self) -> bool {
        self.revisions.is_empty()
    }

    /// The revision of this number.
    pub(super) fn get(&self, number: u64) -> Option<&Revision> {
        let at = self.revisions.binary_search_by_key(&number, |revision| revision.revision).ok()?;
        Some(&self.revisions[at])
    }

    /// The revisions by which something that happened at `at` may have been decided: the one that stood, and those that
    /// began or ended in that very millisecond.
    pub(super) fn standing(&self, at: Millis) -> impl Iterator<Item = &Revision> {
        let end = self.revisions.partition_point(|revision| revision.from <= at);
        let before = self.revisions[..end].partition_point(|revision| revision.from < at);
        self.revisions[before.saturating_sub(1)..end].iter()
    }

    /// A revision began at this very instant.
    pub(super) fn has_edit_at(&self, at: Millis) -> bool {
        self.standing(at).any(|revision| revision.from == at)
    }

    /// The place of the revision whose ticks lie around this one.
    pub(super) fn place_of(&self, tick: Millis) -> Option<usize> {
        self.revisions.partition_point(|revision| revision.from < tick).checked_sub(1)
    }

    /// The stretch of the revision at this place.
    pub(super) fn stretch(&self, place: usize, marks: &Marks) -> Option<Stretch> {
        let revision = self.revisions.get(place)?;
        let next = self.revisions.get(place + 1);
        let hole = next.is_some_and(|next| next.revision != revision.revision + 1);
        let compiled = compile(&revision.definition, marks);
        let unknown = hole || compiled.is_err();
        let timed = revision.definition.trigger.is_timed() && !revision.deleted && !unknown;
        Some(Stretch {
            revision: revision.revision,
            after: revision.from,
            until: next.map_or(Millis::MAX, |next| next.from),
            schedule: compiled.ok().filter(|_| timed),
            unknown,
            enabled: revision.enabled,
            source: source_of(&revision.definition.trigger),
        })
    }

    /// Whether it is whole, in order, and ends with what the job is.
    pub fn check(&self, marks: &Marks) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut expected = 1;
        for revision in &self.revisions {
            if revision.revision > expected {
                found.push(missing(expected, revision.revision - 1));
            }
            expected = revision.revision + 1;
        }
        if expected <= marks.revision {
            found.push(missing(expected, marks.revision));
        }
        for pair in self.revisions.windows(2) {
            if pair[1].from < pair[0].from {
                found.push(altered(&pair[1], "begins before the one before it"));
            }
            if pair[0].deleted {
                found.push(altered(&pair[1], "follows the deletion of its job"));
            }
        }
        if let Some(first) = self.get(1).filter(|first| first.from != marks.created_at) {
            found.push(altered(first, "does not begin with its job"));
        }
        if let Some(newest) = self.get(marks.revision) {
            found.extend(unlike(newest, marks).map(|what| altered(newest, what)));
        }
        found
    }
}

/// How the newest revision differs from the job's row.
fn unlike(newest: &Revision, marks: &Marks) -> Option<&'static str> {
    if newest.definition != marks.definition {
        Some("is another definition than the job's")
    } else if newest.enabled != marks.enabled {
        Some("is enabled otherwise than its job")
    } else if newest.deleted != marks.deleted_at.is_some() {
        Some("is deleted otherwise than its job")
    } else if newest.from != marks.deleted_at.unwrap_or(marks.updated_at) {
        Some("begins at another instant than its job was changed")
    } else {
        None
    }
}

fn missing(first: u64, last: u64) -> Finding {
    let which =
        if first == last { format!("revision {first}") } else { format!("revisions {first} to {last}") };
    Finding::of(Code::MissingRevision, format!("the history lacks {which}")).by(first)
}

fn altered(revision: &Revision, what: &str) -> Finding {
    let detail = format!("revision {} {what}", revision.revision);
    Finding::of(Code::AlteredRevision, detail)
        .between(revision.from, revision.from, None)
        .by(revision.revision)
}

/// The ticks of a job by one of its definitions, within the life that it sets.
pub(super) fn compile(definition: &Definition, marks: &Marks) -> Result<Schedule, ScheduleError> {
    let schedule = Schedule::compile(&definition.trigger, marks.created_at)?;
    Ok(schedule.timed(&definition.timing, marks.id))
}

pub(super) const fn source_of(trigger: &Trigger) -> Source {
    match trigger {
        Trigger::Cron(_) => Source::Cron,
        Trigger::FixedRate { .. } => Source::FixedRate,
        Trigger::FixedDelay { .. } => Source::FixedDelay,
        Trigger::DailyWindow(_) => Source::DailyWindow,
        Trigger::At(_) => Source::At,
        Trigger::Api => Source::Api,
    }
}
