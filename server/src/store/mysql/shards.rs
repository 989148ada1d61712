//! What an owner reads: the boot, page by page, and what a turn must know.

use std::collections::HashSet;

use fastjob_core::clock::Millis;
use fastjob_core::domain::{FireKey, Job, Name, Run};
use fastjob_core::id::{JobId, RunId, ShardKey};
use fastjob_core::shard::{DuePage, Facts, History, JobPage, Needs, OpenPage};
use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlRow;

use super::MySqlStore;
use super::bulk::{Bulk, List, Row};
use super::inbox::outcomes_of;
use super::link::Link;
use crate::store::backend::{Shards, Turn, TurnEnd};
use crate::store::error::StoreError;
use crate::store::keys::{CHAIN_WINDOW, LAST_TICK, chain_keys, cut, tick_keys};
use crate::store::row::{JOB, RUN, Reader, Runs, job};
use crate::store::values::Values as _;

impl Shards for MySqlStore {
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
            "SELECT {RUN}
             FROM (SELECT id FROM fastjob_run FORCE INDEX (fastjob_run_open)
                   WHERE app_id = ? AND shard = ? AND open_due_at IS NOT NULL AND id > ?
                     AND (open_due_at <= ? OR attempt > 0)
                   ORDER BY id LIMIT ?) page
             STRAIGHT_JOIN fastjob_run run ON run.id = page.id
             ORDER BY run.id"
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(shard.app.0)
            .bind(shard.shard)
            .bind(after.as_ref().map_or(&[][..], |run| &run.as_bytes()[..]))
            .bind(until.get())
            .bind(i64::from(limit) + 1);
        let mut rows = read.all(WHAT, query).await?;
        let more = cut(&mut rows, limit);
        let runs = Runs::read_all(&rows)?;
        let ids: HashSet<JobId> = runs.iter().map(|run| run.job).collect();
        let jobs = jobs_by_id(&mut read, shard, ids.iter()).await?;
        read.rollback().await;
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
        read.rollback().await;
        Ok(facts)
    }

    async fn turns_commit(&self, turns: &[Turn<'_>]) -> Result<Vec<TurnEnd>, StoreError> {
        self.commit_turns(turns).await
    }
}

async fn jobs_by_name(
    read: &mut Link,
    shard: ShardKey,
    names: impl Iterator<Item = &Name>,
) -> Result<Vec<Job>, StoreError> {
    let names: Vec<&Name> = names.collect();
    let bind = |row: &mut Row, name: &&Name| {
        row.word(name.as_str());
        Ok(())
    };
    let rows = JOBS_BY_NAME.read(read, |row| row.shard(shard), &names, bind).await?;
    rows.iter().map(job).collect()
}

async fn jobs_by_id(
    read: &mut Link,
    shard: ShardKey,
    ids: impl Iterator<Item = &JobId>,
) -> Result<Vec<Job>, StoreError> {
    let ids: Vec<&JobId> = ids.collect();
    let bind = |row: &mut Row, id: &&JobId| {
        row.id(*id);
        Ok(())
    };
    let rows = JOBS_BY_ID.read(read, |row| row.shard(shard), &ids, bind).await?;
    rows.iter().map(job).collect()
}

async fn runs_by_id(
    read: &mut Link,
    shard: ShardKey,
    ids: impl Iterator<Item = &RunId>,
) -> Result<Vec<Run>, StoreError> {
    let ids: Vec<&RunId> = ids.collect();
    let bind = |row: &mut Row, id: &&RunId| {
        row.id(*id);
        Ok(())
    };
    let rows = RUNS_BY_ID.read(read, |row| row.shard(shard), &ids, bind).await?;
    Runs::read_all(&rows)
}

/// A run may be among them more than once.
async fn runs_fired(
    read: &mut Link,
    shard: ShardKey,
    fired: &[(Name, FireKey)],
) -> Result<Vec<Run>, StoreError> {
    let bind = |row: &mut Row, (name, key): &(Name, FireKey)| {
        row.shard(shard);
        row.word(name.as_str());
        row.word(&key.to_string());
        Ok(())
    };
    let rows = RUNS_FIRED.read(read, |_| {}, fired, bind).await?;
    Runs::read_all(&rows)
}

async fn history(read: &mut Link, job: &Job, after: Millis) -> Result<History, StoreError> {
    const WHAT: &str = "read the history of a job";
    let (from, to) = tick_keys(after, LAST_TICK);
    let query = sqlx::query(
        "SELECT tick FROM fastjob_run
         WHERE job_id = ? AND fire_key >= ? AND fire_key <= ? AND tick > ? AND ended_at IS NOT NULL
         ORDER BY tick",
    )
    .bind(&job.id.as_bytes()[..])
    .bind(from)
    .bind(to)
    .bind(after.get());
    let ticks = read.all(WHAT, query).await?;
    let sql = format!(
        "SELECT {RUN} FROM fastjob_run run FORCE INDEX (fastjob_run_open)
         WHERE run.app_id = ? AND run.shard = ? AND run.open_due_at IS NOT NULL AND run.job_id = ? AND run.state = 0
           AND run.source NOT IN ('api', 'manual', 'backfill')
         ORDER BY run.due_at, run.id"
    );
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(job.shard.app.0)
        .bind(job.shard.shard)
        .bind(&job.id.as_bytes()[..]);
    let scheduled = read.all(WHAT, query).await?;
    let tick = |row| Reader::new(row, "fastjob_run", "tick").at("tick");
    Ok(History {
        job: job.id,
        ticks: ticks.iter().map(tick).collect::<Result<_, _>>()?,
        scheduled: Runs::read_all(&scheduled)?,
        chain_ended_at: chain_ended_at(read, job).await?,
    })
}

/// The end of the newest terminal run of a chain. Ordinals are consecutive, so it is one of the newest few, unless
/// edits took many back in a row: then all of the chain is searched.
async fn chain_ended_at(read: &mut Link, job: &Job) -> Result<Option<Millis>, StoreError> {
    let bind = |row: &mut Row, key: &String| {
        row.word(key);
        Ok(())
    };
    let keys = chain_keys(job);
    let rows = CHAIN_ENDS.read(read, |row| row.id(&job.id), &keys, bind).await?;
    let mut near: Option<(u64, Millis)> = None;
    for row in &rows {
        let row = Reader::new(row, "fastjob_run", "fire_key");
        let end = (row.bits("ordinal")?, row.at("ended_at")?);
        near = near.max(Some(end));
    }
    if near.is_some() || job.chain_seq <= CHAIN_WINDOW {
        return Ok(near.map(|(_, ended_at)| ended_at));
    }
    let query = sqlx::query(
        "SELECT ended_at FROM fastjob_run
         WHERE job_id = ? AND fire_key >= 'd' AND fire_key < 'e' AND ended_at IS NOT NULL
         ORDER BY CAST(SUBSTRING(fire_key, 2) AS UNSIGNED) DESC LIMIT 1",
    )
    .bind(&job.id.as_bytes()[..]);
    instant(read, "read the end of a chain", query, "ended_at").await
}

async fn due_page(read: &mut Link, shard: ShardKey, page: &DuePage) -> Result<JobPage, StoreError> {
    const WHAT: &str = "read what comes due";
    let jobs = format!(
        "SELECT {JOB} FROM fastjob_job job FORCE INDEX (fastjob_job_next)
         WHERE job.app_id = ? AND job.shard = ? AND job.coming_at <= ?
         ORDER BY job.coming_at, job.id LIMIT ?"
    );
    let jobs = sqlx::query(AssertSqlSafe(jobs))
        .bind(shard.app.0)
        .bind(shard.shard)
        .bind(page.until.get())
        .bind(i64::from(page.limit) + 1);
    let mut jobs: Vec<MySqlRow> = read.all(WHAT, jobs).await?;
    let runs = format!(
        "SELECT {RUN} FROM fastjob_run run FORCE INDEX (fastjob_run_open)
         WHERE run.app_id = ? AND run.shard = ? AND run.open_due_at > ? AND run.open_due_at <= ? AND run.state = 0
         ORDER BY run.open_due_at, run.id LIMIT ?"
    );
    let runs = sqlx::query(AssertSqlSafe(runs))
        .bind(shard.app.0)
        .bind(shard.shard)
        .bind(page.opened.get())
        .bind(page.until.get())
        .bind(i64::from(page.limit) + 1);
    let mut runs = read.all(WHAT, runs).await?;
    let more = cut(&mut jobs, page.limit) | cut(&mut runs, page.limit);
    Ok(JobPage {
        jobs: jobs.iter().map(job).collect::<Result<_, _>>()?,
        runs: Runs::read_all(&runs)?,
        more,
        next_beyond: next_beyond(read, shard, page.until).await?,
    })
}

async fn next_beyond(read: &mut Link, shard: ShardKey, until: Millis) -> Result<Option<Millis>, StoreError> {
    let query = sqlx::query(
        "SELECT MIN(next_at) AS next_at FROM (
             (SELECT coming_at AS next_at FROM fastjob_job FORCE INDEX (fastjob_job_next)
              WHERE app_id = ? AND shard = ? AND coming_at > ? ORDER BY coming_at LIMIT 1)
             UNION ALL
             (SELECT open_due_at FROM fastjob_run FORCE INDEX (fastjob_run_open)
              WHERE app_id = ? AND shard = ? AND open_due_at > ? AND state = 0 ORDER BY open_due_at LIMIT 1)) beyond",
    )
    .bind(shard.app.0)
    .bind(shard.shard)
    .bind(until.get())
    .bind(shard.app.0)
    .bind(shard.shard)
    .bind(until.get());
    instant(read, "read what comes next", query, "next_at").await
}

/// The one instant that is asked for, if there is one.
async fn instant(
    read: &mut Link,
    what: &str,
    query: super::link::Asked<'_>,
    column: &'static str,
) -> Result<Option<Millis>, StoreError> {
    let Some(row) = read.one(what, query).await? else { return Ok(None) };
    Reader::new(&row, "fastjob_run", column).maybe_at(column)
}

const JOBS_BY_NAME: Bulk = Bulk {
    what: "jobs by name",
    head: &[
        "SELECT",
        JOB,
        "FROM fastjob_job job WHERE job.app_id = ? AND job.shard = ? AND job.living_name IN (",
    ],
    list: List::Values(1),
    tail: ")",
};

const JOBS_BY_ID: Bulk = Bulk {
    what: "jobs by id",
    head: &["SELECT", JOB, "FROM fastjob_job job WHERE job.app_id = ? AND job.shard = ? AND job.id IN ("],
    list: List::Values(1),
    tail: ")",
};

const RUNS_BY_ID: Bulk = Bulk {
    what: "runs by id",
    head: &["SELECT", RUN, "FROM fastjob_run run WHERE run.app_id = ? AND run.shard = ? AND run.id IN ("],
    list: List::Values(1),
    tail: ")",
};

const RUNS_FIRED: Bulk = Bulk {
    what: "runs by fire key",
    head: &["SELECT", RUN, "FROM"],
    list: List::Table("nntt"),
    tail: "STRAIGHT_JOIN fastjob_job job ON job.app_id = v.c1 AND job.living_name = v.c3
           STRAIGHT_JOIN fastjob_run run ON run.job_id = job.id AND run.fire_key = v.c4
           WHERE job.shard = v.c2",
};

const CHAIN_ENDS: Bulk = Bulk {
    what: "ends of a chain",
    head: &["SELECT CAST(SUBSTRING(fire_key, 2) AS SIGNED) AS ordinal, ended_at FROM fastjob_run
             WHERE job_id = ? AND ended_at IS NOT NULL AND fire_key IN ("],
    list: List::Values(1),
    tail: ")",
};
