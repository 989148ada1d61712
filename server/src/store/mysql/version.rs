//! Which of the two it is, whether it is new enough, and what a session is told so that nothing depends on how the server
//! is configured.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::mysql::MySqlConnection;

use super::fault::fault;
use crate::store::error::{ErrorKind, StoreError};

/// The oldest versions whose tables can be what FastJob needs: defaults that are expressions, DDL that is atomic.
const OLDEST_MARIADB: (u32, u32, u32) = (10, 6, 0);
const OLDEST_MYSQL: (u32, u32, u32) = (8, 0, 13);
/// Of a statement of many rows; twice what FastJob fills.
const LEAST_PACKET: u64 = 4 * 1024 * 1024;

/// Of one family, but with settings of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flavour {
    /// MariaDB.
    MariaDb,
    /// MySQL.
    MySql,
}

impl Flavour {
    /// Asks the server. Errors: [`ErrorKind::Unavailable`] if it cannot be used as it is.
    pub(super) async fn of(connection: &mut MySqlConnection) -> Result<Self, StoreError> {
        const WHAT: &str = "read the version of the database";
        let row = sqlx::query("SELECT VERSION(), CAST(@@max_allowed_packet AS UNSIGNED)")
            .fetch_one(connection)
            .await
            .map_err(|error| fault(WHAT, error))?;
        let version: String = row.try_get(0).map_err(|error| fault(WHAT, error))?;
        let packet: u64 = row.try_get(1).map_err(|error| fault(WHAT, error))?;
        let (flavour, oldest) = match version.contains("MariaDB") {
            true => (Self::MariaDb, OLDEST_MARIADB),
            false => (Self::MySql, OLDEST_MYSQL),
        };
        if numbers(&version).is_none_or(|numbers| numbers < oldest) {
            let message =
                format!("the database is {version}: FastJob needs MariaDB 10.6 or MySQL 8.0.13 at least");
            return Err(StoreError::new(ErrorKind::Unavailable, message));
        }
        if packet < LEAST_PACKET {
            let message = format!(
                "the database's max_allowed_packet is {packet}: set it to {LEAST_PACKET} (4M) or more"
            );
            return Err(StoreError::new(ErrorKind::Unavailable, message));
        }
        Ok(flavour)
    }

    /// What each connection begins with.
    pub(super) fn session(self) -> String {
        // A transaction whose server is stopped in the middle must not hold its locks.
        let limits = match self {
            Self::MariaDb => "idle_transaction_timeout = 5, max_statement_time = 10, wait_timeout = 28800",
            // It knows no limit of idle transactions: idle connections have the same then.
            Self::MySql => "max_execution_time = 10000, wait_timeout = 5",
        };
        format!(
            "SET NAMES utf8mb4 COLLATE utf8mb4_bin;
             SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
             SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00', autocommit = 1,
                 innodb_lock_wait_timeout = 5, {limits}"
        )
    }

    /// What a connection that only looks is told: it may read for long, and may not write.
    pub(super) fn look(self) -> String {
        let limit = match self {
            Self::MariaDb => "max_statement_time = 600",
            Self::MySql => "max_execution_time = 600000",
        };
        format!("{}; SET SESSION TRANSACTION READ ONLY; SET SESSION {limit}", self.session())
    }

    /// What a connection that migrates is told: its statements may take long.
    pub(super) const fn migration(self) -> &'static str {
        match self {
            Self::MariaDb => "SET SESSION max_statement_time = 0, lock_wait_timeout = 30",
            Self::MySql => "SET SESSION max_execution_time = 0, wait_timeout = 60, lock_wait_timeout = 30",
        }
    }

    /// How long a connection may be left alone before it is better not used again.
    pub(super) const fn idle_limit(self) -> Duration {
        match self {
            Self::MariaDb => Duration::from_secs(600),
            Self::MySql => Duration::from_secs(3),
        }
    }
}

/// The first three numbers of a version, as of `10.11.6-MariaDB-1` or `5.5.5-10.11.6-MariaDB`.
fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_servers_spell_them() {
        assert_eq!(numbers("10.11.6-MariaDB-0+deb12u1"), Some((10, 11, 6)));
        assert_eq!(numbers("5.5.5-10.6.16-MariaDB-log"), Some((10, 6, 16)));
        assert_eq!(numbers("8.0.15"), Some((8, 0, 15)));
        assert_eq!(numbers("9.1.0-commercial"), Some((9, 1, 0)));
        assert_eq!(numbers("new"), None);
    }
}
