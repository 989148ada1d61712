//! Jobs: edits go to their owner, questions to the store.

use std::collections::{BTreeMap, HashSet};

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Definition, Job, Name, Refusal, RefusalKind, Revision, Trigger};
use fastjob_core::id::{JobId, RunId, ShardKey};
use fastjob_core::protocol::v1::forward_reply::Reply;
use fastjob_core::protocol::{field, job, v1};
use fastjob_core::schedule::Schedule;
use fastjob_core::shard::{Call, JobPut};

use super::auth::Authorized;
use super::{Api, MAX_PAGE, fitting, not_found, runs, store_failed, wrong_reply};
use crate::store::{JobFilter, LedgerEntry, LedgerFilter};

/// A page of a ledger and where the next one begins.
#[derive(Clone, PartialEq, Debug)]
pub struct LedgerPage {
    /// Of which job.
    pub job: Name,
    /// In order of instant.
    pub entries: Vec<LedgerEntry>,
    /// Give it as `after`; `None` on the last page.
    pub next: Option<(Millis, RunId)>,
}

impl Api {
    /// Creates or replaces jobs: all or none of each shard.
    ///
    /// # Errors
    /// `Invalid` for more than [`job::MAX_PUT`], one name twice, or a job that would never fire; the owner's refusals.
    pub async fn job_put(
        &self,
        by: &Authorized,
        puts: Vec<JobPut>,
    ) -> Result<Vec<v1::JobPutResult>, Refusal> {
        field::items("jobs", puts.len(), 0..=job::MAX_PUT)?;
        let mut names = HashSet::with_capacity(puts.len());
        for (at, put) in puts.iter().enumerate() {
            let within = |inner: Refusal| inner.within(&format!("jobs[{at}]"));
            if !names.insert(&put.name) {
                let message = format!("{} stands twice in this request", put.name);
                return Err(within(Refusal::invalid("job_twice", "name", message).remedy("put it once")));
            }
            self.must_fire(by, put).await.map_err(within)?;
        }
        let mut by_shard: BTreeMap<ShardKey, (Vec<usize>, Vec<JobPut>)> = BTreeMap::new();
        for (at, put) in puts.into_iter().enumerate() {
            let (places, puts) = by_shard.entry(by.app().shard_of(put.name.as_str())).or_default();
            places.push(at);
            puts.push(put);
        }
        let mut done = Vec::new();
        for (shard, (places, puts)) in by_shard {
            let reply = self.call(by.app(), shard, Call::JobPut(puts)).await;
            match reply.map_err(|refusal| at_its_place(refusal, "jobs", &places))? {
                Reply::JobPut(reply) => done.extend(places.into_iter().zip(reply.results)),
                other => return Err(wrong_reply(&other)),
            }
        }
        done.sort_by_key(|(at, _)| *at);
        Ok(done.into_iter().map(|(_, result)| result).collect())
    }

    /// A job whose ticks are all past may be put again as it is stored: services do so at each start.
    pub(super) async fn must_fire(&self, by: &Authorized, put: &JobPut) -> Result<(), Refusal> {
        let Err(never) = job::must_fire(put, self.now()) else { return Ok(()) };
        let stored = self.0.store.job_get(by.app().id, &put.name).await.map_err(store_failed)?;
        match stored {
            Some(stored) if *stored.definition == put.definition => Ok(()),
            _ => Err(never),
        }
    }

    /// A job by name.
    pub async fn job_get(&self, by: &Authorized, name: &Name) -> Result<Job, Refusal> {
        let job = self.0.store.job_get(by.app().id, name).await.map_err(store_failed)?;
        job.ok_or_else(|| job_not_found(name))
    }

    /// Jobs in order of name, after `after`; `limit` of 0 means 100. A page may be shorter than its limit; only an empty
    /// one is the last.
    pub async fn job_list(
        &self,
        by: &Authorized,
        after: Option<&Name>,
        limit: u32,
    ) -> Result<Vec<Job>, Refusal> {
        let limit = field::limit("limit", limit, 100, MAX_PAGE)?;
        let jobs = self.0.store.job_list(by.app().id, after, limit).await.map_err(store_failed)?;
        Ok(fitting(jobs, bytes))
    }

    /// Lets a job make ticks again.
    pub async fn job_enable(&self, by: &Authorized, name: Name) -> Result<v1::Job, Refusal> {
        self.job_switch(by, Call::JobEnable { name: name.clone(), enabled: true }, &name).await
    }

    /// Stops a job's ticks.
    pub async fn job_disable(&self, by: &Authorized, name: Name) -> Result<v1::Job, Refusal> {
        self.job_switch(by, Call::JobEnable { name: name.clone(), enabled: false }, &name).await
    }

    async fn job_switch(&self, by: &Authorized, call: Call, name: &Name) -> Result<v1::Job, Refusal> {
        match self.call(by.app(), by.app().shard_of(name.as_str()), call).await? {
            Reply::Job(job) => Ok(job),
            other => Err(wrong_reply(&other)),
        }
    }

    /// Deletes a job; its history stays.
    pub async fn job_delete(&self, by: &Authorized, name: Name) -> Result<(), Refusal> {
        let shard = by.app().shard_of(name.as_str());
        match self.call(by.app(), shard, Call::JobDelete { name }).await? {
            Reply::JobDelete(_) => Ok(()),
            other => Err(wrong_reply(&other)),
        }
    }

    /// The ticks of a job's definition strictly after `from` (`None`: now); `count` of 0 means 10. None for jobs
    /// without ticks of their own.
    pub async fn job_next(
        &self,
        by: &Authorized,
        name: &Name,
        from: Option<Millis>,
        count: u32,
    ) -> Result<Vec<Millis>, Refusal> {
        let count = field::limit("count", count, 10, MAX_PAGE)?;
        let job = self.job_get(by, name).await?;
        let schedule = Schedule::of(&job).ok_or_else(|| {
            tracing::error!(job = %job.id, "failed to compile a stored schedule");
            Refusal::new(RefusalKind::Internal, "schedule_corrupt", "the stored trigger does not compile")
        })?;
        let from = from.unwrap_or_else(|| self.now());
        Ok(schedule.ticks_after(from).take(count as usize).collect())
    }

    /// Runs and gaps of a job in order of tick; `limit` of 0 means 500.
    pub async fn job_ledger(
        &self,
        by: &Authorized,
        which: &JobBy,
        filter: LedgerFilter,
    ) -> Result<LedgerPage, Refusal> {
        let limit = field::limit("limit", filter.limit, MAX_PAGE, MAX_PAGE)?;
        if filter.from > filter.to {
            return Err(Refusal::invalid("out_of_bounds", "to", "is before `from`")
                .remedy("give from <= to, half-open"));
        }
        let job = self.job_of(by, which).await?;
        let filter = LedgerFilter { limit, ..filter };
        let read = self.0.store.ledger(job.id, &filter).await.map_err(store_failed)?;
        let found = read.len();
        let entries = fitting(read, |entry| match entry {
            LedgerEntry::Run(run) => runs::bytes(run),
            LedgerEntry::Gap(_) => 256,
        });
        let full = found >= limit as usize || entries.len() < found;
        let next = entries.last().filter(|_| full).map(place);
        Ok(LedgerPage { job: job.name, entries, next })
    }

    /// Jobs, living and deleted, in order of (name, id); `limit` of 0 means 100. A page may be shorter than its limit;
    /// `None` stands beside the last.
    pub async fn job_list_all(
        &self,
        by: &Authorized,
        filter: JobFilter,
    ) -> Result<(Vec<Job>, Option<(Name, JobId)>), Refusal> {
        let limit = field::limit("limit", filter.limit, 100, MAX_PAGE)?;
        let filter = JobFilter { limit, ..filter };
        let read = self.0.store.job_list_all(by.app().id, &filter).await.map_err(store_failed)?;
        let found = read.len();
        let jobs = fitting(read, bytes);
        let full = found >= limit as usize || jobs.len() < found;
        let next = jobs.last().filter(|_| full).map(|job| (job.name.clone(), job.id));
        Ok((jobs, next))
    }

    /// A job as it stands, and its revisions after `after`; `limit` of 0 means 100. A page may be shorter than its limit;
    /// only an empty one is the last.
    pub async fn job_history(
        &self,
        by: &Authorized,
        which: &JobBy,
        after: u64,
        limit: u32,
    ) -> Result<(Job, Vec<Revision>), Refusal> {
        let limit = field::limit("limit", limit, 100, MAX_PAGE)?;
        let job = self.job_of(by, which).await?;
        let read = self.0.store.job_history(job.id, after, limit).await.map_err(store_failed)?;
        Ok((job, fitting(read, |revision| definition_bytes(&revision.definition))))
    }

    async fn job_of(&self, by: &Authorized, which: &JobBy) -> Result<Job, Refusal> {
        let store = &self.0.store;
        match which {
            JobBy::Name(name) => {
                let newest = store.job_newest(by.app().id, name).await.map_err(store_failed)?;
                newest.ok_or_else(|| job_not_found(name))
            }
            JobBy::Id(id) => {
                let found = store.job_by_id(by.app().id, *id).await.map_err(store_failed)?;
                found.ok_or_else(|| {
                    not_found("job_not_found", format!("there is no job {id}")).remedy("see the list of jobs")
                })
            }
        }
    }
}

/// Which job, of those that live and those that were deleted.
#[derive(Clone, Debug)]
pub enum JobBy {
    /// The newest of this name.
    Name(Name),
    /// This one.
    Id(JobId),
}

/// About how large a job is on the wire.
fn bytes(job: &Job) -> usize {
    definition_bytes(&job.definition)
}

fn definition_bytes(definition: &Definition) -> usize {
    let instants = match &definition.trigger {
        Trigger::At(instants) => instants.len() * 10,
        _ => 0,
    };
    2_048 + definition.params.data.len() + instants
}

/// An owner counts the things that it was given: `jobs[0]` of its part may be `jobs[7]` of the request.
pub(super) fn at_its_place(refusal: Refusal, list: &str, places: &[usize]) -> Refusal {
    let place = refusal.field.strip_prefix(list).and_then(|rest| rest.strip_prefix('[')).and_then(|rest| {
        let (at, rest) = rest.split_once(']')?;
        Some(format!("{list}[{}]{rest}", places.get(at.parse::<usize>().ok()?)?))
    });
    match place {
        Some(field) => Refusal { field: field.into(), ..refusal },
        None => refusal,
    }
}

/// Where an entry stands; a gap stands after the runs of its first instant.
fn place(entry: &LedgerEntry) -> (Millis, RunId) {
    match entry {
        LedgerEntry::Run(run) => (run.tick.unwrap_or(run.due), run.id),
        LedgerEntry::Gap(gap) => (gap.from, RunId::from_bytes([0xff; 16])),
    }
}

pub(super) fn job_not_found(name: &Name) -> Refusal {
    not_found("job_not_found", format!("there is no job {name:?}")).remedy("see the list of jobs")
}
