//! How FastJob connects: which settings its sessions have, and what it asks of a database before it trusts it.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};

use super::fault::{code, fault};
use super::migrate;
use crate::store::error::{ErrorKind, StoreError};

/// How long a sentence waits for a connection of the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the making of a connection outside of the pool may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 256;
/// The oldest release with everything that the schema uses (`gen_random_uuid`).
const OLDEST: i32 = 130_000;

/// Of every session. The first four end what a server that is gone or frozen has left behind, so that its rows become free.
///
/// The planner's switches leave it what every statement here is made for: a search by key for each row that is asked for.
/// Without them a prepared statement whose plan was made while a table was empty goes on scanning it when it has grown,
/// since a plan is kept until the next ANALYZE; and compiling (`jit`) costs more than such a search.
const SETTINGS: [(&str, &str); 9] = [
    ("default_transaction_isolation", "read committed"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("statement_timeout", "10s"),
    ("lock_timeout", "5s"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_material", "off"),
    ("jit", "off"),
];

/// Of a session that only looks.
const LOOKING: [(&str, &str); 3] =
    [("default_transaction_read_only", "on"), ("statement_timeout", "600s"), ("lock_timeout", "5s")];

/// Reads a url. The error does not repeat it, since it may hold a password.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    Ok(named(parse(url)?).options(SETTINGS))
}

fn parse(url: &str) -> Result<PgConnectOptions, StoreError> {
    PgConnectOptions::from_str(url).map_err(|_| {
        let message =
            "the database's url cannot be read: write postgres://USER:PASSWORD@HOST:5432/DATABASE, with \
             special characters of the password as %XX";
        StoreError::new(ErrorKind::Unavailable, message)
    })
}

/// As [`options`], for looking: sessions that may not write, with the planner's own choices and time for whole tables.
pub(super) fn options_to_look(url: &str) -> Result<PgConnectOptions, StoreError> {
    Ok(named(parse(url)?).options(LOOKING))
}

fn named(options: PgConnectOptions) -> PgConnectOptions {
    let name = format!("fastjob {}", env!("CARGO_PKG_VERSION"));
    options.application_name(&name).statement_cache_capacity(STATEMENTS).disable_statement_logging()
}

/// Checks the database and migrates it, on one connection. Answers how to connect from now on.
pub(super) async fn prepare(mut options: PgConnectOptions) -> Result<PgConnectOptions, StoreError> {
    let place = place(&options);
    let prepared = async {
        let mut connection = connect(&options).await.map_err(|error| refused(&options, error))?;
        let synchronous = check(&mut connection).await?;
        if synchronous == "off" {
            // A commit must be on the disk when it returns.
            options = options.options([("synchronous_commit", "on")]);
        }
        migrate::migrate(&mut connection).await?;
        // Whether it hears of this or not, the database ends the session.
        drop(connection.close().await);
        Ok(options)
    };
    prepared.await.map_err(|error: StoreError| error.within(&place))
}

/// Connects once, so that a database that cannot be reached is known at once and by its cause.
pub(super) async fn try_out(options: &PgConnectOptions) -> Result<(), StoreError> {
    let connected = connect(options).await;
    let connection = connected.map_err(|error| refused(options, error).within(&place(options)))?;
    // Whether it hears of this or not, the database ends the session.
    drop(connection.close().await);
    Ok(())
}

/// One connection, outside of the pool.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await {
        Ok(connected) => connected,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Connections that are made when they are needed, and not tested before their use: a sentence that meets a dead one is
/// tried again.
pub(super) fn pool(options: &PgConnectOptions, max_connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .connect_lazy_with(options.clone())
}

/// Refuses what a server cannot work with. Answers `synchronous_commit`.
async fn check(connection: &mut PgConnection) -> Result<String, StoreError> {
    let (version, shown, encoding, read_only, synchronous): (i32, String, String, String, String) =
        sqlx::query_as(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version'),
                    current_setting('server_encoding'), current_setting('transaction_read_only'),
                    current_setting('synchronous_commit')",
        )
        .fetch_one(connection)
        .await
        .map_err(|error| fault("ask the database for its settings", error))?;
    if version < OLDEST {
        let message = format!(
            "this is PostgreSQL {shown}; FastJob needs {} or newer: upgrade the database",
            OLDEST / 10_000
        );
        return Err(StoreError::new(ErrorKind::Unavailable, message));
    }
    if encoding != "UTF8" {
        let message = format!(
            "the database's encoding is {encoding}: create one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        );
        return Err(StoreError::new(ErrorKind::Unavailable, message));
    }
    if read_only == "on" {
        let message =
            "the database is read only, as a standby is: give the address of the primary in database.url";
        return Err(StoreError::new(ErrorKind::ReadOnly, message));
    }
    Ok(synchronous)
}

/// What an operator can do about a first connection that was refused.
fn refused(options: &PgConnectOptions, error: sqlx::Error) -> StoreError {
    let user = options.get_username();
    let remedy = match &error {
        sqlx::Error::Io(_) => {
            "connect: is PostgreSQL running, and are the host and port of database.url right".to_owned()
        }
        sqlx::Error::Tls(_) => "connect with TLS: see sslmode and sslrootcert in database.url".to_owned(),
        sqlx::Error::Database(answer) => match &*code(&**answer) {
            "28P01" | "28000" => format!("connect as {user}: check the user and password of database.url"),
            "3D000" => format!(
                "connect: create the database first (CREATE DATABASE ... OWNER {user}), or correct database.url"
            ),
            "42501" => format!("connect as {user}: GRANT CONNECT ON DATABASE ... TO {user}"),
            _ => "connect".to_owned(),
        },
        _ => "connect".to_owned(),
    };
    StoreError::new(ErrorKind::Unavailable, remedy).because(error)
}

/// Where the database is, for people.
fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    format!("PostgreSQL database {database} at {}:{}", options.get_host(), options.get_port())
}
