//! The truth afterwards: what the command line shows of every job's runs and gaps, as lines of the history.

use std::process::Command;

use serde_json::{Value, json};

use super::harness::{json_lines, text_of};

/// A way to run `fastjob`, pointed at the servers.
pub(crate) type Ask<'a> = dyn Fn(&[&str]) -> Command + 'a;

/// Runs of every job, with all their attempts, and its gaps.
pub(crate) fn read(ask: &Ask<'_>, jobs: &[&str]) -> Result<Vec<Value>, String> {
    let mut lines = Vec::new();
    for job in jobs {
        let from_to = ["--from", "2020-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"];
        let arguments: Vec<&str> = ["job", "ledger", job].into_iter().chain(from_to).collect();
        for line in said(ask, &arguments)? {
            lines.push(if line["gap"] == true { gap(&line)? } else { run(ask, &line)? });
        }
    }
    Ok(lines)
}

/// Runs it and reads its JSON lines.
pub(crate) fn said(ask: &Ask<'_>, arguments: &[&str]) -> Result<Vec<Value>, String> {
    let output = ask(arguments).output().map_err(|error| format!("failed to run fastjob: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("fastjob {}: {} {why}", arguments.join(" "), output.status));
    }
    json_lines(&output.stdout)
}

fn gap(line: &Value) -> Result<Value, String> {
    let bounds = instant_ms(&line["from"]).zip(instant_ms(&line["to"]));
    let (from_ms, to_ms) = bounds.ok_or_else(|| format!("a gap without bounds: {line}"))?;
    Ok(json!({
        "kind": "gap", "job": line["job"], "from_ms": from_ms, "to_ms": to_ms, "count": line["count"],
        "reason": line["reason"], "revision": line["revision"],
    }))
}

fn run(ask: &Ask<'_>, line: &Value) -> Result<Value, String> {
    let count = |field: &str| line[field].as_u64().unwrap_or(0);
    let again = count("attempt") > 1 || (count("attempt") == 1 && line["epoch"].is_null());
    let attempts = if again {
        let whole = said(ask, &["run", "get", &text_of(line, "id")])?.pop().ok_or("run get said nothing")?;
        whole["attempts"].as_array().cloned().unwrap_or_default()
    } else if line["epoch"].is_null() {
        Vec::new()
    } else {
        vec![json!({
            "attempt": line["attempt"], "epoch": line["epoch"], "server": line["server"],
            "dispatched_at": line["dispatched_at"], "ended_at": line["ended_at"], "outcome": outcome(line),
        })]
    };
    let attempt = |attempt: &Value| {
        json!({
            "attempt": attempt["attempt"], "epoch": attempt["epoch"], "server": bare(&attempt["server"]),
            "dispatched_ms": instant_ms(&attempt["dispatched_at"]), "ended_ms": instant_ms(&attempt["ended_at"]),
            "outcome": attempt["outcome"],
        })
    };
    Ok(json!({
        "kind": "run", "id": line["id"], "job": line["job"], "source": line["source"],
        "tick_ms": instant_ms(&line["tick"]), "due_ms": instant_ms(&line["due"]), "state": line["state"],
        "reason": line["reason"], "attempt": line["attempt"], "revision": line["revision"],
        "fail_count": line["fail_count"], "lost_count": line["lost_count"], "key": line["idempotency_key"],
        "result": line["result"], "created_ms": instant_ms(&line["created_at"]), "ended_ms": instant_ms(&line["ended_at"]),
        "attempts": attempts.iter().map(attempt).collect::<Vec<_>>(),
    }))
}

/// What became of a run's only attempt.
fn outcome(run: &Value) -> &str {
    match (run["state"].as_str(), run["reason"].as_str()) {
        (Some("dispatched"), _) => "running",
        (Some("failed"), Some("timeout")) => "timeout",
        (Some("failed"), Some("lost" | "quarantined")) => "lost",
        (Some(state), _) => state,
        (None, _) => "",
    }
}

/// A server's id as the log of owners has it.
fn bare(id: &Value) -> Option<String> {
    id.as_str().map(|id| id.replace('-', ""))
}

/// Milliseconds of an RFC 3339 instant in UTC.
fn instant_ms(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}
