//! The servers, what they own, and how much waits for them.

use std::collections::BTreeMap;

use fastjob_core::clock::Millis;

use super::Finding;
use crate::store::{App, Owned, Server, ServerPhase, Sizes};

/// Names that a line lists.
const MAX_LISTED: usize = 5;
/// A command of the inbox that waits longer than this is stuck: servers look every second.
const INBOX_PATIENCE_MS: i64 = 60_000;

pub(super) fn servers(servers: &[Server], lease_ms: i64, now: Millis) -> Vec<Finding> {
    let living: Vec<&Server> = servers.iter().filter(|server| server.phase != ServerPhase::Dead).collect();
    if living.is_empty() {
        return vec![Finding::warn("servers", "none is at work", "start one")];
    }
    let mut found = vec![silent(&living, lease_ms, now), versions(&living), addresses(&living)];
    found.extend(unspecific(&living));
    found
}

/// A living server renews several times a lease; nobody has declared these dead yet.
fn silent(living: &[&Server], lease_ms: i64, now: Millis) -> Finding {
    let silent = living.iter().filter(|server| now.since(server.renewed_at) > 3 * lease_ms);
    let names: Vec<String> = silent.map(|server| server.rpc_address.clone()).collect();
    if names.is_empty() {
        return Finding::ok("servers", format!("{} at work", living.len()));
    }
    let detail =
        format!("{} of {} have not renewed their lease: {}", names.len(), living.len(), listed(&names));
    Finding::warn(
        "servers",
        detail,
        "if they are gone, start another server: it declares them dead and takes over",
    )
}

fn versions(living: &[&Server]) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for server in living {
        *counts.entry(&server.version).or_default() += 1;
    }
    let shown: Vec<String> = counts.iter().map(|(version, count)| format!("{count} of {version}")).collect();
    if counts.len() == 1 && counts.contains_key(own) {
        return Finding::ok("versions", shown.join(", "));
    }
    let detail = format!("{}; this program is {own}", shown.join(", "));
    Finding::warn(
        "versions",
        detail,
        "finish the rolling upgrade: neighbouring versions work together, others need not",
    )
}

fn addresses(living: &[&Server]) -> Finding {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for server in living {
        *counts.entry(&server.rpc_address).or_default() += 1;
    }
    let shared: Vec<String> = counts
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(address, count)| format!("{address} ({count} servers)"))
        .collect();
    if shared.is_empty() {
        return Finding::ok("addresses", "every server advertises its own");
    }
    let detail = format!("several living servers advertise {}", listed(&shared));
    Finding::fail(
        "addresses",
        detail,
        "give each server its own rpc.advertise; or one of them has just been restarted",
    )
}

/// Addresses that mean another machine to each who reads them.
fn unspecific(living: &[&Server]) -> Option<Finding> {
    let everywhere = |server: &&&Server| {
        server.rpc_address.starts_with("0.0.0.0:") || server.rpc_address.starts_with("[::]:")
    };
    let names: Vec<String> =
        living.iter().filter(everywhere).map(|server| server.rpc_address.clone()).collect();
    (!names.is_empty()).then(|| {
        let detail = format!("advertised is {}, which is no machine's address", listed(&names));
        Finding::fail("addresses", detail, "set rpc.advertise to what workers and servers reach")
    })
}

/// What became of the attempts to reach each living server.
pub(super) fn reached(tried: &[(String, Result<(), String>)]) -> Option<Finding> {
    let failed: Vec<String> = tried
        .iter()
        .filter_map(|(address, answer)| answer.as_ref().err().map(|why| format!("{address} ({why})")))
        .collect();
    match (tried.len(), failed.is_empty()) {
        (0, _) => None,
        (count, true) => Some(Finding::ok("reach", format!("{count} of {count} answer from here"))),
        (count, false) => Some(Finding::warn(
            "reach",
            format!("{} of {count} do not answer from here: {}", failed.len(), listed(&failed)),
            "set rpc.advertise to an address that workers, clients and other servers reach, and open its port",
        )),
    }
}

pub(super) fn owners(apps: &[App], owners: &[Owned], anybody: bool) -> Finding {
    let name = |owned: &Owned| {
        let app = apps.iter().find(|app| app.id == owned.shard.app);
        app.map_or_else(|| format!("app {}", owned.shard.app.0), |app| app.name.to_string())
    };
    let orphans: Vec<String> = owners
        .iter()
        .filter(|owned| owned.server.is_none() || owned.dead)
        .map(|owned| format!("{}/{}", name(owned), owned.shard.shard))
        .collect();
    if orphans.is_empty() {
        return Finding::ok(
            "owners",
            format!("{} shards of {} apps have their owner", owners.len(), apps.len()),
        );
    }
    let detail =
        format!("{} of {} shards have no living owner: {}", orphans.len(), owners.len(), listed(&orphans));
    let remedy = if anybody {
        "look again in a moment: servers claim within seconds; if it stays, read their logs"
    } else {
        "start a server"
    };
    Finding::warn("owners", detail, remedy)
}

pub(super) fn sizes(sizes: &Sizes, now: Millis) -> Vec<Finding> {
    let oldest =
        sizes.oldest_ended.map(|at| format!(", the oldest ended {}", ago(now, at))).unwrap_or_default();
    let detail = format!("{} jobs, {} runs ({} open{oldest})", sizes.jobs, sizes.runs, sizes.open_runs);
    vec![Finding::ok("sizes", detail), inbox_waiting(sizes, now), inbox_failed(sizes)]
}

fn inbox_waiting(sizes: &Sizes, now: Millis) -> Finding {
    let Some(oldest) = sizes.inbox_oldest else { return Finding::ok("inbox", "nothing waits") };
    let detail =
        format!("{} commands wait, the oldest was written {}", sizes.inbox_waiting, ago(now, oldest));
    if now.since(oldest) <= INBOX_PATIENCE_MS {
        return Finding::ok("inbox", detail);
    }
    Finding::warn("inbox", detail, "see that a server is at work and owns the apps; read its log")
}

fn inbox_failed(sizes: &Sizes) -> Finding {
    if sizes.inbox_failed.is_empty() {
        return Finding::ok("inbox.failed", "nothing was set aside");
    }
    let reasons: Vec<String> =
        sizes.inbox_failed.iter().map(|(reason, count)| format!("{count} x {reason}")).collect();
    Finding::warn(
        "inbox.failed",
        format!("commands were set aside: {}", reasons.join("; ")),
        "correct what writes them, then delete the rows with failed_at from fastjob_inbox, or set failed_at and reason to NULL",
    )
}

fn ago(now: Millis, at: Millis) -> String {
    let seconds = now.since(at) / 1_000;
    match seconds {
        ..0 => "in the future".to_owned(),
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(MAX_LISTED);
    let shown = names[..names.len().min(MAX_LISTED)].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
