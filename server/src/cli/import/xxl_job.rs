//! XXL-JOB: rows of `xxl_job_info`.

use super::Zone;
use super::job::{Import, Imported};
use super::rival::{Flavour, Rival};
use super::rows::Row;

/// Reads the jobs of all groups, or of one.
pub(super) fn read(rows: &[Row], zone: &Zone, group: Option<&str>) -> Import {
    let mut import = Import::default();
    let is_job =
        |row: &&Row| row.table.ends_with("job_info") || (row.table.is_empty() && row.has("executor_handler"));
    let mut groups = std::collections::BTreeSet::new();
    for row in rows.iter().filter(is_job) {
        let of = row.text("job_group").unwrap_or_default();
        if group.is_some_and(|group| group != of) {
            continue;
        }
        groups.insert(of);
        one(row, zone, &mut import);
    }
    if groups.len() > 1 {
        let groups: Vec<_> = groups.into_iter().collect();
        import.notes.push(format!(
            "jobs of the executors (job_group) {}: an app each is usual; import them apart with --group ID",
            groups.join(", ")
        ));
    }
    import
}

fn one(row: &Row, zone: &Zone, import: &mut Import) {
    let from = format!("xxl_job_info {}", row.name(&["id"]));
    let glue = row.text("glue_type").unwrap_or_else(|| "BEAN".to_owned());
    let Some(handler) = row.text("executor_handler").filter(|_| glue == "BEAN") else {
        return import.refuse(
            from,
            format!("glue_type {glue} is a script kept in the scheduler: make it a handler of a worker"),
        );
    };
    let name = row.text("job_desc").unwrap_or_else(|| handler.clone());
    let mut job = Imported::new(from, &name, &handler);
    job.text_params(row.text("executor_param"));
    if let Err(why) = time(row, zone, &mut job) {
        return import.refuse(job.from, why);
    }
    match row.text("misfire_strategy").as_deref() {
        Some("FIRE_ONCE_NOW") => job.catch_up("latest", "misfire FIRE_ONCE_NOW"),
        _ => job.catch_up("none", "misfire DO_NOTHING"),
    }
    match row.text("executor_block_strategy").as_deref() {
        Some("DISCARD_LATER") => job.overlap("skip", "block DISCARD_LATER"),
        Some("COVER_EARLY") => job.overlap("cancel_other", "block COVER_EARLY"),
        _ => job.overlap("buffer_all", "block SERIAL_EXECUTION"),
    }
    route(row, &mut job);
    job.timeout_ms(row.whole("executor_timeout").unwrap_or(0).saturating_mul(1_000), "executor_timeout");
    if let Some(retries) = row.whole("executor_fail_retry_count").filter(|count| *count > 0) {
        job.spec.retry.get_or_insert_default().retries = u32::try_from(retries).unwrap_or(1_000).min(1_000);
        job.map("executor_fail_retry_count -> retries");
    }
    if row.whole("trigger_status") == Some(0) {
        job.disabled("trigger_status 0");
    }
    if let Some(children) = row.text("child_jobid") {
        job.lose(format!(
            "child_jobid {children}: there are no workflows yet; trigger them from the handler"
        ));
    }
    if row.has("alarm_email") && row.text("alarm_email").is_some() {
        job.lose("alarm_email: alarms are not sent by FastJob; watch its metrics");
    }
    import.jobs.push(job);
}

/// When it fires. Before 2.3 there was a column for cron alone.
fn time(row: &Row, zone: &Zone, job: &mut Imported) -> Result<(), String> {
    let kind = row
        .text("schedule_type")
        .unwrap_or_else(|| if row.has("job_cron") { "CRON" } else { "NONE" }.to_owned());
    let conf = row.text("schedule_conf").or_else(|| row.text("job_cron"));
    let seconds = || {
        let seconds =
            conf.as_deref().and_then(|text| text.parse::<i64>().ok()).filter(|seconds| *seconds > 0);
        seconds.ok_or_else(|| format!("schedule_conf {conf:?} is no number of seconds"))
    };
    match kind.as_str() {
        "NONE" => {}
        "CRON" => {
            let expression = conf.ok_or("schedule_conf is empty")?;
            let old = Rival::quartz(&expression, zone.zone.clone(), Flavour::Quartz);
            job.cron(&expression, "quartz", &zone.name, old);
        }
        "FIX_RATE" => {
            let first = row.whole("trigger_next_time").filter(|at| *at > 0);
            let first = first.or_else(|| row.whole("trigger_last_time")).unwrap_or(0);
            job.every(seconds()? * 1_000, first, None);
        }
        "FIX_DELAY" => {
            let delay_ms = seconds()? * 1_000;
            job.spec.trigger = Some(fastjob_core::protocol::v1::Trigger {
                kind: Some(fastjob_core::protocol::v1::trigger::Kind::FixedDelay(
                    fastjob_core::protocol::v1::FixedDelay { delay_ms },
                )),
            });
        }
        other => return Err(format!("schedule_type {other} is not known")),
    }
    Ok(())
}

fn route(row: &Row, job: &mut Imported) {
    use fastjob_core::protocol::v1::Routing;
    match row.text("executor_route_strategy").as_deref() {
        Some("ROUND") => {
            job.spec.set_routing(Routing::RoundRobin);
            job.map("route ROUND -> routing round_robin");
        }
        Some("SHARDING_BROADCAST") => {
            job.disabled("route SHARDING_BROADCAST");
            job.lose("route SHARDING_BROADCAST: a run goes to one worker; kept disabled until the handler can do with that");
        }
        Some("FAILOVER" | "BUSYOVER") => job.map("route FAILOVER or BUSYOVER -> routing least_busy: only living workers with a free slot are asked"),
        Some(other) => job.lose(format!("route {other}: routing least_busy is taken")),
        None => {}
    }
}
