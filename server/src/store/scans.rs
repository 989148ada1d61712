//! The invariants that SQL can see, each as one statement that finds what breaks it. The text is the same for every
//! database but for what [`Dialect`] names; no statement writes.
//!
//! Each statement sees one state of the database, so it may run beside servers: an invariant holds between any two
//! commits.

/// One invariant.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// Names it.
    pub name: &'static str,
    /// What holds.
    pub promise: &'static str,
    /// Selects a text `example` for each violation.
    text: fn(Dialect) -> String,
}

/// How a database words what the statements need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    /// The text of an id in this column, as people see it.
    pub(super) id: fn(&str) -> String,
    /// What a text is cast to that is an integer of 64 bits.
    pub(super) integer: &'static str,
}

impl Dialect {
    /// The text of a UUID that is stored as 16 bytes.
    pub(super) fn uuid_of_bytes(column: &str) -> String {
        let part = |from: u8, length: u8| format!("substr(hex({column}), {from}, {length})");
        let parts = [(1, 8), (9, 4), (13, 4), (17, 4), (21, 12)].map(|(from, length)| part(from, length));
        format!("lower(concat({}))", parts.join(", '-', "))
    }
}

impl Scan {
    /// The statement: `example` and, in each row, how many there are in all, as `total`.
    pub(super) fn sql(&self, dialect: Dialect) -> String {
        format!(
            "SELECT example, count(*) OVER () AS total FROM ({}) violation ORDER BY example LIMIT {}",
            (self.text)(dialect),
            super::inspect::Violations::MAX_EXAMPLES
        )
    }
}

/// All tables; servers read and write every one.
pub(super) const TABLES: [&str; 13] = [
    "fastjob_app",
    "fastjob_app_owner",
    "fastjob_attempt",
    "fastjob_change",
    "fastjob_cluster",
    "fastjob_gap",
    "fastjob_inbox",
    "fastjob_job",
    "fastjob_job_revision",
    "fastjob_owner_log",
    "fastjob_run",
    "fastjob_server",
    "fastjob_token",
];

/// How much there is, in one row.
pub(super) const SIZES: &str = "SELECT (SELECT count(*) FROM fastjob_job WHERE deleted_at IS NULL) AS jobs,
            (SELECT count(*) FROM fastjob_run) AS runs,
            (SELECT count(*) FROM fastjob_run WHERE ended_at IS NULL) AS open_runs,
            (SELECT min(ended_at) FROM fastjob_run) AS oldest_ended,
            (SELECT count(*) FROM fastjob_inbox WHERE failed_at IS NULL) AS inbox_waiting,
            (SELECT min(created_at) FROM fastjob_inbox WHERE failed_at IS NULL) AS inbox_oldest";

/// Commands that were set aside, by reason: `reason` and `total`.
pub(super) fn failed_by_reason() -> String {
    format!(
        "SELECT reason, count(*) AS total FROM fastjob_inbox WHERE failed_at IS NOT NULL
         GROUP BY reason ORDER BY total DESC, reason LIMIT {}",
        super::inspect::Sizes::MAX_REASONS
    )
}

/// All of them: who owns what, the definition of jobs, their ticks, their runs, and the attempts of these.
pub const SCANS: [Scan; 27] = [
    SHARDS_COMPLETE,
    OWNER_LOG_RISES,
    OWNER_EPOCH_IS_NEWEST,
    OWNER_IS_KNOWN,
    JOB_NAME_ONCE,
    REVISIONS_COMPLETE,
    RUN_FOLLOWS_ITS_JOB,
    FIRE_KEY_ONCE,
    TICK_NAMED_BY_KEY,
    TICK_ACCOUNTED_ONCE,
    GAPS_APART,
    CURSOR_AFTER_TICKS,
    CHAIN_CONSECUTIVE,
    CHAIN_ALONE,
    DELETED_JOB_IS_QUIET,
    SCHEDULED_IS_UNASSIGNED,
    DISPATCHED_IS_ASSIGNED,
    SUCCEEDED_WAS_ASSIGNED,
    ENDED_HAS_ITS_INSTANT,
    END_HAS_ITS_REASON,
    NEVER_EARLY,
    DISPATCH_EPOCH_IS_KNOWN,
    EPOCHS_RISE_WITHIN_A_RUN,
    ATTEMPTS_CONSECUTIVE,
    ATTEMPT_HAS_ITS_RUN,
    COUNTS_MATCH_ATTEMPTS,
    LOST_AT_MOST_THREE_TIMES,
];

const SHARDS_COMPLETE: Scan = Scan {
    name: "shards_complete",
    promise: "each app has one owner row for each of its shards",
    text: |_| {
        "SELECT app.name AS example
         FROM fastjob_app app
         LEFT JOIN (SELECT app_id, count(*) AS present, min(shard) AS lowest, max(shard) AS highest
                    FROM fastjob_app_owner GROUP BY app_id) held ON held.app_id = app.id
         WHERE coalesce(held.present, 0) <> app.shards OR held.lowest <> 0 OR held.highest <> app.shards - 1"
            .into()
    },
};

const OWNER_LOG_RISES: Scan = Scan {
    name: "owner_log_rises",
    promise: "the epochs of a shard rise strictly in its log, a release aside",
    text: |_| {
        "SELECT concat(app_id, '/', shard, ' epoch ', epoch) AS example
         FROM (SELECT app_id, shard, epoch, reason,
                      lag(epoch) OVER (PARTITION BY app_id, shard ORDER BY id) AS earlier
               FROM fastjob_owner_log) logged
         WHERE epoch < earlier OR (epoch = earlier AND reason <> 'released')"
            .into()
    },
};

const OWNER_EPOCH_IS_NEWEST: Scan = Scan {
    name: "owner_epoch_is_newest",
    promise: "a shard's epoch is the newest of its log",
    text: |_| {
        "SELECT concat(held.app_id, '/', held.shard, ' epoch ', held.epoch) AS example
         FROM fastjob_app_owner held
         LEFT JOIN (SELECT app_id, shard, max(epoch) AS newest FROM fastjob_owner_log GROUP BY app_id, shard) logged
                ON logged.app_id = held.app_id AND logged.shard = held.shard
         WHERE held.epoch <> coalesce(logged.newest, 0)"
            .into()
    },
};

const OWNER_IS_KNOWN: Scan = Scan {
    name: "owner_is_known",
    promise: "a shard's owner has a row among the servers",
    text: |_| {
        "SELECT concat(held.app_id, '/', held.shard) AS example
         FROM fastjob_app_owner held LEFT JOIN fastjob_server server ON server.id = held.server_id
         WHERE held.server_id IS NOT NULL AND server.id IS NULL"
            .into()
    },
};

const JOB_NAME_ONCE: Scan = Scan {
    name: "job_name_once",
    promise: "one living job per app and name",
    text: |_| {
        "SELECT concat(app_id, '/', name) AS example FROM fastjob_job
         WHERE deleted_at IS NULL GROUP BY app_id, name HAVING count(*) > 1"
            .into()
    },
};

const REVISIONS_COMPLETE: Scan = Scan {
    name: "revisions_complete",
    promise: "each revision of a job is kept, from 1 to its own",
    text: |dialect| {
        format!(
            "SELECT {id} AS example
             FROM fastjob_job job
             LEFT JOIN (SELECT job_id, count(*) AS kept, min(revision) AS lowest, max(revision) AS highest
                        FROM fastjob_job_revision GROUP BY job_id) history ON history.job_id = job.id
             WHERE coalesce(history.kept, 0) <> job.revision OR history.lowest <> 1 OR history.highest <> job.revision",
            id = (dialect.id)("job.id")
        )
    },
};

const RUN_FOLLOWS_ITS_JOB: Scan = Scan {
    name: "run_follows_its_job",
    promise: "a run has its job, in the same shard, and follows a revision that the job has had",
    text: |dialect| {
        format!(
            "SELECT {id} AS example
             FROM fastjob_run run LEFT JOIN fastjob_job job ON job.id = run.job_id
             WHERE job.id IS NULL OR job.app_id <> run.app_id OR job.shard <> run.shard
                OR run.revision < 1 OR run.revision > job.revision",
            id = (dialect.id)("run.id")
        )
    },
};

const FIRE_KEY_ONCE: Scan = Scan {
    name: "fire_key_once",
    promise: "one run per job and fire key",
    text: |dialect| {
        format!(
            "SELECT concat({id}, ' ', fire_key) AS example FROM fastjob_run
             GROUP BY job_id, fire_key HAVING count(*) > 1",
            id = (dialect.id)("job_id")
        )
    },
};

const TICK_NAMED_BY_KEY: Scan = Scan {
    name: "tick_named_by_key",
    promise: "a run of a schedule has its tick, and its fire key is that tick's",
    text: |dialect| {
        format!(
            "SELECT {id} AS example FROM fastjob_run
             WHERE (tick IS NOT NULL AND source <> 'backfill' AND fire_key <> concat('t', tick))
                OR (tick IS NULL AND source IN ('cron', 'fixed_rate', 'daily_window', 'at') AND retry_of IS NULL)",
            id = (dialect.id)("id")
        )
    },
};

const TICK_ACCOUNTED_ONCE: Scan = Scan {
    name: "tick_accounted_once",
    promise: "no tick has a run and lies in a gap",
    text: |dialect| {
        format!(
            "SELECT {id} AS example
             FROM (SELECT run_id, moment, max(to_at) OVER (PARTITION BY job_id ORDER BY moment, kind) AS covered
                   FROM (SELECT job_id, tick AS moment, 1 AS kind, id AS run_id, NULL AS to_at FROM fastjob_run
                         WHERE tick IS NOT NULL AND source <> 'backfill'
                           AND job_id IN (SELECT job_id FROM fastjob_gap)
                         UNION ALL
                         SELECT job_id, from_at, 0, NULL, to_at FROM fastjob_gap) entry) swept
             WHERE run_id IS NOT NULL AND covered >= moment",
            id = (dialect.id)("run_id")
        )
    },
};

const GAPS_APART: Scan = Scan {
    name: "gaps_apart",
    promise: "the gaps of a job do not overlap",
    text: |dialect| {
        format!(
            "SELECT concat({id}, ' from ', from_at) AS example
             FROM (SELECT job_id, from_at, max(to_at) OVER (
                              PARTITION BY job_id ORDER BY from_at, to_at
                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered
                   FROM fastjob_gap) swept
             WHERE covered >= from_at",
            id = (dialect.id)("job_id")
        )
    },
};

const CURSOR_AFTER_TICKS: Scan = Scan {
    name: "cursor_after_ticks",
    promise: "a job's next tick comes after every tick that has a run or lies in a gap",
    text: |dialect| {
        format!(
            "SELECT {id} AS example
             FROM fastjob_job job
             JOIN (SELECT job_id, max(moment) AS newest
                   FROM (SELECT job_id, tick AS moment FROM fastjob_run
                         WHERE tick IS NOT NULL AND source <> 'backfill'
                         UNION ALL
                         SELECT job_id, to_at FROM fastjob_gap) written
                   GROUP BY job_id) accounted ON accounted.job_id = job.id
             WHERE job.deleted_at IS NULL AND job.next_at <= accounted.newest",
            id = (dialect.id)("job.id")
        )
    },
};

const CHAIN_CONSECUTIVE: Scan = Scan {
    name: "chain_consecutive",
    promise: "the runs of a fixed-delay chain are numbered without a hole up to the job's own number",
    text: |dialect| {
        format!(
            "SELECT {id} AS example
             FROM (SELECT job_id, count(*) AS links, min(ordinal) AS lowest, max(ordinal) AS highest
                   FROM (SELECT job_id, CAST(substr(fire_key, 2) AS {integer}) AS ordinal
                         FROM fastjob_run WHERE fire_key LIKE 'd%') link
                   GROUP BY job_id) chain
             JOIN fastjob_job job ON job.id = chain.job_id
             WHERE chain.highest - chain.lowest + 1 <> chain.links OR chain.highest <> job.chain_seq",
            id = (dialect.id)("chain.job_id"),
            integer = dialect.integer
        )
    },
};

const CHAIN_ALONE: Scan = Scan {
    name: "chain_alone",
    promise: "a fixed-delay chain has one open run at most",
    text: |dialect| {
        format!(
            "SELECT {id} AS example FROM fastjob_run
             WHERE ended_at IS NULL AND fire_key LIKE 'd%' GROUP BY job_id HAVING count(*) > 1",
            id = (dialect.id)("job_id")
        )
    },
};

const DELETED_JOB_IS_QUIET: Scan = Scan {
    name: "deleted_job_is_quiet",
    promise: "no run of a deleted job waits that was never dispatched",
    text: |dialect| {
        format!(
            "SELECT {id} AS example
             FROM fastjob_run run JOIN fastjob_job job ON job.id = run.job_id
             WHERE run.ended_at IS NULL AND run.attempt = 0 AND job.deleted_at IS NOT NULL",
            id = (dialect.id)("run.id")
        )
    },
};

const SCHEDULED_IS_UNASSIGNED: Scan = Scan {
    name: "scheduled_is_unassigned",
    promise: "a scheduled run is with no worker",
    text: |dialect| {
        format!(
            "SELECT {id} AS example FROM fastjob_run
             WHERE state = 0 AND (token IS NOT NULL OR session_id IS NOT NULL OR worker IS NOT NULL
                OR server_id IS NOT NULL OR epoch IS NOT NULL OR dispatched_at IS NOT NULL)",
            id = (dialect.id)("id")
        )
    },
};

const DISPATCHED_IS_ASSIGNED: Scan = Scan {
    name: "dispatched_is_assigned",
    promise: "a dispatched run has its attempt's ordinal, token, session, worker, server and epoch",
    text: |dialect| {
        format!(
            "SELECT {id} AS example FROM fastjob_run
             WHERE state = 1 AND (attempt < 1 OR token IS NULL OR session_id IS NULL OR worker IS NULL
                OR server_id IS NULL OR epoch IS NULL OR dispatched_at IS NULL)",
            id = (dialect.id)("id")
        )
    },
};

const SUCCEEDED_WAS_ASSIGNED: Scan = Scan {
    name: "succeeded_was_assigned",
    promise: "a run that succeeded, or failed, names the attempt that ended it",
    text: |dialect| {
        format!(
            "SELECT {id} AS example FROM fastjob_run WHERE state IN (2, 3) AND (attempt < 1 OR token IS NULL)",
            id = (dialect.id)("id")
        )
    },
};

const ENDED_HAS_ITS_INSTANT: Scan = Scan {
    name: "ended_has_its_instant",
    promise: "a run has an end exactly if its state is terminal",
    text: |dialect| {
        format!(
            "SELECT {id} AS example FROM fastjob_run
             WHERE (state >= 2 AND ended_at IS NULL) OR (state < 2 AND ended_at IS NOT NULL)",
            id = (dialect.id)("id")
        )
    },
};

const END_HAS_ITS_REASON: Scan = Scan {
    name: "end_has_its_reason",
    promise: "a run that failed, was cancelled or skipped says why, a running one why it is to end; others have no reason",
    text: |dialect| {
        format!(
            "SELECT {id} AS example FROM fastjob_run
             WHERE (state >= 3 AND reason IS NULL)
                OR (state < 3 AND reason IS NOT NULL AND (state <> 1 OR cancel_at IS NULL))",
            id = (dialect.id)("id")
        )
    },
};

const NEVER_EARLY: Scan = Scan {
    name: "never_early",
    promise: "no attempt started more than 250 ms before its run's tick",
    text: |dialect| {
        format!(
            "SELECT {id} AS example FROM fastjob_run WHERE started_at < tick - 250
             UNION ALL
             SELECT {of_attempt} FROM fastjob_attempt attempt JOIN fastjob_run run ON run.id = attempt.run_id
             WHERE attempt.started_at < run.tick - 250",
            id = (dialect.id)("id"),
            of_attempt = (dialect.id)("run.id")
        )
    },
};

const DISPATCH_EPOCH_IS_KNOWN: Scan = Scan {
    name: "dispatch_epoch_is_known",
    promise: "no attempt was dispatched in an epoch above its shard's",
    text: |dialect| {
        format!(
            "SELECT {id} AS example
             FROM (SELECT id, app_id, shard, epoch FROM fastjob_run WHERE epoch IS NOT NULL
                   UNION ALL
                   SELECT run.id, run.app_id, run.shard, attempt.epoch
                   FROM fastjob_attempt attempt JOIN fastjob_run run ON run.id = attempt.run_id) given
             JOIN fastjob_app_owner held ON held.app_id = given.app_id AND held.shard = given.shard
             WHERE given.epoch > held.epoch",
            id = (dialect.id)("given.id")
        )
    },
};

const EPOCHS_RISE_WITHIN_A_RUN: Scan = Scan {
    name: "epochs_rise_within_a_run",
    promise: "no attempt of a run was dispatched in an epoch below an earlier attempt's",
    text: |dialect| {
        format!(
            "SELECT {id} AS example
             FROM (SELECT run_id, epoch, lag(epoch) OVER (PARTITION BY run_id ORDER BY attempt) AS earlier
                   FROM (SELECT run_id, attempt, epoch FROM fastjob_attempt
                         UNION ALL
                         SELECT id, attempt, epoch FROM fastjob_run WHERE attempt > 1 AND epoch IS NOT NULL) given) ordered
             WHERE epoch < earlier",
            id = (dialect.id)("run_id")
        )
    },
};

const ATTEMPTS_CONSECUTIVE: Scan = Scan {
    name: "attempts_consecutive",
    promise: "the attempts before a run's current one are kept, numbered from 1 without a hole",
    text: |dialect| {
        format!(
            "SELECT {id} AS example
             FROM fastjob_run run
             LEFT JOIN (SELECT run_id, count(*) AS kept, min(attempt) AS lowest, max(attempt) AS highest
                        FROM fastjob_attempt GROUP BY run_id) past ON past.run_id = run.id
             WHERE coalesce(past.kept, 0) <> run.attempt - CASE WHEN run.token IS NULL THEN 0 ELSE 1 END
                OR past.lowest <> 1 OR past.highest <> past.kept",
            id = (dialect.id)("run.id")
        )
    },
};

const ATTEMPT_HAS_ITS_RUN: Scan = Scan {
    name: "attempt_has_its_run",
    promise: "a superseded attempt has its run",
    text: |dialect| {
        format!(
            "SELECT concat({id}, ' attempt ', attempt.attempt) AS example
             FROM fastjob_attempt attempt LEFT JOIN fastjob_run run ON run.id = attempt.run_id
             WHERE run.id IS NULL",
            id = (dialect.id)("attempt.run_id")
        )
    },
};

const COUNTS_MATCH_ATTEMPTS: Scan = Scan {
    name: "counts_match_attempts",
    promise: "a run counts as many failed and lost attempts as it has had",
    text: |dialect| {
        format!(
            "SELECT {id} AS example
             FROM fastjob_run run
             LEFT JOIN (SELECT run_id, sum(CASE WHEN outcome IN ('failed', 'timeout') THEN 1 ELSE 0 END) AS failed,
                               sum(CASE WHEN outcome = 'lost' THEN 1 ELSE 0 END) AS lost
                        FROM fastjob_attempt GROUP BY run_id) past ON past.run_id = run.id
             WHERE run.fail_count <> coalesce(past.failed, 0)
                       + CASE WHEN run.state = 3 AND run.reason IN ('error', 'timeout') THEN 1 ELSE 0 END
                OR run.lost_count <> coalesce(past.lost, 0)
                       + CASE WHEN run.state = 3 AND run.reason IN ('lost', 'quarantined') THEN 1 ELSE 0 END",
            id = (dialect.id)("run.id")
        )
    },
};

const LOST_AT_MOST_THREE_TIMES: Scan = Scan {
    name: "lost_at_most_three_times",
    promise: "a run whose attempts were lost three times is not dispatched again",
    text: |dialect| {
        format!(
            "SELECT {id} AS example FROM fastjob_run
             WHERE lost_count > 3 OR (lost_count = 3 AND ended_at IS NULL)",
            id = (dialect.id)("id")
        )
    },
};
