//! Jobs are created, replaced and deleted together, as a file describes them: all or none, in one turn.

use std::collections::HashSet;

use super::edits::named_twice;
use super::turn::Turn;
use super::{JobApplied, JobChange, JobEdit, Shard};
use crate::domain::{Job, Refusal, RefusalKind};

impl Shard {
    /// Makes every change, or says of the first that cannot be made why, and makes none.
    pub(super) fn apply_jobs(
        &mut self,
        changes: Vec<JobChange>,
        turn: &mut Turn,
    ) -> Result<Vec<JobApplied>, Refusal> {
        let mut names = HashSet::new();
        for (index, change) in changes.iter().enumerate() {
            let name = change.name();
            let checked =
                if names.insert(name.clone()) { self.check_change(change) } else { Err(named_twice(name)) };
            checked.map_err(|refusal| refusal.within(&format!("changes[{index}]")))?;
        }
        Ok(changes.into_iter().filter_map(|change| self.make_change(change, turn)).collect())
    }

    fn check_change(&self, change: &JobChange) -> Result<(), Refusal> {
        let stored = self.memory.job_named(change.name()).map(|known| &known.job);
        if let JobEdit::Put(put) = &change.edit {
            self.check_put(put).map_err(|refusal| refusal.within("put"))?;
        }
        if is_made(change, stored) {
            return Ok(());
        }
        let revision = stored.map_or(0, |job| job.revision);
        match change.seen {
            Some(seen) if seen != revision => Err(seen_otherwise(change, seen, revision)),
            _ => Ok(()),
        }
    }

    fn make_change(&mut self, change: JobChange, turn: &mut Turn) -> Option<JobApplied> {
        match change.edit {
            JobEdit::Put(put) => self.put_job(*put, turn).map(JobApplied::Put),
            JobEdit::Delete(name) => {
                let Some(known) = self.memory.job_named(&name) else { return Some(JobApplied::Absent) };
                let job = known.job.clone();
                self.delete_job(&name, turn).ok().map(|()| JobApplied::Deleted(job))
            }
        }
    }
}

/// A repeated call finds its own work: that is no conflict.
fn is_made(change: &JobChange, stored: Option<&Job>) -> bool {
    match (&change.edit, stored) {
        (JobEdit::Delete(_), stored) => stored.is_none(),
        (JobEdit::Put(_), None) => false,
        (JobEdit::Put(put), Some(job)) => {
            *job.definition == put.definition && put.enabled.is_none_or(|enabled| enabled == job.enabled)
        }
    }
}

fn seen_otherwise(change: &JobChange, seen: u64, revision: u64) -> Refusal {
    let as_of = |revision: u64| match revision {
        0 => "absent".to_owned(),
        revision => format!("at revision {revision}"),
    };
    let message = format!("job \"{}\" was {}, and is {} now", change.name(), as_of(seen), as_of(revision));
    let refusal = Refusal::new(RefusalKind::Conflict, "job_changed", message);
    Refusal { field: "seen".into(), ..refusal }.remedy("look at the jobs again, and repeat the call")
}
