//! The database: its schema, its settings, its clock, and what its user may do.

use super::{Finding, Offset};
use crate::config;
use crate::store::{Rights, Schema, Setting};

/// A clock this far off is worth a look: lateness and logs are read with it.
const OFFSET_WARN_MS: i64 = 250;
/// The least lease on a Galera cluster, which stands still for seconds when a node dies.
const GALERA_LEASE_MS: i64 = 10_000;

pub(super) fn schema(schema: Schema) -> Finding {
    let Schema { found, known } = schema;
    match found {
        0 => Finding::fail(
            "schema",
            "the database has no tables of FastJob",
            "start a server: it creates them",
        ),
        _ if found > known => Finding::fail(
            "schema",
            format!("the database has schema {found}, this program knows up to {known}"),
            "use the newer program",
        ),
        _ if found < known => Finding::warn(
            "schema",
            format!("the database has schema {found}, this program brings {known}"),
            "the first server of this program that starts migrates it; read UPGRADING.md before",
        ),
        _ => Finding::ok("schema", format!("is {found}, as this program's")),
    }
}

pub(super) fn settings(settings: &[Setting], lease_ms: i64) -> Vec<Finding> {
    settings.iter().map(|setting| judged(setting, settings, lease_ms)).collect()
}

fn judged(setting: &Setting, all: &[Setting], lease_ms: i64) -> Finding {
    let Setting { name, value } = setting;
    let check = format!("setting.{name}");
    let is = format!("is {value:?}");
    let word = value.to_ascii_lowercase();
    let on = matches!(word.as_str(), "on" | "1" | "true");
    let remedy = match name.as_str() {
        "journal_mode" if word != "wal" => {
            return Finding::warn(check, is, "start a server: it sets WAL, or says why it cannot");
        }
        "fsync" if !on => {
            "set fsync = on: a crash of its machine can lose what the database confirmed, or all of it"
        }
        "full_page_writes" if !on => {
            "set full_page_writes = on, unless the file system writes whole pages at once"
        }
        "innodb_flush_log_at_trx_commit" if word != "1" => {
            "set innodb_flush_log_at_trx_commit = 1: a crash of its machine loses confirmed commits otherwise"
        }
        "innodb_doublewrite" if matches!(word.as_str(), "off" | "0" | "false" | "detect_only") => {
            "set innodb_doublewrite = ON, unless the file system writes whole pages at once"
        }
        "in_recovery" if on => "connect to the primary: this one is a standby, which only reads",
        "read_only" if on => "connect to the primary, or let this one be written: it only reads",
        _ => return tolerable(check, setting, all, lease_ms),
    };
    Finding::fail(check, is, remedy)
}

/// What costs durability or sense only under some conditions.
fn tolerable(check: String, setting: &Setting, all: &[Setting], lease_ms: i64) -> Finding {
    let Setting { name, value } = setting;
    let is = format!("is {value:?}");
    let word = value.to_ascii_lowercase();
    let on = matches!(word.as_str(), "on" | "1" | "true");
    let of = |name: &str| all.iter().find(|other| other.name == name).map(|other| other.value.as_str());
    match name.as_str() {
        "synchronous_commit" if word == "off" => Finding::warn(
            check,
            is,
            "set synchronous_commit = on: servers do so for themselves, but what other programs write to the inbox may be lost",
        ),
        "sync_binlog"
            if word != "1"
                && of("log_bin").is_none_or(|log| log != "0" && !log.eq_ignore_ascii_case("off")) =>
        {
            Finding::warn(
                check,
                is,
                "set sync_binlog = 1: after a crash of its machine, replicas and backups may lack confirmed commits",
            )
        }
        "wsrep_on" if on && lease_ms < GALERA_LEASE_MS => Finding::warn(
            check,
            format!("{is} with a lease of {lease_ms} ms"),
            "on Galera set cluster.lease_ms to 10000 or more, and let all servers write to one node",
        ),
        "wsrep_on" if on => Finding::ok(check, format!("{is}: let all servers write to one node")),
        "transaction_isolation" if !word.replace('-', " ").eq_ignore_ascii_case("read committed") => {
            Finding::ok(check, format!("{is}; servers set READ COMMITTED for themselves"))
        }
        "sql_mode" => sql_mode(check, value),
        "time_zone" | "timezone" => zone(check, value, of("system_time_zone")),
        _ => Finding::ok(check, is),
    }
}

/// Servers set their own; programs that write into the inbox have the database's.
fn sql_mode(check: String, value: &str) -> Finding {
    let modes: Vec<String> = value.split(',').map(|mode| mode.trim().to_ascii_uppercase()).collect();
    let has = |mode: &str| modes.iter().any(|own| own == mode);
    if !has("STRICT_TRANS_TABLES") && !has("STRICT_ALL_TABLES") {
        let detail = format!("is {value:?}: not strict");
        return Finding::warn(
            check,
            detail,
            "add STRICT_TRANS_TABLES: without it, programs that write to the inbox have long values cut silently",
        );
    }
    let odd: Vec<&str> =
        ["ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "PAD_CHAR_TO_FULL_LENGTH", "PIPES_AS_CONCAT"]
            .into_iter()
            .filter(|mode| has(mode))
            .collect();
    if odd.is_empty() {
        return Finding::ok(check, "is strict");
    }
    let detail = format!("has {}; servers set their own mode", odd.join(", "));
    Finding::warn(
        check,
        detail,
        "write to the inbox with a mode of your own if your program was not made for these",
    )
}

/// All of FastJob's instants are numbers in UTC: a zone can only mislead people.
fn zone(check: String, value: &str, system: Option<&str>) -> Finding {
    let effective = if value.eq_ignore_ascii_case("system") { system.unwrap_or(value) } else { value };
    let utc = ["utc", "etc/utc", "+00:00", "gmt", "universal", "zulu"];
    if utc.contains(&effective.to_ascii_lowercase().as_str()) {
        return Finding::ok(check, format!("is {effective:?}"));
    }
    Finding::warn(
        check,
        format!("is {effective:?}, not UTC"),
        "nothing to do for FastJob, whose instants are milliseconds UTC; mind it when you write to the inbox with NOW()",
    )
}

pub(super) fn clock(offset: Option<Offset>, terms: &config::Cluster) -> Finding {
    let Some(Offset { ms, bound_ms }) = offset else {
        return Finding::ok("clock", "the server's clock is the database's");
    };
    let direction = if ms < 0 { "behind" } else { "ahead of" };
    let off = ms.saturating_abs();
    let detail =
        format!("the database's clock is {off} ms {direction} this machine's, give or take {bound_ms} ms");
    let certain = off.saturating_sub(bound_ms);
    let remedy = "set both clocks by NTP: FastJob goes by the database's";
    match certain {
        _ if certain > terms.lease_ms => Finding::fail("clock", detail, remedy),
        _ if certain > OFFSET_WARN_MS => Finding::warn("clock", detail, remedy),
        _ => Finding::ok("clock", detail),
    }
}

pub(super) fn rights(rights: &Rights) -> Vec<Finding> {
    let Rights { user, missing, powers } = rights;
    let access = if missing.is_empty() {
        Finding::ok("rights", format!("{user} has all that servers need"))
    } else {
        let detail = format!("{user} lacks {}", missing.join(", "));
        Finding::fail("rights", detail, "grant it: docs/operations.md lists the statements")
    };
    let power = (!powers.is_empty()).then(|| {
        let detail = format!("{user} has {}", powers.join(", "));
        let remedy = "use a user without it: servers need no such power, and with it they write also where nobody should";
        Finding::warn("powers", detail, remedy)
    });
    std::iter::once(access).chain(power).collect()
}
