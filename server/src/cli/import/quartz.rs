//! Quartz: rows of QRTZ_TRIGGERS with those of QRTZ_CRON_TRIGGERS, QRTZ_SIMPLE_TRIGGERS and QRTZ_JOB_DETAILS, whatever their
//! prefix. Each trigger becomes a job: a job of Quartz may have several.

use std::collections::{BTreeMap, HashSet};

use fastjob_core::clock::Millis;
use fastjob_core::domain::Trigger;
use fastjob_core::protocol::v1;
use jiff::tz::TimeZone;

use super::Zone;
use super::job::{Import, Imported, instants};
use super::rival::{Flavour, Rival};
use super::rows::Row;

/// Rows of a kind by what names them.
type Rows<'a> = BTreeMap<String, &'a Row>;

/// Reads every trigger, and every job without one. `now`: what is over is left out.
pub(super) fn read(rows: &[Row], zone: &Zone, now: Millis) -> Import {
    let trigger = ["sched_name", "trigger_group", "trigger_name"];
    let of = |suffix: &str, key: &[&str], column: &str| -> Rows<'_> {
        let is_of = |row: &&Row| row.table.ends_with(suffix) || (row.table.is_empty() && row.has(column));
        rows.iter().filter(is_of).map(|row| (row.name(key), row)).collect()
    };
    let crons = of("_cron_triggers", &trigger, "cron_expression");
    let simples = of("_simple_triggers", &trigger, "repeat_interval");
    let details = of("_job_details", &["sched_name", "job_group", "job_name"], "job_class_name");
    let (mut import, mut used) = (Import::default(), HashSet::new());
    let is_trigger = |row: &&Row| row.has("trigger_state") && row.has("trigger_type") && row.has("job_name");
    for row in rows.iter().filter(is_trigger) {
        let job = row.name(&["sched_name", "job_group", "job_name"]);
        let from = format!("trigger {}", row.name(&["trigger_group", "trigger_name"]));
        used.insert(job.clone());
        let Some(detail) = details.get(&job) else {
            import.refuse(
                from,
                format!("its row of QRTZ_JOB_DETAILS ({job}) is missing: export that table too"),
            );
            continue;
        };
        let key = row.name(&trigger);
        let mut job = begin(from, row, detail);
        match time(row, crons.get(&key), simples.get(&key), zone, now, &mut job) {
            Ok(()) => import.jobs.push(job),
            Err(why) => import.refuse(job.from, why),
        }
    }
    for (key, detail) in details.iter().filter(|(key, _)| !used.contains(*key)) {
        let mut job = begin(format!("job {key}"), detail, detail);
        job.map("no trigger -> only when called");
        import.jobs.push(job);
    }
    import
}

fn begin(from: String, row: &Row, detail: &Row) -> Imported {
    let part = |kind: &str| {
        let (group, name) = (row.text(&format!("{kind}_group")), row.text(&format!("{kind}_name")));
        let group = group.filter(|group| group != "DEFAULT").map(|group| format!("{group}."));
        format!("{}{}", group.unwrap_or_default(), name.unwrap_or_default())
    };
    let name = part(if row.has("trigger_name") { "trigger" } else { "job" });
    let class = detail.text("job_class_name").unwrap_or_default();
    let mut job = Imported::new(from, &name, &class);
    job.map(format!("job class {class} -> handler"));
    if detail.flag("is_nonconcurrent") {
        job.overlap("buffer_one", "DisallowConcurrentExecution");
    } else {
        job.overlap("allow_all", "concurrent execution");
    }
    if !detail.flag("requests_recovery") {
        job.spec.at_most_once = true;
        job.map("requests_recovery false -> at_most_once");
    }
    let data: BTreeMap<String, String> = [detail, row]
        .iter()
        .filter_map(|row| row.text("job_data"))
        .flat_map(|text| properties(&text))
        .collect();
    if !data.is_empty() {
        let json = serde_json::to_string(&data).expect("texts are JSON");
        job.spec.params = Some(v1::Payload { encoding: v1::Encoding::Json.into(), data: json.into() });
        job.map("job_data -> params");
    } else if [detail, row].iter().any(|row| row.text("job_data").is_some_and(|text| text.len() > 2)) {
        job.lose("job_data is a serialised Java object: write what it holds into params");
    }
    job
}

/// The properties that Quartz writes as text if `useProperties` is on.
fn properties(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let (key, value) = line.split_once('=').filter(|_| !line.starts_with(['#', '!']))?;
        let is_key = !key.is_empty() && key.chars().all(|char| char.is_ascii_graphic());
        is_key.then(|| (key.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(|text| line(text.trim())).collect()
}

fn time(
    row: &Row,
    cron: Option<&&Row>,
    simple: Option<&&Row>,
    zone: &Zone,
    now: Millis,
    job: &mut Imported,
) -> Result<(), String> {
    let kind = row.text("trigger_type").unwrap_or_default();
    let state = row.text("trigger_state").unwrap_or_default();
    if matches!(&*state, "PAUSED" | "PAUSED_BLOCKED" | "ERROR") {
        job.disabled(&format!("trigger_state {state}"));
    }
    let end = row.whole("end_time").filter(|at| *at > 0);
    if end.is_some_and(|end| end <= now.get()) || state == "COMPLETE" {
        return Err("it has ended".to_owned());
    }
    match (&*kind, cron, simple) {
        ("CRON", Some(cron), _) => {
            let expression = cron.text("cron_expression").unwrap_or_default();
            let name = cron.text("time_zone_id").unwrap_or_else(|| zone.name.clone());
            let zone = TimeZone::get(&name).map_err(|_| format!("its zone {name} is not known"))?;
            let old = Rival::quartz(&expression, zone, Flavour::Quartz);
            job.cron(&expression, "quartz", &name, old);
            misfire_of_cron(row, job);
            life(row, end, now, job);
        }
        ("SIMPLE", _, Some(simple)) => {
            simply(row, simple, end, now, job)?;
            misfire_of_simple(row, job);
        }
        ("CRON" | "SIMPLE", _, _) => {
            return Err(format!("its row of QRTZ_{kind}_TRIGGERS is missing: export that table too"));
        }
        (other, _, _) => {
            return Err(format!("trigger_type {other} has no counterpart: write its times as cron"));
        }
    }
    let priority = row.whole("priority").unwrap_or(5) - 5;
    if priority != 0 {
        job.spec.priority = i32::try_from(priority.clamp(-100, 100)).expect("it is small");
        job.map(format!("priority {} -> priority {priority}", priority + 5));
    }
    if let Some(calendar) = row.text("calendar_name") {
        job.lose(format!("calendar {calendar} is a serialised Java object: its days are not excluded"));
    }
    Ok(())
}

/// Quartz still fires at its end.
fn life(row: &Row, end: Option<i64>, now: Millis, job: &mut Imported) {
    let start_at = row.whole("start_time").filter(|at| *at > now.get());
    let end_at = end.map(|end| end.saturating_add(1));
    if start_at.or(end_at).is_some() {
        job.spec.timing = Some(v1::Timing { start_at, end_at, jitter_ms: 0 });
        job.map("start_time, end_time -> start_at, end_at");
    }
}

/// An even pace, once, or so many times.
fn simply(row: &Row, simple: &Row, end: Option<i64>, now: Millis, job: &mut Imported) -> Result<(), String> {
    let start = row.whole("start_time").filter(|at| *at > 0).ok_or("its start_time is missing")?;
    let period_ms = simple.whole("repeat_interval").unwrap_or(0);
    let repeats = simple.whole("repeat_count").unwrap_or(0);
    let last = (repeats >= 0).then(|| start.saturating_add(period_ms.saturating_mul(repeats)));
    let last = match (last, end) {
        (Some(last), Some(end)) => Some(last.min(end)),
        (last, end) => last.or(end),
    };
    if let Some(last) = last {
        let count = if period_ms > 0 { (last - start) / period_ms + 1 } else { 1 };
        let instants = instants(start, period_ms.max(1), count.max(1), now);
        if instants.is_empty() {
            return Err("all of its times have passed".to_owned());
        }
        if instants.len() > Trigger::MAX_INSTANTS {
            return Err(format!(
                "it has more than {} times left: give it an even pace, and delete it at its end",
                Trigger::MAX_INSTANTS
            ));
        }
        job.map(format!("repeat_count {repeats} -> {} instants", instants.len()));
        let old = Rival::Grid { first: start, period_ms: period_ms.max(1), last: Some(last) };
        job.fires(v1::trigger::Kind::At(v1::At { instants }), Ok(old));
        return Ok(());
    }
    if period_ms < Trigger::MIN_PERIOD_MS {
        return Err(format!(
            "its repeat_interval of {period_ms} ms is shorter than the server's {} ms",
            Trigger::MIN_PERIOD_MS
        ));
    }
    job.every(period_ms, start, None);
    Ok(())
}

fn misfire_of_cron(row: &Row, job: &mut Imported) {
    match row.whole("misfire_instr").unwrap_or(0) {
        -1 => job.catch_up("all", "misfire IGNORE_MISFIRE_POLICY"),
        2 => job.catch_up("none", "misfire DO_NOTHING"),
        1 => job.catch_up("latest", "misfire FIRE_ONCE_NOW"),
        _ => job.catch_up("latest", "misfire SMART_POLICY (FIRE_ONCE_NOW)"),
    }
}

fn misfire_of_simple(row: &Row, job: &mut Imported) {
    let is_paced = matches!(
        job.spec.trigger.as_ref().and_then(|of| of.kind.as_ref()),
        Some(v1::trigger::Kind::FixedRate(_))
    );
    match row.whole("misfire_instr").unwrap_or(0) {
        -1 => job.catch_up("all", "misfire IGNORE_MISFIRE_POLICY"),
        4 | 5 => job.catch_up("none", "misfire RESCHEDULE_NEXT"),
        0 if is_paced => job.catch_up("none", "misfire SMART_POLICY (RESCHEDULE_NEXT)"),
        0 => job.catch_up("latest", "misfire SMART_POLICY (FIRE_NOW)"),
        _ => job.catch_up("latest", "misfire FIRE_NOW or RESCHEDULE_NOW"),
    }
}
