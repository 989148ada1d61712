//! Turns of owners: the fences of all of them first, then their joined rows kind by kind.

use std::collections::HashSet;

use fastjob_core::id::ShardKey;
use sqlx::SqliteConnection;

use super::statements::{
    ATTEMPTS, CURSORS, FENCES_LOST, GAPS, INBOX_DONE, INBOX_FAILED, JOBS_CREATED, JOBS_REVISED, OUTAGES_OVER,
    REVISIONS, RUNS_CHANGED, RUNS_COPIED, RUNS_CREATED, RUNS_ENDED, RUNS_REMOVED, RUNS_SENT, RUNS_STARTED,
    RUNS_SUCCEEDED, RUNS_WAITING,
};
use super::{SqliteStore, commit};
use crate::failpoint::failpoint;
use crate::store::backend::{Turn, TurnEnd};
use crate::store::error::StoreError;
use crate::store::row::Reader;
use crate::store::values::{self, Joined, LimitsTexts};

impl SqliteStore {
    /// See [`crate::store::Store::turns_commit`].
    pub(super) async fn commit_turns(&self, turns: &[Turn<'_>]) -> Result<Vec<TurnEnd>, StoreError> {
        const WHAT: &str = "commit turns";
        let mut write = self.write(WHAT).await?;
        let ends = fences(&mut write, turns).await?;
        let held: Vec<&Turn<'_>> = turns
            .iter()
            .zip(&ends)
            .filter(|(_, end)| **end == TurnEnd::Committed)
            .map(|(turn, _)| turn)
            .collect();
        if !held.is_empty() {
            write_rows(&mut write, &Joined(&held)).await?;
            failpoint("inside_transaction");
            commit(write, WHAT).await?;
        }
        Ok(ends)
    }
}

async fn fences(write: &mut SqliteConnection, turns: &[Turn<'_>]) -> Result<Vec<TurnEnd>, StoreError> {
    let rows = FENCES_LOST.read(write, turns, values::fence).await?;
    let lost: HashSet<ShardKey> = rows
        .iter()
        .map(|row| Reader::new(row, "fastjob_app_owner", "app_id").shard())
        .collect::<Result<_, _>>()?;
    let end = |turn: &Turn<'_>| match lost.contains(&turn.shard) {
        true => TurnEnd::Fenced,
        false => TurnEnd::Committed,
    };
    Ok(turns.iter().map(end).collect())
}

async fn write_rows(to: &mut SqliteConnection, rows: &Joined<'_>) -> Result<(), StoreError> {
    RUNS_REMOVED.write(to, &rows.all(|rows| &rows.runs_removed), values::run_id).await?;
    JOBS_REVISED.write(to, &rows.all(|rows| &rows.jobs_revised), values::job_revised).await?;
    JOBS_CREATED.write(to, &rows.all(|rows| &rows.jobs_created), values::job_created).await?;
    REVISIONS.write(to, &rows.revisions(), values::revision).await?;
    CURSORS.write(to, &rows.all(|rows| &rows.cursors), values::cursor).await?;
    write_runs(to, rows).await?;
    ATTEMPTS.write(to, &rows.all(|rows| &rows.attempts), values::attempt).await?;
    GAPS.write(to, &rows.all(|rows| &rows.gaps), values::gap).await?;
    OUTAGES_OVER.write(to, &rows.outages_over(), values::shard).await?;
    INBOX_DONE.write_at_most(to, &rows.all(|rows| &rows.inbox_done), values::inbox_id).await?;
    INBOX_FAILED.write_at_most(to, &rows.all(|rows| &rows.inbox_failed), values::inbox_failed).await?;
    Ok(())
}

async fn write_runs(to: &mut SqliteConnection, rows: &Joined<'_>) -> Result<(), StoreError> {
    let mut limits = LimitsTexts::default();
    let (waiting, others) = rows.runs_created();
    let (sent, others) = values::runs_sent(others);
    RUNS_WAITING.write(to, &waiting, |row, run| values::run_waiting(row, run, &mut limits)).await?;
    RUNS_SENT.write(to, &sent, |row, run| values::run_sent(row, run, &mut limits)).await?;
    RUNS_CREATED.write(to, &others, |row, run| values::run_created(row, run, &mut limits)).await?;
    RUNS_STARTED.write(to, &rows.all(|rows| &rows.runs_started), values::run_started).await?;
    RUNS_CHANGED.write(to, &rows.all(|rows| &rows.runs_changed), values::run_changed).await?;
    RUNS_COPIED
        .write(to, &rows.all(|rows| &rows.runs_copied), |row, copied| {
            values::run_copied(row, copied, &mut limits)
        })
        .await?;
    let (succeeded, ended) = rows.runs_ended();
    RUNS_SUCCEEDED.write(to, &succeeded, values::run_succeeded).await?;
    RUNS_ENDED.write(to, &ended, values::run_ended).await
}
