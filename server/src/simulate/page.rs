//! The whole outcome as one HTML page that loads nothing.

use std::fmt::Write;

use jiff::Timestamp;

use super::{Measure, Outcome, svg};

/// Jobs in the table.
const MAX_ROWS: usize = 500;
const ALL: &str = "a string takes all";
const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>FastJob simulation</title>\n<style>\nbody \
     { background: #0f1115; color: #c8ccd4; font: 13px/1.5 monospace; margin: 2em; }\ntable { border-collapse: \
     collapse; margin: 1em 0; }\nth, td { padding: .2em 1em; text-align: right; border-bottom: 1px solid #2a2e36; \
     }\nth:first-child, td:first-child { text-align: left; }\nh1, h2 { font-size: 1.1em; }\n.map { overflow-x: auto; \
     }\n</style></head><body>\n";

/// The page.
pub fn html(outcome: &Outcome, measure: Measure) -> String {
    let mut page = HEAD.to_owned();
    let from = told(outcome.span.from.get());
    writeln!(page, "<h1>{} days from {from}</h1>", outcome.span.days).expect(ALL);
    for line in outcome.words() {
        writeln!(page, "<p>{}</p>", escaped(&line)).expect(ALL);
    }
    writeln!(page, "<div class=\"map\">{}</div>", svg(outcome, measure)).expect(ALL);
    page.push_str("<h2>Jobs</h2>\n<table><tr><th>job</th><th>ticks</th><th>skipped</th><th>longest wait</th><th>busy</th></tr>\n");
    for job in outcome.worst_first().take(MAX_ROWS) {
        writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{} ms</td><td>{} s</td></tr>",
            escaped(&job.name),
            job.ticks,
            job.skipped,
            job.longest_wait_ms,
            job.busy_ms / 1_000
        )
        .expect(ALL);
    }
    page.push_str("</table>\n<h2>Instants at which most jobs fire</h2>\n<table><tr><th>instant</th><th>jobs</th></tr>\n");
    for crowd in &outcome.crowds {
        writeln!(page, "<tr><td>{}</td><td>{}</td></tr>", told(crowd.at.0.get()), crowd.jobs).expect(ALL);
    }
    page.push_str("</table>\n</body></html>\n");
    page
}

fn told(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map(|at| format!("{at:.0}")).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
