//! Triggers and runs in C.

use std::ffi::{c_char, c_void};
use std::ptr;

use super::client::fj_client;
use super::{fj_status, init_struct, read_struct};
use crate::bridge::{CLIENTS, RUNS, Run, TriggerOptions, TriggerWhen, encoding};
use crate::bytes::{bytes, optional_text, put, put_bytes, put_text, text};
use crate::status::{Error, Result, Status, guard};

/// A run as it was when it was asked for; it does not change. From the call that gave it to fj_run_free.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fj_run {
    /// Never an address; 0 names nothing.
    pub id: u64,
}

/// Which job to fire, when and with what. Fill it by fj_trigger_config_init, then set `job` and what you want.
/// Everything is copied by fj_trigger.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fj_trigger_config {
    /// Written by fj_trigger_config_init.
    pub struct_size: usize,
    /// Name of the job. Needed.
    pub job: *const c_char,
    /// Parameters in place of the job's own, at most 64 KiB. NULL: the job's own.
    pub params: *const c_void,
    /// See `params`.
    pub params_size: usize,
    /// "json" (also if NULL), "text" or "binary".
    pub params_encoding: *const c_char,
    /// At this instant, in ms since 1970 UTC. 0: at once. Not together with `delay_ms`.
    pub at_ms: i64,
    /// This long from now. 0: at once.
    pub delay_ms: i64,
    /// At most 256 characters. A second trigger of the job with it yields the same run. NULL: none.
    pub idempotency_key: *const c_char,
    /// While an earlier run is alive: a word of `fj_job.overlap`. NULL: the job's own.
    pub overlap: *const c_char,
}

/// Written; not due yet, or waiting for a worker or for its next attempt.
pub const FJ_RUN_SCHEDULED: i32 = 1;
/// An attempt is with a worker.
pub const FJ_RUN_DISPATCHED: i32 = 2;
/// Over: its handler succeeded.
pub const FJ_RUN_SUCCEEDED: i32 = 3;
/// Over: out of attempts. The reason says why.
pub const FJ_RUN_FAILED: i32 = 4;
/// Over: somebody asked for it.
pub const FJ_RUN_CANCELLED: i32 = 5;
/// Over: never dispatched. The reason says why.
pub const FJ_RUN_SKIPPED: i32 = 6;

const CONFIG_LEAST: usize = size_of::<fj_trigger_config>();

const CONFIG: fj_trigger_config = fj_trigger_config {
    struct_size: 0,
    job: ptr::null(),
    params: ptr::null(),
    params_size: 0,
    params_encoding: ptr::null(),
    at_ms: 0,
    delay_ms: 0,
    idempotency_key: ptr::null(),
    overlap: ptr::null(),
};

/// Fills `config` with the defaults: at once, with the job's own parameters. `struct_size` is sizeof *config.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_trigger_config_init(
    config: *mut fj_trigger_config,
    struct_size: usize,
) -> fj_status {
    // SAFETY: the caller gives a structure of that size.
    guard(|| unsafe { init_struct(config, struct_size, CONFIG_LEAST, CONFIG, "config") })
}

/// Fires a job. On FJ_OK the run is durable and `*run` is the caller's, to be freed by fj_run_free; `run` may be NULL if
/// it does not matter. FJ_E_NOT_FOUND if there is no such job; FJ_E_CONFLICT if the idempotency key is known with other
/// parameters. Waits for the server, and repeats the request if a connection breaks, which makes no second run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_trigger(
    client: fj_client,
    config: *const fj_trigger_config,
    run: *mut fj_run,
) -> fj_status {
    // SAFETY: the caller gives a structure that was initialised, and a place for the handle or NULL.
    guard(|| unsafe {
        clear(run);
        let config = read_struct(config, CONFIG_LEAST, CONFIG, "config")?;
        hand_over(CLIENTS.get(client.id)?.trigger(&options(&config)?)?, run);
        Ok(())
    })
}

/// Asks for a run by its id, a UUID as text. On FJ_OK `*run` is the caller's, to be freed by fj_run_free.
/// FJ_E_NOT_FOUND if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_get(client: fj_client, run_id: *const c_char, run: *mut fj_run) -> fj_status {
    // SAFETY: the caller gives a text and a place for the handle.
    guard(|| unsafe {
        put(fj_run { id: 0 }, run, "run")?;
        hand_over(CLIENTS.get(client.id)?.run_get(text(run_id, "run_id")?)?, run);
        Ok(())
    })
}

/// Waits until the run has ended, at most `timeout_ms` (0 to 24 h). On FJ_OK `*run` is the caller's, to be freed by
/// fj_run_free. FJ_E_TIMEOUT if it has not ended by then: `*run` is its present state, and the caller's, too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_wait(
    client: fj_client,
    run_id: *const c_char,
    timeout_ms: i64,
    run: *mut fj_run,
) -> fj_status {
    // SAFETY: the caller gives a text and a place for the handle.
    guard(|| unsafe {
        put(fj_run { id: 0 }, run, "run")?;
        let seen = CLIENTS.get(client.id)?.run_wait(text(run_id, "run_id")?, timeout_ms)?;
        let ended = seen.is_ended();
        hand_over(seen, run);
        if ended { Ok(()) } else { Err(Error::new(Status::TIMEOUT, "the run has not ended yet")) }
    })
}

/// Asks for the run's end: a waiting run is cancelled, a running handler is told. On FJ_OK `*run` is the run after that,
/// the caller's, to be freed by fj_run_free; `run` may be NULL. A run that has ended stays as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_cancel(
    client: fj_client,
    run_id: *const c_char,
    run: *mut fj_run,
) -> fj_status {
    // SAFETY: the caller gives a text, and a place for the handle or NULL.
    guard(|| unsafe {
        clear(run);
        hand_over(CLIENTS.get(client.id)?.run_cancel(text(run_id, "run_id")?)?, run);
        Ok(())
    })
}

/// Copies the run's id, 36 characters, as text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_id(
    run: fj_run,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe { put_text(RUNS.get(run.id)?.id(), buffer, capacity, size) })
}

/// Copies the name of the job.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_job(
    run: fj_run,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe { put_text(RUNS.get(run.id)?.job(), buffer, capacity, size) })
}

/// Where the run stands: one of FJ_RUN_*.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_state(run: fj_run, state: *mut i32) -> fj_status {
    // SAFETY: the caller gives a place for it.
    guard(|| unsafe { put(RUNS.get(run.id)?.state(), state, "state") })
}

/// The word for a state, as "succeeded"; "unknown" for other numbers. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn fj_run_state_text(state: i32) -> *const c_char {
    Run::state_text(state).as_ptr()
}

/// Copies the reason of the state: for failed error, timeout, lost or quarantined; for skipped overlap, catch_up,
/// disabled, deleted or start_deadline; for cancelled requested. Else empty.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_reason(
    run: fj_run,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe { put_text(RUNS.get(run.id)?.reason(), buffer, capacity, size) })
}

/// How many attempts there were, the present one included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_attempt(run: fj_run, attempt: *mut u32) -> fj_status {
    // SAFETY: the caller gives a place for it.
    guard(|| unsafe { put(RUNS.get(run.id)?.attempt(), attempt, "attempt") })
}

/// 1 if the trigger that gave this run found it by its idempotency key; 0 if it made it, and for other calls' runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_existed(run: fj_run, existed: *mut i32) -> fj_status {
    // SAFETY: the caller gives a place for it.
    guard(|| unsafe { put(i32::from(RUNS.get(run.id)?.existed()), existed, "existed") })
}

/// Copies the result, at most 64 KiB, and a NUL behind it if there is room. FJ_E_NONE unless the run succeeded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_result(
    run: fj_run,
    buffer: *mut c_void,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe { put_bytes(&RUNS.get(run.id)?.result()?.data, buffer, capacity, size) })
}

/// Copies what the result is: "json", "text" or "binary". FJ_E_NONE unless the run succeeded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_result_encoding(
    run: fj_run,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe {
        let name = encoding::name(RUNS.get(run.id)?.result()?.encoding);
        put_text(name, buffer, capacity, size)
    })
}

/// Copies the class of the last failed attempt's error. FJ_E_NONE if none failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_error_class(
    run: fj_run,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe { put_text(&RUNS.get(run.id)?.error()?.class, buffer, capacity, size) })
}

/// Copies the message of the last failed attempt's error. FJ_E_NONE if none failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_run_error_message(
    run: fj_run,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe { put_text(&RUNS.get(run.id)?.error()?.message, buffer, capacity, size) })
}

/// Ends the handle. The null handle is allowed and does nothing. FJ_E_CLOSED if it was freed before.
#[unsafe(no_mangle)]
pub extern "C" fn fj_run_free(run: fj_run) -> fj_status {
    guard(|| if run.id == 0 { Ok(()) } else { RUNS.remove(run.id).map(drop) })
}

unsafe fn clear(run: *mut fj_run) {
    if !run.is_null() {
        // SAFETY: as the caller of the entry promised.
        unsafe { run.write(fj_run { id: 0 }) };
    }
}

unsafe fn hand_over(seen: Run, run: *mut fj_run) {
    if !run.is_null() {
        // SAFETY: as the caller of the entry promised.
        unsafe { run.write(fj_run { id: RUNS.insert(seen.into()) }) };
    }
}

unsafe fn options(config: &fj_trigger_config) -> Result<TriggerOptions<'_>> {
    // SAFETY: as the caller of fj_trigger promised.
    unsafe {
        let params = bytes(config.params, config.params_size, "config.params")?;
        Ok(TriggerOptions {
            job: text(config.job, "config.job")?,
            params: (!config.params.is_null()).then_some(params),
            params_encoding: optional_text(config.params_encoding, "config.params_encoding")?,
            when: when(config.at_ms, config.delay_ms)?,
            idempotency_key: optional_text(config.idempotency_key, "config.idempotency_key")?,
            overlap: optional_text(config.overlap, "config.overlap")?,
        })
    }
}

fn when(at_ms: i64, delay_ms: i64) -> Result<TriggerWhen> {
    match (at_ms, delay_ms) {
        (0, 0) => Ok(TriggerWhen::Now),
        (at_ms, 0) => Ok(TriggerWhen::At(at_ms)),
        (0, delay_ms) => Ok(TriggerWhen::After(delay_ms)),
        _ => Err(Error::argument("config", "has both at_ms and delay_ms: set one of them")),
    }
}
