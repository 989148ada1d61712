//! The database under test, and how servers are started on it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::harness::Server;
use super::load::{Inserts, Sql};
use super::nodes::Node;

/// The database of a plan.
pub(crate) enum Database {
    /// A file of one server.
    Sqlite(PathBuf),
}

impl Database {
    /// A fresh one, by its name.
    pub(crate) fn open(name: &str, place: &Path) -> Result<Self, String> {
        match name {
            "sqlite" => Ok(Self::Sqlite(place.join("data").join("fastjob.db"))),
            other => Err(format!("there is no database {other:?} for plans: sqlite")),
        }
    }

    /// Those that this machine has.
    pub(crate) fn usable() -> Vec<String> {
        vec!["sqlite".into()]
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// How it is reached past every proxy.
    pub(crate) fn sql(&self) -> Sql {
        match self {
            Self::Sqlite(path) => Sql::Sqlite(path.clone()),
        }
    }

    /// Where it listens, if by network.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Sqlite(_) => None,
        }
    }

    /// Its url by way of a proxy.
    pub(crate) fn url_through(&self, proxy: SocketAddr) -> String {
        match self {
            Self::Sqlite(_) => format!("none through {proxy}"),
        }
    }

    /// A server on it that was not started yet.
    pub(crate) fn server(&self, place: &Path, home: &Path, app: &str) -> Server {
        match self {
            Self::Sqlite(_) => {
                let data = place.join("data");
                Server::new(
                    home,
                    ["dev".as_ref(), "--app".as_ref(), app.as_ref(), "--data".as_ref(), data.as_os_str()],
                )
            }
        }
    }

    /// Makes the app, if the servers have not, and answers its token.
    pub(crate) fn open_app(&self, nodes: &mut [Node], _app: &str) -> Result<String, String> {
        match self {
            Self::Sqlite(_) => Ok(nodes[0].server.token.clone()),
        }
    }

    /// Who inserts triggers by SQL, if servers of this version read the inbox.
    pub(crate) fn inserts(&self, _app: &str) -> Option<Inserts> {
        None
    }

    /// Up again, writable, and its clock right.
    pub(crate) fn heal(&mut self) -> Result<(), String> {
        match self {
            Self::Sqlite(_) => Ok(()),
        }
    }
}
