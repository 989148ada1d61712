//! The JSON that a row keeps of a definition and of limits, and its mapping to the domain. A key or word once written
//! stays readable for ever; what is not known here is a corrupt row, never a guess.

use std::collections::BTreeSet;

use fastjob_core::clock::Millis;
use fastjob_core::domain::{
    Backoff, CatchUp, CatchUpPolicy, Cron, DailyWindow, Definition, Dialect, GapRule, Limits, ManagedBy,
    Name, Outcome, Overlap, OverlapRule, Payload, Retry, Routing, Timing, Trigger, Weekday,
};
use fastjob_core::protocol::{session, v1};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A definition, all of it but its parameters, as JSON.
pub(super) fn definition_text(definition: &Definition) -> Result<String, serde_json::Error> {
    let mut text = Vec::with_capacity(512);
    DefinitionShape::serialize(definition, &mut serde_json::Serializer::new(&mut text))?;
    Ok(String::from_utf8(text).expect("a JSON serializer writes UTF-8"))
}

/// Of `fastjob_job job`: what its trigger may have ticks by. Spares the reading of jobs that have none.
pub(super) const MAY_TICK: &str = r#"job.definition NOT LIKE '%"trigger":"api"%'
    AND job.definition NOT LIKE '%"trigger":{"fixed_delay"%'"#;

/// The definition of this JSON with these parameters.
pub(super) fn definition_read(text: &str, params: Payload) -> Result<Definition, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let definition = DefinitionShape::deserialize(&mut json)?;
    json.end()?;
    Ok(Definition { params, ..definition })
}

/// Limits as JSON: the keys whose value is not [`BASELINE`]'s, since every run carries a copy.
pub(super) fn limits_text(limits: &Limits) -> Result<String, serde_json::Error> {
    if *limits == BASELINE {
        return Ok("{}".to_owned());
    }
    let mut keys = limits_keys(limits)?;
    let baseline = limits_keys(&BASELINE)?;
    keys.retain(|key, value| baseline.get(key) != Some(value));
    serde_json::to_string(&keys)
}

/// The limits of this JSON.
pub(super) fn limits_read(text: &str) -> Result<Limits, serde_json::Error> {
    if text == "{}" {
        return Ok(BASELINE);
    }
    let mut keys = limits_keys(&BASELINE)?;
    keys.extend(serde_json::from_str::<Map<String, Value>>(text)?);
    LimitsShape::deserialize(Value::Object(keys))
}

fn limits_keys(limits: &Limits) -> Result<Map<String, Value>, serde_json::Error> {
    match LimitsShape::serialize(limits, serde_json::value::Serializer)? {
        Value::Object(keys) => Ok(keys),
        other => Ok(Map::from_iter([("limits".to_owned(), other)])),
    }
}

/// What an absent key of stored limits means. Rows rely on it: it never changes, also when the defaults for new jobs do.
const BASELINE: Limits = Limits {
    overlap: Overlap::Skip,
    retry: Retry {
        retries: 0,
        backoff: Backoff::Fixed,
        delay_ms: 1_000,
        max_delay_ms: 3_600_000,
        jitter: 0.0,
    },
    attempt_timeout_ms: 3_600_000,
    start_deadline_ms: None,
    cancel_grace_ms: 10_000,
    worker_lost_after_ms: None,
    at_most_once: false,
    priority: 0,
    routing: Routing::LeastBusy,
};

/// An outcome as the inbox keeps it: the protocol's message. `None`: it is none.
pub(super) fn outcome_read(body: &[u8]) -> Option<Outcome> {
    let message = v1::Outcome::decode(body).ok()?;
    session::outcome(message).ok().map(|(_, outcome)| outcome)
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Definition")]
struct DefinitionShape {
    #[serde(with = "name")]
    handler: Name,
    #[serde(with = "TriggerShape")]
    trigger: Trigger,
    #[serde(skip)]
    params: Payload,
    #[serde(with = "TimingShape", default, skip_serializing_if = "is_plain")]
    timing: Timing,
    #[serde(with = "CatchUpShape")]
    catch_up: CatchUp,
    #[serde(with = "LimitsShape")]
    limits: Limits,
    #[serde(with = "ManagedByShape")]
    managed_by: ManagedBy,
    source_version: Option<u64>,
}

fn is_plain(timing: &Timing) -> bool {
    *timing == Timing::default()
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Timing")]
struct TimingShape {
    #[serde(with = "instant", default)]
    start_at: Option<Millis>,
    #[serde(with = "instant", default)]
    end_at: Option<Millis>,
    #[serde(default)]
    jitter_ms: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Limits")]
struct LimitsShape {
    #[serde(with = "OverlapShape")]
    overlap: Overlap,
    #[serde(with = "RetryShape")]
    retry: Retry,
    attempt_timeout_ms: i64,
    start_deadline_ms: Option<i64>,
    cancel_grace_ms: i64,
    worker_lost_after_ms: Option<i64>,
    at_most_once: bool,
    priority: i32,
    #[serde(with = "RoutingShape")]
    routing: Routing,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Retry")]
struct RetryShape {
    retries: u32,
    #[serde(with = "BackoffShape")]
    backoff: Backoff,
    delay_ms: i64,
    max_delay_ms: i64,
    jitter: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CatchUp")]
struct CatchUpShape {
    #[serde(with = "CatchUpPolicyShape")]
    policy: CatchUpPolicy,
    threshold_ms: i64,
    window_ms: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Trigger", rename_all = "snake_case")]
enum TriggerShape {
    #[serde(with = "CronShape")]
    Cron(Cron),
    FixedRate {
        period_ms: i64,
        #[serde(with = "instant")]
        phase: Option<Millis>,
    },
    FixedDelay {
        delay_ms: i64,
    },
    #[serde(with = "DailyWindowShape")]
    DailyWindow(DailyWindow),
    #[serde(with = "instants")]
    At(Vec<Millis>),
    Api,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Cron")]
struct CronShape {
    expression: String,
    #[serde(with = "DialectShape")]
    dialect: Dialect,
    zone: String,
    #[serde(with = "gap_rule", default, skip_serializing_if = "Option::is_none")]
    gap: Option<GapRule>,
    #[serde(with = "overlap_rule", default, skip_serializing_if = "Option::is_none")]
    overlap: Option<OverlapRule>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "DailyWindow")]
struct DailyWindowShape {
    #[serde(with = "weekdays")]
    weekdays: BTreeSet<Weekday>,
    from_s: i32,
    to_s: i32,
    every_ms: i64,
    zone: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Overlap", rename_all = "snake_case")]
enum OverlapShape {
    Skip,
    BufferOne,
    BufferAll,
    CancelOther,
    TerminateOther,
    AllowAll,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Backoff", rename_all = "snake_case")]
enum BackoffShape {
    Fixed,
    Exponential,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CatchUpPolicy", rename_all = "snake_case")]
enum CatchUpPolicyShape {
    Latest,
    None,
    All(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Routing", rename_all = "snake_case")]
enum RoutingShape {
    LeastBusy,
    RoundRobin,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ManagedBy", rename_all = "snake_case")]
enum ManagedByShape {
    Code,
    Console,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Dialect", rename_all = "snake_case")]
enum DialectShape {
    Quartz,
    Unix,
    Spring,
}

mod name {
    use fastjob_core::domain::Name;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(name: &Name, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(name.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
        let text = String::deserialize(from)?;
        Name::parse(&text).map_err(D::Error::custom)
    }
}

mod weekdays {
    use std::collections::BTreeSet;

    use fastjob_core::domain::Weekday;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(days: &BTreeSet<Weekday>, out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(days.iter().map(|day| day.as_str()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<Weekday>, D::Error> {
        let words: Vec<String> = Vec::deserialize(from)?;
        let known = |word: String| Weekday::parse(&word).ok_or_else(|| D::Error::custom("unknown weekday"));
        words.into_iter().map(known).collect()
    }
}

mod gap_rule {
    use fastjob_core::domain::GapRule;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(rule: &Option<GapRule>, out: S) -> Result<S::Ok, S::Error> {
        rule.map(GapRule::as_str).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<GapRule>, D::Error> {
        let word: Option<String> = Option::deserialize(from)?;
        let known = |word: String| GapRule::parse(&word).ok_or_else(|| D::Error::custom("unknown gap rule"));
        word.map(known).transpose()
    }
}

mod overlap_rule {
    use fastjob_core::domain::OverlapRule;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(rule: &Option<OverlapRule>, out: S) -> Result<S::Ok, S::Error> {
        rule.map(OverlapRule::as_str).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<OverlapRule>, D::Error> {
        let word: Option<String> = Option::deserialize(from)?;
        let known =
            |word: String| OverlapRule::parse(&word).ok_or_else(|| D::Error::custom("unknown overlap rule"));
        word.map(known).transpose()
    }
}

mod instant {
    use fastjob_core::clock::Millis;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Option<Millis>, out: S) -> Result<S::Ok, S::Error> {
        at.map(Millis::get).serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Millis>, D::Error> {
        Ok(Option::deserialize(from)?.map(Millis::new))
    }
}

mod instants {
    use fastjob_core::clock::Millis;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(all: &[Millis], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(all.iter().map(|at| at.get()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Millis>, D::Error> {
        Ok(Vec::deserialize(from)?.into_iter().map(Millis::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_of_a_definition_stays_as_it_is() {
        let definition = Definition {
            handler: Name::parse("greet").unwrap(),
            trigger: Trigger::Cron(Cron::new("0 0 5 * * ?", Dialect::Quartz, "Europe/Berlin")),
            params: Payload::text("hello"),
            timing: Timing::default(),
            catch_up: CatchUp::default(),
            limits: Limits { priority: 7, ..BASELINE },
            managed_by: ManagedBy::Console,
            source_version: Some(u64::MAX),
        };
        let text = definition_text(&definition).unwrap();
        assert_eq!(
            text,
            r#"{"handler":"greet","trigger":{"cron":{"expression":"0 0 5 * * ?","dialect":"quartz","#
                .to_owned()
                + r#""zone":"Europe/Berlin"}},"catch_up":{"policy":"latest","threshold_ms":60000,"window_ms":null},"#
                + r#""limits":{"overlap":"skip","retry":{"retries":0,"backoff":"fixed","delay_ms":1000,"#
                + r#""max_delay_ms":3600000,"jitter":0.0},"attempt_timeout_ms":3600000,"start_deadline_ms":null,"#
                + r#""cancel_grace_ms":10000,"worker_lost_after_ms":null,"at_most_once":false,"priority":7,"#
                + r#""routing":"least_busy"},"managed_by":"console","source_version":18446744073709551615}"#
        );
        assert_eq!(definition_read(&text, Payload::text("hello")).unwrap(), definition);
    }

    #[test]
    fn what_a_job_adds_to_its_trigger_is_kept_only_where_it_adds_something() {
        let plain = Definition {
            handler: Name::parse("greet").unwrap(),
            trigger: Trigger::Api,
            params: Payload::default(),
            timing: Timing::default(),
            catch_up: CatchUp { policy: CatchUpPolicy::All(7), ..CatchUp::default() },
            limits: BASELINE,
            managed_by: ManagedBy::Code,
            source_version: None,
        };
        let text = definition_text(&plain).unwrap();
        assert!(text.contains(r#""catch_up":{"policy":{"all":7}"#) && !text.contains("timing"), "{text}");
        assert_eq!(definition_read(&text, Payload::default()).unwrap(), plain);
        let timing = Timing { start_at: Some(Millis::new(5)), end_at: None, jitter_ms: 9 };
        let text = definition_text(&Definition { timing: timing.clone(), ..plain.clone() }).unwrap();
        assert!(text.contains(r#""timing":{"start_at":5,"end_at":null,"jitter_ms":9}"#), "{text}");
        assert_eq!(definition_read(&text, Payload::default()).unwrap(), Definition { timing, ..plain });
    }

    #[test]
    fn every_kind_of_trigger_reads_back() {
        let at = Millis::new(-1);
        let (gap, overlap) = (Some(GapRule::Skip), Some(OverlapRule::Both));
        let triggers = [
            Trigger::Cron(Cron { gap, overlap, ..Cron::new("0 5 * * *", Dialect::Unix, "Europe/Berlin") }),
            Trigger::Cron(Cron { gap, ..Cron::new("0 0 5 * * *", Dialect::Spring, "UTC") }),
            Trigger::FixedRate { period_ms: 1_000, phase: None },
            Trigger::FixedRate { period_ms: 1_000, phase: Some(at) },
            Trigger::FixedDelay { delay_ms: 0 },
            Trigger::DailyWindow(DailyWindow {
                weekdays: [Weekday::Sunday, Weekday::Monday].into(),
                from_s: 32_400,
                to_s: 86_400,
                every_ms: 1_200_000,
                zone: "Europe/Berlin".into(),
            }),
            Trigger::At(vec![at, Millis::MAX]),
            Trigger::Api,
        ];
        for trigger in triggers {
            let mut text = Vec::new();
            TriggerShape::serialize(&trigger, &mut serde_json::Serializer::new(&mut text)).unwrap();
            let read = TriggerShape::deserialize(&mut serde_json::Deserializer::from_slice(&text)).unwrap();
            assert_eq!(read, trigger);
        }
    }

    #[test]
    fn limits_keep_only_what_differs_from_the_baseline() {
        assert_eq!(limits_text(&BASELINE).unwrap(), "{}");
        let limits = Limits { overlap: Overlap::AllowAll, start_deadline_ms: Some(5), ..BASELINE };
        let text = limits_text(&limits).unwrap();
        assert_eq!(text, r#"{"overlap":"allow_all","start_deadline_ms":5}"#);
        assert_eq!(limits_read(&text).unwrap(), limits);
        assert_eq!(limits_read("{}").unwrap(), BASELINE);
    }

    #[test]
    fn an_unknown_word_is_not_read() {
        assert!(limits_read(r#"{"overlap":"maybe"}"#).is_err());
        assert!(limits_read(r#"{"priority":"high"}"#).is_err());
        assert!(limits_read("[]").is_err());
        assert!(definition_read("{}", Payload::default()).is_err());
    }
}
