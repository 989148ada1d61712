//! Where figures were taken: without it they say nothing.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

/// The machine and what it runs.
pub(crate) fn described() -> Value {
    json!({
        "cpu": cpu(), "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory_kib": field("/proc/meminfo", "MemTotal"), "kernel": line("/proc/sys/kernel/osrelease"),
        "load_before": line("/proc/loadavg"), "fastjob": env!("CARGO_PKG_VERSION"),
        "profile": if cfg!(debug_assertions) { "dev" } else { "release" },
    })
}

/// How durable a commit of this connection is, as SQLite itself says.
pub(crate) async fn durability(connection: &mut SqliteConnection) -> anyhow::Result<Value> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut *connection).await?;
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await?;
    let checkpoint: i64 = sqlx::query_scalar("PRAGMA wal_autocheckpoint").fetch_one(&mut *connection).await?;
    let page: i64 = sqlx::query_scalar("PRAGMA page_size").fetch_one(&mut *connection).await?;
    let synchronous = match synchronous {
        0 => "OFF",
        1 => "NORMAL",
        2 => "FULL",
        _ => "EXTRA",
    };
    Ok(json!({
        "sqlite": version, "journal_mode": journal, "synchronous": synchronous,
        "wal_autocheckpoint_pages": checkpoint, "page_bytes": page,
    }))
}

fn cpu() -> String {
    field("/proc/cpuinfo", "model name")
}

fn line(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The first `name: value` of a file, empty if there is none.
fn field(path: &str, name: &str) -> String {
    let text = line(path);
    let found = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    found.unwrap_or_default()
}
