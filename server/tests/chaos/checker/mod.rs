//! The checker: reads a history (`HISTORY.md`) and says which guarantee it breaks, by name and with the lines that show
//! it. It imports nothing of the product: what it believes of jobs, ticks and runs is written here a second time.

mod blind;
mod calls;
mod figures;
pub(crate) mod history;
mod kills;
mod oracle;
mod owners;
mod runs;
mod ticks;
mod time;

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

pub(crate) use figures::Figures;
use history::History;

/// A handler may be entered so much before its tick, and the clocks of one machine differ by less.
const EARLY_MS: i64 = 250;
/// Violations that are told in full; of the others only how many.
const SHOWN: usize = 30;

/// A guarantee that the history breaks.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// "G1" to "G13", or "blind".
    pub(crate) invariant: &'static str,
    pub(crate) text: String,
    /// Where the history shows it.
    pub(crate) lines: Vec<usize>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (lines {:?})", self.invariant, self.text, self.lines)
    }
}

/// What was found so far.
#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, invariant: &'static str, lines: impl IntoIterator<Item = usize>, text: String) {
        self.0.push(Violation { invariant, text, lines: lines.into_iter().collect() });
    }
}

/// Every check over a history. Errors: it proves nothing, for it cannot be read, or what was
/// to happen did not.
pub(crate) fn check(text: &str) -> Result<(Vec<Violation>, Figures), String> {
    let history = History::read(text)?;
    if history.runs.is_empty() || history.executions.is_empty() {
        return Err("the history has no run, or no execution".into());
    }
    let mut found = Found::default();
    let accounts = ticks::accounted_for_once(&history, &mut found)?;
    ticks::chains_go_on_once(&history, &mut found);
    ticks::caught_up_as_the_job_says(&history, &mut found);
    ticks::left_out_ticks_are_given_up(&history, &mut found);
    ticks::never_early(&history, &mut found);
    ticks::edits_take_effect(&history, &mut found);
    runs::every_execution_has_its_attempt(&history, &mut found);
    runs::every_due_run_has_ended(&history, &mut found);
    runs::one_outcome_by_the_current_attempt(&history, &mut found);
    runs::duplicates_have_their_cause(&history, &mut found);
    runs::killers_are_quarantined(&history, &mut found);
    owners::epochs_rise(&history, &mut found);
    owners::nothing_is_committed_late(&history, &mut found);
    owners::owners_are_replaced_for_a_cause(&history, &mut found);
    owners::takeovers_are_bounded(&history, &mut found);
    calls::skipping_runs_do_not_overlap(&history, &mut found);
    calls::acknowledged_calls_survive(&history, &mut found);
    blind::every_tick_is_executed(&history, &accounts, &mut found);
    let figures = Figures::of(&history);
    match figures.kills.void(&history) {
        Some(why) if found.0.is_empty() => Err(why),
        _ => Ok((found.0, figures)),
    }
}

/// The checker as a program: 0 for a history that holds, 1 for one that does not, 2 for one that cannot be judged.
pub(crate) fn program(path: &Path) -> ExitCode {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("failed to read {}: {error}", path.display());
            return ExitCode::from(2);
        }
    };
    match check(&text) {
        Ok((violations, figures)) if violations.is_empty() => {
            println!("holds: {figures}");
            ExitCode::SUCCESS
        }
        Ok((violations, _)) => {
            println!("{}", told(&violations));
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("void: {why}");
            ExitCode::from(2)
        }
    }
}

/// The violations as text, the first in full.
pub(crate) fn told(violations: &[Violation]) -> String {
    let mut text = format!("{} violations", violations.len());
    for violation in violations.iter().take(SHOWN) {
        text.push_str(&format!("\n  {violation}"));
    }
    text
}
