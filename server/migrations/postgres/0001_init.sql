-- The first schema. Instants are milliseconds since 1970 UTC; unsigned 64-bit numbers (attempt tokens, revisions, ordinals)
-- keep their bits in a signed BIGINT. Enumerations are words, but for run.state. What is compared or sorted is COLLATE
-- "C", by bytes, whatever the database's collation.

-- About half of each page stays free where rows are written again and again, so that a new version finds room beside the old
-- one and no index is touched (HOT).
CREATE TABLE fastjob_server (
    id           UUID   NOT NULL PRIMARY KEY,
    rpc_address  TEXT   NOT NULL,
    http_address TEXT   NOT NULL,
    version      TEXT   NOT NULL,
    phase        TEXT   NOT NULL,                 -- up, draining, dead
    seq          BIGINT NOT NULL,
    renewed_at   BIGINT NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE fastjob_app (
    id         BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- never given twice
    name       TEXT    COLLATE "C" NOT NULL UNIQUE,
    shards     INTEGER NOT NULL,
    created_at BIGINT  NOT NULL
);

CREATE TABLE fastjob_token (
    id         UUID   NOT NULL PRIMARY KEY,
    app_id     BIGINT,                            -- null: the administrator's
    hash       BYTEA  NOT NULL,                   -- SHA-256 of the secret
    note       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

-- One row per shard, made with its app and never absent.
CREATE TABLE fastjob_app_owner (
    app_id         BIGINT  NOT NULL,
    shard          INTEGER NOT NULL,
    server_id      UUID,
    epoch          BIGINT  NOT NULL,
    acquired_at    BIGINT,
    outage_from    BIGINT,
    desired_server UUID,
    desired_until  BIGINT,
    PRIMARY KEY (app_id, shard)
) WITH (fillfactor = 50);

-- Append only.
CREATE TABLE fastjob_owner_log (
    id        BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app_id    BIGINT  NOT NULL,
    shard     INTEGER NOT NULL,
    epoch     BIGINT  NOT NULL,
    server_id UUID    NOT NULL,
    at        BIGINT  NOT NULL,
    reason    TEXT    NOT NULL                    -- claimed, raised, released
);

CREATE TABLE fastjob_job (
    id              UUID    NOT NULL PRIMARY KEY,
    app_id          BIGINT  NOT NULL,
    shard           INTEGER NOT NULL,
    name            TEXT    COLLATE "C" NOT NULL,
    revision        BIGINT  NOT NULL,
    definition      TEXT    NOT NULL,             -- JSON, all of it but the parameters
    params_encoding TEXT    NOT NULL,             -- json, text, binary
    params          BYTEA   NOT NULL,
    enabled         BOOLEAN NOT NULL,
    next_at         BIGINT,
    chain_seq       BIGINT  NOT NULL,
    created_at      BIGINT  NOT NULL,
    updated_at      BIGINT  NOT NULL,
    deleted_at      BIGINT                        -- null: living
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX fastjob_job_living ON fastjob_job (app_id, name) WHERE deleted_at IS NULL;
CREATE INDEX fastjob_job_named ON fastjob_job (app_id, name);
CREATE INDEX fastjob_job_next ON fastjob_job (app_id, shard, next_at)
    WHERE next_at IS NOT NULL AND enabled AND deleted_at IS NULL;

CREATE TABLE fastjob_job_revision (
    job_id          UUID    NOT NULL,
    revision        BIGINT  NOT NULL,
    from_at         BIGINT  NOT NULL,
    definition      TEXT    NOT NULL,
    params_encoding TEXT    NOT NULL,
    params          BYTEA   NOT NULL,
    enabled         BOOLEAN NOT NULL,
    deleted         BOOLEAN NOT NULL,
    PRIMARY KEY (job_id, revision)
);

-- Ids rise with time, so new rows go to the end. A run is open until ended_at is set: the index of open runs names
-- no column that a dispatch changes, so that a dispatch touches no index.
CREATE TABLE fastjob_run (
    id              UUID     NOT NULL PRIMARY KEY,
    app_id          BIGINT   NOT NULL,
    job_id          UUID     NOT NULL,
    tick            BIGINT,
    due_at          BIGINT   NOT NULL,
    revision        BIGINT   NOT NULL,
    token           BIGINT,                       -- this and the next five: the current or last assignment, or all null
    session_id      UUID,
    worker          TEXT,
    server_id       UUID,
    epoch           BIGINT,
    dispatched_at   BIGINT,
    created_at      BIGINT   NOT NULL,
    started_at      BIGINT,
    cancel_at       BIGINT,
    ended_at        BIGINT   CHECK ((state >= 2) = (ended_at IS NOT NULL)),
    shard           INTEGER  NOT NULL,
    attempt         BIGINT   NOT NULL,
    fail_count      BIGINT   NOT NULL,
    lost_count      BIGINT   NOT NULL,
    state           SMALLINT NOT NULL,            -- 0 scheduled 1 dispatched 2 succeeded 3 failed 4 cancelled 5 skipped
    reason          TEXT,                         -- why it failed or was skipped
    job_name        TEXT     NOT NULL,
    fire_key        TEXT     COLLATE "C" NOT NULL, -- t<ms>, d<n>, k<hex>, r<uuid>
    source          TEXT     NOT NULL,            -- cron, fixed_rate, fixed_delay, at, api, manual
    handler         TEXT     NOT NULL,
    params_encoding TEXT     NOT NULL,
    params          BYTEA    NOT NULL,
    limits          TEXT     NOT NULL,            -- JSON: what differs from the baseline
    result_encoding TEXT,
    result          BYTEA,
    error_class     TEXT,
    error_message   TEXT,
    error_trace     TEXT,
    idempotency_key TEXT,
    retry_of        UUID,
    UNIQUE (job_id, fire_key)
) WITH (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE INDEX fastjob_run_open ON fastjob_run (app_id, shard, due_at) WHERE ended_at IS NULL;

-- Superseded attempts; the current one is in its run.
CREATE TABLE fastjob_attempt (
    run_id        UUID   NOT NULL,
    attempt       BIGINT NOT NULL,
    token         BIGINT NOT NULL,
    session_id    UUID   NOT NULL,
    worker        TEXT   NOT NULL,
    server_id     UUID   NOT NULL,
    epoch         BIGINT NOT NULL,
    dispatched_at BIGINT NOT NULL,
    started_at    BIGINT,
    ended_at      BIGINT NOT NULL,
    outcome       TEXT   NOT NULL,                -- failed, timeout, lost, undelivered
    error_class   TEXT,
    error_message TEXT,
    error_trace   TEXT,
    PRIMARY KEY (run_id, attempt)
);

-- Ticks without a run. No two gaps of a job begin at one tick.
CREATE TABLE fastjob_gap (
    job_id   UUID   NOT NULL,
    from_at  BIGINT NOT NULL,
    to_at    BIGINT NOT NULL CHECK (to_at >= from_at),
    count    BIGINT,                              -- null: too many to count
    reason   TEXT   NOT NULL,                     -- catch_up, disabled
    revision BIGINT NOT NULL,
    PRIMARY KEY (job_id, from_at)
);

-- Commands that wait for an owner. A public door: a trigger needs app and name alone.
CREATE TABLE fastjob_inbox (
    id              UUID   NOT NULL PRIMARY KEY DEFAULT gen_random_uuid(),
    app             TEXT   COLLATE "C" NOT NULL,
    kind            TEXT   NOT NULL DEFAULT 'trigger', -- trigger; by servers: call, outcome
    name            TEXT   NOT NULL,              -- of the job
    idempotency_key TEXT,
    due_at          BIGINT,                       -- null: at once
    params          TEXT,                         -- JSON; null: the job's own
    body            BYTEA,                        -- of call and outcome
    run_id          UUID,                         -- of an outcome
    created_at      BIGINT NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    failed_at       BIGINT,                       -- set aside
    reason          TEXT
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

CREATE INDEX fastjob_inbox_waiting ON fastjob_inbox (created_at, id) WHERE failed_at IS NULL;
CREATE INDEX fastjob_inbox_failed ON fastjob_inbox (app, failed_at) WHERE failed_at IS NOT NULL;
CREATE INDEX fastjob_inbox_run ON fastjob_inbox (run_id) WHERE run_id IS NOT NULL;

-- Counters that rise with each change of what servers would otherwise read again and again.
CREATE TABLE fastjob_change (
    kind TEXT   COLLATE "C" NOT NULL PRIMARY KEY, -- owners (servers, apps, owners, desires), tokens
    seq  BIGINT NOT NULL
) WITH (fillfactor = 50);

INSERT INTO fastjob_change (kind, seq) VALUES ('owners', 0), ('tokens', 0);
