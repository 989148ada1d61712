//! Jobs in C.

use std::ffi::{c_char, c_void};
use std::{ptr, slice};

use super::client::fj_client;
use super::{fj_status, init_struct, read_struct};
use crate::bridge::{CLIENTS, JobOptions, JobTrigger, Put};
use crate::bytes::{bytes, optional_text, put_if_wanted, text};
use crate::status::{Error, Result, guard};

/// A job's definition. Fill it by fj_job_init, then set `name`, `handler`, exactly one trigger, and what else you want.
/// Everything is copied by fj_job_put.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fj_job {
    /// Written by fj_job_init.
    pub struct_size: usize,
    /// 1 to 128 characters. Needed.
    pub name: *const c_char,
    /// The handler that runs it, 1 to 128 characters. Needed.
    pub handler: *const c_char,

    /// Trigger: a cron expression, as "* * * * * ?" for each second. At most 256 characters.
    pub cron: *const c_char,
    /// For `cron`: how it is read: "quartz" (also if NULL), "unix" or "spring".
    pub dialect: *const c_char,
    /// For `cron` and `window_from`: the IANA name of the zone whose civil time they speak of. NULL: "UTC".
    pub zone: *const c_char,
    /// For `cron` without `*`, range and step in seconds, minutes and hours: a civil time that a gap of the zone swallows
    /// fires at the "next" instant (also if NULL), or is left out: "skip".
    pub gap: *const c_char,
    /// As `gap`: a civil time that an overlap of the zone shows twice fires in the "first" pass (also if NULL), or in
    /// "both".
    pub overlap_rule: *const c_char,
    /// Trigger: a fixed rate, 1,000 or more. 0: none.
    pub every_ms: i64,
    /// For `every_ms`: an instant of the rate, in ms since 1970 UTC. -1: the job's creation.
    pub phase_ms: i64,
    /// For `every_ms`: only from this time of the day on, as "09:00", in `zone`. NULL: at all times.
    pub window_from: *const c_char,
    /// For `window_from`: not after this time of the day: up to "24:00".
    pub window_to: *const c_char,
    /// For `window_from`: only on these days, as "mon,tue,fri". NULL: every day.
    pub weekdays: *const c_char,
    /// Trigger: this long after the end of the previous run, 0 or more. -1: none.
    pub delay_ms: i64,
    /// Trigger: at these instants, in ms since 1970 UTC. `at_count` is 1 to 1,000, or 0 for none.
    pub at_ms: *const i64,
    /// See `at_ms`.
    pub at_count: usize,
    /// Trigger: not 0 if it fires only when it is called.
    pub api: i32,

    /// What its runs get unless a trigger gives others: at most 64 KiB.
    pub params: *const c_void,
    /// See `params`.
    pub params_size: usize,
    /// "json" (also if NULL), "text" or "binary".
    pub params_encoding: *const c_char,

    /// 1 enabled, 0 disabled; -1: enabled if new, else as it is.
    pub enabled: i32,
    /// For a run that is due while an earlier one is alive: "skip" (also if NULL), "buffer_one", "buffer_all" (at most
    /// 1000 wait), "cancel_other", "terminate_other" or "allow_all".
    pub overlap: *const c_char,
    /// For ticks missed while no server was up: "latest" (also if NULL), "none" or "all".
    pub catch_up: *const c_char,
    /// A missed tick no later than this simply fires late. -1: 60 s.
    pub catch_up_threshold_ms: i64,
    /// Older ticks are never made up for. -1: 1 h for periods under a day, else 24 h.
    pub catch_up_window_ms: i64,
    /// How often a failed run is tried again: 0 to 1,000.
    pub retries: u32,
    /// "fixed" (also if NULL) or "exponential".
    pub backoff: *const c_char,
    /// The first wait before a retry. -1: 1 s.
    pub retry_delay_ms: i64,
    /// The longest wait of an exponential backoff. -1: 1 h.
    pub retry_max_delay_ms: i64,
    /// Each wait is drawn from [1 - jitter, 1] of it: 0.0 to 1.0.
    pub retry_jitter: f64,
    /// From the dispatch of an attempt: 1 to 30 days. 0: 1 h.
    pub timeout_ms: i64,
    /// A run not dispatched this long after it was due is skipped. 0: it waits.
    pub start_deadline_ms: i64,
    /// How long a handler may take to give way to a cancel or timeout: at most 1 h. -1: 10 s.
    pub cancel_grace_ms: i64,
    /// Without contact to its worker for this long an attempt is lost: 1 s to 24 h. 0: the server's default.
    pub worker_lost_after_ms: i64,
    /// Not 0: never dispatched again after its worker was lost.
    pub at_most_once: i32,
    /// Higher first among the waiting: -100 to 100.
    pub priority: i32,
    /// "least_busy" (also if NULL) or "round_robin".
    pub routing: *const c_char,
    /// Who may overwrite the job: "code" (also if NULL) or "console".
    pub managed_by: *const c_char,
    /// The version of the source that puts it: a lower one than stored is refused. 0: not compared.
    pub source_version: u64,
    /// With catch_up "all": the most missed ticks that fire, the newest, 1 to 1,000. 0: 100.
    pub catch_up_runs: u32,
    /// No tick lies before this instant, in ms since 1970 UTC. -1: no such bound.
    pub start_at_ms: i64,
    /// No tick lies at this instant or after it. -1: no such bound.
    pub end_at_ms: i64,
    /// The run of a tick is due up to this much later, but before the next tick: 0 to 24 h.
    pub jitter_ms: i64,
}

/// The job was not there.
pub const FJ_JOB_CREATED: i32 = 0;
/// The job was there and is now as given.
pub const FJ_JOB_UPDATED: i32 = 1;
/// The job was there as given: nothing was written.
pub const FJ_JOB_UNCHANGED: i32 = 2;

const JOB_LEAST: usize = size_of::<fj_job>();

const JOB: fj_job = fj_job {
    struct_size: 0,
    name: ptr::null(),
    handler: ptr::null(),
    cron: ptr::null(),
    dialect: ptr::null(),
    zone: ptr::null(),
    gap: ptr::null(),
    overlap_rule: ptr::null(),
    every_ms: 0,
    phase_ms: -1,
    window_from: ptr::null(),
    window_to: ptr::null(),
    weekdays: ptr::null(),
    delay_ms: -1,
    at_ms: ptr::null(),
    at_count: 0,
    api: 0,
    params: ptr::null(),
    params_size: 0,
    params_encoding: ptr::null(),
    enabled: -1,
    overlap: ptr::null(),
    catch_up: ptr::null(),
    catch_up_threshold_ms: -1,
    catch_up_window_ms: -1,
    retries: 0,
    backoff: ptr::null(),
    retry_delay_ms: -1,
    retry_max_delay_ms: -1,
    retry_jitter: 0.0,
    timeout_ms: 0,
    start_deadline_ms: 0,
    cancel_grace_ms: -1,
    worker_lost_after_ms: 0,
    at_most_once: 0,
    priority: 0,
    routing: ptr::null(),
    managed_by: ptr::null(),
    source_version: 0,
    catch_up_runs: 0,
    start_at_ms: -1,
    end_at_ms: -1,
    jitter_ms: 0,
};

/// Fills `job` with the defaults. `struct_size` is sizeof *job.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_job_init(job: *mut fj_job, struct_size: usize) -> fj_status {
    // SAFETY: the caller gives a structure of that size.
    guard(|| unsafe { init_struct(job, struct_size, JOB_LEAST, JOB, "job") })
}

/// Creates the job, or replaces the one of that name. `change`, which may be NULL, becomes one of FJ_JOB_*. Waits for the
/// server. FJ_E_INVALID names the field at fault; FJ_E_CONFLICT if the job is managed by another or of a newer source.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_job_put(client: fj_client, job: *const fj_job, change: *mut i32) -> fj_status {
    // SAFETY: the caller gives a structure that was initialised, and a place for the answer or NULL.
    guard(|| unsafe {
        let put = CLIENTS.get(client.id)?.job_put(&options(&read_struct(job, JOB_LEAST, JOB, "job")?)?)?;
        put_if_wanted(number(put), change);
        Ok(())
    })
}

/// Lets the job fire again, from its next tick on. FJ_E_NOT_FOUND if there is none of that name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_job_enable(client: fj_client, name: *const c_char) -> fj_status {
    // SAFETY: the caller gives a text.
    guard(|| unsafe { CLIENTS.get(client.id)?.job_enable(text(name, "name")?) })
}

/// Stops the job from firing, until it is enabled. FJ_E_NOT_FOUND if there is none of that name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_job_disable(client: fj_client, name: *const c_char) -> fj_status {
    // SAFETY: the caller gives a text.
    guard(|| unsafe { CLIENTS.get(client.id)?.job_disable(text(name, "name")?) })
}

/// Deletes the job; its past runs stay. FJ_E_NOT_FOUND if there is none of that name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_job_delete(client: fj_client, name: *const c_char) -> fj_status {
    // SAFETY: the caller gives a text.
    guard(|| unsafe { CLIENTS.get(client.id)?.job_delete(text(name, "name")?) })
}

const fn number(put: Put) -> i32 {
    match put {
        Put::Created => FJ_JOB_CREATED,
        Put::Updated => FJ_JOB_UPDATED,
        Put::Unchanged => FJ_JOB_UNCHANGED,
    }
}

unsafe fn options(job: &fj_job) -> Result<JobOptions<'_>> {
    // SAFETY: as the caller of fj_job_put promised.
    unsafe {
        Ok(JobOptions {
            name: text(job.name, "job.name")?,
            handler: text(job.handler, "job.handler")?,
            trigger: trigger(job)?,
            params: bytes(job.params, job.params_size, "job.params")?,
            params_encoding: optional_text(job.params_encoding, "job.params_encoding")?,
            enabled: (job.enabled >= 0).then_some(job.enabled != 0),
            overlap: optional_text(job.overlap, "job.overlap")?,
            catch_up: optional_text(job.catch_up, "job.catch_up")?,
            catch_up_threshold_ms: unless(-1, job.catch_up_threshold_ms),
            catch_up_window_ms: unless(-1, job.catch_up_window_ms),
            retries: job.retries,
            backoff: optional_text(job.backoff, "job.backoff")?,
            retry_delay_ms: unless(-1, job.retry_delay_ms),
            retry_max_delay_ms: unless(-1, job.retry_max_delay_ms),
            retry_jitter: job.retry_jitter,
            timeout_ms: unless(0, job.timeout_ms),
            start_deadline_ms: unless(0, job.start_deadline_ms),
            cancel_grace_ms: unless(-1, job.cancel_grace_ms),
            worker_lost_after_ms: unless(0, job.worker_lost_after_ms),
            at_most_once: job.at_most_once != 0,
            priority: job.priority,
            routing: optional_text(job.routing, "job.routing")?,
            managed_by: optional_text(job.managed_by, "job.managed_by")?,
            source_version: (job.source_version != 0).then_some(job.source_version),
            catch_up_runs: (job.catch_up_runs != 0).then_some(job.catch_up_runs),
            start_at_ms: unless(-1, job.start_at_ms),
            end_at_ms: unless(-1, job.end_at_ms),
            jitter_ms: job.jitter_ms,
        })
    }
}

unsafe fn trigger(job: &fj_job) -> Result<JobTrigger<'_>> {
    let cron = !job.cron.is_null();
    let (every, delay, at) = (job.every_ms != 0, job.delay_ms != -1, job.at_count != 0);
    let api = job.api != 0;
    if [cron, every, delay, at, api].into_iter().filter(|set| *set).count() != 1 {
        return Err(Error::argument("job", "needs exactly one of cron, every_ms, delay_ms, at_ms and api"));
    }
    // SAFETY: as the caller of fj_job_put promised.
    unsafe {
        Ok(if cron {
            JobTrigger::Cron {
                expression: text(job.cron, "job.cron")?,
                dialect: optional_text(job.dialect, "job.dialect")?,
                zone: optional_text(job.zone, "job.zone")?,
                gap: optional_text(job.gap, "job.gap")?,
                overlap: optional_text(job.overlap_rule, "job.overlap_rule")?,
            }
        } else if every && !job.window_from.is_null() {
            JobTrigger::DailyWindow {
                weekdays: optional_text(job.weekdays, "job.weekdays")?,
                from: text(job.window_from, "job.window_from")?,
                to: text(job.window_to, "job.window_to")?,
                every_ms: job.every_ms,
                zone: optional_text(job.zone, "job.zone")?,
            }
        } else if every {
            JobTrigger::FixedRate { period_ms: job.every_ms, phase_ms: unless(-1, job.phase_ms) }
        } else if delay {
            JobTrigger::FixedDelay { delay_ms: job.delay_ms }
        } else if at {
            JobTrigger::At { instants: instants(job.at_ms, job.at_count)? }
        } else {
            JobTrigger::Api
        })
    }
}

unsafe fn instants<'a>(at_ms: *const i64, count: usize) -> Result<&'a [i64]> {
    const MOST: usize = fastjob_core::domain::Trigger::MAX_INSTANTS;
    if at_ms.is_null() || count > MOST {
        let fault = format!("needs 1 to {MOST} instants, and at_count says {count}");
        return Err(Error::argument("job.at_ms", fault));
    }
    // SAFETY: as the caller of fj_job_put promised.
    Ok(unsafe { slice::from_raw_parts(at_ms, count) })
}

fn unless(unset: i64, value: i64) -> Option<i64> {
    (value != unset).then_some(value)
}
