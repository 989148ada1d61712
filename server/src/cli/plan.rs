//! What makes the stored jobs those of the files: pure, so that it can be shown before it is done.

use std::collections::{BTreeMap, HashMap, HashSet};

use fastjob_core::clock::Millis;
use fastjob_core::domain::{ManagedBy, Refusal, RefusalKind, shard_of};
use fastjob_core::protocol::{job, v1};
use fastjob_core::shard::{JobPut, may_overwrite};
use prost::Message;
use serde_json::{Value, json};

use super::jobfile::{self, FileJob};
use super::{Exit, Failure};

/// The most bytes of the changes of one call; the rest of a message is for what is around them.
const MAX_CALL_BYTES: usize = 3_900_000;

/// Every job of the files and every one to be deleted, in order of name.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
}

/// What becomes of a job.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) action: Action,
    /// Field by field; empty for a deletion.
    differences: Vec<Difference>,
    /// What is asked of the server; nothing for an unchanged job.
    change: Option<v1::JobChange>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Create,
    Update,
    Delete,
    Unchanged,
}

struct Difference {
    field: String,
    from: Option<String>,
    to: Option<String>,
}

/// Whether stored jobs that no file names are deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Others {
    Kept,
    Deleted,
}

/// Changes of one call: their places in the plan.
pub(super) type Batch = Vec<usize>;

impl Plan {
    /// Compares the files' jobs with the stored ones.
    ///
    /// # Errors
    /// Every job that its rules or its owner would refuse.
    pub(super) fn make(
        wanted: &[FileJob],
        stored: &[v1::Job],
        others: Others,
        now: Millis,
    ) -> Result<Self, Failure> {
        let known: HashMap<&str, Stored<'_>> = stored.iter().filter_map(|job| named(job, now)).collect();
        let (mut steps, mut faults, mut exit) =
            (Vec::with_capacity(wanted.len()), Vec::new(), Exit::Conflict);
        for of in wanted {
            match step(of, known.get(of.put.name.as_str()), now) {
                Ok(step) => steps.push(step),
                Err(refusal) => {
                    if refusal.kind != RefusalKind::Conflict {
                        exit = Exit::Usage;
                    }
                    faults.push(of.fault(&refusal));
                }
            }
        }
        if others == Others::Deleted {
            let named: HashSet<&str> = wanted.iter().map(|of| of.put.name.as_str()).collect();
            let unnamed = known.iter().filter(|(name, stored)| !named.contains(*name) && stored.is_code());
            steps.extend(unnamed.map(|(name, stored)| Step::delete(name, stored.job.revision)));
        }
        steps.sort_by(|a, b| a.name.cmp(&b.name));
        if faults.is_empty() { Ok(Self { steps }) } else { Err(Failure { exit, ..jobfile::failure(faults) }) }
    }

    pub(super) fn count(&self, action: Action) -> usize {
        self.steps.iter().filter(|step| step.action == action).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count(Action::Unchanged) == self.steps.len()
    }

    /// The changes as calls. Those of one shard are in one call, which its owner makes as a whole.
    ///
    /// # Errors
    /// How many changes one shard has, if they are more than a call takes; with `in_steps` they are cut.
    pub(super) fn batches(&self, shards: u16, in_steps: bool) -> Result<Vec<Batch>, usize> {
        let mut by_shard: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for (at, step) in self.steps.iter().enumerate().filter(|(_, step)| step.change.is_some()) {
            by_shard.entry(shard_of(&step.name, shards)).or_default().push(at);
        }
        let mut batches: Vec<Batch> = Vec::new();
        for group in by_shard.into_values() {
            match batches.last_mut() {
                Some(last) if self.fits(last.iter().chain(&group)) => last.extend(group),
                _ if self.fits(group.iter()) => batches.push(group),
                _ if in_steps => batches.extend(self.cut(&group)),
                _ => return Err(group.len()),
            }
        }
        Ok(batches)
    }

    /// What a call asks.
    pub(super) fn changes(&self, batch: &Batch) -> Vec<v1::JobChange> {
        batch.iter().filter_map(|at| self.steps[*at].change.clone()).collect()
    }

    fn fits<'a>(&self, batch: impl Iterator<Item = &'a usize>) -> bool {
        let (count, bytes) = batch.fold((0, 0), |(count, bytes), at| {
            (count + 1, bytes + self.steps[*at].change.as_ref().map_or(0, Message::encoded_len) + 8)
        });
        count <= job::MAX_PUT && bytes <= MAX_CALL_BYTES
    }

    fn cut(&self, group: &[usize]) -> Vec<Batch> {
        let mut batches: Vec<Batch> = vec![Vec::new()];
        for at in group {
            let last = batches.last_mut().expect("it begins with one");
            if self.fits(last.iter().chain([at])) { last.push(*at) } else { batches.push(vec![*at]) }
        }
        batches
    }
}

/// A stored job, understood.
struct Stored<'a> {
    job: &'a v1::Job,
    spec: &'a v1::JobSpec,
    /// None, if it is of a newer version than this command.
    put: Option<JobPut>,
}

impl Stored<'_> {
    fn is_code(&self) -> bool {
        self.put.as_ref().is_some_and(|put| put.definition.managed_by == ManagedBy::Code)
    }

    fn is(&self, wanted: &JobPut) -> bool {
        let same = self.put.as_ref().is_some_and(|put| put.definition == wanted.definition);
        same && wanted.enabled.is_none_or(|enabled| enabled == self.job.enabled)
    }
}

fn named(job: &v1::Job, now: Millis) -> Option<(&str, Stored<'_>)> {
    let spec = job.spec.as_ref()?;
    Some((spec.name.as_str(), Stored { job, spec, put: job::put(spec.clone(), now).ok() }))
}

fn step(of: &FileJob, stored: Option<&Stored<'_>>, now: Millis) -> Result<Step, Refusal> {
    let name = of.put.name.as_str().to_owned();
    let Some(stored) = stored else {
        job::must_fire(&of.put, now)?;
        return Ok(Step::put(name, Action::Create, of, 0, &[]));
    };
    if stored.is(&of.put) {
        return Ok(Step { name, action: Action::Unchanged, differences: Vec::new(), change: None });
    }
    if stored.put.as_ref().is_none_or(|put| put.definition != of.put.definition) {
        job::must_fire(&of.put, now)?;
    }
    if let Some(put) = &stored.put {
        may_overwrite(&put.name, &put.definition, &of.put.definition)?;
    }
    let values = jobfile::values(&v1::JobSpec { enabled: Some(stored.job.enabled), ..stored.spec.clone() });
    Ok(Step::put(name, Action::Update, of, stored.job.revision, &values))
}

impl Step {
    fn put(name: String, action: Action, of: &FileJob, seen: u64, stored: &[(String, String)]) -> Self {
        // What the file leaves open stays as it is.
        let is_stored_disabled = stored.iter().any(|(field, _)| field == "enabled");
        let enabled = of.put.enabled.unwrap_or(!is_stored_disabled);
        let spec = job::spec(&of.put.name, &of.put.definition, enabled);
        let differences = differences(stored, &jobfile::values(&spec));
        let change = v1::job_change::Change::Put(of.spec.clone());
        Self {
            name,
            action,
            differences,
            change: Some(v1::JobChange { change: Some(change), seen: Some(seen) }),
        }
    }

    fn delete(name: &str, seen: u64) -> Self {
        let change = v1::job_change::Change::Delete(name.to_owned());
        let change = Some(v1::JobChange { change: Some(change), seen: Some(seen) });
        Self { name: name.to_owned(), action: Action::Delete, differences: Vec::new(), change }
    }

    /// For programs.
    pub(super) fn json(&self, app: &str, revision: Option<u64>) -> Value {
        let differences = self.differences.iter();
        let differences: Vec<Value> =
            differences.map(|of| json!({ "field": of.field, "from": of.from, "to": of.to })).collect();
        json!({
            "app": app, "job": self.name, "change": self.action.past(), "revision": revision,
            "fields": differences,
        })
    }

    /// For people: a line, and one for each field that changes.
    pub(super) fn lines(&self) -> String {
        let mut text = format!("{} {}\n", self.action.sign(), self.name);
        if self.action == Action::Update {
            for Difference { field, from, to } in &self.differences {
                let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(default)".to_owned());
                text += &format!("    {field}: {} -> {}\n", shown(from), shown(to));
            }
        }
        text
    }
}

impl Action {
    fn past(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Update => "updated",
            Self::Delete => "deleted",
            Self::Unchanged => "unchanged",
        }
    }

    fn sign(self) -> char {
        match self {
            Self::Create => '+',
            Self::Update => '~',
            Self::Delete => '-',
            Self::Unchanged => '=',
        }
    }
}

/// Fields that are not the same on both sides, in the order of the new ones; those that are gone come last.
fn differences(old: &[(String, String)], new: &[(String, String)]) -> Vec<Difference> {
    let at = |side: &[(String, String)], field: &str| {
        side.iter().find(|(name, _)| name == field).map(|(_, value)| value.clone())
    };
    let gone = old.iter().filter(|(field, _)| at(new, field).is_none());
    let fields = new.iter().chain(gone).map(|(field, _)| field);
    let all =
        fields.map(|field| Difference { field: field.clone(), from: at(old, field), to: at(new, field) });
    all.filter(|of| of.from != of.to).collect()
}
