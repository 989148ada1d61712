//! Whether a run that stands at a tick says of itself what its job gave it: source, revision and reason.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Ended, Overlap, SkipReason, State};

use super::history::{History, Stretch};
use super::{Code, Finding, LedgerRun};

/// Two owners may read the clock this far apart.
const SKEW_MS: i64 = 250;

/// What is wrong with a run that stands at a tick of this stretch.
pub(super) fn check(
    run: &LedgerRun,
    tick: Millis,
    stretch: &Stretch,
    history: &History,
    found: &mut Vec<Finding>,
) {
    let mut wrong = |code, detail: String| {
        found.push(Finding::of(code, detail).at(tick).by(run.revision).in_run(run.id));
    };
    if run.source != stretch.source {
        let (says, is) = (run.source.as_str(), stretch.source.as_str());
        wrong(Code::WrongSource, format!("the run says {says}, its tick was made by {is}"));
    }
    if let Some(what) = revision_is_wrong(run, stretch, history) {
        wrong(Code::AlteredRevision, what);
    }
    if let Some(what) = reason_is_wrong(run, tick, stretch, history) {
        wrong(Code::WrongReason, what);
    }
}

/// Whatever has not started when its job is edited follows the edit, or never starts.
pub(super) fn check_start(run: &LedgerRun, history: &History, found: &mut Vec<Finding>) {
    let Some(next) = history.get(run.revision + 1) else { return };
    if let Some(began) = run.dispatched_at.filter(|began| run.attempt == 1 && *began > next.from) {
        let detail =
            format!("the run was started by revision {} after {} had begun", run.revision, next.revision);
        let finding = Finding::of(Code::StaleRevision, detail).at(run.tick.unwrap_or(began));
        found.push(finding.by(run.revision).in_run(run.id));
    }
}

/// A due run that waits follows a later edit; one that started before an edit keeps its own, also where the clock was set
/// back so that its tick lies after that edit.
fn revision_is_wrong(run: &LedgerRun, stretch: &Stretch, history: &History) -> Option<String> {
    if run.revision == stretch.revision {
        return None;
    }
    let says =
        format!("the run says revision {}, revision {} stood at its tick", run.revision, stretch.revision);
    let Some(named) = history.get(run.revision) else {
        return Some(format!("{says}; the history has no such revision"));
    };
    if run.revision < stretch.revision {
        return (!was_early(run, stretch.after)).then_some(says);
    }
    let waited = |at: Option<Millis>| at.is_none_or(|at| at.plus(SKEW_MS) >= named.from);
    let followed = waited(run.dispatched_at) && waited(run.ended_at);
    (!followed).then(|| format!("{says}; it was over before revision {} began", run.revision))
}

/// It started or ended no later than `at`, though its tick lies after it: the clock was set back.
pub(super) fn was_early(run: &LedgerRun, at: Millis) -> bool {
    run.dispatched_at.or(run.ended_at).is_some_and(|began| began <= at)
}

fn reason_is_wrong(run: &LedgerRun, tick: Millis, stretch: &Stretch, history: &History) -> Option<String> {
    let State::Ended(Ended::Skipped(reason)) = run.state else {
        let fired = !stretch.enabled && !was_early(run, stretch.after);
        return fired.then(|| "the job was disabled at this tick, and has a run for it".to_owned());
    };
    let ended = run.ended_at.unwrap_or(tick);
    let mut standing = history.standing(ended).chain(history.standing(ended.plus(SKEW_MS)));
    let explained = match reason {
        SkipReason::Disabled => standing.any(|revision| !revision.enabled),
        SkipReason::Deleted => standing.any(|revision| revision.deleted),
        SkipReason::CatchUp => {
            standing.any(|revision| ended.since(run.due) > revision.definition.catch_up.threshold_ms)
        }
        SkipReason::Overlap => {
            history.get(run.revision).is_none_or(|own| own.definition.limits.overlap != Overlap::AllowAll)
        }
        SkipReason::StartDeadline => {
            history.get(run.revision).is_none_or(|own| own.definition.limits.start_deadline_ms.is_some())
        }
    };
    let why = match reason {
        SkipReason::Disabled => "while its job was enabled",
        SkipReason::Deleted => "while its job was there",
        SkipReason::CatchUp => "before it was later than the threshold",
        SkipReason::Overlap => "though its job allows all to overlap",
        SkipReason::StartDeadline => "though its job sets no deadline",
    };
    (!explained).then(|| format!("the run was skipped ({}) {why}", reason.as_str()))
}
