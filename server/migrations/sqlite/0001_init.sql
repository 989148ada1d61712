-- The first schema. Instants are milliseconds since 1970 UTC; ids are the 16 bytes of a UUID; unsigned 64-bit numbers
-- (attempt tokens, revisions, ordinals) keep their bits in a signed INTEGER. Enumerations are words, but for run.state.

CREATE TABLE fastjob_server (
    id           BLOB    NOT NULL PRIMARY KEY,
    rpc_address  TEXT    NOT NULL,
    http_address TEXT    NOT NULL,
    version      TEXT    NOT NULL,
    phase        TEXT    NOT NULL,               -- up, draining, dead
    seq          INTEGER NOT NULL,
    renewed_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE fastjob_app (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice
    name       TEXT    NOT NULL UNIQUE,
    shards     INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE fastjob_token (
    id         BLOB    NOT NULL PRIMARY KEY,
    app_id     INTEGER,                          -- null: the administrator's
    hash       BLOB    NOT NULL,                 -- SHA-256 of the secret
    note       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- One row per shard, made with its app and never absent.
CREATE TABLE fastjob_app_owner (
    app_id         INTEGER NOT NULL,
    shard          INTEGER NOT NULL,
    server_id      BLOB,
    epoch          INTEGER NOT NULL,
    acquired_at    INTEGER,
    outage_from    INTEGER,
    desired_server BLOB,
    desired_until  INTEGER,
    PRIMARY KEY (app_id, shard)
) STRICT, WITHOUT ROWID;

-- Append only.
CREATE TABLE fastjob_owner_log (
    id        INTEGER PRIMARY KEY,
    app_id    INTEGER NOT NULL,
    shard     INTEGER NOT NULL,
    epoch     INTEGER NOT NULL,
    server_id BLOB    NOT NULL,
    at        INTEGER NOT NULL,
    reason    TEXT    NOT NULL                   -- claimed, raised, released
) STRICT;

CREATE TABLE fastjob_job (
    id              BLOB    NOT NULL PRIMARY KEY,
    app_id          INTEGER NOT NULL,
    shard           INTEGER NOT NULL,
    name            TEXT    NOT NULL,
    revision        INTEGER NOT NULL,
    definition      TEXT    NOT NULL,            -- JSON, all of it but the parameters
    params_encoding TEXT    NOT NULL,            -- json, text, binary
    params          BLOB    NOT NULL,
    enabled         INTEGER NOT NULL,
    next_at         INTEGER,
    chain_seq       INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    deleted_at      INTEGER                      -- null: living
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX fastjob_job_living ON fastjob_job (app_id, name) WHERE deleted_at IS NULL;
CREATE INDEX fastjob_job_named ON fastjob_job (app_id, name);
CREATE INDEX fastjob_job_next ON fastjob_job (app_id, shard, next_at)
    WHERE next_at IS NOT NULL AND enabled = 1 AND deleted_at IS NULL;

CREATE TABLE fastjob_job_revision (
    job_id          BLOB    NOT NULL,
    revision        INTEGER NOT NULL,
    from_at         INTEGER NOT NULL,
    definition      TEXT    NOT NULL,
    params_encoding TEXT    NOT NULL,
    params          BLOB    NOT NULL,
    enabled         INTEGER NOT NULL,
    deleted         INTEGER NOT NULL,
    PRIMARY KEY (job_id, revision)
) STRICT, WITHOUT ROWID;

-- Ids rise with time, so new rows go to the end. A run is open until ended_at is set: the index of open runs names
-- no column that a dispatch changes, so that a dispatch writes the row alone.
CREATE TABLE fastjob_run (
    id              BLOB    NOT NULL PRIMARY KEY,
    app_id          INTEGER NOT NULL,
    shard           INTEGER NOT NULL,
    job_id          BLOB    NOT NULL,
    job_name        TEXT    NOT NULL,
    fire_key        TEXT    NOT NULL,            -- t<ms>, d<n>, k<hex>, r<uuid>
    source          TEXT    NOT NULL,            -- cron, fixed_rate, fixed_delay, at, api, manual
    tick            INTEGER,
    due_at          INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    handler         TEXT    NOT NULL,
    params_encoding TEXT    NOT NULL,
    params          BLOB    NOT NULL,
    limits          TEXT    NOT NULL,            -- JSON: what differs from the baseline
    state           INTEGER NOT NULL,            -- 0 scheduled 1 dispatched 2 succeeded 3 failed 4 cancelled 5 skipped
    reason          TEXT,                        -- why it failed or was skipped
    attempt         INTEGER NOT NULL,
    token           INTEGER,                     -- this and the next five: the current or last assignment, or all null
    session_id      BLOB,
    worker          TEXT,
    server_id       BLOB,
    epoch           INTEGER,
    dispatched_at   INTEGER,
    fail_count      INTEGER NOT NULL,
    lost_count      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    cancel_at       INTEGER,
    ended_at        INTEGER CHECK ((state >= 2) = (ended_at IS NOT NULL)),
    result_encoding TEXT,
    result          BLOB,
    error_class     TEXT,
    error_message   TEXT,
    error_trace     TEXT,
    idempotency_key TEXT,
    retry_of        BLOB,
    UNIQUE (job_id, fire_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX fastjob_run_open ON fastjob_run (app_id, shard, due_at) WHERE ended_at IS NULL;

-- Superseded attempts; the current one is in its run.
CREATE TABLE fastjob_attempt (
    run_id        BLOB    NOT NULL,
    attempt       INTEGER NOT NULL,
    token         INTEGER NOT NULL,
    session_id    BLOB    NOT NULL,
    worker        TEXT    NOT NULL,
    server_id     BLOB    NOT NULL,
    epoch         INTEGER NOT NULL,
    dispatched_at INTEGER NOT NULL,
    started_at    INTEGER,
    ended_at      INTEGER NOT NULL,
    outcome       TEXT    NOT NULL,              -- failed, timeout, lost, undelivered
    error_class   TEXT,
    error_message TEXT,
    error_trace   TEXT,
    PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;

-- Ticks without a run. No two gaps of a job begin at one tick.
CREATE TABLE fastjob_gap (
    job_id   BLOB    NOT NULL,
    from_at  INTEGER NOT NULL,
    to_at    INTEGER NOT NULL CHECK (to_at >= from_at),
    count    INTEGER,                            -- null: too many to count
    reason   TEXT    NOT NULL,                   -- catch_up, disabled
    revision INTEGER NOT NULL,
    PRIMARY KEY (job_id, from_at)
) STRICT, WITHOUT ROWID;

-- Commands that wait for an owner. A public door: a trigger needs app and name alone.
CREATE TABLE fastjob_inbox (
    id              BLOB    NOT NULL PRIMARY KEY DEFAULT (randomblob(16)) CHECK (length(id) = 16),
    app             TEXT    NOT NULL,
    kind            TEXT    NOT NULL DEFAULT 'trigger', -- trigger; by servers: call, outcome
    name            TEXT    NOT NULL,            -- of the job
    idempotency_key TEXT,
    due_at          INTEGER,                     -- null: at once
    params          TEXT,                        -- JSON; null: the job's own
    body            BLOB,                        -- of call and outcome
    run_id          BLOB CHECK (length(run_id) = 16), -- of an outcome
    -- Also by programs with an old SQLite, which knows no unixepoch('subsec').
    created_at      INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)),
    failed_at       INTEGER,                     -- set aside
    reason          TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX fastjob_inbox_waiting ON fastjob_inbox (created_at) WHERE failed_at IS NULL;
CREATE INDEX fastjob_inbox_run ON fastjob_inbox (run_id) WHERE run_id IS NOT NULL;

-- Counters that rise with each change of what servers would otherwise read again and again.
CREATE TABLE fastjob_change (
    kind TEXT    NOT NULL PRIMARY KEY,           -- owners (servers, apps, owners, desires), tokens
    seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO fastjob_change (kind, seq) VALUES ('owners', 0), ('tokens', 0);
