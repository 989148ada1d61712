//! Turns of owners: the fences of all of them first, then their joined rows kind by kind.

use std::collections::HashSet;

use fastjob_core::id::ShardKey;

use super::MySqlStore;
use super::bulk::{Bulk, List};
use super::link::Link;
use crate::failpoint::failpoint;
use crate::store::backend::{Turn, TurnEnd};
use crate::store::error::StoreError;
use crate::store::row::Reader;
use crate::store::values::{self, Joined, LimitsTexts};

impl MySqlStore {
    /// See [`crate::store::Store::turns_commit`].
    pub(super) async fn commit_turns(&self, turns: &[Turn<'_>]) -> Result<Vec<TurnEnd>, StoreError> {
        const WHAT: &str = "commit turns";
        let mut write = self.write(WHAT).await?;
        let held = fences(&mut write, turns).await?;
        let (mut ends, mut kept) = (Vec::with_capacity(turns.len()), Vec::with_capacity(turns.len()));
        for turn in turns {
            if held.contains(&turn.shard) {
                kept.push(turn);
                ends.push(TurnEnd::Committed);
            } else {
                ends.push(TurnEnd::Fenced);
            }
        }
        if kept.is_empty() {
            write.rollback().await;
        } else {
            write_rows(&mut write, &Joined(&kept)).await?;
            failpoint("inside_transaction");
            write.commit(WHAT).await?;
        }
        Ok(ends)
    }
}

/// Locks the fences that hold, in the order in which everybody locks them.
async fn fences(write: &mut Link, turns: &[Turn<'_>]) -> Result<HashSet<ShardKey>, StoreError> {
    let mut ordered: Vec<&Turn<'_>> = turns.iter().collect();
    ordered.sort_by_key(|turn| turn.shard);
    let rows = FENCES.read(write, |_| {}, &ordered, |row, turn| values::fence(row, turn)).await?;
    rows.iter().map(|row| Reader::new(row, "fastjob_app_owner", "app_id").shard()).collect()
}

async fn write_rows(to: &mut Link, rows: &Joined<'_>) -> Result<(), StoreError> {
    OUTAGES_OVER.write(to, &rows.outages_over(), values::shard).await?;
    RUNS_REMOVED.write(to, &rows.all(|rows| &rows.runs_removed), values::run_id).await?;
    JOBS_REVISED.write(to, &rows.all(|rows| &rows.jobs_revised), values::job_revised).await?;
    JOBS_CREATED.write(to, &rows.all(|rows| &rows.jobs_created), values::job_created).await?;
    REVISIONS.write(to, &rows.revisions(), values::revision).await?;
    CURSORS.write(to, &rows.all(|rows| &rows.cursors), values::cursor).await?;
    write_runs(to, rows).await?;
    ATTEMPTS.write(to, &rows.all(|rows| &rows.attempts), values::attempt).await?;
    GAPS.write(to, &rows.all(|rows| &rows.gaps), values::gap).await?;
    INBOX_DONE.write_at_most(to, &rows.all(|rows| &rows.inbox_done), values::inbox_id).await?;
    INBOX_FAILED.write_at_most(to, &rows.all(|rows| &rows.inbox_failed), values::inbox_failed).await?;
    Ok(())
}

async fn write_runs(to: &mut Link, rows: &Joined<'_>) -> Result<(), StoreError> {
    let mut limits = LimitsTexts::default();
    let (waiting, others) = rows.runs_created();
    RUNS_WAITING.write(to, &waiting, |row, run| values::run_waiting(row, run, &mut limits)).await?;
    let (sent, others) = values::runs_sent(others);
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

const FENCES: Bulk = Bulk {
    what: "fences",
    head: &["SELECT owner.app_id, owner.shard FROM"],
    list: List::Table("nnin"),
    tail: "STRAIGHT_JOIN fastjob_app_owner owner ON owner.app_id = v.c1 AND owner.shard = v.c2
           WHERE owner.server_id = v.c3 AND owner.epoch = v.c4 LOCK IN SHARE MODE",
};

const RUNS_REMOVED: Bulk = Bulk {
    what: "removed runs",
    head: &["DELETE FROM fastjob_run WHERE id IN ("],
    list: List::Values(1),
    tail: ") AND state = 0 AND attempt = 0",
};

const JOBS_REVISED: Bulk = Bulk {
    what: "revised jobs",
    head: &["UPDATE"],
    list: List::Table("inttbnnnnn"),
    tail: "STRAIGHT_JOIN fastjob_job job ON job.id = v.c1
           SET job.revision = v.c2, job.definition = v.c3, job.params_encoding = v.c4, job.params = v.c5,
               job.enabled = v.c6, job.next_at = v.c7, job.chain_seq = v.c8, job.updated_at = v.c9,
               job.deleted_at = v.c10
           WHERE job.deleted_at IS NULL",
};

const JOBS_CREATED: Bulk = Bulk {
    what: "new jobs",
    head: &["INSERT INTO fastjob_job (id, app_id, shard, name, revision, definition, params_encoding, params, enabled,
               next_at, chain_seq, created_at, updated_at, deleted_at)
           VALUES"],
    list: List::Values(14),
    tail: "",
};

const REVISIONS: Bulk = Bulk {
    what: "revisions of jobs",
    head: &["INSERT INTO fastjob_job_revision (job_id, revision, from_at, definition, params_encoding, params, enabled,
               deleted)
           VALUES"],
    list: List::Values(8),
    tail: "",
};

const CURSORS: Bulk = Bulk {
    what: "cursors of jobs",
    head: &["UPDATE"],
    list: List::Table("inn"),
    tail: "STRAIGHT_JOIN fastjob_job job ON job.id = v.c1 SET job.next_at = v.c2, job.chain_seq = v.c3",
};

const RUNS_WAITING: Bulk = Bulk {
    what: "new scheduled runs",
    head: &["INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision,
               handler, params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at,
               idempotency_key, retry_of, jitter_ms)
           VALUES"],
    list: List::Values(22),
    tail: "",
};

const RUNS_SENT: Bulk = Bulk {
    what: "new dispatched runs",
    head: &["INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision,
               handler, params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at,
               idempotency_key, retry_of, jitter_ms, token, session_id, worker, server_id, epoch, dispatched_at)
           VALUES"],
    list: List::Values(28),
    tail: "",
};

const RUNS_CREATED: Bulk = Bulk {
    what: "new runs",
    head: &["INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision,
               handler, params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at,
               idempotency_key, retry_of, jitter_ms, token, session_id, worker, server_id, epoch, dispatched_at, reason,
               started_at, cancel_at, ended_at, result_encoding, result, error_class, error_message, error_trace)
           VALUES"],
    list: List::Values(37),
    tail: "",
};

const RUNS_STARTED: Bulk = Bulk {
    what: "started runs",
    head: &["UPDATE"],
    list: List::Table("innitinn"),
    tail: "STRAIGHT_JOIN fastjob_run run ON run.id = v.c1
           SET run.state = 1, run.attempt = v.c2, run.token = v.c3, run.session_id = v.c4, run.worker = v.c5,
               run.server_id = v.c6, run.epoch = v.c7, run.dispatched_at = v.c8
           WHERE run.state = 0",
};

const RUNS_CHANGED: Bulk = Bulk {
    what: "changed runs",
    head: &["UPDATE"],
    list: List::Table("innnnntttt"),
    tail: "STRAIGHT_JOIN fastjob_run run ON run.id = v.c1
           SET run.state = v.c2, run.due_at = v.c3, run.fail_count = v.c4, run.lost_count = v.c5,
               run.cancel_at = v.c6, run.reason = v.c7, run.error_class = v.c8, run.error_message = v.c9,
               run.error_trace = v.c10,
               run.token = IF(v.c2 = 0, NULL, run.token), run.session_id = IF(v.c2 = 0, NULL, run.session_id),
               run.worker = IF(v.c2 = 0, NULL, run.worker), run.server_id = IF(v.c2 = 0, NULL, run.server_id),
               run.epoch = IF(v.c2 = 0, NULL, run.epoch),
               run.dispatched_at = IF(v.c2 = 0, NULL, run.dispatched_at)
           WHERE run.ended_at IS NULL",
};

const RUNS_COPIED: Bulk = Bulk {
    what: "copied runs",
    head: &["UPDATE"],
    list: List::Table("inttbt"),
    tail: "STRAIGHT_JOIN fastjob_run run ON run.id = v.c1
           SET run.revision = v.c2, run.handler = v.c3, run.params_encoding = v.c4, run.params = v.c5,
               run.limits = v.c6
           WHERE run.ended_at IS NULL",
};

const RUNS_SUCCEEDED: Bulk = Bulk {
    what: "succeeded runs",
    head: &["UPDATE"],
    list: List::Table("inntb"),
    tail: "STRAIGHT_JOIN fastjob_run run ON run.id = v.c1
           SET run.state = 2, run.reason = NULL, run.ended_at = v.c2, run.started_at = v.c3,
               run.result_encoding = v.c4, run.result = v.c5
           WHERE run.ended_at IS NULL",
};

const RUNS_ENDED: Bulk = Bulk {
    what: "ended runs",
    head: &["UPDATE"],
    list: List::Table("intnnnntbttt"),
    tail: "STRAIGHT_JOIN fastjob_run run ON run.id = v.c1
           SET run.state = v.c2, run.reason = v.c3, run.ended_at = v.c4, run.started_at = v.c5,
               run.fail_count = v.c6, run.lost_count = v.c7, run.result_encoding = v.c8, run.result = v.c9,
               run.error_class = v.c10, run.error_message = v.c11, run.error_trace = v.c12
           WHERE run.ended_at IS NULL",
};

const ATTEMPTS: Bulk = Bulk {
    what: "superseded attempts",
    head: &["INSERT INTO fastjob_attempt (run_id, attempt, token, session_id, worker, server_id, epoch, dispatched_at,
               started_at, ended_at, outcome, error_class, error_message, error_trace)
           VALUES"],
    list: List::Values(14),
    tail: "",
};

const GAPS: Bulk = Bulk {
    what: "gaps",
    head: &["INSERT INTO fastjob_gap (job_id, from_at, to_at, count, reason, revision) VALUES"],
    list: List::Values(6),
    tail: "",
};

const OUTAGES_OVER: Bulk = Bulk {
    what: "ends of outages",
    head: &["UPDATE"],
    list: List::Table("nn"),
    tail: "STRAIGHT_JOIN fastjob_app_owner owner ON owner.app_id = v.c1 AND owner.shard = v.c2
           SET owner.outage_from = NULL",
};

const INBOX_DONE: Bulk = Bulk {
    what: "commands done",
    head: &["DELETE FROM fastjob_inbox WHERE id IN ("],
    list: List::Values(1),
    tail: ")",
};

const INBOX_FAILED: Bulk = Bulk {
    what: "commands set aside",
    head: &["UPDATE"],
    list: List::Table("int"),
    tail: "STRAIGHT_JOIN fastjob_inbox inbox ON inbox.id = v.c1 SET inbox.failed_at = v.c2, inbox.reason = v.c3",
};
