//! What clients and people ask.

use fastjob_core::domain::{Attempt, FireKey, Gap, Job, Name, Revision, Run};
use fastjob_core::id::{AppId, JobId, RunId};
use sqlx::AssertSqlSafe;

use super::MySqlStore;
use super::link::Link;
use crate::store::backend::{JobFilter, LedgerEntry, LedgerFilter, Queries, RunFilter};
use crate::store::error::StoreError;
use crate::store::keys::{LedgerStart, TickKeys, ledger_page};
use crate::store::row::{
    ATTEMPT, GAP, JOB, REVISION, RUN, Reader, Runs, attempt, gap, job, revision, state_number,
};
use crate::store::shape::MAY_TICK;

/// Above every id.
const NO_ID: [u8; 16] = [0xff; 16];

impl Queries for MySqlStore {
    async fn job_get(&self, app: AppId, name: &Name) -> Result<Option<Job>, StoreError> {
        let sql =
            format!("SELECT {JOB} FROM fastjob_job job WHERE job.app_id = ? AND job.living_name = ? LIMIT 1");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(app.0).bind(name.as_str());
        self.all("read a job", query).await?.first().map(job).transpose()
    }

    async fn job_list(&self, app: AppId, after: Option<&Name>, limit: u32) -> Result<Vec<Job>, StoreError> {
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job FORCE INDEX (fastjob_job_living)
             WHERE job.app_id = ? AND job.living_name > ? ORDER BY job.living_name LIMIT ?"
        );
        let query =
            sqlx::query(AssertSqlSafe(sql)).bind(app.0).bind(after.map_or("", Name::as_str)).bind(limit);
        self.all("list the jobs", query).await?.iter().map(job).collect()
    }

    async fn run_get(&self, app: AppId, run: RunId) -> Result<Option<(Run, Vec<Attempt>)>, StoreError> {
        const WHAT: &str = "read a run";
        let mut read = self.read(WHAT).await?;
        let sql = format!("SELECT {RUN} FROM fastjob_run run WHERE run.id = ? AND run.app_id = ?");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&run.as_bytes()[..]).bind(app.0);
        let Some(row) = read.one(WHAT, query).await? else {
            read.rollback().await;
            return Ok(None);
        };
        let sql = format!("SELECT {ATTEMPT} FROM fastjob_attempt WHERE run_id = ? ORDER BY attempt");
        let attempts = read.all(WHAT, sqlx::query(AssertSqlSafe(sql)).bind(&run.as_bytes()[..])).await?;
        read.rollback().await;
        let attempts = attempts.iter().map(attempt).collect::<Result<_, _>>()?;
        Ok(Some((Runs::default().read(&row)?, attempts)))
    }

    async fn run_fired(&self, app: AppId, job: &Name, key: &FireKey) -> Result<Option<RunId>, StoreError> {
        let query = sqlx::query(
            "SELECT run.id FROM fastjob_job job STRAIGHT_JOIN fastjob_run run ON run.job_id = job.id
             WHERE job.app_id = ? AND job.name = ? AND run.fire_key = ?
             ORDER BY job.deleted_at IS NULL DESC, run.id DESC LIMIT 1",
        )
        .bind(app.0)
        .bind(job.as_str())
        .bind(key.to_string());
        let rows = self.all("read a run by its fire key", query).await?;
        rows.first().map(|row| Reader::new(row, "fastjob_run", "id").id("id")).transpose()
    }

    async fn run_list(&self, app: AppId, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        const WHAT: &str = "list the runs";
        let states = states(&filter.states);
        let before = filter.before.as_ref().map_or(&NO_ID, RunId::as_bytes);
        // A job's runs are found by the index of its fire keys; else the ids are walked backwards, which is their time.
        let rows = match &filter.job {
            Some(name) => {
                let sql = format!(
                    "SELECT {RUN}
                     FROM (SELECT run.id
                           FROM fastjob_job job STRAIGHT_JOIN fastjob_run run FORCE INDEX (fastjob_run_fired)
                             ON run.job_id = job.id
                           WHERE job.app_id = ? AND job.name = ? AND run.id < ? AND {states}
                           ORDER BY run.id DESC LIMIT ?) page
                     STRAIGHT_JOIN fastjob_run run ON run.id = page.id
                     ORDER BY run.id DESC"
                );
                let query = sqlx::query(AssertSqlSafe(sql)).bind(app.0).bind(name.as_str());
                self.all(WHAT, query.bind(&before[..]).bind(filter.limit)).await?
            }
            None => {
                let sql = format!(
                    "SELECT {RUN} FROM fastjob_run run FORCE INDEX (PRIMARY)
                     WHERE run.app_id = ? AND run.id < ? AND {states} ORDER BY run.id DESC LIMIT ?"
                );
                let query = sqlx::query(AssertSqlSafe(sql)).bind(app.0);
                self.all(WHAT, query.bind(&before[..]).bind(filter.limit)).await?
            }
        };
        Runs::read_all(&rows)
    }

    async fn ledger(&self, job: JobId, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError> {
        let mut read = self.read("read a ledger").await?;
        let runs = ledger_runs(&mut read, job, filter).await?;
        let gaps = ledger_gaps(&mut read, job, filter).await?;
        read.rollback().await;
        Ok(ledger_page(runs, gaps, filter.limit))
    }

    async fn job_newest(&self, app: AppId, name: &Name) -> Result<Option<Job>, StoreError> {
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job WHERE job.app_id = ? AND job.name = ?
             ORDER BY job.deleted_at IS NULL DESC, job.deleted_at DESC, job.id DESC LIMIT 1"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(app.0).bind(name.as_str());
        self.all("read the newest job of a name", query).await?.first().map(job).transpose()
    }

    async fn job_by_id(&self, app: AppId, id: JobId) -> Result<Option<Job>, StoreError> {
        let sql = format!("SELECT {JOB} FROM fastjob_job job WHERE job.id = ? AND job.app_id = ?");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&id.as_bytes()[..]).bind(app.0);
        self.all("read a job by its id", query).await?.first().map(job).transpose()
    }

    async fn job_list_all(&self, app: AppId, filter: &JobFilter) -> Result<Vec<Job>, StoreError> {
        let named = if filter.name.is_some() { "job.name = ?" } else { "? IS NULL" };
        let (after, id) = match &filter.after {
            Some((name, id)) => (name.as_str(), &id.as_bytes()[..]),
            None => ("", &[][..]),
        };
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job FORCE INDEX (fastjob_job_named)
             WHERE job.app_id = ? AND {named} AND job.name >= ? AND (job.name > ? OR job.id > ?)
             ORDER BY job.name, job.id LIMIT ?"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(app.0).bind(filter.name.as_ref().map(Name::as_str));
        let query = query.bind(after).bind(after).bind(id).bind(filter.limit);
        self.all("list all jobs", query).await?.iter().map(job).collect()
    }

    async fn job_history(&self, job: JobId, after: u64, limit: u32) -> Result<Vec<Revision>, StoreError> {
        let sql = format!(
            "SELECT {REVISION} FROM fastjob_job_revision
             WHERE job_id = ? AND revision > ? ORDER BY revision LIMIT ?"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&job.as_bytes()[..]).bind(after.cast_signed());
        self.all("read the revisions of a job", query.bind(limit)).await?.iter().map(revision).collect()
    }

    async fn jobs_tickless(&self, after: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError> {
        let sql = format!(
            "SELECT {JOB} FROM fastjob_job job
             WHERE job.id > ? AND job.next_at IS NULL AND job.enabled = 1 AND job.deleted_at IS NULL AND {MAY_TICK}
             ORDER BY job.id LIMIT ?"
        );
        let after = after.unwrap_or(JobId::from_bytes([0; 16]));
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&after.as_bytes()[..]).bind(limit);
        self.all("search jobs without a next tick", query).await?.iter().map(job).collect()
    }
}

/// Runs of ticks by the range of their fire keys, then those without a tick, which are few for a job with a schedule.
async fn ledger_runs(read: &mut Link, job: JobId, filter: &LedgerFilter) -> Result<Vec<Run>, StoreError> {
    let keys = TickKeys::of(filter);
    let after = LedgerStart::of(filter);
    let sql = format!(
        "SELECT {RUN}
         FROM (SELECT id, at FROM (
                   (SELECT id, COALESCE(tick, due_at) AS at FROM fastjob_run
                    WHERE job_id = ? AND fire_key >= ? AND fire_key <= ?
                    ORDER BY fire_key LIMIT ?)
                   UNION ALL
                   SELECT id, COALESCE(tick, due_at) AS at FROM fastjob_run
                   WHERE job_id = ? AND (fire_key < 't' OR fire_key > 't~')) fired
               WHERE at >= ? AND at < ? AND (at > ? OR (at = ? AND id > ?))
               ORDER BY at, id LIMIT ?) page
         STRAIGHT_JOIN fastjob_run run ON run.id = page.id
         ORDER BY page.at, page.id"
    );
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(&job.as_bytes()[..])
        .bind(keys.first)
        .bind(keys.last)
        .bind(keys.limit)
        .bind(&job.as_bytes()[..])
        .bind(filter.from.get())
        .bind(filter.to.get())
        .bind(after.at.get())
        .bind(after.at.get())
        .bind(&after.run.as_bytes()[..])
        .bind(filter.limit);
    Runs::read_all(&read.all("read the runs of a ledger", query).await?)
}

async fn ledger_gaps(read: &mut Link, job: JobId, filter: &LedgerFilter) -> Result<Vec<Gap>, StoreError> {
    let after = LedgerStart::of(filter);
    let sql = format!(
        "SELECT {GAP} FROM fastjob_gap
         WHERE job_id = ? AND from_at < ? AND to_at >= ? AND (from_at > ? OR (from_at = ? AND ?))
         ORDER BY from_at LIMIT ?"
    );
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(&job.as_bytes()[..])
        .bind(filter.to.get())
        .bind(filter.from.get())
        .bind(after.at.get())
        .bind(after.at.get())
        .bind(after.gap)
        .bind(filter.limit);
    read.all("read the gaps of a ledger", query).await?.iter().map(gap).collect()
}

/// The condition that a run is in one of these states; in any, if none is named.
fn states(words: &[&'static str]) -> String {
    if words.is_empty() {
        return "TRUE".to_owned();
    }
    let numbers = words.iter().filter_map(|word| state_number(word));
    let numbers = numbers.fold("-1".to_owned(), |list, number| format!("{list}, {number}"));
    format!("run.state IN ({numbers})")
}
