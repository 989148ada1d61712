//! Turns of owners: the fences of all of them first, then their joined rows kind by kind.

use std::collections::HashMap;
use std::sync::Arc;

use fastjob_core::domain::{Assignment, Ended, Job, Limits, Run, State};
use fastjob_core::id::{Epoch, ServerId, ShardKey};
use fastjob_core::shard::{Rows, RunEnded};
use sqlx::SqliteConnection;

use super::bulk::Row;
use super::row::{Reader, state_number};
use super::statements::{
    ATTEMPTS, CURSORS, FENCES, GAPS, INBOX_DONE, INBOX_FAILED, JOBS_CREATED, JOBS_REVISED, OUTAGES_OVER,
    REVISIONS, RUNS_CHANGED, RUNS_COPIED, RUNS_CREATED, RUNS_ENDED, RUNS_REMOVED, RUNS_SENT, RUNS_STARTED,
    RUNS_SUCCEEDED, RUNS_WAITING,
};
use super::{SqliteStore, commit};
use crate::store::backend::{Turn, TurnEnd};
use crate::store::error::{ErrorKind, StoreError};
use crate::store::shape;

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
            Joined(&held).write(&mut write).await?;
            commit(write, WHAT).await?;
        }
        Ok(ends)
    }
}

async fn fences(write: &mut SqliteConnection, turns: &[Turn<'_>]) -> Result<Vec<TurnEnd>, StoreError> {
    let rows = FENCES
        .read(write, turns, |row, turn| {
            row.put(turn.shard.app.0).put(turn.shard.shard);
            Ok(())
        })
        .await?;
    let mut owners: HashMap<ShardKey, (Option<ServerId>, Epoch)> = HashMap::with_capacity(rows.len());
    for row in &rows {
        let row = Reader::new(row, "fastjob_app_owner", "app_id");
        owners.insert(row.shard()?, (row.maybe_id("server_id")?, Epoch(row.get("epoch")?)));
    }
    let end = |turn: &Turn<'_>| match owners.get(&turn.shard) {
        Some(owner) if *owner == (Some(turn.server), turn.epoch) => TurnEnd::Committed,
        _ => TurnEnd::Fenced,
    };
    Ok(turns.iter().map(end).collect())
}

/// The turns whose fence holds.
struct Joined<'a>(&'a [&'a Turn<'a>]);

impl Joined<'_> {
    async fn write(&self, to: &mut SqliteConnection) -> Result<(), StoreError> {
        RUNS_REMOVED.write(to, &self.all(|rows| &rows.runs_removed), |row, run| done(row.id(run))).await?;
        self.write_jobs(to).await?;
        self.write_runs(to).await?;
        ATTEMPTS
            .write(to, &self.all(|rows| &rows.attempts), |row, attempt| {
                row.id(&attempt.key.run).put(attempt.key.attempt);
                assigned(row, Some(&attempt.assignment));
                row.maybe_at(attempt.started_at).at(attempt.ended_at).put(attempt.end.as_str());
                done(row.failure(attempt.error.as_ref()))
            })
            .await?;
        GAPS.write(to, &self.all(|rows| &rows.gaps), |row, gap| {
            row.id(&gap.job).at(gap.from).at(gap.to).put(gap.count.map(u64::cast_signed));
            done(row.put(gap.reason.as_str()).bits(gap.revision))
        })
        .await?;
        let over: Vec<ShardKey> =
            self.0.iter().filter(|turn| turn.rows.outage_over).map(|turn| turn.shard).collect();
        OUTAGES_OVER.write(to, &over, |row, shard| done(row.put(shard.app.0).put(shard.shard))).await?;
        INBOX_DONE.write_at_most(to, &self.all(|rows| &rows.inbox_done), |row, id| done(row.id(id))).await?;
        INBOX_FAILED
            .write_at_most(to, &self.all(|rows| &rows.inbox_failed), |row, failed| {
                done(row.id(&failed.id).at(failed.at).put(&*failed.reason))
            })
            .await
            .map(drop)
    }

    async fn write_jobs(&self, to: &mut SqliteConnection) -> Result<(), StoreError> {
        let (revised, created) = (self.all(|rows| &rows.jobs_revised), self.all(|rows| &rows.jobs_created));
        JOBS_REVISED
            .write(to, &revised, |row, job| {
                row.id(&job.id).bits(job.revision).put(definition(job)?).payload(&job.definition.params);
                row.put(job.enabled).maybe_at(job.next_at).bits(job.chain_seq).at(job.updated_at);
                done(row.maybe_at(job.deleted_at))
            })
            .await?;
        JOBS_CREATED
            .write(to, &created, |row, job| {
                row.id(&job.id).put(job.shard.app.0).put(job.shard.shard).put(job.name.as_str());
                row.bits(job.revision).put(definition(job)?).payload(&job.definition.params).put(job.enabled);
                row.maybe_at(job.next_at).bits(job.chain_seq).at(job.created_at).at(job.updated_at);
                done(row.maybe_at(job.deleted_at))
            })
            .await?;
        let revisions: Vec<&Job> = revised.into_iter().chain(created).collect();
        REVISIONS
            .write(to, &revisions, |row, job| {
                row.id(&job.id).bits(job.revision).at(job.deleted_at.unwrap_or(job.updated_at));
                row.put(definition(job)?).payload(&job.definition.params);
                done(row.put(job.enabled).put(job.deleted_at.is_some()))
            })
            .await?;
        CURSORS
            .write(to, &self.all(|rows| &rows.cursors), |row, cursor| {
                done(row.id(&cursor.job).maybe_at(cursor.next_at).bits(cursor.chain_seq))
            })
            .await
    }

    async fn write_runs(&self, to: &mut SqliteConnection) -> Result<(), StoreError> {
        let mut limits = LimitsTexts::default();
        let (fresh, others): (Vec<&Run>, Vec<&Run>) =
            self.all(|rows| &rows.runs_created).into_iter().partition(|run| is_fresh(run));
        let (waiting, sent): (Vec<&Run>, Vec<&Run>) =
            fresh.into_iter().partition(|run| run.assignment.is_none());
        RUNS_WAITING.write(to, &waiting, |row, run| created(row, run, &mut limits)).await?;
        RUNS_SENT
            .write(to, &sent, |row, run| {
                created(row, run, &mut limits)?;
                done(assigned(row, run.assignment.as_ref()))
            })
            .await?;
        RUNS_CREATED
            .write(to, &others, |row, run| {
                created(row, run, &mut limits)?;
                placed(row, run)
            })
            .await?;
        RUNS_STARTED
            .write(to, &self.all(|rows| &rows.runs_started), |row, started| {
                row.id(&started.run).put(started.attempt);
                done(assigned(row, Some(&started.assignment)))
            })
            .await?;
        RUNS_CHANGED
            .write(to, &self.all(|rows| &rows.runs_changed), |row, changed| {
                row.id(&changed.run).put(number(changed.state)).at(changed.due);
                row.put(changed.fail_count).put(changed.lost_count).maybe_at(changed.cancel_at);
                done(row.failure(changed.error.as_ref()))
            })
            .await?;
        RUNS_COPIED
            .write(to, &self.all(|rows| &rows.runs_copied), |row, copied| {
                row.id(&copied.run)
                    .bits(copied.revision)
                    .put(copied.handler.as_str())
                    .payload(&copied.params);
                done(row.put(limits.of(&copied.limits)?))
            })
            .await?;
        let (succeeded, ended): (Vec<&RunEnded>, Vec<&RunEnded>) =
            self.all(|rows| &rows.runs_ended).into_iter().partition(|run| succeeded_at_once(run));
        RUNS_SUCCEEDED
            .write(to, &succeeded, |row, run| {
                row.id(&run.run).at(run.ended_at).maybe_at(run.started_at);
                done(row.maybe_payload(run.result.as_ref()))
            })
            .await?;
        RUNS_ENDED
            .write(to, &ended, |row, ended| {
                let state = State::Ended(ended.ended);
                row.id(&ended.run).put(number(state)).put(reason(state)).at(ended.ended_at);
                row.maybe_at(ended.started_at).put(ended.fail_count).put(ended.lost_count);
                done(row.maybe_payload(ended.result.as_ref()).failure(ended.error.as_ref()))
            })
            .await
    }

    /// One list of all turns.
    fn all<T>(&self, list: impl Fn(&Rows) -> &Vec<T>) -> Vec<&T> {
        self.0.iter().flat_map(|turn| list(turn.rows)).collect()
    }
}

/// Nothing is to be said yet of an end: waiting, as most runs that a schedule makes, or with its first worker.
fn is_fresh(run: &Run) -> bool {
    matches!(run.state, State::Scheduled | State::Dispatched)
        && run.fail_count == 0
        && run.lost_count == 0
        && run.started_at.is_none()
        && run.cancel_at.is_none()
        && run.ended_at.is_none()
        && run.result.is_none()
        && run.error.is_none()
}

/// Nothing has failed before, so its row has counts of zero and no error.
fn succeeded_at_once(run: &RunEnded) -> bool {
    run.ended == Ended::Succeeded && run.fail_count == 0 && run.lost_count == 0 && run.error.is_none()
}

fn created(row: &mut Row<'_>, run: &Run, limits: &mut LimitsTexts) -> Result<(), StoreError> {
    row.id(&run.id).put(run.shard.app.0).put(run.shard.shard).id(&run.job).put(run.job_name.as_str());
    row.put(run.fire_key.to_string()).put(run.source.as_str()).maybe_at(run.tick).at(run.due);
    row.bits(run.revision).put(run.handler.as_str()).payload(&run.params).put(limits.of(&run.limits)?);
    row.put(number(run.state)).put(run.attempt).put(run.fail_count).put(run.lost_count).at(run.created_at);
    done(row.put(run.idempotency_key.as_deref()).maybe_id(run.retry_of.as_ref()))
}

fn placed(row: &mut Row<'_>, run: &Run) -> Result<(), StoreError> {
    assigned(row, run.assignment.as_ref()).put(reason(run.state));
    row.maybe_at(run.started_at).maybe_at(run.cancel_at).maybe_at(run.ended_at);
    done(row.maybe_payload(run.result.as_ref()).failure(run.error.as_ref()))
}

fn assigned<'a, 'b>(row: &'a mut Row<'b>, assignment: Option<&Assignment>) -> &'a mut Row<'b> {
    row.put(assignment.map(|given| given.token.0.cast_signed()))
        .maybe_id(assignment.map(|given| &given.session))
        .put(assignment.map(|given| &*given.worker))
        .maybe_id(assignment.map(|given| &given.server))
        .put(assignment.map(|given| given.epoch.0))
        .maybe_at(assignment.map(|given| given.dispatched_at))
}

fn definition(job: &Job) -> Result<String, StoreError> {
    shape::definition_text(&job.definition).map_err(|error| unwritable("definition", error))
}

fn number(state: State) -> i64 {
    state_number(state.as_str()).expect("every state has a number")
}

fn reason(state: State) -> Option<&'static str> {
    Some(state.reason()).filter(|reason| !reason.is_empty())
}

fn done(_: &mut Row<'_>) -> Result<(), StoreError> {
    Ok(())
}

fn unwritable(what: &str, error: serde_json::Error) -> StoreError {
    StoreError::new(ErrorKind::Data, format!("write a {what} as JSON")).because(error)
}

/// The text of limits that many runs share is made once.
#[derive(Default)]
struct LimitsTexts {
    last: Option<(Arc<Limits>, Arc<str>)>,
}

impl LimitsTexts {
    fn of(&mut self, limits: &Arc<Limits>) -> Result<Arc<str>, StoreError> {
        match &self.last {
            Some((known, text)) if Arc::ptr_eq(known, limits) => Ok(text.clone()),
            _ => {
                let text: Arc<str> =
                    shape::limits_text(limits).map_err(|error| unwritable("limits", error))?.into();
                self.last = Some((limits.clone(), text.clone()));
                Ok(text)
            }
        }
    }
}
