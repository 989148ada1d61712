//! `fastjob doctor`: looks at the database itself, beside its servers, and changes nothing.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use fastjob_core::clock::SystemClock;
use serde_json::{Value, json};

use super::connect::Output;
use super::print::Printer;
use super::serve::{environment, load};
use super::{Exit, Failure};
use crate::config::Sources;
use crate::doctor::{self, Depth, Finding, Status};
use crate::store::{Store, StoreOptions};

/// Looks at the database of a configuration, directly: settings, rights, servers, sizes. Exit code 1 if anything fails,
/// 5 if the database cannot be reached.
#[derive(Args, Debug)]
pub(super) struct Doctor {
    /// The configuration of a server, in TOML; all defaults without it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read whole tables for every invariant too.
    #[arg(long)]
    invariants: bool,
    /// How to print: a table (default on a terminal), or one JSON object a line (default elsewhere).
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Output>,
}

impl Doctor {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let config = load(&Sources { file: self.config, environment: environment(), ..Sources::default() })?;
        let clock = Arc::new(SystemClock);
        let options = StoreOptions { max_connections: config.database.max_connections, clock: clock.clone() };
        let store = Store::inspect(&config.database.engine.url(), options).await.map_err(unreachable)?;
        let depth = if self.invariants { Depth::Invariants } else { Depth::Surface };
        let found = doctor::examine(&store, &config.cluster, depth, &*clock).await;
        store.close().await;
        let found = found.map_err(unreachable)?;
        let lines: Vec<Value> = found.iter().map(shape).collect();
        Printer::new(self.output).list(&["check", "status", "detail", "remedy"], &lines)?;
        let worst = found.iter().map(|finding| finding.status).max();
        Ok(if worst == Some(Status::Fail) { Exit::Failed } else { Exit::Done })
    }
}

fn unreachable(error: impl std::fmt::Display) -> Failure {
    Failure {
        field: "database.url".into(),
        remedy: "check the url, the user and its password, and that the database is up".into(),
        ..Failure::new(Exit::Unreachable, error.to_string())
    }
}

fn shape(finding: &Finding) -> Value {
    let status = match finding.status {
        Status::Ok => "ok",
        Status::Warn => "warn",
        Status::Fail => "fail",
    };
    let remedy = Some(&finding.remedy).filter(|remedy| !remedy.is_empty());
    let mut shape =
        json!({"check": finding.check, "status": status, "detail": finding.detail, "remedy": remedy});
    if let Some(count) = finding.count {
        shape["count"] = count.into();
        shape["examples"] = finding.examples.clone().into();
    }
    shape
}
