//! `[database]`: where everything durable is.

use std::path::PathBuf;

use super::settings::Settings;

/// The database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Database {
    /// Which one. Key `url`, default `sqlite:fastjob.db`: a file, relative to the working directory.
    pub engine: Engine,
    /// The most connections that are open at a time. Default 8; 1 to 256.
    pub max_connections: u32,
}

/// A database that FastJob can use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Engine {
    /// One file, served by one server.
    Sqlite {
        /// The file; its directory must exist.
        path: PathBuf,
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

    pub(super) fn table(&self) -> toml::Table {
        let mut table = toml::Table::new();
        let Engine::Sqlite { path } = &self.engine;
        table.insert("url".into(), format!("sqlite:{}", path.display()).into());
        table.insert("max_connections".into(), i64::from(self.max_connections).into());
        table
    }
}

impl Engine {
    /// As [`crate::store::Store::open`] takes it, secrets included.
    pub fn url(&self) -> String {
        let Self::Sqlite { path } = self;
        format!("sqlite:{}", path.display())
    }

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
            "postgres" | "postgresql" | "mysql" | "mariadb" => {
                let message = format!("{scheme} arrives with clusters; this version stores in SQLite only");
                Err((message, "give a file, as sqlite:fastjob.db"))
            }
            _ => Err(("has no scheme that is known".to_owned(), "give a file, as sqlite:fastjob.db")),
        }
    }
}
