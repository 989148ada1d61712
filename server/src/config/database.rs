//! `[database]`: where everything durable is.

use std::fmt;
use std::path::PathBuf;

use super::settings::Settings;

/// The database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Database {
    /// Which one. Key `url`, default `sqlite:fastjob.db`: a file, relative to the working directory; or a server, as
    /// `postgres://user:password@host:5432/database` or `mysql://user:password@host:3306/database`.
    pub engine: Engine,
    /// The most connections that are open at a time. Default 8; 1 to 256.
    pub max_connections: u32,
}

/// A database that FastJob can use.
#[derive(Clone, PartialEq, Eq)]
pub enum Engine {
    /// One file, served by one server.
    Sqlite {
        /// The file; its directory must exist.
        path: PathBuf,
    },
    /// PostgreSQL, shared by several servers.
    Postgres {
        /// As `postgres://user:password@host:5432/database`.
        url: String,
    },
    /// MariaDB or MySQL, shared by several servers.
    MySql {
        /// As `mysql://user:password@host:3306/database`.
        url: String,
    },
}

impl Database {
    const DEFAULT_URL: &str = "sqlite:fastjob.db";

    pub(super) fn read(settings: &mut Settings) -> Self {
        let mut section = settings.section("database");
        let origin = section.origin("url");
        let url = section.text("url").unwrap_or_else(|| Self::DEFAULT_URL.to_owned());
        let engine = Engine::parse(&url).unwrap_or_else(|(message, remedy)| {
            let fallback = Engine::Sqlite { path: PathBuf::new() };
            section.wrong("url", origin, &message, remedy).unwrap_or(fallback)
        });
        let max_connections = section.integer("max_connections", 8, 1..=256);
        Self { engine, max_connections: u32::try_from(max_connections).expect("its bounds are 1 to 256") }
    }

    /// Several servers may use it together.
    pub fn is_shared(&self) -> bool {
        !matches!(self.engine, Engine::Sqlite { .. })
    }

    pub(super) fn table(&self) -> toml::Table {
        let mut table = toml::Table::new();
        table.insert("url".into(), self.engine.shown().into());
        table.insert("max_connections".into(), i64::from(self.max_connections).into());
        table
    }
}

impl Engine {
    /// Reads a url. Errors: what is wrong, and the remedy; neither repeats the url, which may hold a password.
    fn parse(url: &str) -> Result<Self, (String, &'static str)> {
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() || path.contains(":memory:") {
                    return Err((
                        "names no file".to_owned(),
                        "give the database's file, as sqlite:/var/lib/fastjob/fastjob.db",
                    ));
                }
                if path.contains('?') {
                    return Err(("has parameters".to_owned(), "remove everything from the question mark on"));
                }
                Ok(Self::Sqlite { path: PathBuf::from(path) })
            }
            "postgres" | "postgresql" => server(url).map(|url| Self::Postgres { url }),
            "mysql" | "mariadb" => server(url).map(|url| Self::MySql { url }),
            _ => Err((
                "has no scheme that is known".to_owned(),
                "give a file, as sqlite:fastjob.db, or a server, as postgres://user:password@host:5432/database or mysql://…",
            )),
        }
    }

    /// What the store opens. It holds the password.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite { path } => format!("sqlite:{}", path.display()),
            Self::Postgres { url } => url.clone(),
            Self::MySql { url } => url.clone(),
        }
    }

    /// The url for people: without the password.
    fn shown(&self) -> String {
        match self {
            Self::Sqlite { path } => format!("sqlite:{}", path.display()),
            Self::Postgres { url } => masked(url),
            Self::MySql { url } => masked(url),
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// Checks the url of a database server as far as that goes without it.
fn server(url: &str) -> Result<String, (String, &'static str)> {
    const REMEDY: &str =
        "write scheme://user:password@host:port/database, with special characters of the password as %XX";
    let (_, rest) = url.split_once("://").ok_or(("has no // after its scheme".to_owned(), REMEDY))?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (address, database) = (authority.rsplit('@').next().unwrap_or(authority), path.split('?').next());
    if address.is_empty() {
        return Err(("names no host".to_owned(), REMEDY));
    }
    if database.is_none_or(str::is_empty) {
        return Err(("names no database".to_owned(), REMEDY));
    }
    Ok(url.to_owned())
}

/// A password stands between the first colon and the last @, whatever is between them, or in a parameter.
fn masked(url: &str) -> String {
    const MASK: &str = "***";
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let mut shown = format!("{scheme}://");
    let rest = match rest.rsplit_once('@') {
        Some((user, rest)) => {
            match user.split_once(':') {
                Some((user, _)) => shown.extend([user, ":", MASK, "@"]),
                None => shown.extend([user, "@"]),
            }
            rest
        }
        None => rest,
    };
    for (at, part) in rest.split(['?', '&']).enumerate() {
        let separator = ["", "?", "&"][at.min(2)];
        match part.split_once('=').filter(|(name, _)| name.contains("password")) {
            Some((name, _)) => shown.extend([separator, name, "=", MASK]),
            None => shown.extend([separator, part]),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let cases = [
            ("postgres://u:secret@h:1/d?sslmode=require", "postgres://u:***@h:1/d?sslmode=require"),
            ("postgres://u:se@c:r/e?t@h/d", "postgres://u:***@h/d"),
            ("postgres://h/d?user=u&password=secret&x=1", "postgres://h/d?user=u&password=***&x=1"),
            ("postgresql://u@h/d", "postgresql://u@h/d"),
        ];
        for (url, shown) in cases {
            let engine = Engine::parse(url).unwrap();
            assert_eq!((engine.url(), format!("{engine:?}")), (url.to_owned(), shown.to_owned()));
        }
    }

    #[test]
    fn a_server_is_named_with_its_database() {
        for (url, what) in [
            ("postgres:h/d", "has no // after its scheme"),
            ("postgres://u:p@/d", "names no host"),
            ("postgres://u:p@h", "names no database"),
            ("postgres://u:p@h/?a=b", "names no database"),
        ] {
            assert_eq!(Engine::parse(url).unwrap_err().0, what, "{url}");
        }
    }
}
