//! The preview of a job: its rule in words, its coming ticks on the clocks of its own zone and of whoever looks, and the
//! ticks around the next two changes of its clock.

use fastjob_core::clock::Millis;
use fastjob_core::domain::{Definition, Trigger};
use fastjob_core::id::Id;
use fastjob_core::protocol::{job, v1};
use fastjob_core::schedule::{Language, Schedule, words};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::print::{self, Printer};
use super::{Failure, shape};

/// Clock changes that are shown.
const CHANGES: usize = 2;
/// Ticks shown before and after each of them.
const AROUND: (usize, usize) = (2, 3);

/// What is shown of a job.
pub(super) struct Preview {
    trigger: Trigger,
    schedule: Schedule,
    zone: TimeZone,
    viewer: TimeZone,
}

impl Preview {
    /// Of a stored job; `now` is any instant.
    pub(super) fn of(stored: &v1::Job, viewer: TimeZone, now: Millis) -> Result<Self, Failure> {
        let spec = stored.spec.clone().ok_or_else(|| Failure::incomplete("job"))?;
        let Definition { trigger, timing, .. } = job::put(spec, now).map_err(unread)?.definition;
        let schedule = Schedule::compile(&trigger, Millis::new(stored.created_at)).map_err(unread)?;
        // Of the job's timing, ticks depend on its life alone.
        let schedule = schedule.timed(&timing, Id::from_bytes([0; 16]));
        let zone = match &trigger {
            Trigger::Cron(cron) => TimeZone::get(&cron.zone).map_err(unread)?,
            Trigger::DailyWindow(window) => TimeZone::get(&window.zone).map_err(unread)?,
            Trigger::FixedRate { .. } | Trigger::FixedDelay { .. } | Trigger::At(_) | Trigger::Api => {
                TimeZone::UTC
            }
        };
        Ok(Self { trigger, schedule, zone, viewer })
    }

    /// All of it; `ticks` are the server's.
    pub(super) fn shape(&self, ticks: &[Millis], from: Millis) -> Result<Value, Failure> {
        let describe = |language| words(&self.trigger, language).map_err(unread);
        Ok(json!({
            "description": describe(Language::English)?,
            "description_zh": describe(Language::Chinese)?,
            "zone": self.zone.iana_name(),
            "viewer_zone": self.viewer.iana_name(),
            "ticks": ticks.iter().map(|tick| self.tick(*tick)).collect::<Vec<_>>(),
            "changes": self.changes(from),
        }))
    }

    /// For people.
    pub(super) fn print(&self, ticks: &[Millis], from: Millis, printer: &Printer) -> Result<(), Failure> {
        let shape = self.shape(ticks, from)?;
        if !printer.is_table() {
            return printer.one(&shape);
        }
        let columns = ["tick", "zone_time", "viewer_time"];
        let text = |key: &str| shape[key].as_str().unwrap_or("UTC").to_owned();
        let mut shown = format!("{}, in {}\n\n", text("description"), text("zone"));
        shown += &print::table(&columns, shape["ticks"].as_array().map_or(&[][..], Vec::as_slice));
        for change in shape["changes"].as_array().into_iter().flatten() {
            let word = |key: &str| change[key].as_str().unwrap_or_default();
            shown +=
                &format!("\nclock change {}: {} becomes {}\n", word("at"), word("before"), word("after"));
            shown += &print::table(&columns, change["ticks"].as_array().map_or(&[][..], Vec::as_slice));
        }
        print::text(&shown)
    }

    fn changes(&self, from: Millis) -> Vec<Value> {
        let Ok(from) = Timestamp::from_millisecond(from.get()) else { return Vec::new() };
        let mut changes = Vec::new();
        let mut offset = self.zone.to_offset(from);
        // A few years of transitions: some change only the name of the clock.
        for jump in self.zone.following(from).take(16) {
            if jump.offset() != offset && changes.len() < CHANGES {
                changes.push(json!({
                    "at": shape::instant(jump.timestamp().as_millisecond()),
                    "before": offset.to_string(),
                    "after": jump.offset().to_string(),
                    "ticks": self.around(Millis::new(jump.timestamp().as_millisecond())),
                }));
            }
            offset = jump.offset();
        }
        changes
    }

    fn around(&self, change: Millis) -> Vec<Value> {
        let mut ticks: Vec<Millis> = self.schedule.ticks_before(change).take(AROUND.0).collect();
        ticks.reverse();
        ticks.extend(self.schedule.ticks_after(change.plus(-1)).take(AROUND.1));
        ticks.into_iter().map(|tick| self.tick(tick)).collect()
    }

    fn tick(&self, tick: Millis) -> Value {
        let on = |zone: &TimeZone| {
            let at = Timestamp::from_millisecond(tick.get()).ok()?.to_zoned_datetime(zone.clone());
            Some(at.strftime("%a %Y-%m-%d %H:%M:%S %:z").to_string())
        };
        json!({"tick": shape::instant(tick.get()), "zone_time": on(&self.zone), "viewer_time": on(&self.viewer)})
    }
}

fn unread(error: impl std::fmt::Display) -> Failure {
    let remedy = "use this command in the server's version";
    Failure {
        remedy: remedy.to_owned(),
        ..Failure::new(super::Exit::Failed, format!("cannot read the stored trigger: {error}"))
    }
}
