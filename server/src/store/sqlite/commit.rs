//! Turns of owners: the fences of all of them first, then their joined rows kind by kind.

use std::collections::HashMap;
use std::sync::Arc;

use fastjob_core::domain::{Assignment, Job, Limits, Run, State};
use fastjob_core::id::{Epoch, ServerId, ShardKey};
use fastjob_core::shard::Rows;
use sqlx::SqliteConnection;

use super::bulk::{Bulk, Row};
use super::row::{Reader, state_number};
use super::{SqliteStore, commit};
use crate::failpoint::failpoint;
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
            failpoint("inside_transaction");
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
        let (waiting, others): (Vec<&Run>, Vec<&Run>) =
            self.all(|rows| &rows.runs_created).into_iter().partition(|run| is_fresh(run));
        RUNS_WAITING.write(to, &waiting, |row, run| created(row, run, &mut limits)).await?;
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
        RUNS_ENDED
            .write(to, &self.all(|rows| &rows.runs_ended), |row, ended| {
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

/// Scheduled, with nothing yet to say of an attempt or an end: most runs that a schedule makes.
fn is_fresh(run: &Run) -> bool {
    run.state == State::Scheduled
        && run.attempt == 0
        && run.fail_count == 0
        && run.lost_count == 0
        && run.assignment.is_none()
        && run.started_at.is_none()
        && run.cancel_at.is_none()
        && run.ended_at.is_none()
        && run.result.is_none()
        && run.error.is_none()
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

// The plus in `id = +v.column1` keeps SQLite from an index of its own on the list, which it would search for each row of
// the whole table; so it walks the list and searches the table by its key.

const FENCES: Bulk = Bulk {
    what: "fences",
    head: "SELECT owner.app_id, owner.shard, owner.server_id, owner.epoch FROM (VALUES",
    columns: 2,
    tail: ") AS v CROSS JOIN fastjob_app_owner owner ON owner.app_id = v.column1 AND owner.shard = v.column2",
};

const RUNS_REMOVED: Bulk = Bulk {
    what: "removed runs",
    head: "DELETE FROM fastjob_run WHERE id IN (VALUES",
    columns: 1,
    tail: ") AND state = 0 AND attempt = 0",
};

const JOBS_REVISED: Bulk = Bulk {
    what: "revised jobs",
    head: "UPDATE fastjob_job
           SET revision = v.column2, definition = v.column3, params_encoding = v.column4, params = v.column5,
               enabled = v.column6, next_at = v.column7, chain_seq = v.column8, updated_at = v.column9,
               deleted_at = v.column10
           FROM (VALUES",
    columns: 10,
    tail: ") AS v WHERE fastjob_job.id = +v.column1 AND fastjob_job.deleted_at IS NULL",
};

const JOBS_CREATED: Bulk = Bulk {
    what: "new jobs",
    head: "INSERT INTO fastjob_job (id, app_id, shard, name, revision, definition, params_encoding, params, enabled,
               next_at, chain_seq, created_at, updated_at, deleted_at)
           VALUES",
    columns: 14,
    tail: "",
};

const REVISIONS: Bulk = Bulk {
    what: "revisions of jobs",
    head: "INSERT INTO fastjob_job_revision (job_id, revision, from_at, definition, params_encoding, params, enabled,
               deleted)
           VALUES",
    columns: 8,
    tail: "",
};

const CURSORS: Bulk = Bulk {
    what: "cursors of jobs",
    head: "UPDATE fastjob_job SET next_at = v.column2, chain_seq = v.column3 FROM (VALUES",
    columns: 3,
    tail: ") AS v WHERE fastjob_job.id = +v.column1",
};

const RUNS_WAITING: Bulk = Bulk {
    what: "new scheduled runs",
    head: "INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision,
               handler, params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at,
               idempotency_key, retry_of)
           VALUES",
    columns: 21,
    tail: "",
};

const RUNS_CREATED: Bulk = Bulk {
    what: "new runs",
    head: "INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision,
               handler, params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at,
               idempotency_key, retry_of, token, session_id, worker, server_id, epoch, dispatched_at, reason,
               started_at, cancel_at, ended_at, result_encoding, result, error_class, error_message, error_trace)
           VALUES",
    columns: 36,
    tail: "",
};

const RUNS_STARTED: Bulk = Bulk {
    what: "started runs",
    head: "UPDATE fastjob_run
           SET state = 1, attempt = v.column2, token = v.column3, session_id = v.column4, worker = v.column5,
               server_id = v.column6, epoch = v.column7, dispatched_at = v.column8
           FROM (VALUES",
    columns: 8,
    tail: ") AS v WHERE fastjob_run.id = +v.column1 AND fastjob_run.state = 0",
};

const RUNS_CHANGED: Bulk = Bulk {
    what: "changed runs",
    head: "UPDATE fastjob_run
           SET state = v.column2, due_at = v.column3, fail_count = v.column4, lost_count = v.column5,
               cancel_at = v.column6, error_class = v.column7, error_message = v.column8, error_trace = v.column9,
               token = iif(v.column2 = 0, NULL, token), session_id = iif(v.column2 = 0, NULL, session_id),
               worker = iif(v.column2 = 0, NULL, worker), server_id = iif(v.column2 = 0, NULL, server_id),
               epoch = iif(v.column2 = 0, NULL, epoch), dispatched_at = iif(v.column2 = 0, NULL, dispatched_at)
           FROM (VALUES",
    columns: 9,
    tail: ") AS v WHERE fastjob_run.id = +v.column1 AND fastjob_run.ended_at IS NULL",
};

const RUNS_COPIED: Bulk = Bulk {
    what: "copied runs",
    head: "UPDATE fastjob_run
           SET revision = v.column2, handler = v.column3, params_encoding = v.column4, params = v.column5,
               limits = v.column6
           FROM (VALUES",
    columns: 6,
    tail: ") AS v WHERE fastjob_run.id = +v.column1 AND fastjob_run.ended_at IS NULL",
};

const RUNS_ENDED: Bulk = Bulk {
    what: "ended runs",
    head: "UPDATE fastjob_run
           SET state = v.column2, reason = v.column3, ended_at = v.column4, started_at = v.column5,
               fail_count = v.column6, lost_count = v.column7, result_encoding = v.column8, result = v.column9,
               error_class = v.column10, error_message = v.column11, error_trace = v.column12
           FROM (VALUES",
    columns: 12,
    tail: ") AS v WHERE fastjob_run.id = +v.column1 AND fastjob_run.ended_at IS NULL",
};

const ATTEMPTS: Bulk = Bulk {
    what: "superseded attempts",
    head: "INSERT INTO fastjob_attempt (run_id, attempt, token, session_id, worker, server_id, epoch, dispatched_at,
               started_at, ended_at, outcome, error_class, error_message, error_trace)
           VALUES",
    columns: 14,
    tail: "",
};

const GAPS: Bulk = Bulk {
    what: "gaps",
    head: "INSERT INTO fastjob_gap (job_id, from_at, to_at, count, reason, revision) VALUES",
    columns: 6,
    tail: "",
};

const OUTAGES_OVER: Bulk = Bulk {
    what: "ends of outages",
    head: "UPDATE fastjob_app_owner SET outage_from = NULL FROM (VALUES",
    columns: 2,
    tail: ") AS v WHERE fastjob_app_owner.app_id = +v.column1 AND fastjob_app_owner.shard = +v.column2",
};

const INBOX_DONE: Bulk = Bulk {
    what: "commands done",
    head: "DELETE FROM fastjob_inbox WHERE id IN (VALUES",
    columns: 1,
    tail: ")",
};

const INBOX_FAILED: Bulk = Bulk {
    what: "commands set aside",
    head: "UPDATE fastjob_inbox SET failed_at = v.column2, reason = v.column3 FROM (VALUES",
    columns: 3,
    tail: ") AS v WHERE fastjob_inbox.id = +v.column1",
};

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection, Row as _};

    use super::*;

    #[tokio::test]
    async fn no_statement_of_a_turn_scans_a_table() {
        let mut database = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let schema = include_str!("../../../migrations/sqlite/0001_init.sql");
        sqlx::raw_sql(schema).execute(&mut database).await.unwrap();
        let searching = [
            FENCES,
            RUNS_REMOVED,
            JOBS_REVISED,
            CURSORS,
            RUNS_STARTED,
            RUNS_CHANGED,
            RUNS_COPIED,
            RUNS_ENDED,
            OUTAGES_OVER,
            INBOX_DONE,
            INBOX_FAILED,
        ];
        for statement in searching {
            for rows in super::super::bulk::CHUNKS {
                let sql = format!("EXPLAIN QUERY PLAN {}", statement.text(rows));
                let plan = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut database).await.unwrap();
                let steps: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
                let scans = |step: &String| step.starts_with("SCAN") && step.contains("fastjob");
                assert!(!steps.iter().any(scans), "{}: {steps:?}", statement.what);
                assert!(
                    steps.iter().any(|step| step.contains("USING PRIMARY KEY")),
                    "{}: {steps:?}",
                    statement.what
                );
            }
        }
    }
}
