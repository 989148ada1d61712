//! MariaDB and MySQL: one database that several servers share. SQL only: what the sentences mean is in
//! [`super::backend`].

mod apps;
mod bulk;
mod commit;
mod fault;
mod inbox;
mod inspect;
mod link;
mod migrate;
mod ownership;
mod queries;
mod row;
mod shards;
mod version;

use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::mysql::{MySqlConnectOptions, MySqlRow};
use sqlx::{ConnectOptions, Connection};

use super::StoreOptions;
use super::error::{ErrorKind, StoreError};
use fault::connect_fault;
use link::{Asked, Kept, Link, Pool};
use version::Flavour;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 256;

/// An open database.
pub(super) struct MySqlStore {
    pool: Arc<Pool>,
    access: Access,
    /// Of the lease's thread alone, so that nothing else can keep it waiting.
    lease: Mutex<Option<Kept>>,
}

/// What a store was opened for. A transaction that writes would not heed its session's being read-only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Serve,
    Look,
}

impl MySqlStore {
    /// Connects to the database at `url`, as `mysql://user:password@host/database`, and brings its schema up to date.
    pub(super) async fn open(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let connect = connect_options(url)?;
        let mut connection = connect.connect().await.map_err(connect_fault)?;
        let flavour = Flavour::of(&mut connection).await?;
        let _ = connection.close().await;
        let pool = Pool::new(
            connect,
            flavour.session(),
            flavour.idle_limit(),
            options.max_connections,
            options.clock.clone(),
        );
        let link = pool.own_link("migrate the schema").await?;
        migrate::migrate(link, flavour, options.clock.now()).await?;
        Ok(Self { pool, access: Access::Serve, lease: Mutex::default() })
    }

    /// Connects to look: nothing is migrated, and no session may write.
    pub(super) async fn inspect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let connect = connect_options(url)?;
        let mut connection = connect.connect().await.map_err(connect_fault)?;
        let flavour = Flavour::of(&mut connection).await?;
        let _ = connection.close().await;
        let (session, idle) = (flavour.look(), flavour.idle_limit());
        let pool = Pool::new(connect, session, idle, options.max_connections, options.clock);
        Ok(Self { pool, access: Access::Look, lease: Mutex::default() })
    }

    /// Ends the connections.
    pub(super) async fn close(&self) {
        self.lease.lock().take();
        self.pool.close().await;
    }

    /// No sentence is given a connection of now any more.
    pub(super) fn leave_connections(&self) {
        self.pool.drop_all();
    }

    /// A transaction that writes.
    async fn write(&self, what: &str) -> Result<Link, StoreError> {
        if self.access == Access::Look {
            return Err(StoreError::new(ErrorKind::ReadOnly, format!("{what}: this store only looks")));
        }
        let mut link = self.pool.link(what).await?;
        link.begin(what).await?;
        Ok(link)
    }

    /// A transaction that reads one state of the database. It is to be rolled back.
    async fn read(&self, what: &str) -> Result<Link, StoreError> {
        let mut link = self.pool.link(what).await?;
        link.begin_read(what).await?;
        Ok(link)
    }

    /// One query.
    async fn all(&self, what: &str, query: Asked<'_>) -> Result<Vec<MySqlRow>, StoreError> {
        let mut link = self.pool.link(what).await?;
        let rows = link.all(what, query).await?;
        link.done();
        Ok(rows)
    }
}

fn connect_options(url: &str) -> Result<MySqlConnectOptions, StoreError> {
    // The url is not shown: it may hold a password.
    let wrong = |what: &str| {
        let message = format!("database.url {what}: give it as mysql://user:password@host:3306/database");
        StoreError::new(ErrorKind::Unavailable, message)
    };
    let options: MySqlConnectOptions =
        url.parse().map_err(|error: sqlx::Error| wrong("cannot be read").because(error))?;
    if options.get_database().is_none_or(str::is_empty) {
        return Err(wrong("names no database"));
    }
    Ok(options
        // All that the session is to be is said at once, by `Flavour::session`.
        .set_names(false)
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .charset("utf8mb4")
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging())
}
