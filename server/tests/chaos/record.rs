//! The history while it is being written.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

/// Lines of `HISTORY.md`.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<Value>>>);

impl Record {
    pub(crate) fn add(&self, line: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// A revision; one that is known already (the repeat of an edit changed nothing) is not told again.
    pub(crate) fn revision(&self, line: Value) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |other: &Value| {
            other["kind"] == "revision"
                && other["job"] == line["job"]
                && other["revision"] == line["revision"]
        };
        if !lines.iter().any(same) {
            lines.push(line);
        }
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
