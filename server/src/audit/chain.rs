//! Fixed-delay chains: the runs follow each other without a hole, each made by the end of the one before or by an edit.

use std::collections::BTreeSet;

use fastjob_core::clock::Millis;
use fastjob_core::domain::Trigger;

use super::history::{self, History, Marks};
use super::{Code, Finding, LedgerRun};

/// Ordinals that may be awaited at a time: runs of one chain stand nearly in order.
const MAX_AWAITED: u64 = 1_000;

/// What was seen of a chain so far.
#[derive(Debug, Default)]
pub(super) struct Chain {
    newest: Option<LedgerRun>,
    awaited: BTreeSet<u64>,
}

impl Chain {
    /// The next run of the ledger; `whole`: the ledger is read from the job's beginning.
    pub(super) fn take(&mut self, run: LedgerRun, whole: bool, history: &History, found: &mut Vec<Finding>) {
        let Some(ordinal) = run.ordinal else {
            return found.push(broken(&run, "has no place in its chain"));
        };
        if self.awaited.remove(&ordinal) {
            return;
        }
        let before = match &self.newest {
            Some(newest) => newest.ordinal.unwrap_or(0),
            None if whole => 0,
            None => ordinal.saturating_sub(1),
        };
        if ordinal <= before {
            return found
                .push(broken(&run, &format!("stands at place {ordinal} of its chain a second time")));
        }
        if ordinal - before > MAX_AWAITED {
            found.push(broken(&run, &format!("follows place {before} of its chain at place {ordinal}")));
        } else {
            self.awaited.extend(before + 1..ordinal);
        }
        if let Some(earlier) = self.newest.as_ref().filter(|earlier| earlier.ordinal == Some(ordinal - 1)) {
            found.extend(succession(earlier, &run, history).map(|what| broken(&run, &what)));
        }
        self.newest = Some(run);
    }

    /// The ledger is read; `marks` were read after it.
    pub(super) fn finish(self, to: Option<Millis>, marks: &Marks, found: &mut Vec<Finding>) {
        for ordinal in &self.awaited {
            found.push(Finding::of(Code::BrokenChain, format!("the chain lacks its run {ordinal}")));
        }
        if to.is_some() {
            return;
        }
        let newest = self.newest.as_ref().and_then(|run| run.ordinal).unwrap_or(0);
        if newest > marks.chain_seq {
            let detail = format!("the chain's mark is {}, its newest run {newest}", marks.chain_seq);
            found.push(Finding::of(Code::MovedMark, detail));
        }
        let lives = marks.enabled && marks.deleted_at.is_none();
        let ended = self.newest.as_ref().filter(|run| run.ended_at.is_some() && newest == marks.chain_seq);
        if let Some(last) = ended.filter(|last| lives && goes_on(last, marks)) {
            found.push(broken(last, "has ended without a successor, though its job is enabled"));
        }
    }
}

/// A successor would still lie within the life of its job.
fn goes_on(last: &LedgerRun, marks: &Marks) -> bool {
    let Trigger::FixedDelay { delay_ms } = marks.definition.trigger else { return false };
    let due = last.ended_at.unwrap_or(last.due).plus(delay_ms);
    history::compile(&marks.definition, marks).is_ok_and(|schedule| schedule.within_life(due).is_some())
}

fn succession(earlier: &LedgerRun, run: &LedgerRun, history: &History) -> Option<String> {
    let ended = earlier.ended_at?;
    if run.created_at != ended && !history.has_edit_at(run.created_at) {
        return Some("was made neither by the end of the run before it nor by an edit".to_owned());
    }
    let own = history.get(run.revision).into_iter();
    let delays = own.chain(history.standing(run.created_at)).filter_map(|revision| {
        match revision.definition.trigger {
            Trigger::FixedDelay { delay_ms } => Some(delay_ms),
            _ => None,
        }
    });
    let delay_ms = delays.min()?;
    (run.due < ended.plus(delay_ms)).then(|| format!("is due before the delay of {delay_ms} ms is over"))
}

fn broken(run: &LedgerRun, what: &str) -> Finding {
    let finding = Finding::of(Code::BrokenChain, format!("the run {what}"));
    finding.between(run.due, run.due, None).by(run.revision).in_run(run.id)
}
