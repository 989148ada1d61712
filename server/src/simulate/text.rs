//! The heat map for a terminal: a line for each hour of the day, a sign for each minute, the fullest of all days.

use std::fmt::Write;

use super::{Measure, Outcome};

const SIGNS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Colours of the 256: from blue over yellow to red.
const COLOURS: [u8; 9] = [238, 25, 31, 37, 71, 148, 220, 208, 196];

/// The heat map; with `colour` each sign has one. The times are UTC.
pub fn heat_map(outcome: &Outcome, measure: Measure, colour: bool) -> String {
    let day = fullest(outcome, measure);
    let full = outcome.full(measure);
    let mut text = String::new();
    writeln!(text, "UTC    0         10        20        30        40        50")
        .expect("a string takes all");
    for (hour, minutes) in day.chunks(60).enumerate() {
        write!(text, "{hour:02}:00  ").expect("a string takes all");
        for value in minutes {
            let level = level(*value, full);
            let sign = SIGNS[level];
            if colour {
                write!(text, "\u{1b}[38;5;{}m{sign}", COLOURS[level]).expect("a string takes all");
            } else {
                text.push(sign);
            }
        }
        text.push_str(if colour { "\u{1b}[0m\n" } else { "\n" });
    }
    let most = outcome.minutes.iter().map(|minute| measure.of(minute)).max().unwrap_or(0);
    writeln!(
        text,
        "each sign is the fullest minute of all days: {} is none, {} is {full} {}; the most is {most}",
        SIGNS[0],
        SIGNS[8],
        measure.words()
    )
    .expect("a string takes all");
    text
}

/// Of each minute of the day in UTC the fullest of all days.
fn fullest(outcome: &Outcome, measure: Measure) -> Vec<u32> {
    let first = outcome.span.from.get().div_euclid(60_000).rem_euclid(1_440);
    let first = usize::try_from(first).unwrap_or(0);
    let mut day = vec![0; 1_440];
    for (at, minute) in outcome.minutes.iter().enumerate() {
        let value: &mut u32 = &mut day[(first + at) % 1_440];
        *value = (*value).max(measure.of(minute));
    }
    day
}

/// 0 for nothing, 1 to 8 for parts of what is full.
pub(super) fn level(value: u32, full: u32) -> usize {
    match (value, full) {
        (0, _) | (_, 0) => 0,
        (value, full) => (u64::from(value.min(full)) * 8).div_ceil(u64::from(full)) as usize,
    }
}
