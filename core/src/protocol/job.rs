//! Jobs on the wire: a put is checked field by field, and a stored job is shown whole.

use std::collections::BTreeSet;

use super::{field, v1};
use crate::clock::Millis;
use crate::domain::{
    Backoff, CatchUp, CatchUpPolicy, Cron, DailyWindow, Definition, Dialect, GapRule, Job, Limits, ManagedBy,
    Name, Overlap, OverlapRule, Payload, Refusal, Retry, Revision, Routing, Timing, Trigger, Weekday,
};
use crate::id::Id;
use crate::schedule::{Schedule, ScheduleError};
use crate::shard::{Change, JobApplied, JobChange, JobEdit, JobPut, JobPutDone};

/// The most jobs of a put, and the most changes that are made together.
pub const MAX_PUT: usize = 1_000;
/// The longest name of a zone, in characters.
const MAX_ZONE_CHARS: usize = 64;

/// Reads a job to put: every field within its bounds, and a trigger that compiles. Whether it ever fires is
/// [`must_fire`]'s to say.
///
/// # Errors
/// The first wrong field, as `trigger.cron.expression`.
pub fn put(spec: v1::JobSpec, now: Millis) -> Result<JobPut, Refusal> {
    let name = field::name("name", &spec.name)?;
    let trigger = trigger(spec.trigger.clone()).map_err(|inner| inner.within("trigger"))?;
    Schedule::compile(&trigger, now).map_err(|error| schedule_refused(&error))?;
    let definition = Definition {
        handler: field::name("handler", &spec.handler)?,
        trigger,
        params: spec
            .params
            .clone()
            .map_or(Ok(Payload::default()), |params| field::payload("params", params))?,
        timing: timing(spec.timing.unwrap_or_default()).map_err(|inner| inner.within("timing"))?,
        catch_up: catch_up(spec.catch_up.unwrap_or_default()).map_err(|inner| inner.within("catch_up"))?,
        limits: limits(&spec)?,
        managed_by: managed_by(&spec.managed_by)?,
        source_version: spec.source_version.map(source_version).transpose()?,
    };
    Ok(JobPut { name, definition, enabled: spec.enabled })
}

/// Refuses a job that will never fire after `now`. One stored as it is may stay so: its ticks are all past.
pub fn must_fire(put: &JobPut, now: Millis) -> Result<(), Refusal> {
    Schedule::compile(&put.definition.trigger, now)
        .map(|schedule| schedule.timed(&put.definition.timing, Id::from_bytes([0; 16])))
        .and_then(|schedule| schedule.must_fire_after(now))
        .map_err(|error| schedule_refused(&error))
}

/// Reads changes that are made together.
///
/// # Errors
/// More than [`MAX_PUT`], or the first wrong field, as `changes[3].put.handler`.
pub fn changes(given: Vec<v1::JobChange>, now: Millis) -> Result<Vec<JobChange>, Refusal> {
    field::items("changes", given.len(), 0..=MAX_PUT)?;
    let change = |(at, given)| change(given, now).map_err(|inner| inner.within(&format!("changes[{at}]")));
    given.into_iter().enumerate().map(change).collect()
}

fn change(given: v1::JobChange, now: Millis) -> Result<JobChange, Refusal> {
    use v1::job_change::Change;
    let edit = match given.change {
        Some(Change::Put(spec)) => {
            JobEdit::Put(Box::new(put(spec, now).map_err(|inner| inner.within("put"))?))
        }
        Some(Change::Delete(name)) => JobEdit::Delete(field::name("delete", &name)?),
        None => {
            return Err(Refusal::invalid("change_missing", "", "is missing").remedy("give put or delete"));
        }
    };
    Ok(JobChange { edit, seen: given.seen })
}

/// The result of a change for the wire.
pub fn applied(done: &JobApplied) -> v1::JobApplied {
    use v1::job_applied::Change as Wire;
    let (change, revision) = match done {
        JobApplied::Put(done) => match done.change {
            Change::Created => (Wire::Created, done.job.revision),
            Change::Updated => (Wire::Updated, done.job.revision),
            Change::Unchanged => (Wire::Unchanged, done.job.revision),
        },
        JobApplied::Deleted(_) => (Wire::Deleted, 0),
        JobApplied::Absent => (Wire::Unchanged, 0),
    };
    v1::JobApplied { change: change.into(), revision }
}

/// A job for the wire.
pub fn job(job: &Job, app: &Name) -> v1::Job {
    v1::Job {
        id: job.id.as_bytes().to_vec().into(),
        app: app.as_str().into(),
        spec: Some(spec(&job.name, &job.definition, job.enabled)),
        revision: job.revision,
        enabled: job.enabled,
        next_at: job.next_at.filter(|_| job.enabled).map(Millis::get),
        created_at: job.created_at.get(),
        updated_at: job.updated_at.get(),
    }
}

/// A job for the wire, living or deleted, with the marks of its ticks.
pub fn record(job: &Job, app: &Name) -> v1::JobRecord {
    v1::JobRecord {
        job: Some(self::job(job, app)),
        deleted_at: job.deleted_at.map(Millis::get),
        next_at: job.next_at.map(Millis::get),
        chain_seq: job.chain_seq,
    }
}

/// A revision of a job for the wire.
pub fn revision(revision: &Revision, name: &Name) -> v1::JobRevision {
    v1::JobRevision {
        revision: revision.revision,
        from_at: revision.from.get(),
        spec: Some(spec(name, &revision.definition, revision.enabled)),
        deleted: revision.deleted,
    }
}

/// The result of a put for the wire.
pub fn put_done(done: &JobPutDone, app: &Name) -> v1::JobPutResult {
    let change = match done.change {
        Change::Created => v1::job_put_result::Change::Created,
        Change::Updated => v1::job_put_result::Change::Updated,
        Change::Unchanged => v1::job_put_result::Change::Unchanged,
    };
    v1::JobPutResult { change: change.into(), job: Some(job(&done.job, app)) }
}

/// A definition for the wire, with every default written out.
pub fn spec(name: &Name, definition: &Definition, enabled: bool) -> v1::JobSpec {
    let limits = &definition.limits;
    v1::JobSpec {
        name: name.as_str().into(),
        handler: definition.handler.as_str().into(),
        trigger: Some(trigger_to(&definition.trigger)),
        params: Some(field::payload_to(&definition.params)),
        enabled: Some(enabled),
        overlap: overlap_to(limits.overlap).into(),
        catch_up: Some(catch_up_to(&definition.catch_up)),
        retry: Some(retry_to(&limits.retry)),
        attempt_timeout_ms: Some(limits.attempt_timeout_ms),
        start_deadline_ms: limits.start_deadline_ms,
        cancel_grace_ms: Some(limits.cancel_grace_ms),
        worker_lost_after_ms: limits.worker_lost_after_ms,
        at_most_once: limits.at_most_once,
        priority: limits.priority,
        routing: routing_to(limits.routing).into(),
        managed_by: managed_by_to(definition.managed_by).into(),
        source_version: definition.source_version,
        timing: Some(timing_to(&definition.timing)),
    }
}

fn schedule_refused(error: &ScheduleError) -> Refusal {
    Refusal::invalid(error.code, error.field, error.message.clone()).remedy(error.remedy).within("trigger")
}

fn trigger(trigger: Option<v1::Trigger>) -> Result<Trigger, Refusal> {
    use v1::trigger::Kind;
    let kind = trigger.and_then(|trigger| trigger.kind).ok_or_else(|| {
        Refusal::invalid("trigger_missing", "", "is missing")
            .remedy("give cron, fixed_rate, fixed_delay, daily_window, at or api")
    })?;
    match kind {
        Kind::Cron(cron) => self::cron(cron).map(Trigger::Cron).map_err(|inner| inner.within("cron")),
        Kind::FixedRate(rate) => Ok(Trigger::FixedRate {
            period_ms: period(rate.period_ms)?,
            phase: rate.phase_ms.map(|ms| field::instant("fixed_rate.phase_ms", ms)).transpose()?,
        }),
        Kind::FixedDelay(delay) => Ok(Trigger::FixedDelay {
            delay_ms: field::number("fixed_delay.delay_ms", delay.delay_ms, 0..=Trigger::MAX_PERIOD_MS)?,
        }),
        Kind::DailyWindow(window) => {
            daily_window(window).map(Trigger::DailyWindow).map_err(|inner| inner.within("daily_window"))
        }
        Kind::At(at) => instants(at.instants).map(Trigger::At).map_err(|inner| inner.within("at")),
        Kind::Api(_) => Ok(Trigger::Api),
    }
}

fn cron(cron: v1::Cron) -> Result<Cron, Refusal> {
    field::text("expression", &cron.expression, Cron::MAX_CHARS)?;
    field::text("zone", &cron.zone, MAX_ZONE_CHARS)?;
    let dialect = word("dialect", &cron.dialect, Dialect::parse, "give \"quartz\", \"unix\" or \"spring\"")?;
    let gap = word("gap", &cron.gap, GapRule::parse, "give \"next\" or \"skip\"")?;
    let overlap = word("overlap", &cron.overlap, OverlapRule::parse, "give \"first\" or \"both\"")?;
    let zone = if cron.zone.is_empty() { "UTC".into() } else { cron.zone };
    Ok(Cron { expression: cron.expression, dialect: dialect.unwrap_or_default(), zone, gap, overlap })
}

fn daily_window(window: v1::DailyWindow) -> Result<DailyWindow, Refusal> {
    field::items("weekdays", window.weekdays.len(), 0..=Weekday::ALL.len())?;
    field::text("zone", &window.zone, MAX_ZONE_CHARS)?;
    let mut weekdays = BTreeSet::new();
    for day in &window.weekdays {
        weekdays.extend(word("weekdays", day, Weekday::parse, "give \"mon\" to \"sun\"")?);
    }
    if window.weekdays.is_empty() {
        weekdays.extend(Weekday::ALL);
    }
    Ok(DailyWindow {
        weekdays,
        from_s: time_of_day("from", &window.from)?,
        to_s: time_of_day("to", &window.to)?,
        every_ms: window.every_ms,
        zone: if window.zone.is_empty() { "UTC".into() } else { window.zone },
    })
}

fn time_of_day(field: &'static str, text: &str) -> Result<i32, Refusal> {
    let text = field::text(field, text, 16)?;
    DailyWindow::time(text).ok_or_else(|| {
        Refusal::invalid("bad_time", field, format!("is {text:?}, which is no time of a day"))
            .remedy("give hours and minutes, as 09:00, 17:30:15 or 24:00")
    })
}

/// One of a few words; `None` if it is empty.
fn word<T>(
    field: &'static str,
    word: &str,
    parse: fn(&str) -> Option<T>,
    remedy: &'static str,
) -> Result<Option<T>, Refusal> {
    match parse(field::text(field, word, 32)?) {
        None if !word.is_empty() => {
            let message = format!("is {word:?}, which is not known");
            Err(Refusal::invalid("unknown_value", field, message).remedy(remedy))
        }
        known => Ok(known),
    }
}

fn period(period_ms: i64) -> Result<i64, Refusal> {
    if (0..Trigger::MIN_PERIOD_MS).contains(&period_ms) {
        let message = format!("is {period_ms}, which is shorter than a second");
        return Err(Refusal::invalid("period_too_short", "fixed_rate.period_ms", message)
            .remedy("give 1000 or more: the server times no shorter periods yet"));
    }
    field::number("fixed_rate.period_ms", period_ms, Trigger::MIN_PERIOD_MS..=Trigger::MAX_PERIOD_MS)
}

fn instants(given: Vec<i64>) -> Result<Vec<Millis>, Refusal> {
    field::items("instants", given.len(), 1..=Trigger::MAX_INSTANTS)?;
    let mut instants = Vec::with_capacity(given.len());
    for (at, ms) in given.into_iter().enumerate() {
        instants.push(field::instant("", ms).map_err(|inner| inner.within(&format!("instants[{at}]")))?);
    }
    instants.sort_unstable();
    instants.dedup();
    Ok(instants)
}

fn timing(given: v1::Timing) -> Result<Timing, Refusal> {
    let instant = |field, at: Option<i64>| at.map(|at| field::instant(field, at)).transpose();
    let timing = Timing {
        start_at: instant("start_at", given.start_at)?,
        end_at: instant("end_at", given.end_at)?,
        jitter_ms: field::number("jitter_ms", given.jitter_ms, 0..=Timing::MAX_JITTER_MS)?,
    };
    if timing.start_at.zip(timing.end_at).is_some_and(|(start, end)| end <= start) {
        return Err(Refusal::invalid("end_before_start", "end_at", "is not later than start_at")
            .remedy("give an end after the start, or leave one of them out"));
    }
    Ok(timing)
}

fn catch_up(given: v1::CatchUp) -> Result<CatchUp, Refusal> {
    let default = CatchUp::default();
    let bounds = 0..=Trigger::MAX_PERIOD_MS;
    Ok(CatchUp {
        policy: match field::word("policy", given.policy)? {
            v1::CatchUpPolicy::Latest => CatchUpPolicy::Latest,
            v1::CatchUpPolicy::None => CatchUpPolicy::None,
            v1::CatchUpPolicy::All => CatchUpPolicy::All(max_runs(given.max_runs)?),
        },
        threshold_ms: field::optional_number("threshold_ms", given.threshold_ms, bounds.clone())?
            .unwrap_or(default.threshold_ms),
        window_ms: field::optional_number("window_ms", given.window_ms, bounds)?,
    })
}

fn max_runs(given: Option<u32>) -> Result<u32, Refusal> {
    let most = given.unwrap_or(CatchUpPolicy::DEFAULT_RUNS);
    field::number("max_runs", most.into(), 1..=CatchUpPolicy::MAX_RUNS.into()).map(|_| most)
}

fn limits(spec: &v1::JobSpec) -> Result<Limits, Refusal> {
    let default = Limits::default();
    Ok(Limits {
        overlap: overlap("overlap", spec.overlap)?,
        retry: retry(spec.retry.unwrap_or_default()).map_err(|inner| inner.within("retry"))?,
        attempt_timeout_ms: field::optional_number(
            "attempt_timeout_ms",
            spec.attempt_timeout_ms,
            1..=Limits::MAX_TIMEOUT_MS,
        )?
        .unwrap_or(default.attempt_timeout_ms),
        start_deadline_ms: field::optional_number(
            "start_deadline_ms",
            spec.start_deadline_ms,
            1..=Trigger::MAX_PERIOD_MS,
        )?,
        cancel_grace_ms: field::optional_number(
            "cancel_grace_ms",
            spec.cancel_grace_ms,
            0..=Limits::MAX_GRACE_MS,
        )?
        .unwrap_or(default.cancel_grace_ms),
        worker_lost_after_ms: field::optional_number(
            "worker_lost_after_ms",
            spec.worker_lost_after_ms,
            1_000..=Limits::MAX_LOST_AFTER_MS,
        )?,
        at_most_once: spec.at_most_once,
        priority: i32::try_from(field::number("priority", spec.priority.into(), -100..=100)?)
            .expect("it is within -100 to 100"),
        routing: match field::word("routing", spec.routing)? {
            v1::Routing::LeastBusy => Routing::LeastBusy,
            v1::Routing::RoundRobin => Routing::RoundRobin,
        },
    })
}

fn retry(given: v1::Retry) -> Result<Retry, Refusal> {
    let default = Retry::default();
    field::number("retries", given.retries.into(), 0..=Retry::MAX_RETRIES.into())?;
    if !(0.0..=1.0).contains(&given.jitter) {
        return Err(Refusal::invalid("out_of_bounds", "jitter", format!("is {}", given.jitter))
            .remedy("give 0.0 to 1.0"));
    }
    let bounds = 0..=Trigger::MAX_PERIOD_MS;
    let delay_ms =
        field::optional_number("delay_ms", given.delay_ms, bounds.clone())?.unwrap_or(default.delay_ms);
    let max_delay_ms = match field::optional_number("max_delay_ms", given.max_delay_ms, bounds)? {
        Some(max) if max < delay_ms => {
            let message = format!("is {max}, less than the first wait of {delay_ms}");
            return Err(Refusal::invalid("out_of_bounds", "max_delay_ms", message)
                .remedy("give at least delay_ms, or leave it out"));
        }
        Some(max) => max,
        None => default.max_delay_ms.max(delay_ms),
    };
    let backoff = match field::word("backoff", given.backoff)? {
        v1::Backoff::Fixed => Backoff::Fixed,
        v1::Backoff::Exponential => Backoff::Exponential,
    };
    // -0.0 equals 0.0 but is written differently: a put must not differ from what it stored.
    Ok(Retry { retries: given.retries, backoff, delay_ms, max_delay_ms, jitter: given.jitter.abs() })
}

/// Reads a policy.
///
/// # Errors
/// One that this version does not know.
pub fn overlap(field: &'static str, value: i32) -> Result<Overlap, Refusal> {
    Ok(match field::word(field, value)? {
        v1::Overlap::Skip => Overlap::Skip,
        v1::Overlap::AllowAll => Overlap::AllowAll,
        v1::Overlap::BufferOne => Overlap::BufferOne,
        v1::Overlap::BufferAll => Overlap::BufferAll,
        v1::Overlap::CancelOther => Overlap::CancelOther,
        v1::Overlap::TerminateOther => Overlap::TerminateOther,
    })
}

fn managed_by(text: &str) -> Result<ManagedBy, Refusal> {
    match text {
        "" | "code" => Ok(ManagedBy::Code),
        "console" => Ok(ManagedBy::Console),
        other => {
            let message = format!("is {:?}", field::text("managed_by", other, 32)?);
            Err(Refusal::invalid("unknown_value", "managed_by", message)
                .remedy("give \"code\" or \"console\""))
        }
    }
}

fn source_version(version: u64) -> Result<u64, Refusal> {
    if i64::try_from(version).is_ok() {
        return Ok(version);
    }
    Err(Refusal::invalid("out_of_bounds", "source_version", format!("is {version}"))
        .remedy("give less than 2^63"))
}

fn trigger_to(trigger: &Trigger) -> v1::Trigger {
    use v1::trigger::Kind;
    let kind = match trigger {
        Trigger::Cron(cron) => Kind::Cron(v1::Cron {
            expression: cron.expression.clone(),
            dialect: cron.dialect.as_str().into(),
            zone: cron.zone.clone(),
            gap: cron.gap.map_or("", GapRule::as_str).into(),
            overlap: cron.overlap.map_or("", OverlapRule::as_str).into(),
        }),
        Trigger::FixedRate { period_ms, phase } => {
            Kind::FixedRate(v1::FixedRate { period_ms: *period_ms, phase_ms: phase.map(Millis::get) })
        }
        Trigger::DailyWindow(window) => Kind::DailyWindow(v1::DailyWindow {
            weekdays: window.weekdays.iter().map(|day| day.as_str().to_owned()).collect(),
            from: DailyWindow::time_text(window.from_s),
            to: DailyWindow::time_text(window.to_s),
            every_ms: window.every_ms,
            zone: window.zone.clone(),
        }),
        Trigger::FixedDelay { delay_ms } => Kind::FixedDelay(v1::FixedDelay { delay_ms: *delay_ms }),
        Trigger::At(instants) => {
            Kind::At(v1::At { instants: instants.iter().map(|instant| instant.get()).collect() })
        }
        Trigger::Api => Kind::Api(v1::ApiOnly {}),
    };
    v1::Trigger { kind: Some(kind) }
}

fn catch_up_to(catch_up: &CatchUp) -> v1::CatchUp {
    let (policy, max_runs) = match catch_up.policy {
        CatchUpPolicy::Latest => (v1::CatchUpPolicy::Latest, None),
        CatchUpPolicy::None => (v1::CatchUpPolicy::None, None),
        CatchUpPolicy::All(most) => (v1::CatchUpPolicy::All, Some(most)),
    };
    v1::CatchUp {
        policy: policy.into(),
        threshold_ms: Some(catch_up.threshold_ms),
        window_ms: catch_up.window_ms,
        max_runs,
    }
}

fn timing_to(timing: &Timing) -> v1::Timing {
    v1::Timing {
        start_at: timing.start_at.map(Millis::get),
        end_at: timing.end_at.map(Millis::get),
        jitter_ms: timing.jitter_ms,
    }
}

fn retry_to(retry: &Retry) -> v1::Retry {
    let backoff = match retry.backoff {
        Backoff::Fixed => v1::Backoff::Fixed,
        Backoff::Exponential => v1::Backoff::Exponential,
    };
    v1::Retry {
        retries: retry.retries,
        backoff: backoff.into(),
        delay_ms: Some(retry.delay_ms),
        max_delay_ms: Some(retry.max_delay_ms),
        jitter: retry.jitter,
    }
}

pub(super) fn overlap_to(overlap: Overlap) -> v1::Overlap {
    match overlap {
        Overlap::Skip => v1::Overlap::Skip,
        Overlap::AllowAll => v1::Overlap::AllowAll,
        Overlap::BufferOne => v1::Overlap::BufferOne,
        Overlap::BufferAll => v1::Overlap::BufferAll,
        Overlap::CancelOther => v1::Overlap::CancelOther,
        Overlap::TerminateOther => v1::Overlap::TerminateOther,
    }
}

fn routing_to(routing: Routing) -> v1::Routing {
    match routing {
        Routing::LeastBusy => v1::Routing::LeastBusy,
        Routing::RoundRobin => v1::Routing::RoundRobin,
    }
}

fn managed_by_to(managed_by: ManagedBy) -> &'static str {
    match managed_by {
        ManagedBy::Code => "code",
        ManagedBy::Console => "console",
    }
}
