//! The heat map as SVG: a row for each day, a column for each minute.

use std::fmt::Write;

use jiff::Timestamp;

use super::text::level;
use super::{Measure, Outcome};

/// Fills from nothing to full, as in the terminal.
const FILLS: [&str; 9] =
    ["#1b1e24", "#16466b", "#12608a", "#1b8a8f", "#4a9f4f", "#a8c93a", "#f2c230", "#f08a24", "#e0342b"];
/// Up to so many days a column is one minute, beyond it ten.
const DAYS_BY_MINUTES: usize = 31;
const ROW: usize = 14;
const LEFT: usize = 84;
const TOP: usize = 24;
const WIDTH: usize = 1_440;

/// A picture that needs nothing else; neighbours of one level are one rectangle.
pub fn svg(outcome: &Outcome, measure: Measure) -> String {
    let days = outcome.minutes.len() / 1_440;
    let (width, height) = (LEFT + WIDTH + 12, TOP + days * ROW + 28);
    let mut text = String::new();
    write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"monospace\" font-size=\"11\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#0f1115\"/>\n"
    )
    .expect(ALL);
    hours(outcome, &mut text);
    let full = outcome.full(measure);
    for (day, minutes) in outcome.minutes.chunks(1_440).enumerate() {
        let y = TOP + day * ROW;
        let start = outcome.span.from.plus(day as i64 * 86_400_000).get();
        let date = Timestamp::from_millisecond(start).map(|at| format!("{at:.0}")).unwrap_or_default();
        let date: String = date.chars().take(10).collect();
        writeln!(text, "<text x=\"4\" y=\"{}\" fill=\"#c8ccd4\">{date}</text>", y + ROW - 3).expect(ALL);
        let values: Vec<u32> = minutes.iter().map(|minute| measure.of(minute)).collect();
        row(&values, if days > DAYS_BY_MINUTES { 10 } else { 1 }, full, y, &mut text);
    }
    legend(measure, full, TOP + days * ROW + 8, &mut text);
    text.push_str("</svg>\n");
    text
}

const ALL: &str = "a string takes all";

/// The rows begin at the time of day at which the simulation does.
fn hours(outcome: &Outcome, text: &mut String) {
    let first = outcome.span.from.get().div_euclid(60_000).rem_euclid(1_440);
    for hour in (0..24).step_by(2) {
        let minute = (first + hour * 60).rem_euclid(1_440);
        let x = LEFT + hour as usize * 60;
        let told = format!("{:02}:{:02}", minute / 60, minute % 60);
        writeln!(text, "<text x=\"{x}\" y=\"15\" fill=\"#8a909c\">{told}</text>").expect(ALL);
    }
}

fn row(values: &[u32], step: usize, full: u32, y: usize, text: &mut String) {
    let levels: Vec<usize> =
        values.chunks(step).map(|part| level(part.iter().copied().max().unwrap_or(0), full)).collect();
    let mut x = 0;
    for run in levels.chunk_by(|one, other| one == other) {
        let width = run.len() * step;
        let (x_at, height, fill) = (LEFT + x, ROW - 2, FILLS[run[0]]);
        writeln!(
            text,
            "<rect x=\"{x_at}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>"
        )
        .expect(ALL);
        x += width;
    }
}

fn legend(measure: Measure, full: u32, y: usize, text: &mut String) {
    for (level, fill) in FILLS.iter().enumerate() {
        let x = LEFT + level * 18;
        writeln!(text, "<rect x=\"{x}\" y=\"{y}\" width=\"18\" height=\"10\" fill=\"{fill}\"/>").expect(ALL);
    }
    let (x, y, words) = (LEFT + 9 * 18 + 8, y + 9, measure.words());
    writeln!(text, "<text x=\"{x}\" y=\"{y}\" fill=\"#8a909c\">0 to {full} {words}, UTC</text>").expect(ALL);
}
