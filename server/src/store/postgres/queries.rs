//! What clients and people ask.

use fastjob_core::domain::{Attempt, FireKey, Gap, Job, Name, Revision, Run};
use fastjob_core::id::{AppId, JobId, RunId};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use super::PostgresStore;
use super::fault::fault;
use super::row::Uuid;
use crate::store::backend::{JobFilter, LedgerEntry, LedgerFilter, Queries, RunFilter};
use crate::store::error::StoreError;
use crate::store::keys::{LedgerStart, TickKeys, ledger_page};
use crate::store::row::{
    ATTEMPT, GAP, JOB, REVISION, RUN, Reader, Runs, attempt, gap, job, revision, state_number,
};
use crate::store::shape::MAY_TICK;

impl Queries for PostgresStore {
    async fn job_get(&self, app: AppId, name: &Name) -> Result<Option<Job>, StoreError> {
        const WHAT: &str = "read a job";
        let mut one = self.one(WHAT).await?;
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job WHERE job.app_id = $1 AND job.name = $2 AND job.deleted_at IS NULL"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(app.0)
            .bind(name.as_str())
            .fetch_optional(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        row.as_ref().map(job).transpose()
    }

    async fn job_list(&self, app: AppId, after: Option<&Name>, limit: u32) -> Result<Vec<Job>, StoreError> {
        const WHAT: &str = "list the jobs";
        let mut one = self.one(WHAT).await?;
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job
             WHERE job.app_id = $1 AND job.name > $2 AND job.deleted_at IS NULL
             ORDER BY job.name LIMIT $3"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(app.0)
            .bind(after.map_or("", Name::as_str))
            .bind(i64::from(limit))
            .fetch_all(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        rows.iter().map(job).collect()
    }

    async fn run_get(&self, app: AppId, run: RunId) -> Result<Option<(Run, Vec<Attempt>)>, StoreError> {
        const WHAT: &str = "read a run";
        let mut read = self.read(WHAT).await?;
        let sql = format!("SELECT {RUN} FROM fastjob_run run WHERE run.id = $1 AND run.app_id = $2");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(Uuid::of(&run))
            .bind(app.0)
            .fetch_optional(&mut *read)
            .await
            .map_err(|error| fault(WHAT, error))?;
        let sql = format!("SELECT {ATTEMPT} FROM fastjob_attempt WHERE run_id = $1 ORDER BY attempt");
        let attempts = sqlx::query(AssertSqlSafe(sql))
            .bind(Uuid::of(&run))
            .fetch_all(&mut *read)
            .await
            .map_err(|error| fault(WHAT, error))?;
        read.done().await?;
        let Some(row) = row else { return Ok(None) };
        let attempts = attempts.iter().map(attempt).collect::<Result<_, _>>()?;
        Ok(Some((Runs::default().read(&row)?, attempts)))
    }

    async fn run_fired(&self, app: AppId, job: &Name, key: &FireKey) -> Result<Option<RunId>, StoreError> {
        const WHAT: &str = "read a run by its fire key";
        let mut one = self.one(WHAT).await?;
        let row = sqlx::query(
            "SELECT run.id FROM fastjob_job job JOIN fastjob_run run ON run.job_id = job.id
             WHERE job.app_id = $1 AND job.name = $2 AND run.fire_key = $3
             ORDER BY job.deleted_at IS NULL DESC, run.id DESC LIMIT 1",
        )
        .bind(app.0)
        .bind(job.as_str())
        .bind(key.to_string())
        .fetch_optional(&mut *one)
        .await
        .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        row.map(|row| Reader::new(&row, "fastjob_run", "id").id("id")).transpose()
    }

    async fn run_list(&self, app: AppId, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        const WHAT: &str = "list the runs";
        // A job's runs are found by the index of its fire keys; else the ids are walked backwards, which is their time.
        let page = match &filter.job {
            Some(_) => {
                "WITH candidate AS MATERIALIZED (
                     SELECT run.id FROM fastjob_job job JOIN fastjob_run run ON run.job_id = job.id
                     WHERE job.app_id = $1 AND job.name = $2 AND (run.id < coalesce($3, $6)) IS TRUE
                       AND ($4::bigint[] IS NULL OR run.state = ANY ($4))
                 ), page AS MATERIALIZED (SELECT id FROM candidate ORDER BY id DESC LIMIT $5)"
            }
            None => {
                "WITH page AS MATERIALIZED (
                     SELECT run.id FROM fastjob_run run
                     WHERE run.app_id = $1 AND $2::text IS NULL AND run.id < coalesce($3, $6)
                       AND ($4::bigint[] IS NULL OR run.state = ANY ($4))
                     ORDER BY run.id DESC LIMIT $5)"
            }
        };
        let sql = format!(
            "{page} SELECT {RUN} FROM page JOIN fastjob_run run ON run.id = page.id ORDER BY run.id DESC"
        );
        let mut one = self.one(WHAT).await?;
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(app.0)
            .bind(filter.job.as_ref().map(Name::as_str))
            .bind(filter.before.as_ref().map(Uuid::of))
            .bind(state_numbers(&filter.states))
            .bind(i64::from(filter.limit))
            .bind(Uuid::of(&RunId::from_bytes([0xff; 16])))
            .fetch_all(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        Runs::read_all(&rows)
    }

    async fn ledger(&self, job: JobId, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError> {
        let mut read = self.read("read a ledger").await?;
        let runs = ledger_runs(&mut read, job, filter).await?;
        let gaps = ledger_gaps(&mut read, job, filter).await?;
        read.done().await?;
        Ok(ledger_page(runs, gaps, filter.limit))
    }

    async fn job_newest(&self, app: AppId, name: &Name) -> Result<Option<Job>, StoreError> {
        const WHAT: &str = "read the newest job of a name";
        let mut one = self.one(WHAT).await?;
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job WHERE job.app_id = $1 AND job.name = $2
             ORDER BY job.deleted_at IS NULL DESC, job.deleted_at DESC, job.id DESC LIMIT 1"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(app.0)
            .bind(name.as_str())
            .fetch_optional(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        row.as_ref().map(job).transpose()
    }

    async fn job_by_id(&self, app: AppId, id: JobId) -> Result<Option<Job>, StoreError> {
        const WHAT: &str = "read a job by its id";
        let mut one = self.one(WHAT).await?;
        let sql = format!("SELECT {JOB} FROM fastjob_job job WHERE job.id = $1 AND job.app_id = $2");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(Uuid::of(&id))
            .bind(app.0)
            .fetch_optional(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        row.as_ref().map(job).transpose()
    }

    async fn job_list_all(&self, app: AppId, filter: &JobFilter) -> Result<Vec<Job>, StoreError> {
        const WHAT: &str = "list all jobs";
        let named = if filter.name.is_some() { "job.name = $2" } else { "$2::text IS NULL" };
        let after = filter.after.as_ref();
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job
             WHERE job.app_id = $1 AND {named} AND (job.name, job.id) > ($3, $4)
             ORDER BY job.name, job.id LIMIT $5"
        );
        let mut one = self.one(WHAT).await?;
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(app.0)
            .bind(filter.name.as_ref().map(Name::as_str))
            .bind(after.map_or("", |(name, _)| name.as_str()))
            .bind(Uuid::of(&after.map_or(JobId::from_bytes([0; 16]), |(_, id)| *id)))
            .bind(i64::from(filter.limit))
            .fetch_all(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        rows.iter().map(job).collect()
    }

    async fn job_history(&self, job: JobId, after: u64, limit: u32) -> Result<Vec<Revision>, StoreError> {
        const WHAT: &str = "read the revisions of a job";
        let sql = format!(
            "SELECT {REVISION} FROM fastjob_job_revision
             WHERE job_id = $1 AND revision > $2 ORDER BY revision LIMIT $3"
        );
        let mut one = self.one(WHAT).await?;
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(Uuid::of(&job))
            .bind(after.cast_signed())
            .bind(i64::from(limit))
            .fetch_all(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        rows.iter().map(revision).collect()
    }

    async fn jobs_tickless(&self, after: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError> {
        const WHAT: &str = "search jobs without a next tick";
        let mut one = self.one(WHAT).await?;
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job
             WHERE job.id > $1 AND job.next_at IS NULL AND job.enabled AND job.deleted_at IS NULL AND {MAY_TICK}
             ORDER BY job.id LIMIT $2"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(Uuid::of(&after.unwrap_or(JobId::from_bytes([0; 16]))))
            .bind(i64::from(limit))
            .fetch_all(&mut *one)
            .await
            .map_err(|error| fault(WHAT, error))?;
        one.done().await?;
        rows.iter().map(job).collect()
    }
}

/// Runs of ticks by the range of their fire keys, then those without a tick, which are few for a job with a schedule.
async fn ledger_runs(
    read: &mut PgConnection,
    job: JobId,
    filter: &LedgerFilter,
) -> Result<Vec<Run>, StoreError> {
    let keys = TickKeys::of(filter);
    let after = LedgerStart::of(filter);
    let sql = format!(
        "WITH found AS MATERIALIZED (
             (SELECT id, coalesce(tick, due_at) AS at FROM fastjob_run
              WHERE job_id = $1 AND fire_key >= $2 AND fire_key <= $3
              ORDER BY fire_key LIMIT $9)
             UNION ALL
             SELECT id, coalesce(tick, due_at) AS at FROM fastjob_run
             WHERE job_id = $1 AND (fire_key < 't' OR fire_key > 't~')
         ), page AS MATERIALIZED (
             SELECT id FROM found WHERE at >= $4 AND at < $5 AND (at, id) > ($6, $7) ORDER BY at, id LIMIT $8)
         SELECT {RUN} FROM page JOIN fastjob_run run ON run.id = page.id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(Uuid::of(&job))
        .bind(keys.first)
        .bind(keys.last)
        .bind(filter.from.get())
        .bind(filter.to.get())
        .bind(after.at.get())
        .bind(Uuid::of(&after.run))
        .bind(i64::from(filter.limit))
        .bind(keys.limit)
        .fetch_all(read)
        .await
        .map_err(|error| fault("read the runs of a ledger", error))?;
    Runs::read_all(&rows)
}

async fn ledger_gaps(
    read: &mut PgConnection,
    job: JobId,
    filter: &LedgerFilter,
) -> Result<Vec<Gap>, StoreError> {
    let after = LedgerStart::of(filter);
    let sql = format!(
        "SELECT {GAP} FROM fastjob_gap
         WHERE job_id = $1 AND from_at < $3 AND to_at >= $2 AND (from_at > $4 OR (from_at = $4 AND $5))
         ORDER BY from_at LIMIT $6"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(Uuid::of(&job))
        .bind(filter.from.get())
        .bind(filter.to.get())
        .bind(after.at.get())
        .bind(after.gap)
        .bind(i64::from(filter.limit))
        .fetch_all(read)
        .await
        .map_err(|error| fault("read the gaps of a ledger", error))?;
    rows.iter().map(gap).collect()
}

/// The numbers of these states; `None`: all states.
fn state_numbers(states: &[&'static str]) -> Option<Vec<i64>> {
    (!states.is_empty()).then(|| states.iter().filter_map(|word| state_number(word)).collect())
}
