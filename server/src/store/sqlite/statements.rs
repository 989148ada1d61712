//! What a turn says to the database: a statement for each kind of its rows.

use super::bulk::Bulk;

// The plus in `id = +v.column1` keeps SQLite from an index of its own on the list, which it would search for each row of
// the whole table; so it walks the list and searches the table by its key.

// Answers those that do not hold: there are hardly ever any, and a row that is answered costs more than one that is not.
pub(super) const FENCES_LOST: Bulk = Bulk {
    what: "fences",
    head: "SELECT v.column1 AS app_id, v.column2 AS shard FROM (VALUES",
    columns: 4,
    tail: ") AS v WHERE NOT EXISTS (SELECT 1 FROM fastjob_app_owner owner
               WHERE owner.app_id = v.column1 AND owner.shard = v.column2 AND owner.server_id = v.column3
                 AND owner.epoch = v.column4)",
};

pub(super) const RUNS_REMOVED: Bulk = Bulk {
    what: "removed runs",
    head: "DELETE FROM fastjob_run WHERE id IN (VALUES",
    columns: 1,
    tail: ") AND state = 0 AND attempt = 0",
};

pub(super) const JOBS_REVISED: Bulk = Bulk {
    what: "revised jobs",
    head: "UPDATE fastjob_job
           SET revision = v.column2, definition = v.column3, params_encoding = v.column4, params = v.column5,
               enabled = v.column6, next_at = v.column7, chain_seq = v.column8, updated_at = v.column9,
               deleted_at = v.column10
           FROM (VALUES",
    columns: 10,
    tail: ") AS v WHERE fastjob_job.id = +v.column1 AND fastjob_job.deleted_at IS NULL",
};

pub(super) const JOBS_CREATED: Bulk = Bulk {
    what: "new jobs",
    head: "INSERT INTO fastjob_job (id, app_id, shard, name, revision, definition, params_encoding, params, enabled,
               next_at, chain_seq, created_at, updated_at, deleted_at)
           VALUES",
    columns: 14,
    tail: "",
};

pub(super) const REVISIONS: Bulk = Bulk {
    what: "revisions of jobs",
    head: "INSERT INTO fastjob_job_revision (job_id, revision, from_at, definition, params_encoding, params, enabled,
               deleted)
           VALUES",
    columns: 8,
    tail: "",
};

pub(super) const CURSORS: Bulk = Bulk {
    what: "cursors of jobs",
    head: "UPDATE fastjob_job SET next_at = v.column2, chain_seq = v.column3 FROM (VALUES",
    columns: 3,
    tail: ") AS v WHERE fastjob_job.id = +v.column1",
};

pub(super) const RUNS_WAITING: Bulk = Bulk {
    what: "new scheduled runs",
    head: "INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision,
               handler, params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at,
               idempotency_key, retry_of, jitter_ms)
           VALUES",
    columns: 22,
    tail: "",
};

pub(super) const RUNS_SENT: Bulk = Bulk {
    what: "new dispatched runs",
    head: "INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision,
               handler, params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at,
               idempotency_key, retry_of, jitter_ms, token, session_id, worker, server_id, epoch, dispatched_at)
           VALUES",
    columns: 28,
    tail: "",
};

pub(super) const RUNS_CREATED: Bulk = Bulk {
    what: "new runs",
    head: "INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision,
               handler, params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at,
               idempotency_key, retry_of, jitter_ms, token, session_id, worker, server_id, epoch, dispatched_at, reason,
               started_at, cancel_at, ended_at, result_encoding, result, error_class, error_message, error_trace)
           VALUES",
    columns: 37,
    tail: "",
};

pub(super) const RUNS_STARTED: Bulk = Bulk {
    what: "started runs",
    head: "UPDATE fastjob_run
           SET state = 1, attempt = v.column2, token = v.column3, session_id = v.column4, worker = v.column5,
               server_id = v.column6, epoch = v.column7, dispatched_at = v.column8
           FROM (VALUES",
    columns: 8,
    tail: ") AS v WHERE fastjob_run.id = +v.column1 AND fastjob_run.state = 0",
};

pub(super) const RUNS_CHANGED: Bulk = Bulk {
    what: "changed runs",
    head: "UPDATE fastjob_run
           SET state = v.column2, due_at = v.column3, fail_count = v.column4, lost_count = v.column5,
               cancel_at = v.column6, reason = v.column7, error_class = v.column8, error_message = v.column9,
               error_trace = v.column10,
               token = iif(v.column2 = 0, NULL, token), session_id = iif(v.column2 = 0, NULL, session_id),
               worker = iif(v.column2 = 0, NULL, worker), server_id = iif(v.column2 = 0, NULL, server_id),
               epoch = iif(v.column2 = 0, NULL, epoch), dispatched_at = iif(v.column2 = 0, NULL, dispatched_at)
           FROM (VALUES",
    columns: 10,
    tail: ") AS v WHERE fastjob_run.id = +v.column1 AND fastjob_run.ended_at IS NULL",
};

pub(super) const RUNS_COPIED: Bulk = Bulk {
    what: "copied runs",
    head: "UPDATE fastjob_run
           SET revision = v.column2, handler = v.column3, params_encoding = v.column4, params = v.column5,
               limits = v.column6
           FROM (VALUES",
    columns: 6,
    tail: ") AS v WHERE fastjob_run.id = +v.column1 AND fastjob_run.ended_at IS NULL",
};

pub(super) const RUNS_SUCCEEDED: Bulk = Bulk {
    what: "succeeded runs",
    head: "UPDATE fastjob_run
           SET state = 2, reason = NULL, ended_at = v.column2, started_at = v.column3, result_encoding = v.column4,
               result = v.column5
           FROM (VALUES",
    columns: 5,
    tail: ") AS v WHERE fastjob_run.id = +v.column1 AND fastjob_run.ended_at IS NULL",
};

pub(super) const RUNS_ENDED: Bulk = Bulk {
    what: "ended runs",
    head: "UPDATE fastjob_run
           SET state = v.column2, reason = v.column3, ended_at = v.column4, started_at = v.column5,
               fail_count = v.column6, lost_count = v.column7, result_encoding = v.column8, result = v.column9,
               error_class = v.column10, error_message = v.column11, error_trace = v.column12
           FROM (VALUES",
    columns: 12,
    tail: ") AS v WHERE fastjob_run.id = +v.column1 AND fastjob_run.ended_at IS NULL",
};

pub(super) const ATTEMPTS: Bulk = Bulk {
    what: "superseded attempts",
    head: "INSERT INTO fastjob_attempt (run_id, attempt, token, session_id, worker, server_id, epoch, dispatched_at,
               started_at, ended_at, outcome, error_class, error_message, error_trace)
           VALUES",
    columns: 14,
    tail: "",
};

pub(super) const GAPS: Bulk = Bulk {
    what: "gaps",
    head: "INSERT INTO fastjob_gap (job_id, from_at, to_at, count, reason, revision) VALUES",
    columns: 6,
    tail: "",
};

pub(super) const OUTAGES_OVER: Bulk = Bulk {
    what: "ends of outages",
    head: "UPDATE fastjob_app_owner SET outage_from = NULL FROM (VALUES",
    columns: 2,
    tail: ") AS v WHERE fastjob_app_owner.app_id = +v.column1 AND fastjob_app_owner.shard = +v.column2",
};

pub(super) const INBOX_DONE: Bulk = Bulk {
    what: "commands done",
    head: "DELETE FROM fastjob_inbox WHERE id IN (VALUES",
    columns: 1,
    tail: ")",
};

pub(super) const INBOX_FAILED: Bulk = Bulk {
    what: "commands set aside",
    head: "UPDATE fastjob_inbox SET failed_at = v.column2, reason = v.column3 FROM (VALUES",
    columns: 3,
    tail: ") AS v WHERE fastjob_inbox.id = +v.column1",
};

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection, Row as _, SqliteConnection};

    use super::super::bulk::CHUNKS;
    use super::*;

    #[tokio::test]
    async fn no_statement_of_a_turn_scans_a_table() {
        let mut database = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        for schema in [
            include_str!("../../../migrations/sqlite/0001_init.sql"),
            include_str!("../../../migrations/sqlite/0003_policies.sql"),
        ] {
            sqlx::raw_sql(schema).execute(&mut database).await.unwrap();
        }
        let searching = [
            FENCES_LOST,
            RUNS_REMOVED,
            JOBS_REVISED,
            CURSORS,
            RUNS_STARTED,
            RUNS_CHANGED,
            RUNS_COPIED,
            RUNS_SUCCEEDED,
            RUNS_ENDED,
            OUTAGES_OVER,
            INBOX_DONE,
            INBOX_FAILED,
        ];
        for statement in searching {
            for rows in CHUNKS {
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
