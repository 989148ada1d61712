//! Brings what FastJob's own code logs to the host program's log. It listens on the runtime's threads alone: the process
//! keeps whatever subscriber it has, or none.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// Takes one line of the log. Called on the runtime's threads: it must not block.
pub type Sink = Box<dyn Fn(Level, &str) + Send + Sync>;

/// The most verbose level that is brought over.
const MOST: Level = Level::INFO;

/// Events with their fields as text; spans are not told apart.
struct Tap(Sink);

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

/// What the runtime's threads log goes to `sink`.
pub(super) fn into_sink(sink: Sink) -> Dispatch {
    Dispatch::new(Tap(sink))
}

impl Subscriber for Tap {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= MOST && metadata.is_event() && metadata.target().starts_with("fastjob")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(MOST))
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        line.message.push_str(&line.fields);
        self.0(*event.metadata().level(), &line.message);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn an_event_becomes_one_line_with_its_fields_and_what_is_not_ours_is_left_out() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let tap = into_sink(Box::new(move |level, line| kept.lock().push(format!("{level} {line}"))));
        tracing::dispatcher::with_default(&tap, || {
            tracing::warn!(target: "fastjob_core::worker", attempts = 3, server = "a:1", "no server answers");
            tracing::debug!(target: "fastjob_core::worker", "too verbose");
            tracing::error!(target: "hyper", "not ours");
        });
        assert_eq!(*lines.lock(), ["WARN no server answers attempts=3 server=a:1"]);
    }
}
