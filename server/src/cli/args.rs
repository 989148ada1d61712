//! How single arguments are read: instants, durations, ids, parameters.

use clap::Args;
use fastjob_core::domain::{DailyWindow, Dialect, GapRule, OverlapRule, Weekday};
use fastjob_core::id::{RequestId, RunId};
use fastjob_core::protocol::v1::{Encoding, Payload};

use super::Failure;

/// The longest duration that an argument may name: a hundred years.
const MAX_DURATION_MS: u128 = 100 * 366 * 86_400_000;

/// Milliseconds since the epoch: `2026-01-31T12:00:00Z`, with any offset, or a number of milliseconds.
pub(super) fn instant(text: &str) -> Result<i64, String> {
    if let Ok(ms) = text.parse::<i64>() {
        return jiff::Timestamp::from_millisecond(ms)
            .map(|_| ms)
            .map_err(|_| "out of range: give milliseconds since 1970".into());
    }
    let parsed = text.parse::<jiff::Timestamp>();
    parsed.map(|at| at.as_millisecond()).map_err(|_| {
        "not an instant: give RFC 3339 with an offset, as 2026-01-31T12:00:00Z, or milliseconds since 1970".into()
    })
}

/// Milliseconds: `500ms`, `5s`, `1h30m`.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    let hint = "give a number with its unit, as 500ms, 5s or 1h30m";
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}: {hint}"))?;
    if duration.subsec_nanos() % 1_000_000 != 0 {
        return Err("finer than a millisecond: give whole milliseconds".into());
    }
    match duration.as_millis() {
        ms if ms <= MAX_DURATION_MS => Ok(i64::try_from(ms).expect("a hundred years fit")),
        _ => Err("longer than a hundred years".into()),
    }
}

/// How a cron expression is read.
pub(super) fn dialect(text: &str) -> Result<Dialect, String> {
    Dialect::parse(text).ok_or_else(|| "not known: give quartz, unix or spring".into())
}

/// What becomes of civil times in a gap.
pub(super) fn gap(text: &str) -> Result<GapRule, String> {
    GapRule::parse(text).ok_or_else(|| "not known: give next or skip".into())
}

/// In which passes of an overlap a rule fires.
pub(super) fn overlap_rule(text: &str) -> Result<OverlapRule, String> {
    OverlapRule::parse(text).ok_or_else(|| "not known: give first or both".into())
}

/// A zone by its IANA name.
pub(super) fn zone(text: &str) -> Result<jiff::tz::TimeZone, String> {
    jiff::tz::TimeZone::get(text).map_err(|_| "no known zone: give an IANA name, as Europe/Berlin".into())
}

/// Two times of day, as `09:00-17:30`; the server judges them.
pub(super) fn window(text: &str) -> Result<(String, String), String> {
    let times = text
        .split_once('-')
        .filter(|(from, to)| [from, to].iter().all(|time| DailyWindow::time(time).is_some()));
    let owned = |(from, to): (&str, &str)| (from.to_owned(), to.to_owned());
    times.map(owned).ok_or_else(|| "no window: give two times of day, as 09:00-17:30 or 22:00-24:00".into())
}

/// Words of weekdays.
#[derive(Clone, Debug)]
pub(super) struct Weekdays(pub(super) Vec<String>);

/// Weekdays and ranges of them, as `mon-fri,sun`.
pub(super) fn weekdays(text: &str) -> Result<Weekdays, String> {
    let hint = || "give mon, tue, wed, thu, fri, sat, sun, and ranges of them, as mon-fri,sun".to_owned();
    let mut days = Vec::new();
    for item in text.split(',') {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let day = |word| Weekday::parse(word).ok_or_else(|| format!("{word:?} is no weekday: {}", hint()));
        let (first, last) = (day(first)?, day(last)?);
        if first > last {
            return Err(format!("{item} runs backwards: {}", hint()));
        }
        let named = Weekday::ALL.into_iter().filter(|day| (first..=last).contains(day));
        days.extend(named.map(|day| day.as_str().to_owned()));
    }
    days.sort_unstable();
    days.dedup();
    Ok(Weekdays(days))
}

/// The 16 bytes of a run's id.
pub(super) fn run_id(text: &str) -> Result<RunId, String> {
    text.parse().map_err(|_| "not a run's id: give a UUID, as `fastjob run list` shows it".into())
}

/// A trigger's request id.
pub(super) fn request_id(text: &str) -> Result<RequestId, String> {
    text.parse().map_err(|_| "not a request id: give the UUID that `fastjob job run` printed".into())
}

/// What a handler gets.
#[derive(Args, Debug, Clone, Default)]
#[group(multiple = false)]
pub(super) struct Params {
    /// Parameters, as JSON.
    #[arg(long, value_name = "JSON")]
    params: Option<String>,
    /// Parameters, as plain text.
    #[arg(long, value_name = "TEXT")]
    params_text: Option<String>,
    /// Parameters from a file with JSON.
    #[arg(long, value_name = "FILE")]
    params_file: Option<std::path::PathBuf>,
}

impl Params {
    /// The payload, if one was given.
    pub(super) fn payload(self) -> Result<Option<Payload>, Failure> {
        if let Some(text) = self.params_text {
            return Ok(Some(Payload { encoding: Encoding::Text.into(), data: text.into() }));
        }
        if let Some(path) = self.params_file {
            let text = std::fs::read_to_string(&path).map_err(|error| {
                let message = format!("cannot read {}: {error}", path.display());
                Failure::usage("--params-file", message, "give a readable file with JSON")
            })?;
            return json("--params-file", text).map(Some);
        }
        self.params.map(|text| json("--params", text)).transpose()
    }
}

fn json(field: &str, text: String) -> Result<Payload, Failure> {
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(Payload { encoding: Encoding::Json.into(), data: text.into() }),
        Err(error) => {
            let remedy = "give JSON, as '{\"a\": 1}' or '\"text\"'; or use --params-text";
            Err(Failure::usage(field, format!("is not JSON: {error}"), remedy))
        }
    }
}
