//! PowerJob: rows of `job_info`.

use fastjob_core::domain::Trigger;
use fastjob_core::protocol::v1;
use serde_json::Value;

use super::Zone;
use super::job::{Import, Imported};
use super::rival::{Flavour, NotFollowed, Rival};
use super::rows::Row;

/// Reads the jobs of all apps, or of one.
pub(super) fn read(rows: &[Row], zone: &Zone, app: Option<&str>) -> Import {
    let mut import = Import::default();
    let mut apps = std::collections::BTreeSet::new();
    for row in rows.iter().filter(|row| row.has("time_expression_type") || row.has("timeexpressiontype")) {
        let row = &snake(row);
        let of = row.text("app_id").unwrap_or_default();
        if app.is_none_or(|app| app == of) {
            apps.insert(of);
            one(row, zone, &mut import);
        }
    }
    if apps.len() > 1 {
        let apps: Vec<_> = apps.into_iter().collect();
        import.notes.push(format!("jobs of the apps {}: import them apart with --group ID", apps.join(", ")));
    }
    import
}

/// JSON of its API has the columns in camel case.
fn snake(row: &Row) -> Row {
    row.renamed(&[
        ("jobname", "job_name"),
        ("appid", "app_id"),
        ("jobparams", "job_params"),
        ("timeexpressiontype", "time_expression_type"),
        ("timeexpression", "time_expression"),
        ("executetype", "execute_type"),
        ("processortype", "processor_type"),
        ("processorinfo", "processor_info"),
        ("maxinstancenum", "max_instance_num"),
        ("instancetimelimit", "instance_time_limit"),
        ("instanceretrynum", "instance_retry_num"),
        ("taskretrynum", "task_retry_num"),
        ("nexttriggertime", "next_trigger_time"),
        ("designatedworkers", "designated_workers"),
        ("notifyuserids", "notify_user_ids"),
        ("dispatchstrategy", "dispatch_strategy"),
    ])
}

fn one(row: &Row, zone: &Zone, import: &mut Import) {
    let from = format!("job_info {}", row.name(&["id"]));
    if row.whole("status") == Some(99) {
        return import.refuse(from, "it is deleted (status 99)");
    }
    let Some(handler) = row.text("processor_info") else {
        return import.refuse(from, "it names no processor (processor_info)");
    };
    let name = row.text("job_name").unwrap_or_else(|| handler.clone());
    let mut job = Imported::new(from, &name, &handler);
    job.text_params(row.text("job_params"));
    if let Err(why) = time(row, zone, &mut job) {
        return import.refuse(job.from, why);
    }
    job.catch_up("latest", "what is overdue at a start");
    match row.whole("max_instance_num").unwrap_or(1) {
        1 => job.overlap("skip", "max_instance_num 1"),
        n => {
            job.overlap("allow_all", &format!("max_instance_num {n}"));
            if n > 1 {
                job.lose(format!(
                    "max_instance_num {n}: the number of runs beside each other is not bounded"
                ));
            }
        }
    }
    job.timeout_ms(row.whole("instance_time_limit").unwrap_or(0), "instance_time_limit");
    if let Some(retries) = row.whole("instance_retry_num").filter(|count| *count > 0) {
        job.spec.retry.get_or_insert_default().retries = u32::try_from(retries).unwrap_or(1_000).min(1_000);
        job.map("instance_retry_num -> retries");
    }
    if row.whole("status") == Some(2) {
        job.disabled("status 2");
    }
    execution(row, &mut job);
    import.jobs.push(job);
}

fn execution(row: &Row, job: &mut Imported) {
    let kinds = [(2, "BROADCAST"), (3, "MAP_REDUCE"), (4, "MAP")];
    let kind = row.whole("execute_type").and_then(|of| kinds.iter().find(|(value, _)| *value == of));
    if let Some((_, kind)) = kind {
        job.disabled(&format!("execute_type {kind}"));
        job.lose(format!(
            "execute_type {kind}: a run goes to one worker; kept disabled until the handler can do with that"
        ));
    }
    if row.text("designated_workers").is_some() {
        job.lose("designated_workers: any worker that has the handler may get a run");
    }
    if row.text("notify_user_ids").is_some() {
        job.lose("notify_user_ids: alarms are not sent by FastJob; watch its metrics");
    }
    life(row, job);
}

fn time(row: &Row, zone: &Zone, job: &mut Imported) -> Result<(), String> {
    let expression = row.text("time_expression").unwrap_or_default();
    let ms = || {
        expression
            .parse::<i64>()
            .ok()
            .filter(|ms| *ms > 0)
            .ok_or_else(|| format!("time_expression {expression:?} is no number of milliseconds"))
    };
    match row.whole("time_expression_type").unwrap_or(0) {
        1 => {}
        2 => cron(&expression, zone, job),
        3 => {
            let period_ms = ms()?;
            if period_ms < Trigger::MIN_PERIOD_MS {
                return Err(format!(
                    "its period of {period_ms} ms is shorter than the server's {} ms",
                    Trigger::MIN_PERIOD_MS
                ));
            }
            job.every(period_ms, row.whole("next_trigger_time").unwrap_or(0), None);
        }
        4 => {
            let kind = v1::trigger::Kind::FixedDelay(v1::FixedDelay { delay_ms: ms()? });
            job.spec.trigger = Some(v1::Trigger { kind: Some(kind) });
        }
        5 => return Err("it belongs to a workflow: there are none yet".to_owned()),
        11 => daily(&expression, zone, job)?,
        other => return Err(format!("time_expression_type {other} is not known")),
    }
    Ok(())
}

/// PowerJob still fires at its end.
fn life(row: &Row, job: &mut Imported) {
    let given =
        row.text("lifecycle").and_then(|text| serde_json::from_str::<Value>(&text).ok()).unwrap_or_default();
    let instant = |name: &str| given[name].as_i64().filter(|at| *at > 0);
    let (start_at, end_at) = (instant("start"), instant("end").map(|end| end.saturating_add(1)));
    if start_at.or(end_at).is_some() {
        job.spec.timing = Some(v1::Timing { start_at, end_at, jitter_ms: 0 });
        job.map("lifecycle -> start_at, end_at");
    }
}

/// PowerJob lets both day fields restrict; FastJob's quartz dialect does not, and its spring dialect does.
fn cron(expression: &str, zone: &Zone, job: &mut Imported) {
    let old = Rival::quartz(expression, zone.zone.clone(), Flavour::CronUtils);
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let both = fields.len() == 6 && [3, 5].iter().all(|at| !matches!(fields[*at], "?" | "*"));
    if !both {
        return job.cron(expression, "quartz", &zone.name, old);
    }
    let (day, month, week) = (fields[3], fields[4], super::weekdays::as_names(fields[5]));
    let spring = [fields[0], fields[1], fields[2], day, month, &week].join(" ");
    job.map("day of month and day of week -> dialect spring, where both must match");
    job.cron(&spring, "spring", &zone.name, old);
}

/// An interval within each day. PowerJob's first day counts from when the job was switched on, which no row tells; from the
/// next window on both begin at its start.
fn daily(expression: &str, zone: &Zone, job: &mut Imported) -> Result<(), String> {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let wrong = |what: &str| format!("time_expression {expression:?} {what}");
    let value: Value = serde_json::from_str(expression).map_err(|_| wrong("is not JSON"))?;
    let clock =
        |name: &str| value[name].as_str().map(str::to_owned).ok_or_else(|| wrong(&format!("has no {name}")));
    let unit_ms = match value["intervalUnit"].as_str().unwrap_or("SECONDS") {
        "SECONDS" | "" => 1_000,
        "MINUTES" => 60_000,
        "HOURS" => 3_600_000,
        other => return Err(wrong(&format!("has an interval of {other}: none of SECONDS, MINUTES, HOURS"))),
    };
    let every_ms = value["interval"].as_i64().filter(|n| *n > 0).and_then(|n| n.checked_mul(unit_ms));
    let every_ms = every_ms.ok_or_else(|| wrong("has no interval"))?;
    let days = value["daysOfWeek"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let name = |day: &Value| DAYS.get(usize::try_from(day.as_i64()?).ok()?.checked_sub(1)?);
    let weekdays = days.filter_map(name).map(|day| (*day).to_owned()).collect();
    let (from, to) = (clock("startTimeOfDay")?, clock("endTimeOfDay")?);
    let window = v1::DailyWindow { weekdays, from, to, every_ms, zone: zone.name.clone() };
    let why = "PowerJob's first day counts from when the job was switched on; from then on both begin with the window";
    job.fires(v1::trigger::Kind::DailyWindow(window), Err(NotFollowed(why.to_owned())));
    Ok(())
}
