//! What a look at the tables finds.

use super::{Cells, Reader};
use crate::store::error::StoreError;
use crate::store::inspect::{KeyedRun, Sizes, Violations};

/// Selects what [`keyed_run`] reads.
pub(in crate::store) const KEYED: &str =
    "SELECT id, fire_key, idempotency_key FROM fastjob_run WHERE idempotency_key IS NOT NULL";

pub(in crate::store) fn keyed_run(row: &impl Cells) -> Result<KeyedRun, StoreError> {
    let row = Reader::new(row, "fastjob_run", "id");
    Ok(KeyedRun {
        id: row.id("id")?,
        fire_key: row.text("fire_key")?.to_owned(),
        idempotency_key: row.text("idempotency_key")?.to_owned(),
    })
}

/// Of the rows of a [`Scan`](crate::store::scans::Scan).
pub(in crate::store) fn violations(rows: &[impl Cells]) -> Result<Violations, StoreError> {
    let mut violations = Violations::default();
    for row in rows {
        let row = Reader::new(row, "violation", "example");
        violations.count = row.bits("total")?;
        violations.examples.push(row.text("example")?.to_owned());
    }
    Ok(violations)
}

/// Of the row of [`SIZES`](crate::store::scans::SIZES) and those of
/// [`failed_by_reason`](crate::store::scans::failed_by_reason).
pub(in crate::store) fn sizes(row: &impl Cells, failed: &[impl Cells]) -> Result<Sizes, StoreError> {
    let reason = |row| {
        let row = Reader::new(row, "fastjob_inbox", "reason");
        Ok((row.maybe_text("reason")?.unwrap_or_default().to_owned(), row.bits("total")?))
    };
    let inbox_failed = failed.iter().map(reason).collect::<Result<_, StoreError>>()?;
    let row = Reader::new(row, "fastjob_run", "runs");
    Ok(Sizes {
        jobs: row.bits("jobs")?,
        runs: row.bits("runs")?,
        open_runs: row.bits("open_runs")?,
        oldest_ended: row.maybe_at("oldest_ended")?,
        inbox_waiting: row.bits("inbox_waiting")?,
        inbox_oldest: row.maybe_at("inbox_oldest")?,
        inbox_failed,
    })
}
