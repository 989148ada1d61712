//! What an owner reads: the boot, page by page, and what a turn must know.

use std::collections::HashSet;

use fastjob_core::clock::Millis;
use fastjob_core::domain::{FireKey, Job, Name, Run};
use fastjob_core::id::{JobId, RunId, ShardKey};
use fastjob_core::shard::{DuePage, Facts, History, JobPage, Needs, OpenPage};
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgRow};

use super::PostgresStore;
use super::fault::fault;
use super::inbox::outcomes_of;
use super::row::Uuid;
use crate::store::backend::{Shards, Turn, TurnEnd};
use crate::store::error::StoreError;
use crate::store::keys::{CHAIN_WINDOW, LAST_TICK, chain_keys, cut, tick_keys};
use crate::store::row::{JOB, RUN, Runs, job};

// A condition in `(...) IS TRUE` is one by which no index is to be searched: the planner would walk the keys of all runs
// that ever were, where the index of open runs has few.

impl Shards for PostgresStore {
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
            "WITH open AS MATERIALIZED (
                 SELECT id FROM fastjob_run
                 WHERE ended_at IS NULL AND app_id = $1 AND shard = $2 AND (id > $4) IS TRUE
                   AND (due_at <= $3 OR attempt > 0)
             ), page AS MATERIALIZED (SELECT id FROM open ORDER BY id LIMIT $5)
             SELECT {RUN} FROM page JOIN fastjob_run run ON run.id = page.id ORDER BY run.id"
        );
        let mut rows = sqlx::query(AssertSqlSafe(sql))
            .bind(shard.app.0)
            .bind(i32::from(shard.shard))
            .bind(until.get())
            .bind(Uuid::of(&after.unwrap_or(RunId::from_bytes([0; 16]))))
            .bind(i64::from(limit) + 1)
            .fetch_all(&mut *read)
            .await
            .map_err(|error| fault(WHAT, error))?;
        let more = cut(&mut rows, limit);
        let runs = Runs::read_all(&rows)?;
        let ids: HashSet<JobId> = runs.iter().map(|run| run.job).collect();
        let jobs = jobs_by_id(&mut read, shard, ids.iter()).await?;
        read.done().await?;
        Ok(OpenPage { runs, jobs, more })
    }

    async fn facts(&self, shard: ShardKey, needs: &Needs) -> Result<Facts, StoreError> {
        const WHAT: &str = "read what a turn needs";
        let mut read = if is_one_statement(needs) { self.one(WHAT).await? } else { self.read(WHAT).await? };
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
        read.done().await?;
        Ok(facts)
    }

    async fn turns_commit(&self, turns: &[Turn<'_>]) -> Result<Vec<TurnEnd>, StoreError> {
        self.commit_turns(turns).await
    }
}

/// One statement sees one state by itself, without the two round trips of a transaction.
fn is_one_statement(needs: &Needs) -> bool {
    let lists = [
        needs.jobs_named.is_empty(),
        needs.jobs.is_empty(),
        needs.runs.is_empty(),
        needs.fired.is_empty(),
        needs.outcomes_of.is_empty(),
    ];
    let asked = lists.into_iter().filter(|is_empty| !is_empty).count();
    asked == 1 && needs.histories.is_empty() && needs.due.is_none()
}

async fn jobs_by_name(
    read: &mut PgConnection,
    shard: ShardKey,
    names: impl Iterator<Item = &Name>,
) -> Result<Vec<Job>, StoreError> {
    let sql = format!(
        "SELECT {JOB} FROM fastjob_job job
         WHERE job.app_id = $1 AND job.name = ANY ($3) AND job.deleted_at IS NULL AND job.shard = $2"
    );
    let names: Vec<&str> = names.map(Name::as_str).collect();
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(shard.app.0)
        .bind(i32::from(shard.shard))
        .bind(names)
        .fetch_all(read)
        .await;
    rows.map_err(|error| fault("read jobs by name", error))?.iter().map(job).collect()
}

async fn jobs_by_id(
    read: &mut PgConnection,
    shard: ShardKey,
    ids: impl Iterator<Item = &JobId>,
) -> Result<Vec<Job>, StoreError> {
    let sql = format!("SELECT {JOB} FROM fastjob_job job WHERE job.id = ANY ($1)");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(Uuid::all(ids)).fetch_all(read).await;
    let rows = rows.map_err(|error| fault("read jobs by id", error))?;
    let mut jobs: Vec<Job> = rows.iter().map(job).collect::<Result<_, _>>()?;
    jobs.retain(|job| job.shard == shard);
    Ok(jobs)
}

async fn runs_by_id(
    read: &mut PgConnection,
    shard: ShardKey,
    ids: impl Iterator<Item = &RunId>,
) -> Result<Vec<Run>, StoreError> {
    let sql = format!("SELECT {RUN} FROM fastjob_run run WHERE run.id = ANY ($1)");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(Uuid::all(ids)).fetch_all(read).await;
    let mut runs = Runs::read_all(&rows.map_err(|error| fault("read runs by id", error))?)?;
    runs.retain(|run| run.shard == shard);
    Ok(runs)
}

async fn runs_fired(
    read: &mut PgConnection,
    shard: ShardKey,
    fired: &[(Name, FireKey)],
) -> Result<Vec<Run>, StoreError> {
    let sql = format!(
        "SELECT {RUN} FROM unnest($3::text[], $4::text[]) AS fired (name, fire_key)
         JOIN fastjob_job job ON job.app_id = $1 AND job.name = fired.name AND job.deleted_at IS NULL
         JOIN fastjob_run run ON run.job_id = job.id AND run.fire_key = fired.fire_key
         WHERE job.shard = $2"
    );
    let (names, keys): (Vec<&str>, Vec<String>) =
        fired.iter().map(|(name, key)| (name.as_str(), key.to_string())).unzip();
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(shard.app.0)
        .bind(i32::from(shard.shard))
        .bind(names)
        .bind(keys)
        .fetch_all(read)
        .await;
    Runs::read_all(&rows.map_err(|error| fault("read runs by fire key", error))?)
}

async fn history(read: &mut PgConnection, job: &Job, after: Millis) -> Result<History, StoreError> {
    let failed = |error| fault("read the history of a job", error);
    let (from, to) = tick_keys(after, LAST_TICK);
    let ticks: Vec<i64> = sqlx::query_scalar(
        "SELECT tick FROM fastjob_run
         WHERE job_id = $1 AND fire_key >= $2 AND fire_key <= $3 AND tick > $4 AND ended_at IS NOT NULL
         ORDER BY tick",
    )
    .bind(Uuid::of(&job.id))
    .bind(from)
    .bind(to)
    .bind(after.get())
    .fetch_all(&mut *read)
    .await
    .map_err(failed)?;
    let sql = format!(
        "SELECT {RUN} FROM fastjob_run run
         WHERE run.ended_at IS NULL AND run.app_id = $1 AND run.shard = $2 AND (run.job_id = $3) IS TRUE
           AND run.state = 0 AND run.source NOT IN ('api', 'manual', 'backfill')
         ORDER BY run.due_at, run.id"
    );
    let scheduled = sqlx::query(AssertSqlSafe(sql))
        .bind(job.shard.app.0)
        .bind(i32::from(job.shard.shard))
        .bind(Uuid::of(&job.id))
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
async fn chain_ended_at(read: &mut PgConnection, job: &Job) -> Result<Option<Millis>, sqlx::Error> {
    let near: Option<i64> = sqlx::query_scalar(
        "SELECT ended_at FROM fastjob_run
         WHERE job_id = $1 AND fire_key = ANY ($2) AND ended_at IS NOT NULL
         ORDER BY substr(fire_key, 2)::numeric DESC LIMIT 1",
    )
    .bind(Uuid::of(&job.id))
    .bind(chain_keys(job))
    .fetch_optional(&mut *read)
    .await?;
    if near.is_some() || job.chain_seq <= CHAIN_WINDOW {
        return Ok(near.map(Millis::new));
    }
    let far: Option<i64> = sqlx::query_scalar(
        "SELECT ended_at FROM fastjob_run
         WHERE job_id = $1 AND fire_key >= 'd' AND fire_key < 'e' AND ended_at IS NOT NULL
         ORDER BY substr(fire_key, 2)::numeric DESC LIMIT 1",
    )
    .bind(Uuid::of(&job.id))
    .fetch_optional(read)
    .await?;
    Ok(far.map(Millis::new))
}

async fn due_page(read: &mut PgConnection, shard: ShardKey, page: &DuePage) -> Result<JobPage, StoreError> {
    let failed = |error| fault("read what comes due", error);
    let jobs = format!(
        "SELECT {JOB} FROM fastjob_job job
         WHERE job.app_id = $1 AND job.shard = $2 AND job.next_at <= $3
           AND job.next_at IS NOT NULL AND job.enabled AND job.deleted_at IS NULL
         ORDER BY job.next_at, job.id LIMIT $4"
    );
    let mut jobs: Vec<PgRow> = sqlx::query(AssertSqlSafe(jobs))
        .bind(shard.app.0)
        .bind(i32::from(shard.shard))
        .bind(page.until.get())
        .bind(i64::from(page.limit) + 1)
        .fetch_all(&mut *read)
        .await
        .map_err(failed)?;
    let runs = format!(
        "SELECT {RUN} FROM fastjob_run run
         WHERE run.ended_at IS NULL AND run.app_id = $1 AND run.shard = $2 AND run.due_at > $5 AND run.due_at <= $3
           AND run.state = 0
         ORDER BY run.due_at, run.id LIMIT $4"
    );
    let mut runs: Vec<PgRow> = sqlx::query(AssertSqlSafe(runs))
        .bind(shard.app.0)
        .bind(i32::from(shard.shard))
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
    read: &mut PgConnection,
    shard: ShardKey,
    until: Millis,
) -> Result<Option<Millis>, sqlx::Error> {
    let next: Option<i64> = sqlx::query_scalar(
        "SELECT least(
             (SELECT next_at FROM fastjob_job
              WHERE app_id = $1 AND shard = $2 AND next_at > $3
                AND next_at IS NOT NULL AND enabled AND deleted_at IS NULL
              ORDER BY next_at LIMIT 1),
             (SELECT due_at FROM fastjob_run
              WHERE ended_at IS NULL AND app_id = $1 AND shard = $2 AND due_at > $3 AND state = 0
              ORDER BY due_at LIMIT 1))",
    )
    .bind(shard.app.0)
    .bind(i32::from(shard.shard))
    .bind(until.get())
    .fetch_one(read)
    .await?;
    Ok(next.map(Millis::new))
}
