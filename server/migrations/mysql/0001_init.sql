-- The first schema, for MariaDB and MySQL. Instants are milliseconds since 1970 UTC; ids are the 16 bytes of a UUID;
-- unsigned 64-bit numbers (attempt tokens, revisions, ordinals) keep their bits in a signed BIGINT. Enumerations are words,
-- but for run.state. Texts compare by their bytes.
--
-- A statement of this kind commits by itself, so each can be repeated: a migration that was cut off is run once more.
-- There are no partial indexes: a column that is null where the row is of no interest stands in for one.

CREATE TABLE IF NOT EXISTS fastjob_server (
    id           BINARY(16)   NOT NULL PRIMARY KEY,
    rpc_address  TEXT         NOT NULL,
    http_address TEXT         NOT NULL,
    version      VARCHAR(255) NOT NULL,
    phase        VARCHAR(16)  NOT NULL,            -- up, draining, dead
    seq          BIGINT       NOT NULL,
    renewed_at   BIGINT       NOT NULL,
    KEY fastjob_server_phase (phase)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS fastjob_app (
    id         BIGINT       NOT NULL PRIMARY KEY AUTO_INCREMENT,
    name       VARCHAR(128) NOT NULL,
    shards     INT          NOT NULL,
    created_at BIGINT       NOT NULL,
    UNIQUE KEY fastjob_app_named (name)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS fastjob_token (
    id         BINARY(16)     NOT NULL PRIMARY KEY,
    app_id     BIGINT,                             -- null: the administrator's
    hash       VARBINARY(255) NOT NULL,            -- SHA-256 of the secret
    note       TEXT           NOT NULL,
    created_at BIGINT         NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    KEY fastjob_token_app (app_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row per shard, made with its app and never absent.
CREATE TABLE IF NOT EXISTS fastjob_app_owner (
    app_id         BIGINT NOT NULL,
    shard          INT    NOT NULL,
    server_id      BINARY(16),
    epoch          BIGINT NOT NULL,
    acquired_at    BIGINT,
    outage_from    BIGINT,
    desired_server BINARY(16),
    desired_until  BIGINT,
    PRIMARY KEY (app_id, shard)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Append only.
CREATE TABLE IF NOT EXISTS fastjob_owner_log (
    id        BIGINT      NOT NULL PRIMARY KEY AUTO_INCREMENT,
    app_id    BIGINT      NOT NULL,
    shard     INT         NOT NULL,
    epoch     BIGINT      NOT NULL,
    server_id BINARY(16)  NOT NULL,
    at        BIGINT      NOT NULL,
    reason    VARCHAR(32) NOT NULL                 -- claimed, raised, released
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS fastjob_job (
    id              BINARY(16)   NOT NULL PRIMARY KEY,
    app_id          BIGINT       NOT NULL,
    shard           INT          NOT NULL,
    name            VARCHAR(128) NOT NULL,
    revision        BIGINT       NOT NULL,
    definition      LONGTEXT     NOT NULL,         -- JSON, all of it but the parameters
    params_encoding VARCHAR(16)  NOT NULL,         -- json, text, binary
    params          LONGBLOB     NOT NULL,
    enabled         TINYINT      NOT NULL,
    next_at         BIGINT,
    chain_seq       BIGINT       NOT NULL,
    created_at      BIGINT       NOT NULL,
    updated_at      BIGINT       NOT NULL,
    deleted_at      BIGINT,                        -- null: living
    living_name     VARCHAR(128) GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN name END) STORED,
    coming_at       BIGINT       GENERATED ALWAYS AS
                                 (CASE WHEN enabled = 1 AND deleted_at IS NULL THEN next_at END) STORED,
    UNIQUE KEY fastjob_job_living (app_id, living_name),
    KEY fastjob_job_named (app_id, name),
    KEY fastjob_job_next (app_id, shard, coming_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS fastjob_job_revision (
    job_id          BINARY(16)  NOT NULL,
    revision        BIGINT      NOT NULL,
    from_at         BIGINT      NOT NULL,
    definition      LONGTEXT    NOT NULL,
    params_encoding VARCHAR(16) NOT NULL,
    params          LONGBLOB    NOT NULL,
    enabled         TINYINT     NOT NULL,
    deleted         TINYINT     NOT NULL,
    PRIMARY KEY (job_id, revision)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Ids rise with time, so new rows go to the end. A run is open until ended_at is set: the index of open runs names
-- no column that a dispatch changes, so that a dispatch writes the row alone.
CREATE TABLE IF NOT EXISTS fastjob_run (
    id              BINARY(16)   NOT NULL PRIMARY KEY,
    app_id          BIGINT       NOT NULL,
    shard           INT          NOT NULL,
    job_id          BINARY(16)   NOT NULL,
    job_name        VARCHAR(128) NOT NULL,
    fire_key        VARCHAR(255) NOT NULL,         -- t<ms>, d<n>, k<hex>, r<uuid>
    source          VARCHAR(32)  NOT NULL,         -- cron, fixed_rate, fixed_delay, at, api, manual
    tick            BIGINT,
    due_at          BIGINT       NOT NULL,
    revision        BIGINT       NOT NULL,
    handler         VARCHAR(128) NOT NULL,
    params_encoding VARCHAR(16)  NOT NULL,
    params          LONGBLOB     NOT NULL,
    limits          TEXT         NOT NULL,         -- JSON: what differs from the baseline
    state           TINYINT      NOT NULL,         -- 0 scheduled 1 dispatched 2 succeeded 3 failed 4 cancelled 5 skipped
    reason          VARCHAR(32),                   -- why it failed or was skipped
    attempt         BIGINT       NOT NULL,
    token           BIGINT,                        -- this and the next five: the current or last assignment, or all null
    session_id      BINARY(16),
    worker          VARCHAR(255),
    server_id       BINARY(16),
    epoch           BIGINT,
    dispatched_at   BIGINT,
    fail_count      BIGINT       NOT NULL,
    lost_count      BIGINT       NOT NULL,
    created_at      BIGINT       NOT NULL,
    started_at      BIGINT,
    cancel_at       BIGINT,
    ended_at        BIGINT,
    result_encoding VARCHAR(16),
    result          LONGBLOB,
    error_class     TEXT,
    error_message   LONGTEXT,
    error_trace     LONGTEXT,
    idempotency_key VARCHAR(256),
    retry_of        BINARY(16),
    open_due_at     BIGINT       GENERATED ALWAYS AS (CASE WHEN ended_at IS NULL THEN due_at END) STORED,
    UNIQUE KEY fastjob_run_fired (job_id, fire_key),
    KEY fastjob_run_open (app_id, shard, open_due_at),
    CONSTRAINT fastjob_run_ended CHECK ((state >= 2) = (ended_at IS NOT NULL))
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Superseded attempts; the current one is in its run.
CREATE TABLE IF NOT EXISTS fastjob_attempt (
    run_id        BINARY(16)   NOT NULL,
    attempt       BIGINT       NOT NULL,
    token         BIGINT       NOT NULL,
    session_id    BINARY(16)   NOT NULL,
    worker        VARCHAR(255) NOT NULL,
    server_id     BINARY(16)   NOT NULL,
    epoch         BIGINT       NOT NULL,
    dispatched_at BIGINT       NOT NULL,
    started_at    BIGINT,
    ended_at      BIGINT       NOT NULL,
    outcome       VARCHAR(32)  NOT NULL,           -- failed, timeout, lost, undelivered
    error_class   TEXT,
    error_message LONGTEXT,
    error_trace   LONGTEXT,
    PRIMARY KEY (run_id, attempt)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Ticks without a run. No two gaps of a job begin at one tick.
CREATE TABLE IF NOT EXISTS fastjob_gap (
    job_id   BINARY(16)  NOT NULL,
    from_at  BIGINT      NOT NULL,
    to_at    BIGINT      NOT NULL,
    count    BIGINT,                               -- null: too many to count
    reason   VARCHAR(32) NOT NULL,                 -- catch_up, disabled
    revision BIGINT      NOT NULL,
    PRIMARY KEY (job_id, from_at),
    CONSTRAINT fastjob_gap_ordered CHECK (to_at >= from_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Commands that wait for an owner. A public door: a trigger needs app and name alone. The defaults do not depend on the
-- session's time zone. Texts are wider than what is valid, so that a lax sql_mode cuts nothing into something valid.
CREATE TABLE IF NOT EXISTS fastjob_inbox (
    id              BINARY(16)    NOT NULL PRIMARY KEY DEFAULT (UNHEX(REPLACE(UUID(), '-', ''))),
    app             VARCHAR(255)  NOT NULL,
    kind            VARCHAR(32)   NOT NULL DEFAULT 'trigger', -- trigger; by servers: call, outcome
    name            VARCHAR(255)  NOT NULL,        -- of the job
    idempotency_key VARCHAR(1024),
    due_at          BIGINT,                        -- null: at once
    params          LONGTEXT,                      -- JSON; null: the job's own
    body            LONGBLOB,                      -- of call and outcome
    run_id          BINARY(16),                    -- of an outcome
    created_at      BIGINT        NOT NULL DEFAULT
                                  (TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000),
    failed_at       BIGINT,                        -- set aside
    reason          TEXT,
    KEY fastjob_inbox_waiting (failed_at, created_at),
    KEY fastjob_inbox_run (run_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Counters that rise with each change of what servers would otherwise read again and again.
CREATE TABLE IF NOT EXISTS fastjob_change (
    kind VARCHAR(32) NOT NULL PRIMARY KEY,         -- owners (servers, apps, owners, desires), tokens
    seq  BIGINT      NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO fastjob_change (kind, seq) VALUES ('owners', 0), ('tokens', 0);
