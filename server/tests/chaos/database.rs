//! The database under test: how servers are started on it, and what can be done to it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::faketime::FakeTime;
use super::harness::{Server, fastjob, text_of};
use super::ledger;
use super::load::{Inserts, Sql};
use super::mariadb::MariaDb;
use super::nodes::Node;
use super::postgres::{Durability, Postgres, Stop};

/// The database of a plan.
pub(crate) enum Database {
    /// A file of one server.
    Sqlite(PathBuf),
    Postgres(Postgres),
    MariaDb(MariaDb),
}

/// The database's name on a database server.
const NAME: &str = "chaos";
/// Who servers are to MariaDB: without SUPER, which would write to a read-only server all the same.
const MARIADB_USER: &str = "fastjob";

/// Servers read new tokens once a second.
const TOKEN_SPREADS: Duration = Duration::from_millis(2_500);

impl Database {
    /// Those that this machine has.
    pub(crate) fn usable() -> Vec<String> {
        let has = |program: &str| {
            Command::new(program).arg("--version").output().is_ok_and(|said| said.status.success())
        };
        let postgres = Path::new("/usr/lib/postgresql").exists() || has("initdb");
        let all = [("sqlite", true), ("postgres", postgres), ("mariadb", has("mariadbd"))];
        all.into_iter().filter(|(_, usable)| *usable).map(|(name, _)| name.to_owned()).collect()
    }

    /// A fresh one, by its name.
    pub(crate) fn open(name: &str, place: &Path, clock: Option<&FakeTime>) -> Result<Self, String> {
        let environment = clock.map(FakeTime::environment).unwrap_or_default();
        match name {
            "sqlite" => Ok(Self::Sqlite(place.join("data").join("fastjob.db"))),
            "postgres" => {
                let server = Postgres::start_in(Durability::Disk, environment)?;
                server.execute("postgres", &format!("CREATE DATABASE {NAME}"))?;
                Ok(Self::Postgres(server))
            }
            "mariadb" => {
                let server = MariaDb::start_with(&environment)?;
                server.execute(&format!(
                    "CREATE DATABASE {NAME}; CREATE USER {MARIADB_USER}@'127.0.0.1'; CREATE USER {MARIADB_USER}@localhost; \
                     GRANT ALL ON {NAME}.* TO {MARIADB_USER}@'127.0.0.1'; GRANT ALL ON {NAME}.* TO {MARIADB_USER}@localhost"
                ))?;
                Ok(Self::MariaDb(server))
            }
            other => Err(format!("there is no database {other:?} for plans: sqlite, postgres, mariadb")),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
            Self::MariaDb(_) => "mariadb",
        }
    }

    /// How it is reached past every proxy.
    pub(crate) fn sql(&self) -> Sql {
        match self {
            Self::Sqlite(path) => Sql::Sqlite(path.clone()),
            Self::Postgres(server) => Sql::Postgres(server.url(NAME)),
            Self::MariaDb(server) => Sql::MariaDb(server.url(NAME)),
        }
    }

    /// Where it listens, if by network.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let url = match self {
            Self::Sqlite(_) => return None,
            Self::Postgres(server) => server.url(NAME),
            Self::MariaDb(server) => server.url(NAME),
        };
        let (_, rest) = url.split_once('@')?;
        rest.split('/').next()?.parse().ok()
    }

    /// Its url by way of a proxy.
    pub(crate) fn url_through(&self, proxy: SocketAddr) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(_) => format!("postgres://postgres@{proxy}/{NAME}"),
            Self::MariaDb(_) => format!("mysql://{MARIADB_USER}@{proxy}/{NAME}"),
        }
    }

    /// A server on it that was not started yet.
    pub(crate) fn server(&self, place: &Path, home: &Path, app: &str) -> Result<Server, String> {
        if let Self::Sqlite(_) = self {
            let data = place.join("data");
            let arguments =
                ["dev".as_ref(), "--app".as_ref(), app.as_ref(), "--data".as_ref(), data.as_os_str()];
            return Ok(Server::new(home, arguments));
        }
        let admin = admin_token(place);
        let mut server =
            Server::new(home, ["serve".as_ref(), "--admin-token-file".as_ref(), admin.as_os_str()]);
        let key = place.join("cluster.key");
        if !key.exists() {
            let made = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&key);
            made.and_then(|mut file| file.write_all(&[b'k'; 40]))
                .map_err(|error| format!("cluster key: {error}"))?;
        }
        server.settings.push(("FASTJOB_CLUSTER__KEY_FILE", key.display().to_string().leak()));
        Ok(server)
    }

    /// Makes the app, if the servers have not, and answers its token.
    pub(crate) fn open_app(&self, place: &Path, nodes: &mut [Node], app: &str) -> Result<String, String> {
        if let Self::Sqlite(_) = self {
            return Ok(nodes[0].server.token.clone());
        }
        let ask = |arguments: &[&str]| {
            let mut command = self.as_admin(place, &nodes[0].front.address.to_string());
            command.args(arguments).args(["-o", "json"]);
            command
        };
        let made = ledger::said(&ask, &["app", "create", app])?;
        std::thread::sleep(TOKEN_SPREADS);
        made.first().map(|made| text_of(made, "token")).ok_or_else(|| "app create said nothing".to_owned())
    }

    /// The command line as the administrator of these servers.
    pub(crate) fn as_admin(&self, place: &Path, servers: &str) -> Command {
        let mut command = fastjob();
        command.env("FASTJOB_SERVERS", servers).env("FASTJOB_TOKEN_FILE", admin_token(place));
        command
    }

    /// Who inserts triggers by SQL.
    pub(crate) fn inserts(&self, app: &str) -> Option<Inserts> {
        Some(Inserts { sql: self.sql(), app: app.to_owned() })
    }

    /// Stops it in order, or as a crash.
    pub(crate) fn stop(&self, how: End) -> Result<(), String> {
        match (self, how) {
            (Self::Sqlite(_), _) => Err("no server of it could be stopped".into()),
            (Self::Postgres(server), End::InOrder) => server.stop(Stop::Fast),
            (Self::Postgres(server), End::Crash) => server.kill_9(),
            (Self::MariaDb(server), End::InOrder) => server.stop(),
            (Self::MariaDb(server), End::Crash) => server.kill_9(),
        }
    }

    /// Starts it after a stop.
    pub(crate) fn start_again(&self) -> Result<(), String> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(server) => server.start_again(),
            Self::MariaDb(server) => server.start_again(),
        }
    }

    /// What its clock shows. SQLite has none of its own, but its server's, which this process cannot ask.
    pub(crate) fn now_ms(&self) -> Result<Option<i64>, String> {
        let text = match self {
            Self::Sqlite(_) => return Ok(None),
            Self::Postgres(server) => {
                server.execute(NAME, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")?
            }
            Self::MariaDb(server) => {
                server.execute("SELECT CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)")?
            }
        };
        text.trim().parse().map(Some).map_err(|error| format!("the database's clock shows {text:?}: {error}"))
    }

    /// Refuses all writes, or takes them again.
    pub(crate) fn set_access(&self, access: Access) -> Result<(), String> {
        let (on, one) = if access == Access::ReadOnly { ("on", 1) } else { ("off", 0) };
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(server) => {
                server
                    .execute("postgres", &format!("ALTER SYSTEM SET default_transaction_read_only = {on}"))?;
                server.execute("postgres", "SELECT pg_reload_conf()").map(drop)
            }
            Self::MariaDb(server) => server.execute(&format!("SET GLOBAL read_only = {one}")).map(drop),
        }
    }
}

/// How a database server ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    InOrder,
    Crash,
}

/// What a database allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    ReadOnly,
    ReadWrite,
}

fn admin_token(place: &Path) -> PathBuf {
    place.join("admin.token")
}
