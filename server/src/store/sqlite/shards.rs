//! What an owner reads: the boot, page by page, and what a turn must know.

use std::collections::HashSet;

use fastjob_core::clock::Millis;
use fastjob_core::domain::{FireKey, Job, Name, Run};
use fastjob_core::id::{Id, JobId, RunId, ShardKey};
use fastjob_core::shard::{DuePage, Facts, History, JobPage, Needs, OpenPage};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::SqliteStore;
use super::fault::fault;
use super::inbox::outcomes_of;
use crate::store::backend::{Shards, Turn, TurnEnd};
use crate::store::error::StoreError;
use crate::store::keys::{CHAIN_WINDOW, LAST_TICK, chain_keys, cut, tick_keys};
use crate::store::row::{JOB, RUN, Runs, job};

impl Shards for SqliteStore {
    async fn open_page(
        &self,
        shard: ShardKey,
        until: Millis,
        after: Option<RunId>,
        limit: u32,
    ) -> Result<OpenPage, StoreError> {
        const WHAT: &str = "read a page of open runs";
        let mut read = self.read(WHAT).await?;
        let sql = format!(
            "SELECT {RUN} FROM fastjob_run run
             WHERE run.id IN (SELECT id FROM fastjob_run INDEXED BY fastjob_run_open
                              WHERE ended_at IS NULL AND app_id = ?1 AND shard = ?2 AND id > ?4
                                AND (due_at <= ?3 OR attempt > 0)
                              ORDER BY id LIMIT ?5)
             ORDER BY run.id"
        );
        let mut rows = sqlx::query(AssertSqlSafe(sql))
            .bind(shard.app.0)
            .bind(shard.shard)
            .bind(until.get())
            .bind(after.as_ref().map_or(&[][..], |run| &run.as_bytes()[..]))
            .bind(i64::from(limit) + 1)
            .fetch_all(&mut *read)
            .await
            .map_err(|error| fault(WHAT, error))?;
        let more = cut(&mut rows, limit);
        let runs = Runs::read_all(&rows)?;
        let ids: HashSet<JobId> = runs.iter().map(|run| run.job).collect();
        let jobs = jobs_by_id(&mut read, shard, ids.iter()).await?;
        Ok(OpenPage { runs, jobs, more })
    }

    async fn facts(&self, shard: ShardKey, needs: &Needs) -> Result<Facts, StoreError> {
        let mut read = self.read("read what a turn needs").await?;
        let mut facts = Facts::default();
        if !needs.jobs_named.is_empty() {
            facts.jobs = jobs_by_name(&mut read, shard, needs.jobs_named.iter()).await?;
        }
        if !needs.jobs.is_empty() {
            let known: HashSet<JobId> = facts.jobs.iter().map(|job| job.id).collect();
            let others = needs.jobs.iter().filter(|job| !known.contains(job));
            facts.jobs.extend(jobs_by_id(&mut read, shard, others).await?);
        }
        if !needs.runs.is_empty() {
            facts.runs = runs_by_id(&mut read, shard, needs.runs.iter()).await?;
        }
        if !needs.fired.is_empty() {
            let mut known: HashSet<RunId> = facts.runs.iter().map(|run| run.id).collect();
            let fired = runs_fired(&mut read, shard, &needs.fired).await?;
            facts.runs.extend(fired.into_iter().filter(|run| known.insert(run.id)));
        }
        if !needs.outcomes_of.is_empty() {
            facts.outcomes = outcomes_of(&mut read, shard, needs.outcomes_of.iter()).await?;
        }
        if !needs.histories.is_empty() {
            for job in jobs_by_name(&mut read, shard, needs.histories.iter()).await? {
                facts.histories.push(history(&mut read, &job, needs.histories_after).await?);
            }
        }
        if let Some(page) = &needs.due {
            facts.due = Some(due_page(&mut read, shard, page).await?);
        }
        Ok(facts)
    }

    async fn turns_commit(&self, turns: &[Turn<'_>]) -> Result<Vec<TurnEnd>, StoreError> {
        self.commit_turns(turns).await
    }
}

async fn jobs_by_name(
    read: &mut SqliteConnection,
    shard: ShardKey,
    names: impl Iterator<Item = &Name>,
) -> Result<Vec<Job>, StoreError> {
    let sql = format!(
        "SELECT {JOB} FROM fastjob_job job
         WHERE job.app_id = ?1 AND job.shard = ?2 AND job.deleted_at IS NULL
           AND job.name IN (SELECT value FROM json_each(?3))"
    );
    let names = json(names.map(Name::as_str));
    let rows =
        sqlx::query(AssertSqlSafe(sql)).bind(shard.app.0).bind(shard.shard).bind(names).fetch_all(read).await;
    rows.map_err(|error| fault("read jobs by name", error))?.iter().map(job).collect()
}

async fn jobs_by_id(
    read: &mut SqliteConnection,
    shard: ShardKey,
    ids: impl Iterator<Item = &JobId>,
) -> Result<Vec<Job>, StoreError> {
    let sql = format!(
        "SELECT {JOB} FROM fastjob_job job
         WHERE job.id IN (SELECT unhex(value) FROM json_each(?3)) AND job.app_id = ?1 AND job.shard = ?2"
    );
    let ids = hex(ids);
    let rows =
        sqlx::query(AssertSqlSafe(sql)).bind(shard.app.0).bind(shard.shard).bind(ids).fetch_all(read).await;
    rows.map_err(|error| fault("read jobs by id", error))?.iter().map(job).collect()
}

async fn runs_by_id(
    read: &mut SqliteConnection,
    shard: ShardKey,
    ids: impl Iterator<Item = &RunId>,
) -> Result<Vec<Run>, StoreError> {
    let sql = format!(
        "SELECT {RUN} FROM fastjob_run run
         WHERE run.id IN (SELECT unhex(value) FROM json_each(?3)) AND run.app_id = ?1 AND run.shard = ?2"
    );
    let ids = hex(ids);
    let rows =
        sqlx::query(AssertSqlSafe(sql)).bind(shard.app.0).bind(shard.shard).bind(ids).fetch_all(read).await;
    Runs::read_all(&rows.map_err(|error| fault("read runs by id", error))?)
}

async fn runs_fired(
    read: &mut SqliteConnection,
    shard: ShardKey,
    fired: &[(Name, FireKey)],
) -> Result<Vec<Run>, StoreError> {
    let sql = format!(
        "SELECT {RUN} FROM json_each(?3) fired
         CROSS JOIN fastjob_job job ON job.app_id = ?1 AND job.name = fired.value ->> 0 AND job.deleted_at IS NULL
         CROSS JOIN fastjob_run run ON run.job_id = job.id AND run.fire_key = fired.value ->> 1
         WHERE job.shard = ?2"
    );
    let fired = json(fired.iter().map(|(name, key)| (name.as_str(), key.to_string())));
    let rows =
        sqlx::query(AssertSqlSafe(sql)).bind(shard.app.0).bind(shard.shard).bind(fired).fetch_all(read).await;
    Runs::read_all(&rows.map_err(|error| fault("read runs by fire key", error))?)
}

async fn history(read: &mut SqliteConnection, job: &Job, after: Millis) -> Result<History, StoreError> {
    let failed = |error| fault("read the history of a job", error);
    let (from, to) = tick_keys(after, LAST_TICK);
    let ticks: Vec<i64> = sqlx::query_scalar(
        "SELECT tick FROM fastjob_run
         WHERE job_id = ?1 AND fire_key >= ?2 AND fire_key <= ?3 AND tick > ?4 AND ended_at IS NOT NULL
         ORDER BY tick",
    )
    .bind(&job.id.as_bytes()[..])
    .bind(from)
    .bind(to)
    .bind(after.get())
    .fetch_all(&mut *read)
    .await
    .map_err(failed)?;
    let sql = format!(
        "SELECT {RUN} FROM fastjob_run run INDEXED BY fastjob_run_open
         WHERE run.ended_at IS NULL AND run.app_id = ?1 AND run.shard = ?2 AND run.job_id = ?3 AND run.state = 0
           AND run.source NOT IN ('api', 'manual', 'backfill')
         ORDER BY run.due_at, run.id"
    );
    let scheduled = sqlx::query(AssertSqlSafe(sql))
        .bind(job.shard.app.0)
        .bind(job.shard.shard)
        .bind(&job.id.as_bytes()[..])
        .fetch_all(&mut *read)
        .await
        .map_err(failed)?;
    Ok(History {
        job: job.id,
        ticks: ticks.into_iter().map(Millis::new).collect(),
        scheduled: Runs::read_all(&scheduled)?,
        chain_ended_at: chain_ended_at(read, job).await.map_err(failed)?,
    })
}

/// The end of the newest terminal run of a chain. Ordinals are consecutive, so it is one of the newest few, unless
/// edits took many back in a row: then all of the chain is searched.
async fn chain_ended_at(read: &mut SqliteConnection, job: &Job) -> Result<Option<Millis>, sqlx::Error> {
    let keys = json(chain_keys(job).into_iter());
    let near: Option<i64> = sqlx::query_scalar(
        "SELECT ended_at FROM fastjob_run
         WHERE job_id = ?1 AND fire_key IN (SELECT value FROM json_each(?2)) AND ended_at IS NOT NULL
         ORDER BY CAST(substr(fire_key, 2) AS INTEGER) DESC LIMIT 1",
    )
    .bind(&job.id.as_bytes()[..])
    .bind(keys)
    .fetch_optional(&mut *read)
    .await?;
    if near.is_some() || job.chain_seq <= CHAIN_WINDOW {
        return Ok(near.map(Millis::new));
    }
    let far: Option<i64> = sqlx::query_scalar(
        "SELECT ended_at FROM fastjob_run
         WHERE job_id = ?1 AND fire_key >= 'd' AND fire_key < 'e' AND ended_at IS NOT NULL
         ORDER BY CAST(substr(fire_key, 2) AS INTEGER) DESC LIMIT 1",
    )
    .bind(&job.id.as_bytes()[..])
    .fetch_optional(read)
    .await?;
    Ok(far.map(Millis::new))
}

async fn due_page(
    read: &mut SqliteConnection,
    shard: ShardKey,
    page: &DuePage,
) -> Result<JobPage, StoreError> {
    let failed = |error| fault("read what comes due", error);
    let jobs = format!(
        "SELECT {JOB} FROM fastjob_job job INDEXED BY fastjob_job_next
         WHERE job.app_id = ?1 AND job.shard = ?2 AND job.next_at <= ?3
           AND job.next_at IS NOT NULL AND job.enabled = 1 AND job.deleted_at IS NULL
         ORDER BY job.next_at, job.id LIMIT ?4"
    );
    let mut jobs: Vec<SqliteRow> = sqlx::query(AssertSqlSafe(jobs))
        .bind(shard.app.0)
        .bind(shard.shard)
        .bind(page.until.get())
        .bind(i64::from(page.limit) + 1)
        .fetch_all(&mut *read)
        .await
        .map_err(failed)?;
    let runs = format!(
        "SELECT {RUN} FROM fastjob_run run INDEXED BY fastjob_run_open
         WHERE run.ended_at IS NULL AND run.app_id = ?1 AND run.shard = ?2 AND run.due_at > ?5 AND run.due_at <= ?3
           AND run.state = 0
         ORDER BY run.due_at, run.id LIMIT ?4"
    );
    let mut runs: Vec<SqliteRow> = sqlx::query(AssertSqlSafe(runs))
        .bind(shard.app.0)
        .bind(shard.shard)
        .bind(page.until.get())
        .bind(i64::from(page.limit) + 1)
        .bind(page.opened.get())
        .fetch_all(&mut *read)
        .await
        .map_err(failed)?;
    let more = cut(&mut jobs, page.limit) | cut(&mut runs, page.limit);
    Ok(JobPage {
        jobs: jobs.iter().map(job).collect::<Result<_, _>>()?,
        runs: Runs::read_all(&runs)?,
        more,
        next_beyond: next_beyond(read, shard, page.until).await.map_err(failed)?,
    })
}

async fn next_beyond(
    read: &mut SqliteConnection,
    shard: ShardKey,
    until: Millis,
) -> Result<Option<Millis>, sqlx::Error> {
    let next: Option<i64> = sqlx::query_scalar(
        "SELECT min(next) FROM (
             SELECT min(next_at) AS next FROM fastjob_job INDEXED BY fastjob_job_next
             WHERE app_id = ?1 AND shard = ?2 AND next_at > ?3
               AND next_at IS NOT NULL AND enabled = 1 AND deleted_at IS NULL
             UNION ALL
             SELECT * FROM (SELECT due_at FROM fastjob_run INDEXED BY fastjob_run_open
                            WHERE ended_at IS NULL AND app_id = ?1 AND shard = ?2 AND due_at > ?3 AND state = 0
                            ORDER BY due_at LIMIT 1))",
    )
    .bind(shard.app.0)
    .bind(shard.shard)
    .bind(until.get())
    .fetch_one(read)
    .await?;
    Ok(next.map(Millis::new))
}

pub(super) fn hex<'i, Kind: 'i>(ids: impl Iterator<Item = &'i Id<Kind>>) -> String {
    json(ids.map(|id| id.to_string().replace('-', "")))
}

fn json<T: serde::Serialize>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<T> = items.collect();
    serde_json::to_string(&items).expect("texts always serialize")
}
