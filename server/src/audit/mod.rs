//! Whether a job's ledger is what its edit history says: each tick is one run or lies in one gap, each of its reason, and
//! the mark stands behind them all. Pure judgement over what was read, in the order of the ledger and in bounded memory;
//! it reads nothing itself.

mod chain;
mod finding;
mod history;
mod ledger;
mod reasons;
#[cfg(test)]
mod tests;

pub use finding::{Code, Finding};
pub use history::{History, Marks};
pub use ledger::{Audit, Audited};

use fastjob_core::clock::Millis;
use fastjob_core::domain::{GapReason, Source, State};
use fastjob_core::id::RunId;

/// A line of the ledger.
#[derive(Clone, PartialEq, Debug)]
pub enum Entry {
    /// A run.
    Run(LedgerRun),
    /// Ticks without one.
    Gap(LedgerGap),
}

/// What an audit looks at in a run.
#[derive(Clone, PartialEq, Debug)]
pub struct LedgerRun {
    /// Names it.
    pub id: RunId,
    /// What fired it.
    pub source: Source,
    /// The instant of its job's schedule that it accounts for.
    pub tick: Option<Millis>,
    /// Of a fixed-delay chain.
    pub ordinal: Option<u64>,
    /// When it may start next.
    pub due: Millis,
    /// The job's revision that it follows.
    pub revision: u64,
    /// Where it stands.
    pub state: State,
    /// Attempts so far.
    pub attempt: u32,
    /// When its row was written.
    pub created_at: Millis,
    /// The current or last attempt's.
    pub dispatched_at: Option<Millis>,
    /// When it became terminal.
    pub ended_at: Option<Millis>,
}

/// Neighbouring ticks without a run.
#[derive(Clone, PartialEq, Debug)]
pub struct LedgerGap {
    /// The first.
    pub from: Millis,
    /// The last.
    pub to: Millis,
    /// How many, as it was written; `None`: not counted.
    pub count: Option<u64>,
    /// Why.
    pub reason: GapReason,
    /// By the rule of this revision.
    pub revision: u64,
}

/// Which ticks are audited: half-open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// From here.
    pub from: Millis,
    /// Before here; `None`: all that are written, also ahead of now.
    pub to: Option<Millis>,
}
