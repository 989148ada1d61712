//! Rows of the inbox. Anybody may write there, so that much of it may be unreadable.

use bytes::Bytes;
use fastjob_core::domain::Outcome;
use fastjob_core::id::InboxId;

use super::{Cells, Reader};
use crate::store::backend::InboxRow;
use crate::store::error::StoreError;
use crate::store::shape;

/// All columns of `fastjob_inbox`, as [`inbox_row`] reads them.
pub(in crate::store) const INBOX: &str =
    "inbox.id, inbox.app, inbox.kind, inbox.name, inbox.idempotency_key, inbox.due_at, inbox.params,
    inbox.body, inbox.run_id, inbox.created_at, inbox.failed_at, inbox.reason";

/// A row of [`INBOX`].
pub(in crate::store) fn inbox_row(row: &impl Cells) -> Result<InboxRow, StoreError> {
    let row = Reader::new(row, "fastjob_inbox", "id");
    Ok(InboxRow {
        id: row.id("id")?,
        app: row.text("app")?.to_owned(),
        kind: row.text("kind")?.to_owned(),
        name: row.text("name")?.to_owned(),
        idempotency_key: row.maybe_text("idempotency_key")?.map(str::to_owned),
        due_at: row.maybe_at("due_at")?,
        params: row.maybe_text("params")?.map(str::to_owned),
        body: row.maybe_bytes("body")?.map(Bytes::copy_from_slice),
        run: row.maybe_id("run_id")?,
        created_at: row.at("created_at")?,
        failed: match row.maybe_at("failed_at")? {
            Some(at) => Some((at, row.maybe_text("reason")?.unwrap_or_default().to_owned())),
            None => None,
        },
    })
}

/// As [`inbox_row`]; a row that cannot be read must not keep the others back.
pub(in crate::store) fn readable(row: &impl Cells) -> Option<InboxRow> {
    inbox_row(row).inspect_err(|error| tracing::error!(%error, "command in the inbox cannot be read")).ok()
}

/// The outcomes among these rows of [`INBOX`]. What is none is left to the reader of the inbox.
pub(in crate::store) fn outcomes(rows: &[impl Cells]) -> Result<Vec<(InboxId, Outcome)>, StoreError> {
    let rows: Vec<InboxRow> = rows.iter().map(inbox_row).collect::<Result<_, _>>()?;
    Ok(rows.iter().filter_map(|row| Some((row.id, shape::outcome_read(row.body.as_deref()?)?))).collect())
}
