//! The statements of a turn: each writes any number of rows of one kind, whose values are given in the order of
//! [`values`](crate::store::values).

use super::bulk::Bulk;

// A fence that does not hold locks nothing. FOR SHARE, not FOR KEY SHARE: it must conflict with the update of a claim.
pub(super) const FENCES: Bulk = Bulk {
    what: "fences",
    sql: "SELECT owner.app_id, owner.shard
          FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[]) AS v (app_id, shard, server_id, epoch)
          JOIN fastjob_app_owner owner ON owner.app_id = v.app_id AND owner.shard = v.shard
          WHERE owner.server_id = v.server_id AND owner.epoch = v.epoch
          ORDER BY owner.app_id, owner.shard
          FOR SHARE OF owner",
};

/// [`FENCES`] as a mere predicate: a planted bug.
pub(super) const FENCES_UNLOCKED: Bulk = Bulk {
    what: "fences",
    sql: "SELECT owner.app_id, owner.shard
          FROM unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::bigint[]) AS v (app_id, shard, server_id, epoch)
          JOIN fastjob_app_owner owner ON owner.app_id = v.app_id AND owner.shard = v.shard
          WHERE owner.server_id = v.server_id AND owner.epoch = v.epoch",
};

// No condition may be that of a partial index (deleted_at IS NULL, ended_at IS NULL): while that is small, the planner
// walks all of it rather than search by key, and keeps that plan. Open runs are those of state 0 and 1, by a CHECK.

pub(super) const RUNS_REMOVED: Bulk = Bulk {
    what: "removed runs",
    sql: "DELETE FROM fastjob_run WHERE id = ANY ($1::uuid[]) AND state = 0 AND attempt = 0",
};

pub(super) const JOBS_REVISED: Bulk = Bulk {
    what: "revised jobs",
    sql: "UPDATE fastjob_job job
          SET revision = v.revision, definition = v.definition, params_encoding = v.params_encoding, params = v.params,
              enabled = v.enabled, next_at = v.next_at, chain_seq = v.chain_seq, updated_at = v.updated_at,
              deleted_at = v.deleted_at
          FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::boolean[], $7::bigint[],
                      $8::bigint[], $9::bigint[], $10::bigint[])
               AS v (id, revision, definition, params_encoding, params, enabled, next_at, chain_seq, updated_at,
                     deleted_at)
          WHERE job.id = v.id AND num_nulls(job.deleted_at) = 1",
};

pub(super) const JOBS_CREATED: Bulk = Bulk {
    what: "new jobs",
    sql: "INSERT INTO fastjob_job (id, app_id, shard, name, revision, definition, params_encoding, params, enabled, next_at,
                                   chain_seq, created_at, updated_at, deleted_at)
          SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::text[], $7::text[],
                               $8::bytea[], $9::boolean[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
                               $14::bigint[])",
};

pub(super) const REVISIONS: Bulk = Bulk {
    what: "revisions of jobs",
    sql: "INSERT INTO fastjob_job_revision (job_id, revision, from_at, definition, params_encoding, params, enabled, deleted)
          SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bytea[],
                               $7::boolean[], $8::boolean[])",
};

pub(super) const CURSORS: Bulk = Bulk {
    what: "cursors of jobs",
    sql: "UPDATE fastjob_job job SET next_at = v.next_at, chain_seq = v.chain_seq
          FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS v (id, next_at, chain_seq)
          WHERE job.id = v.id",
};

pub(super) const RUNS_WAITING: Bulk = Bulk {
    what: "new scheduled runs",
    sql: "INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision, handler,
                                   params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at,
                                   idempotency_key, retry_of, jitter_ms)
          SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[], $6::text[],
                               $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[],
                               $13::bytea[], $14::text[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[],
                               $19::bigint[], $20::text[], $21::uuid[], $22::bigint[])",
};

pub(super) const RUNS_SENT: Bulk = Bulk {
    what: "new dispatched runs",
    sql: "INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision, handler,
                                   params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at,
                                   idempotency_key, retry_of, jitter_ms, token, session_id, worker, server_id, epoch,
                                   dispatched_at)
          SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[], $6::text[],
                               $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[],
                               $13::bytea[], $14::text[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[],
                               $19::bigint[], $20::text[], $21::uuid[], $22::bigint[], $23::bigint[], $24::uuid[],
                               $25::text[], $26::uuid[], $27::bigint[], $28::bigint[])",
};

pub(super) const RUNS_CREATED: Bulk = Bulk {
    what: "new runs",
    sql: "INSERT INTO fastjob_run (id, app_id, shard, job_id, job_name, fire_key, source, tick, due_at, revision, handler,
                                   params_encoding, params, limits, state, attempt, fail_count, lost_count, created_at,
                                   idempotency_key, retry_of, jitter_ms, token, session_id, worker, server_id, epoch,
                                   dispatched_at, reason, started_at, cancel_at, ended_at, result_encoding, result,
                                   error_class, error_message, error_trace)
          SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[], $6::text[],
                               $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[],
                               $13::bytea[], $14::text[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[],
                               $19::bigint[], $20::text[], $21::uuid[], $22::bigint[], $23::bigint[], $24::uuid[],
                               $25::text[], $26::uuid[], $27::bigint[], $28::bigint[], $29::text[], $30::bigint[],
                               $31::bigint[], $32::bigint[], $33::text[], $34::bytea[], $35::text[], $36::text[],
                               $37::text[])",
};

pub(super) const RUNS_STARTED: Bulk = Bulk {
    what: "started runs",
    sql: "UPDATE fastjob_run run
          SET state = 1, attempt = v.attempt, token = v.token, session_id = v.session_id, worker = v.worker,
              server_id = v.server_id, epoch = v.epoch, dispatched_at = v.dispatched_at
          FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[], $6::uuid[], $7::bigint[],
                      $8::bigint[])
               AS v (id, attempt, token, session_id, worker, server_id, epoch, dispatched_at)
          WHERE run.id = v.id AND run.state = 0",
};

pub(super) const RUNS_CHANGED: Bulk = Bulk {
    what: "changed runs",
    sql: "UPDATE fastjob_run run
          SET state = v.state, due_at = v.due_at, fail_count = v.fail_count, lost_count = v.lost_count,
              cancel_at = v.cancel_at, reason = v.reason, error_class = v.error_class,
              error_message = v.error_message, error_trace = v.error_trace,
              token = CASE WHEN v.state > 0 THEN run.token END,
              session_id = CASE WHEN v.state > 0 THEN run.session_id END,
              worker = CASE WHEN v.state > 0 THEN run.worker END,
              server_id = CASE WHEN v.state > 0 THEN run.server_id END,
              epoch = CASE WHEN v.state > 0 THEN run.epoch END,
              dispatched_at = CASE WHEN v.state > 0 THEN run.dispatched_at END
          FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
                      $8::text[], $9::text[], $10::text[])
               AS v (id, state, due_at, fail_count, lost_count, cancel_at, reason, error_class, error_message,
                     error_trace)
          WHERE run.id = v.id AND run.state < 2",
};

pub(super) const RUNS_COPIED: Bulk = Bulk {
    what: "copied runs",
    sql: "UPDATE fastjob_run run
          SET revision = v.revision, handler = v.handler, params_encoding = v.params_encoding, params = v.params,
              limits = v.limits
          FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::text[])
               AS v (id, revision, handler, params_encoding, params, limits)
          WHERE run.id = v.id AND run.state < 2",
};

pub(super) const RUNS_SUCCEEDED: Bulk = Bulk {
    what: "succeeded runs",
    sql: "UPDATE fastjob_run run
          SET state = 2, reason = NULL, ended_at = v.ended_at, started_at = v.started_at, result_encoding = v.result_encoding,
              result = v.result
          FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::bytea[])
               AS v (id, ended_at, started_at, result_encoding, result)
          WHERE run.id = v.id AND run.state < 2",
};

pub(super) const RUNS_ENDED: Bulk = Bulk {
    what: "ended runs",
    sql: "UPDATE fastjob_run run
          SET state = v.state, reason = v.reason, ended_at = v.ended_at, started_at = v.started_at,
              fail_count = v.fail_count, lost_count = v.lost_count, result_encoding = v.result_encoding,
              result = v.result, error_class = v.error_class, error_message = v.error_message,
              error_trace = v.error_trace
          FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                      $8::text[], $9::bytea[], $10::text[], $11::text[], $12::text[])
               AS v (id, state, reason, ended_at, started_at, fail_count, lost_count, result_encoding, result,
                     error_class, error_message, error_trace)
          WHERE run.id = v.id AND run.state < 2",
};

pub(super) const ATTEMPTS: Bulk = Bulk {
    what: "superseded attempts",
    sql: "INSERT INTO fastjob_attempt (run_id, attempt, token, session_id, worker, server_id, epoch, dispatched_at,
                                       started_at, ended_at, outcome, error_class, error_message, error_trace)
          SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[], $6::uuid[],
                               $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[],
                               $13::text[], $14::text[])",
};

pub(super) const GAPS: Bulk = Bulk {
    what: "gaps",
    sql: "INSERT INTO fastjob_gap (job_id, from_at, to_at, count, reason, revision)
          SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[])",
};

pub(super) const OUTAGES_OVER: Bulk = Bulk {
    what: "ends of outages",
    sql: "UPDATE fastjob_app_owner owner SET outage_from = NULL
          FROM unnest($1::bigint[], $2::bigint[]) AS v (app_id, shard)
          WHERE owner.app_id = v.app_id AND owner.shard = v.shard",
};

pub(super) const INBOX_DONE: Bulk =
    Bulk { what: "commands done", sql: "DELETE FROM fastjob_inbox WHERE id = ANY ($1::uuid[])" };

pub(super) const INBOX_FAILED: Bulk = Bulk {
    what: "commands set aside",
    sql: "UPDATE fastjob_inbox inbox SET failed_at = v.failed_at, reason = v.reason
          FROM unnest($1::uuid[], $2::bigint[], $3::text[]) AS v (id, failed_at, reason)
          WHERE inbox.id = v.id",
};
