//! A job as YAML: the one place that maps it to the client's message and back. A field that the protocol gains is added
//! to the table, to `read` and to `write`; the published schema follows from the table.

use std::collections::BTreeSet;

use fastjob_core::clock::Millis;
use fastjob_core::domain::Trigger;
use fastjob_core::protocol::{job, v1};

use super::fields::{Field, Fields, Kind};
use super::params;
use super::tree::Node;
use super::words::{
    BACKOFFS, CATCH_UPS, DIALECTS, GAP_RULES, MANAGERS, OVERLAP_RULES, OVERLAPS, ROUTINGS, Words,
};
use crate::cli::print::{duration_text, instant_text};

const fn field(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, about }
}

/// What a job may say.
pub(super) const JOB: &[Field] = &[
    field("name", Kind::Text, "Its name; 1 to 128 characters."),
    field("handler", Kind::Text, "Which of the workers' handlers runs it."),
    field("trigger", Kind::Fields(TRIGGER), "When it fires; only when called if this is left out."),
    field("start_at", Kind::Instant, "No tick lies before it."),
    field("end_at", Kind::Instant, "No tick lies at it or after it."),
    field("jitter", Kind::Duration, "Each tick's run is due up to this much later. Default 0s, at most 24h."),
    field("params", Kind::Anything, "What its handler gets, as JSON."),
    field("params_json", Kind::Text, "What its handler gets: JSON text, kept to the letter."),
    field("params_text", Kind::Text, "What its handler gets: text."),
    field("params_base64", Kind::Text, "What its handler gets: bytes, as base64."),
    field("enabled", Kind::Flag, "Default: a new job is enabled, and a known one stays as it is."),
    field(
        "overlap",
        Kind::Word(&OVERLAPS),
        "What happens to a tick while an earlier run is alive. Default skip.",
    ),
    field("catch_up", Kind::Fields(CATCH_UP), "What happens to missed ticks."),
    field("retry", Kind::Fields(RETRY), "How a failed run is tried again."),
    field("timeout", Kind::Duration, "How long an attempt may take. Default 1h, at most 30 days."),
    field(
        "start_deadline",
        Kind::Duration,
        "A run not dispatched this long after it was due is skipped. Default: it waits.",
    ),
    field(
        "grace",
        Kind::Duration,
        "How long a handler may take to give way to a cancel or timeout. Default 10s, at most 1h.",
    ),
    field(
        "worker_lost_after",
        Kind::Duration,
        "Without contact to its worker for this long, an attempt is lost. Default: the server's.",
    ),
    field("at_most_once", Kind::Flag, "Never dispatched again after its worker was lost. Default false."),
    field("priority", Kind::Whole { least: -100, most: 100 }, "Higher first among the waiting. Default 0."),
    field("routing", Kind::Word(&ROUTINGS), "How a worker is chosen. Default least_busy."),
    field("managed_by", Kind::Word(&MANAGERS), "Who may overwrite it: code (default) or console."),
    field(
        "source_version",
        Kind::Whole { least: 0, most: i64::MAX },
        "A put with a lower one than stored is refused.",
    ),
];

const TRIGGER: &[Field] = &[
    field("cron", Kind::Text, "A cron expression."),
    field("dialect", Kind::Word(&DIALECTS), "How the cron expression is read. Default quartz."),
    field("zone", Kind::Text, "The IANA zone of the cron expression or the window. Default UTC."),
    field(
        "gap",
        Kind::Word(&GAP_RULES),
        "What becomes of a fixed time that a gap of the zone swallows. Default next.",
    ),
    field(
        "overlap",
        Kind::Word(&OVERLAP_RULES),
        "In which passes of an overlap of the zone a fixed time fires. Default first.",
    ),
    field("daily_window", Kind::Fields(WINDOW), "At an even pace within a window of the day."),
    field("every", Kind::Duration, "At an even pace."),
    field("phase", Kind::Instant, "An instant of the even pace. Default: when the job was created."),
    field("delay", Kind::Duration, "This long after the end of the run before."),
    field("at", Kind::Instants, "Once at this instant, or at each of a list."),
    field("api", Kind::Flag, "True: only when called."),
];

const WINDOW: &[Field] = &[
    field("from", Kind::Text, "The first tick of the day, as 09:00 or 09:00:30."),
    field("to", Kind::Text, "No tick is later, as 17:30 or 24:00."),
    field("every", Kind::Duration, "The pace: whole seconds, at most 24h."),
    field("weekdays", Kind::Text, "Only on these days, as mon-fri,sun. Default: all."),
];

const CATCH_UP: &[Field] = &[
    field("policy", Kind::Word(&CATCH_UPS), "Which of the missed ticks fire. Default latest."),
    field("threshold", Kind::Duration, "A missed tick no later than this simply fires late. Default 60s."),
    field(
        "window",
        Kind::Duration,
        "Older ticks are never made up for. Default 1h for periods under a day, else 24h.",
    ),
    field(
        "max_runs",
        Kind::Whole { least: 1, most: 1_000 },
        "Of the policy all: how many fire. Default 100.",
    ),
];

const RETRY: &[Field] = &[
    field(
        "retries",
        Kind::Whole { least: 0, most: 1_000 },
        "How often a failed run is tried again. Default 0.",
    ),
    field("backoff", Kind::Word(&BACKOFFS), "How the waits grow. Default fixed."),
    field("delay", Kind::Duration, "The first wait. Default 1s."),
    field("max_delay", Kind::Duration, "The longest wait of an exponential backoff. Default 1h."),
    field("jitter", Kind::Fraction, "Each wait is drawn from [1 - jitter, 1] of it. Default 0."),
];

/// Fields that say how each kind of trigger fires, and what else may stand beside them.
pub(super) const KINDS: [(&str, &[&str]); 6] = [
    ("cron", &["dialect", "zone", "gap", "overlap"]),
    ("every", &["phase"]),
    ("delay", &[]),
    ("daily_window", &["zone"]),
    ("at", &[]),
    ("api", &[]),
];

/// Reads a job. What is wrong is noted, and has its default.
pub(super) fn read(of: &mut Fields<'_>) -> v1::JobSpec {
    v1::JobSpec {
        name: of.required_text("name").unwrap_or_default(),
        handler: of.required_text("handler").unwrap_or_default(),
        trigger: Some(v1::Trigger { kind: Some(read_trigger(of)) }),
        timing: read_timing(of),
        params: params::read(of),
        enabled: of.flag("enabled"),
        overlap: of.one_of("overlap", &OVERLAPS),
        catch_up: of.inner("catch_up", CATCH_UP).map(read_catch_up),
        retry: of.inner("retry", RETRY).map(read_retry),
        attempt_timeout_ms: of.duration("timeout"),
        start_deadline_ms: of.duration("start_deadline"),
        cancel_grace_ms: of.duration("grace"),
        worker_lost_after_ms: of.duration("worker_lost_after"),
        at_most_once: of.flag("at_most_once").unwrap_or_default(),
        priority: of.whole("priority").unwrap_or_default(),
        routing: of.one_of("routing", &ROUTINGS),
        managed_by: of.word("managed_by", &MANAGERS.all()).unwrap_or_default(),
        source_version: of.whole("source_version"),
    }
}

impl Fields<'_> {
    /// The value of a word.
    fn one_of(&mut self, name: &str, words: &Words) -> i32 {
        self.word(name, &words.all()).map_or(0, |word| words.value(&word).unwrap_or_default())
    }
}

fn read_trigger(of: &mut Fields<'_>) -> v1::trigger::Kind {
    use v1::trigger::Kind;
    let api = Kind::Api(v1::ApiOnly {});
    let Some(mut of) = of.inner("trigger", TRIGGER) else { return api };
    let given: Vec<_> = KINDS.iter().filter(|(kind, _)| of.has(kind)).collect();
    let &[(kind, beside)] = given.as_slice() else {
        if given.is_empty() && !of.knows_all(TRIGGER) {
            // The kind was misspelt, which is noted.
            return api;
        }
        let names: Vec<&str> = given.iter().map(|(kind, _)| *kind).collect();
        let (message, remedy) = match names.len() {
            0 => (
                "names no kind of trigger".to_owned(),
                "give one of: cron, every, delay, daily_window, at, api",
            ),
            _ => (format!("has {}", names.join(" and ")), "keep one: a job has one trigger"),
        };
        of.note("", message, remedy);
        return api;
    };
    let others: BTreeSet<&str> = KINDS.iter().flat_map(|(_, beside)| beside.iter().copied()).collect();
    for other in others {
        if of.has(other) && !beside.contains(&other) {
            of.note(other, format!("has no meaning beside `{kind}`"), "remove it");
        }
    }
    match *kind {
        "cron" => Kind::Cron(v1::Cron {
            expression: of.text("cron").unwrap_or_default(),
            dialect: of.word("dialect", &DIALECTS.all()).unwrap_or_default(),
            zone: of.text("zone").unwrap_or_default(),
            gap: of.word("gap", &GAP_RULES.all()).unwrap_or_default(),
            overlap: of.word("overlap", &OVERLAP_RULES.all()).unwrap_or_default(),
        }),
        "daily_window" => {
            let zone = of.text("zone").unwrap_or_default();
            let window = of.inner("daily_window", WINDOW).map(read_window);
            window.map_or(api, |window| Kind::DailyWindow(v1::DailyWindow { zone, ..window }))
        }
        "every" => Kind::FixedRate(v1::FixedRate {
            period_ms: of.duration("every").unwrap_or(Trigger::MIN_PERIOD_MS),
            phase_ms: of.instant("phase"),
        }),
        "delay" => Kind::FixedDelay(v1::FixedDelay { delay_ms: of.duration("delay").unwrap_or_default() }),
        "at" => Kind::At(v1::At { instants: of.instants("at") }),
        _ => {
            if of.flag("api") == Some(false) {
                of.note("api", "is false", "give true, or another trigger");
            }
            api
        }
    }
}

fn read_window(mut of: Fields<'_>) -> v1::DailyWindow {
    v1::DailyWindow {
        weekdays: of.weekdays("weekdays"),
        from: of.required_text("from").unwrap_or_else(|| "00:00".to_owned()),
        to: of.required_text("to").unwrap_or_else(|| "24:00".to_owned()),
        every_ms: of.duration("every").unwrap_or_default(),
        zone: String::new(),
    }
}

fn read_timing(of: &mut Fields<'_>) -> Option<v1::Timing> {
    let (start_at, end_at) = (of.instant("start_at"), of.instant("end_at"));
    Some(v1::Timing { start_at, end_at, jitter_ms: of.duration("jitter").unwrap_or_default() })
}

fn read_catch_up(mut of: Fields<'_>) -> v1::CatchUp {
    v1::CatchUp {
        policy: of.one_of("policy", &CATCH_UPS),
        threshold_ms: of.duration("threshold"),
        window_ms: of.duration("window"),
        max_runs: of.whole("max_runs"),
    }
}

fn read_retry(mut of: Fields<'_>) -> v1::Retry {
    v1::Retry {
        retries: of.whole("retries").unwrap_or_default(),
        backoff: of.one_of("backoff", &BACKOFFS),
        delay_ms: of.duration("delay"),
        max_delay_ms: of.duration("max_delay"),
        jitter: of.fraction("jitter").unwrap_or_default(),
    }
}

/// Where a field of the protocol stands in a job's YAML.
pub(super) fn yaml_path(wire: &str) -> String {
    const RENAMED: [(&str, &str); 5] = [
        ("attempt_timeout_ms", "timeout"),
        ("cancel_grace_ms", "grace"),
        ("trigger.cron.expression", "trigger.cron"),
        ("trigger.fixed_rate.period_ms", "trigger.every"),
        ("trigger.at.instants", "trigger.at"),
    ];
    if let Some((_, yaml)) = RENAMED.iter().find(|(name, _)| *name == wire) {
        return (*yaml).to_owned();
    }
    let path = wire.strip_suffix("_ms").unwrap_or(wire);
    let path = path.strip_prefix("timing.").unwrap_or(path);
    if wire == "trigger.daily_window.zone" {
        return "trigger.zone".to_owned();
    }
    let path = ["trigger.cron.", "trigger.fixed_rate.", "trigger.fixed_delay."]
        .iter()
        .find_map(|kind| path.strip_prefix(kind))
        .map_or_else(|| path.to_owned(), |name| format!("trigger.{name}"));
    match path.strip_prefix("trigger.at.instants") {
        Some(place) => format!("trigger.at{place}"),
        None => path,
    }
}

/// A job as YAML, without what has its default.
pub(super) fn write(spec: &v1::JobSpec) -> Node {
    let default = defaults();
    let unless = |same: bool, node: &dyn Fn() -> Node| (!same).then(node);
    let duration = |ms: Option<i64>, default: Option<i64>| {
        ms.filter(|_| ms != default).map(|ms| Node::text(duration_text(ms)))
    };
    let word =
        |words: &Words, value: i32, default: i32| (value != default).then(|| Node::text(words.word(value)));
    let trigger = spec.trigger.as_ref().and_then(|trigger| trigger.kind.as_ref()).and_then(write_trigger);
    let timing = spec.timing.unwrap_or_default();
    let instant = |at: Option<i64>| at.map(|at| Node::text(instant_text(at)));
    let (params_name, params) = match &spec.params {
        Some(given) if spec.params != default.params => params::write(given),
        _ => ("params", None),
    };
    present(vec![
        ("name", Some(Node::text(&spec.name))),
        ("handler", Some(Node::text(&spec.handler))),
        ("trigger", trigger),
        ("start_at", instant(timing.start_at)),
        ("end_at", instant(timing.end_at)),
        ("jitter", duration(Some(timing.jitter_ms), Some(0))),
        (params_name, params),
        ("enabled", unless(spec.enabled.unwrap_or(true), &|| Node::plain(false))),
        ("overlap", word(&OVERLAPS, spec.overlap, default.overlap)),
        ("catch_up", write_catch_up(spec.catch_up.unwrap_or_default(), default.catch_up.unwrap_or_default())),
        ("retry", write_retry(spec.retry.unwrap_or_default(), default.retry.unwrap_or_default())),
        ("timeout", duration(spec.attempt_timeout_ms, default.attempt_timeout_ms)),
        ("start_deadline", duration(spec.start_deadline_ms, default.start_deadline_ms)),
        ("grace", duration(spec.cancel_grace_ms, default.cancel_grace_ms)),
        ("worker_lost_after", duration(spec.worker_lost_after_ms, default.worker_lost_after_ms)),
        ("at_most_once", unless(!spec.at_most_once, &|| Node::plain(true))),
        ("priority", unless(spec.priority == default.priority, &|| Node::plain(spec.priority))),
        ("routing", word(&ROUTINGS, spec.routing, default.routing)),
        ("managed_by", unless(matches!(&*spec.managed_by, "" | "code"), &|| Node::text(&spec.managed_by))),
        ("source_version", spec.source_version.map(Node::plain)),
    ])
    .unwrap_or_else(|| Node::fields(Vec::new()))
}

/// What a job is that says nothing of itself.
fn defaults() -> v1::JobSpec {
    let trigger = Some(v1::Trigger { kind: Some(v1::trigger::Kind::Api(v1::ApiOnly {})) });
    let bare = v1::JobSpec { name: "a".into(), handler: "a".into(), trigger, ..Default::default() };
    let put = job::put(bare, Millis::new(0)).expect("every field but the names has a default");
    job::spec(&put.name, &put.definition, true)
}

fn present(fields: Vec<(&str, Option<Node>)>) -> Option<Node> {
    let fields: Vec<_> = fields.into_iter().filter_map(|(name, node)| Some((name, node?))).collect();
    (!fields.is_empty()).then(|| Node::fields(fields))
}

fn write_trigger(kind: &v1::trigger::Kind) -> Option<Node> {
    use v1::trigger::Kind;
    let duration = |ms: i64| Some(Node::text(duration_text(ms)));
    let instant = |ms: &i64| Node::text(instant_text(*ms));
    let unless = |text: &str, default: &str| (!text.is_empty() && text != default).then(|| Node::text(text));
    present(match kind {
        Kind::Cron(cron) => vec![
            ("cron", Some(Node::text(&cron.expression))),
            ("dialect", unless(&cron.dialect, "quartz")),
            ("zone", unless(&cron.zone, "UTC")),
            ("gap", unless(&cron.gap, "")),
            ("overlap", unless(&cron.overlap, "")),
        ],
        Kind::DailyWindow(window) => {
            let days = Some(window.weekdays.join(",")).filter(|_| (1..7).contains(&window.weekdays.len()));
            let fields = vec![
                ("from", Some(Node::text(&window.from))),
                ("to", Some(Node::text(&window.to))),
                ("every", duration(window.every_ms)),
                ("weekdays", days.map(Node::text)),
            ];
            vec![("daily_window", present(fields)), ("zone", unless(&window.zone, "UTC"))]
        }
        Kind::FixedRate(rate) => {
            vec![("every", duration(rate.period_ms)), ("phase", rate.phase_ms.as_ref().map(instant))]
        }
        Kind::FixedDelay(delay) => vec![("delay", duration(delay.delay_ms))],
        Kind::At(at) => vec![("at", Some(Node::list(at.instants.iter().map(instant).collect())))],
        Kind::Api(_) => return None,
    })
}

fn write_catch_up(given: v1::CatchUp, default: v1::CatchUp) -> Option<Node> {
    let duration = |ms: Option<i64>, default: Option<i64>| {
        ms.filter(|_| ms != default).map(|ms| Node::text(duration_text(ms)))
    };
    let policy = (given.policy != default.policy).then(|| Node::text(CATCH_UPS.word(given.policy)));
    present(vec![
        ("policy", policy),
        ("threshold", duration(given.threshold_ms, default.threshold_ms)),
        ("window", duration(given.window_ms, default.window_ms)),
        ("max_runs", given.max_runs.filter(|_| given.max_runs != default.max_runs).map(Node::plain)),
    ])
}

fn write_retry(given: v1::Retry, default: v1::Retry) -> Option<Node> {
    let duration = |ms: Option<i64>, default: Option<i64>| {
        ms.filter(|_| ms != default).map(|ms| Node::text(duration_text(ms)))
    };
    let backoff = (given.backoff != default.backoff).then(|| Node::text(BACKOFFS.word(given.backoff)));
    // A delay above the usual longest wait raises it: then that one is no choice of the job's.
    let longest = default.max_delay_ms.max(given.delay_ms);
    present(vec![
        ("retries", (given.retries != default.retries).then(|| Node::plain(given.retries))),
        ("backoff", backoff),
        ("delay", duration(given.delay_ms, default.delay_ms)),
        ("max_delay", duration(given.max_delay_ms, longest)),
        ("jitter", (given.jitter != default.jitter).then(|| Node::plain(given.jitter))),
    ])
}
