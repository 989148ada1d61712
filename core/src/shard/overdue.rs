//! Jobs that should have started by now and have not: what alarms ask for. Asked now and then; nothing is kept.

use std::collections::BTreeMap;

use super::{Overdue, Shard};
use crate::clock::Millis;
use crate::domain::{Run, Source, State};
use crate::id::JobId;

/// So long after its instant what has not started is overdue.
const OVERDUE_AFTER_MS: i64 = 60_000;

impl Overdue {
    /// The most jobs of an answer: those that are overdue longest.
    pub const MAX_JOBS: usize = 100;
}

impl Shard {
    /// Enabled jobs of which a tick is not written in time, or whose oldest run of a schedule waits: for a worker, or for an
    /// earlier run.
    pub(super) fn overdue(&self) -> Vec<Overdue> {
        let until = self.now.plus(-OVERDUE_AFTER_MS);
        let mut since: BTreeMap<JobId, Millis> = BTreeMap::new();
        let mut note = |job: JobId, at: Millis| {
            if at <= until {
                since.entry(job).and_modify(|known| *known = at.min(*known)).or_insert(at);
            }
        };
        for known in self.memory.known_jobs() {
            let job = &known.job;
            if let (true, None, Some(next_at)) = (job.enabled, job.deleted_at, job.next_at) {
                note(job.id, next_at);
            }
        }
        self.memory.all_runs().filter(|run| is_of_schedule(run)).for_each(|run| note(run.job, run.due));
        let named = |(job, since): (JobId, Millis)| {
            let known = self.memory.job(job)?;
            let no_schedule = known.schedule.is_none();
            Some(Overdue { job: known.job.name.clone(), since, no_schedule })
        };
        let mut overdue: Vec<Overdue> = since.into_iter().filter_map(named).collect();
        overdue.sort_by(|a, b| (a.since, &a.job).cmp(&(b.since, &b.job)));
        overdue.truncate(Overdue::MAX_JOBS);
        overdue
    }
}

/// It waits to be started, and a schedule made it.
fn is_of_schedule(run: &Run) -> bool {
    run.state == State::Scheduled && !matches!(run.source, Source::Api | Source::Manual | Source::Backfill)
}
