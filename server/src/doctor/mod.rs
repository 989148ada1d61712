//! What `fastjob doctor` finds: it reads facts beside the servers, and judges them with pure code. It writes nothing,
//! and knows no database by name: only settings, rows and violations.

mod cluster;
mod database;
mod invariants;
#[cfg(test)]
mod tests;

use fastjob_core::clock::{Clock, Millis};

use crate::cluster::reach;
use crate::config;
use crate::store::{ErrorKind, Server, ServerPhase, Store, StoreError};

/// Round trips by which the clock's offset is measured; the shortest one counts.
const ROUND_TRIPS: u32 = 5;
/// Living servers whose address is tried.
const MAX_REACHED: usize = 64;

/// How good or bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Somebody should look at it.
    Warn,
    /// A promise does not hold.
    Fail,
}

/// One line of the report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What was looked at; of an invariant `invariant.<name>`.
    pub check: String,
    /// How good or bad it is.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty if nothing.
    pub remedy: String,
    /// Of an invariant: how much breaks it.
    pub count: Option<u64>,
    /// Of an invariant: some of what breaks it.
    pub examples: Vec<String>,
}

/// How deep to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Settings, servers, sizes.
    Surface,
    /// Every invariant too: whole tables are read.
    Invariants,
}

impl Finding {
    fn new(check: impl Into<String>, status: Status, detail: impl Into<String>, remedy: &str) -> Self {
        let remedy = remedy.to_owned();
        Self { check: check.into(), status, detail: detail.into(), remedy, count: None, examples: Vec::new() }
    }

    fn ok(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, detail, "")
    }

    fn warn(check: impl Into<String>, detail: impl Into<String>, remedy: &str) -> Self {
        Self::new(check, Status::Warn, detail, remedy)
    }

    fn fail(check: impl Into<String>, detail: impl Into<String>, remedy: &str) -> Self {
        Self::new(check, Status::Fail, detail, remedy)
    }
}

/// Looks at a database that was opened with [`Store::inspect`]. Errors: it does not answer at all; what it refuses to
/// tell is a finding.
pub async fn examine(
    store: &Store,
    terms: &config::Cluster,
    depth: Depth,
    clock: &dyn Clock,
) -> Result<Vec<Finding>, StoreError> {
    let schema = store.inspect_schema().await;
    let empty = schema.as_ref().is_ok_and(|schema| schema.found == 0);
    let usable = schema.as_ref().is_ok_and(|schema| schema.found != 0 && schema.found <= schema.known);
    let mut found = told("schema", schema, |schema| vec![database::schema(schema)])?;
    found.extend(told("settings", store.inspect_settings().await, |settings| {
        database::settings(&settings, terms.lease_ms)
    })?);
    found.extend(told("clock", offset(store, clock).await, |offset| vec![database::clock(offset, terms)])?);
    if !empty {
        found.extend(told("rights", store.inspect_rights().await, |rights| database::rights(&rights))?);
    }
    if !usable {
        return Ok(found);
    }
    let now = store.inspect_time().await?.unwrap_or_else(|| clock.now());
    found.extend(servers(store, terms, now).await?);
    found.extend(told("sizes", store.inspect_sizes().await, |sizes| cluster::sizes(&sizes, now))?);
    if depth == Depth::Invariants {
        found.extend(invariants::check(store).await?);
    }
    Ok(found)
}

/// The judgement of a fact; a failure if the database would not tell it. Errors: it is gone.
fn told<T>(
    check: &str,
    fact: Result<T, StoreError>,
    judge: impl FnOnce(T) -> Vec<Finding>,
) -> Result<Vec<Finding>, StoreError> {
    match fact {
        Ok(fact) => Ok(judge(fact)),
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
        Err(error) => Ok(vec![untold(check, &error)]),
    }
}

fn untold(check: &str, error: &StoreError) -> Finding {
    Finding::fail(
        check,
        error.to_string(),
        "give this program's user the right to read the tables of FastJob",
    )
}

async fn servers(store: &Store, terms: &config::Cluster, now: Millis) -> Result<Vec<Finding>, StoreError> {
    let servers = match store.server_list().await {
        Ok(servers) => servers,
        Err(error) => return told("servers", Err(error), |()| Vec::new()),
    };
    let living: Vec<Server> =
        servers.iter().filter(|server| server.phase != ServerPhase::Dead).cloned().collect();
    let mut found = cluster::servers(&servers, terms.lease_ms, now);
    let reached = reach::all(living.iter().take(MAX_REACHED).map(|server| server.rpc_address.as_str())).await;
    found.extend(cluster::reached(&reached));
    let owners = store.owner_list().await;
    let apps = store.app_list().await;
    found.extend(told(
        "apps",
        apps.and_then(|apps| owners.map(|owners| (apps, owners))),
        |(apps, owners)| vec![cluster::owners(&apps, &owners, !living.is_empty())],
    )?);
    Ok(found)
}

/// How far the database's clock is ahead of this machine's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Offset {
    ms: i64,
    /// The truth lies within this much of it: half the round trip.
    bound_ms: i64,
}

async fn offset(store: &Store, clock: &dyn Clock) -> Result<Option<Offset>, StoreError> {
    let mut best: Option<Offset> = None;
    for _ in 0..ROUND_TRIPS {
        let (sent, began) = (clock.now(), clock.elapsed());
        let Some(database) = store.inspect_time().await? else { return Ok(None) };
        let trip_ms = i64::try_from((clock.elapsed() - began).as_millis()).unwrap_or(i64::MAX);
        let measured =
            Offset { ms: database.since(sent.plus(trip_ms / 2)), bound_ms: trip_ms.saturating_add(1) / 2 };
        if best.is_none_or(|best| measured.bound_ms < best.bound_ms) {
            best = Some(measured);
        }
    }
    Ok(best)
}
