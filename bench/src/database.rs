//! A database server of a scenario's own, thrown away with it, as durable as one in service.

use std::path::Path;

use anyhow::{Context, anyhow};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::process::{self, Used};

#[path = "../../server/tests/harness/mariadb.rs"]
#[expect(dead_code, reason = "it is made for tests that also kill it")]
mod mariadb;
#[path = "../../server/tests/harness/postgres.rs"]
mod postgres;
#[path = "../../server/tests/harness/supervised.rs"]
mod supervised;

/// Which one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    Mariadb,
}

/// One that runs.
pub(crate) enum Database {
    /// With its own settings throughout: each commit waits for the disk.
    Postgres(postgres::Postgres),
    /// With a log that is flushed at each commit, as it is by default.
    Mariadb(mariadb::MariaDb),
}

/// MariaDB's log as its default has it, and memory as a server in service has: the pages of a scenario fit in.
const MARIADB_SETTINGS: &str =
    "SET GLOBAL innodb_flush_log_at_trx_commit = 1; SET GLOBAL innodb_buffer_pool_size = 512 * 1024 * 1024";

impl Kind {
    /// As people write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mariadb => "mariadb",
        }
    }
}

impl Database {
    /// Starts one.
    pub(crate) fn start(kind: Kind) -> anyhow::Result<Self> {
        match kind {
            Kind::Postgres => {
                Ok(Self::Postgres(postgres::Postgres::start().map_err(|error| anyhow!(error))?))
            }
            Kind::Mariadb => {
                let database = mariadb::MariaDb::start().map_err(|error| anyhow!(error))?;
                database.execute(MARIADB_SETTINGS).map_err(|error| anyhow!(error))?;
                Ok(Self::Mariadb(database))
            }
        }
    }

    /// Makes an empty database in it; answers its url.
    pub(crate) fn fresh(&self) -> anyhow::Result<String> {
        match self {
            Self::Postgres(database) => database.fresh_database(),
            Self::Mariadb(database) => database.fresh_database(),
        }
        .map_err(|error| anyhow!(error))
    }

    /// What all of its processes have used so far.
    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        process::used_by_family(self.pid()?)
    }

    /// Bytes that it has written to its log so far.
    pub(crate) fn log_bytes(&self) -> anyhow::Result<u64> {
        let text = match self {
            Self::Postgres(_) => self.ask("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")?,
            Self::Mariadb(_) => self.ask("SHOW GLOBAL STATUS LIKE 'Innodb_os_log_written'")?,
        };
        let number = text.split_whitespace().last().and_then(|number| number.parse().ok());
        number.with_context(|| format!("the database answered {text:?}"))
    }

    /// Rows of runs in the database with this url: those that succeeded, and all.
    pub(crate) fn runs(&self, url: &str) -> anyhow::Result<(u64, u64)> {
        let name = url.rsplit_once('/').map_or(url, |(_, name)| name);
        let counts = "COUNT(CASE WHEN state = 2 THEN 1 END), COUNT(*)";
        let text = match self {
            Self::Postgres(database) => database
                .execute(name, &format!("SELECT {counts} FROM fastjob_run"))
                .map_err(|error| anyhow!(error))?,
            Self::Mariadb(_) => self.ask(&format!("SELECT {counts} FROM {name}.fastjob_run"))?,
        };
        let mut numbers = text.split(|one: char| !one.is_ascii_digit()).filter_map(|one| one.parse().ok());
        numbers.next().zip(numbers.next()).with_context(|| format!("the database answered {text:?}"))
    }

    /// What it is, and what a commit waits for.
    pub(crate) fn settings(&self) -> anyhow::Result<Value> {
        match self {
            Self::Postgres(_) => Ok(json!({
                "postgres": self.ask("SHOW server_version")?, "fsync": self.ask("SHOW fsync")?,
                "synchronous_commit": self.ask("SHOW synchronous_commit")?,
            })),
            Self::Mariadb(_) => Ok(json!({
                "mariadb": self.ask("SELECT VERSION()")?,
                "innodb_flush_log_at_trx_commit": self.ask("SELECT @@innodb_flush_log_at_trx_commit")?,
            })),
        }
    }

    fn ask(&self, sql: &str) -> anyhow::Result<String> {
        let answer = match self {
            Self::Postgres(database) => database.execute("postgres", sql),
            Self::Mariadb(database) => database.execute(sql),
        };
        Ok(answer.map_err(|error| anyhow!(error))?.trim().to_owned())
    }

    fn pid(&self) -> anyhow::Result<u32> {
        let file = match self {
            Self::Postgres(_) => Path::new(&self.ask("SHOW data_directory")?).join("postmaster.pid"),
            Self::Mariadb(_) => self.ask("SELECT @@pid_file")?.into(),
        };
        let text = std::fs::read_to_string(&file);
        let text = text.with_context(|| format!("failed to read {}", file.display()))?;
        let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
        pid.with_context(|| format!("{} names no process", file.display()))
    }
}
