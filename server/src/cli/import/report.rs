//! What people should know of an import: per job what was mapped, what was lost, and how its times compare.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fastjob_core::clock::Millis;

use super::compare::{Comparison, Side};
use super::job::{Import, Imported};
use crate::cli::print::instant_text;

/// Instants that are shown of each kind of difference.
const SHOWN: usize = 5;

/// The report, and how many differences it cannot explain.
pub(super) fn report(import: &Import, comparisons: &[Option<Comparison>], from: Millis) -> (String, usize) {
    let mut text = format!(
        "{} jobs imported, {} not; fire times after {} are compared\n",
        import.jobs.len(),
        import.refused.len(),
        instant_text(from.get())
    );
    for note in &import.notes {
        text += &format!("note: {note}\n");
    }
    for refused in &import.refused {
        text += &format!("\nnot imported: {}: {}\n", refused.from, refused.why);
    }
    let mut unexplained = 0;
    for (job, comparison) in import.jobs.iter().zip(comparisons) {
        one(job, comparison.as_ref(), &mut text);
        let differences = comparison.iter().flat_map(|of| &of.differences);
        unexplained += differences.filter(|difference| difference.why.is_none()).count();
    }
    (text, unexplained)
}

fn one(job: &Imported, comparison: Option<&Comparison>, to: &mut String) {
    *to += &format!("\n{} ({})\n", job.spec.name, job.from);
    job.mapped.iter().for_each(|what| *to += &format!("  mapped: {what}\n"));
    job.lost.iter().for_each(|what| *to += &format!("  LOST: {what}\n"));
    let Some(comparison) = comparison else { return };
    if let Some(why) = &comparison.not_compared {
        *to += &format!("  times: not compared: {why}\n");
        return;
    }
    let Comparison { old, same, differences, .. } = comparison;
    *to += &format!("  times: {same} of {old} the same\n");
    let mut kinds: BTreeMap<(&str, bool), Vec<String>> = BTreeMap::new();
    for difference in differences {
        let why = difference.why.as_deref().unwrap_or("NOT EXPLAINED: please report it");
        let instants = kinds.entry((why, difference.side == Side::Old)).or_default();
        instants.push(difference.at.to_string());
    }
    for ((why, is_old), instants) in kinds {
        let side = if is_old { "the old engine" } else { "FastJob" };
        let shown = instants.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        let more = if instants.len() > SHOWN {
            format!(" and {} more", instants.len() - SHOWN)
        } else {
            String::new()
        };
        let _ = writeln!(to, "    only {side} fires at {shown}{more}: {why}");
    }
}
