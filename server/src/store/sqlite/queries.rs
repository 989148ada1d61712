//! What clients and people ask.

use fastjob_core::domain::{Attempt, FireKey, Gap, Job, Name, Revision, Run};
use fastjob_core::id::{AppId, JobId, RunId};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use super::SqliteStore;
use super::fault::fault;
use crate::store::backend::{JobFilter, LedgerEntry, LedgerFilter, Queries, RunFilter};
use crate::store::error::StoreError;
use crate::store::keys::{LedgerStart, TickKeys, ledger_page};
use crate::store::row::{
    ATTEMPT, GAP, JOB, REVISION, RUN, Reader, Runs, attempt, gap, job, revision, state_number,
};
use crate::store::shape::MAY_TICK;

impl Queries for SqliteStore {
    async fn job_get(&self, app: AppId, name: &Name) -> Result<Option<Job>, StoreError> {
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job WHERE job.app_id = ? AND job.name = ? AND job.deleted_at IS NULL"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(app.0)
            .bind(name.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| fault("read a job", error))?;
        row.as_ref().map(job).transpose()
    }

    async fn job_list(&self, app: AppId, after: Option<&Name>, limit: u32) -> Result<Vec<Job>, StoreError> {
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job
             WHERE job.app_id = ? AND job.name > ? AND job.deleted_at IS NULL
             ORDER BY job.name LIMIT ?"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(app.0)
            .bind(after.map_or("", Name::as_str))
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault("list the jobs", error))?;
        rows.iter().map(job).collect()
    }

    async fn run_get(&self, app: AppId, run: RunId) -> Result<Option<(Run, Vec<Attempt>)>, StoreError> {
        const WHAT: &str = "read a run";
        let mut read = self.read(WHAT).await?;
        let sql = format!("SELECT {RUN} FROM fastjob_run run WHERE run.id = ? AND run.app_id = ?");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(&run.as_bytes()[..])
            .bind(app.0)
            .fetch_optional(&mut *read)
            .await
            .map_err(|error| fault(WHAT, error))?;
        let Some(row) = row else { return Ok(None) };
        let sql = format!("SELECT {ATTEMPT} FROM fastjob_attempt WHERE run_id = ? ORDER BY attempt");
        let attempts = sqlx::query(AssertSqlSafe(sql))
            .bind(&run.as_bytes()[..])
            .fetch_all(&mut *read)
            .await
            .map_err(|error| fault(WHAT, error))?;
        let attempts = attempts.iter().map(attempt).collect::<Result<_, _>>()?;
        Ok(Some((Runs::default().read(&row)?, attempts)))
    }

    async fn run_fired(&self, app: AppId, job: &Name, key: &FireKey) -> Result<Option<RunId>, StoreError> {
        let row = sqlx::query(
            "SELECT run.id FROM fastjob_job job JOIN fastjob_run run ON run.job_id = job.id
             WHERE job.app_id = ?1 AND job.name = ?2 AND run.fire_key = ?3
             ORDER BY job.deleted_at IS NULL DESC, run.id DESC LIMIT 1",
        )
        .bind(app.0)
        .bind(job.as_str())
        .bind(key.to_string())
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| fault("read a run by its fire key", error))?;
        row.map(|row| Reader::new(&row, "fastjob_run", "id").id("id")).transpose()
    }

    async fn run_list(&self, app: AppId, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        // A job's runs are found by the index of its fire keys; else the ids are walked backwards, which is their time.
        let from = match &filter.job {
            Some(_) => {
                "run.id IN (SELECT candidate.id FROM fastjob_run candidate
                            WHERE candidate.job_id IN (SELECT id FROM fastjob_job WHERE app_id = ?1 AND name = ?2)
                              AND (?3 IS NULL OR candidate.id < ?3)
                              AND (?4 IS NULL OR candidate.state IN (SELECT value FROM json_each(?4)))
                            ORDER BY candidate.id DESC LIMIT ?5)"
            }
            None => {
                "run.app_id = ?1 AND ?2 IS NULL AND run.id < coalesce(?3, x'ffffffffffffffffffffffffffffffffff')
                 AND (?4 IS NULL OR run.state IN (SELECT value FROM json_each(?4)))"
            }
        };
        let sql = format!("SELECT {RUN} FROM fastjob_run run WHERE {from} ORDER BY run.id DESC LIMIT ?5");
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(app.0)
            .bind(filter.job.as_ref().map(Name::as_str))
            .bind(filter.before.as_ref().map(|run| &run.as_bytes()[..]))
            .bind(state_list(&filter.states))
            .bind(filter.limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault("list the runs", error))?;
        Runs::read_all(&rows)
    }

    async fn ledger(&self, job: JobId, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError> {
        let mut read = self.read("read a ledger").await?;
        let runs = ledger_runs(&mut read, job, filter).await?;
        let gaps = ledger_gaps(&mut read, job, filter).await?;
        Ok(ledger_page(runs, gaps, filter.limit))
    }

    async fn job_newest(&self, app: AppId, name: &Name) -> Result<Option<Job>, StoreError> {
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job WHERE job.app_id = ? AND job.name = ?
             ORDER BY job.deleted_at IS NULL DESC, job.deleted_at DESC, job.id DESC LIMIT 1"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(app.0)
            .bind(name.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| fault("read the newest job of a name", error))?;
        row.as_ref().map(job).transpose()
    }

    async fn job_by_id(&self, app: AppId, id: JobId) -> Result<Option<Job>, StoreError> {
        let sql = format!("SELECT {JOB} FROM fastjob_job job WHERE job.id = ? AND job.app_id = ?");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(&id.as_bytes()[..])
            .bind(app.0)
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| fault("read a job by its id", error))?;
        row.as_ref().map(job).transpose()
    }

    async fn job_list_all(&self, app: AppId, filter: &JobFilter) -> Result<Vec<Job>, StoreError> {
        let named = if filter.name.is_some() { "job.name = ?2" } else { "?2 IS NULL" };
        let after = filter.after.as_ref();
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job
             WHERE job.app_id = ?1 AND {named} AND (job.name, job.id) > (?3, ?4)
             ORDER BY job.name, job.id LIMIT ?5"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(app.0)
            .bind(filter.name.as_ref().map(Name::as_str))
            .bind(after.map_or("", |(name, _)| name.as_str()))
            .bind(after.map_or(&[][..], |(_, id)| &id.as_bytes()[..]))
            .bind(filter.limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault("list all jobs", error))?;
        rows.iter().map(job).collect()
    }

    async fn job_history(&self, job: JobId, after: u64, limit: u32) -> Result<Vec<Revision>, StoreError> {
        let sql = format!(
            "SELECT {REVISION} FROM fastjob_job_revision
             WHERE job_id = ? AND revision > ? ORDER BY revision LIMIT ?"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(&job.as_bytes()[..])
            .bind(after.cast_signed())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault("read the revisions of a job", error))?;
        rows.iter().map(revision).collect()
    }

    async fn jobs_tickless(&self, after: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError> {
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job
             WHERE job.id > ? AND job.next_at IS NULL AND job.enabled = 1 AND job.deleted_at IS NULL AND {MAY_TICK}
             ORDER BY job.id LIMIT ?"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(&after.unwrap_or(JobId::from_bytes([0; 16])).as_bytes()[..])
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault("search jobs without a next tick", error))?;
        rows.iter().map(job).collect()
    }
}

/// Runs of ticks by the range of their fire keys, then those without a tick, which are few for a job with a schedule.
async fn ledger_runs(
    read: &mut SqliteConnection,
    job: JobId,
    filter: &LedgerFilter,
) -> Result<Vec<Run>, StoreError> {
    let keys = TickKeys::of(filter);
    let after = LedgerStart::of(filter);
    let sql = format!(
        "SELECT {RUN} FROM fastjob_run run
         WHERE run.id IN (SELECT id FROM (
             SELECT * FROM (SELECT id, coalesce(tick, due_at) AS at FROM fastjob_run
                            WHERE job_id = ?1 AND fire_key >= ?2 AND fire_key <= ?3
                            ORDER BY fire_key LIMIT ?9)
             UNION ALL
             SELECT id, coalesce(tick, due_at) AS at FROM fastjob_run
             WHERE job_id = ?1 AND (fire_key < 't' OR fire_key > 't~'))
           WHERE at >= ?4 AND at < ?5 AND (at, id) > (?6, ?7)
           ORDER BY at, id LIMIT ?8)"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(&job.as_bytes()[..])
        .bind(keys.first)
        .bind(keys.last)
        .bind(filter.from.get())
        .bind(filter.to.get())
        .bind(after.at.get())
        .bind(&after.run.as_bytes()[..])
        .bind(filter.limit)
        .bind(keys.limit)
        .fetch_all(read)
        .await
        .map_err(|error| fault("read the runs of a ledger", error))?;
    Runs::read_all(&rows)
}

async fn ledger_gaps(
    read: &mut SqliteConnection,
    job: JobId,
    filter: &LedgerFilter,
) -> Result<Vec<Gap>, StoreError> {
    let after = LedgerStart::of(filter);
    let sql = format!(
        "SELECT {GAP} FROM fastjob_gap
         WHERE job_id = ?1 AND from_at < ?3 AND to_at >= ?2 AND (from_at > ?4 OR (from_at = ?4 AND ?5))
         ORDER BY from_at LIMIT ?6"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(&job.as_bytes()[..])
        .bind(filter.from.get())
        .bind(filter.to.get())
        .bind(after.at.get())
        .bind(after.gap)
        .bind(filter.limit)
        .fetch_all(read)
        .await
        .map_err(|error| fault("read the gaps of a ledger", error))?;
    rows.iter().map(gap).collect()
}

/// The numbers of these states as a JSON list; `None`: all states.
fn state_list(states: &[&'static str]) -> Option<String> {
    if states.is_empty() {
        return None;
    }
    let numbers: Vec<i64> = states.iter().filter_map(|word| state_number(word)).collect();
    Some(serde_json::to_string(&numbers).expect("numbers always serialize"))
}
