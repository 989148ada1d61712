//! Attempts in C: what a handler is told, and what it says.

use std::ffi::{c_char, c_void};

use super::fj_status;
use crate::bridge::{ATTEMPTS, encoding};
use crate::bytes::{bytes, optional_text, put, put_bytes, put_text, text};
use crate::status::{Error, Status, guard};

/// One execution of a run. In a handler it is the library's and ends when the handler returns; one that came from
/// fj_worker_poll is the caller's, to be completed by fj_attempt_complete and freed by fj_attempt_free.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fj_attempt {
    /// Never an address; 0 names nothing.
    pub id: u64,
}

/// Copies the run's id, 36 characters, as text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_run_id(
    attempt: fj_attempt,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe { put_text(ATTEMPTS.get(attempt.id)?.run_id(), buffer, capacity, size) })
}

/// Copies the name of the job.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_job(
    attempt: fj_attempt,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe { put_text(ATTEMPTS.get(attempt.id)?.job(), buffer, capacity, size) })
}

/// Copies the name of the handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_handler(
    attempt: fj_attempt,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe { put_text(ATTEMPTS.get(attempt.id)?.handler(), buffer, capacity, size) })
}

/// Copies the parameters, at most 64 KiB, and a NUL behind them if there is room. `*size` is their size without it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_params(
    attempt: fj_attempt,
    buffer: *mut c_void,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe { put_bytes(&ATTEMPTS.get(attempt.id)?.params().data, buffer, capacity, size) })
}

/// Copies what the parameters are: "json", "text" or "binary".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_params_encoding(
    attempt: fj_attempt,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe {
        let name = encoding::name(ATTEMPTS.get(attempt.id)?.params().encoding);
        put_text(name, buffer, capacity, size)
    })
}

/// Copies what names the effect of this run, the same in each of its attempts: the trigger's idempotency key, or else
/// the run's id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_idempotency_key(
    attempt: fj_attempt,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
) -> fj_status {
    // SAFETY: the caller gives a buffer of that capacity.
    guard(|| unsafe { put_text(ATTEMPTS.get(attempt.id)?.idempotency_key(), buffer, capacity, size) })
}

/// The instant that the schedule produced, in ms since 1970 UTC. FJ_E_NONE unless a schedule made the run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_tick(attempt: fj_attempt, tick_ms: *mut i64) -> fj_status {
    guard(|| {
        let tick = ATTEMPTS.get(attempt.id)?.tick_ms();
        let tick = tick.ok_or_else(|| Error::new(Status::NONE, "no schedule made this run"))?;
        // SAFETY: the caller gives a place for it.
        unsafe { put(tick, tick_ms, "tick_ms") }
    })
}

/// The tick before it, in ms since 1970 UTC: together they name the half-open interval of data that the run stands for.
/// FJ_E_NONE if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_previous_tick(attempt: fj_attempt, tick_ms: *mut i64) -> fj_status {
    guard(|| {
        let tick = ATTEMPTS.get(attempt.id)?.previous_tick_ms();
        let tick = tick.ok_or_else(|| Error::new(Status::NONE, "there is no tick before this run's"))?;
        // SAFETY: the caller gives a place for it.
        unsafe { put(tick, tick_ms, "tick_ms") }
    })
}

/// The job's revision that the run follows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_revision(attempt: fj_attempt, revision: *mut u64) -> fj_status {
    // SAFETY: the caller gives a place for it.
    guard(|| unsafe { put(ATTEMPTS.get(attempt.id)?.revision(), revision, "revision") })
}

/// `*backfilled` becomes 1 if the run's tick is run again on demand, so that its data may be old; else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_backfilled(attempt: fj_attempt, backfilled: *mut i32) -> fj_status {
    // SAFETY: the caller gives a place for it.
    guard(|| unsafe { put(i32::from(ATTEMPTS.get(attempt.id)?.is_backfilled()), backfilled, "backfilled") })
}

/// When the run was due, in ms since 1970 UTC.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_due(attempt: fj_attempt, due_ms: *mut i64) -> fj_status {
    // SAFETY: the caller gives a place for it.
    guard(|| unsafe { put(ATTEMPTS.get(attempt.id)?.due_ms(), due_ms, "due_ms") })
}

/// Which attempt of the run this is; 1 is the first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_number(attempt: fj_attempt, number: *mut u32) -> fj_status {
    // SAFETY: the caller gives a place for it.
    guard(|| unsafe { put(ATTEMPTS.get(attempt.id)?.number(), number, "number") })
}

/// How many attempts that end in error the run may have.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_max_attempts(attempt: fj_attempt, max_attempts: *mut u32) -> fj_status {
    // SAFETY: the caller gives a place for it.
    guard(|| unsafe { put(ATTEMPTS.get(attempt.id)?.max_attempts(), max_attempts, "max_attempts") })
}

/// The fencing number of the server that sent the attempt: it never falls, so that a store that keeps the highest seen
/// can refuse what comes late.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_epoch(attempt: fj_attempt, epoch: *mut i64) -> fj_status {
    // SAFETY: the caller gives a place for it.
    guard(|| unsafe { put(ATTEMPTS.get(attempt.id)?.epoch(), epoch, "epoch") })
}

/// 1 once the attempt should end soon: it was cancelled, its timeout passed, or its handle is no longer one; else 0.
/// Cheap enough to ask in a loop.
#[unsafe(no_mangle)]
pub extern "C" fn fj_attempt_is_cancelled(attempt: fj_attempt) -> i32 {
    let mut cancelled = true;
    let status = guard(|| {
        cancelled = ATTEMPTS.get(attempt.id)?.is_cancelled();
        Ok(())
    });
    i32::from(cancelled || status != 0)
}

/// Says how far the attempt is: 0 to 100, and a note of at most 1,024 characters, which may be NULL. Only the newest is
/// kept. Never waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_progress(
    attempt: fj_attempt,
    percent: u32,
    note: *const c_char,
) -> fj_status {
    // SAFETY: the caller gives a text or NULL.
    guard(|| unsafe {
        let note = optional_text(note, "note")?.unwrap_or_default();
        ATTEMPTS.get(attempt.id)?.progress(percent, note)
    })
}

/// Sets the result, at most 64 KiB, for the case that the attempt succeeds. `encoding` is "json", "text" or "binary";
/// NULL means "json". `data` is copied; it may be NULL if `size` is 0. The last call counts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_set_result(
    attempt: fj_attempt,
    encoding: *const c_char,
    data: *const c_void,
    size: usize,
) -> fj_status {
    // SAFETY: the caller gives a text or NULL, and that many bytes.
    guard(|| unsafe {
        let payload =
            encoding::payload(optional_text(encoding, "encoding")?, bytes(data, size, "data")?, "data")?;
        ATTEMPTS.get(attempt.id)?.set_result(payload)
    })
}

/// Sets the error, for the case that the attempt fails: its class, as "io.timeout" (at most 256 bytes; NULL: the text
/// of the status), and its message (at most 4 KiB). Longer texts are cut. Both are copied. The last call counts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_attempt_set_error(
    attempt: fj_attempt,
    class_name: *const c_char,
    message: *const c_char,
) -> fj_status {
    // SAFETY: the caller gives texts, or NULL for the first.
    guard(|| unsafe {
        let class = optional_text(class_name, "class_name")?;
        ATTEMPTS.get(attempt.id)?.set_error(class, text(message, "message")?)
    })
}

/// Says, for the case that the attempt fails, that another one is useless.
#[unsafe(no_mangle)]
pub extern "C" fn fj_attempt_give_up(attempt: fj_attempt) -> fj_status {
    guard(|| ATTEMPTS.get(attempt.id)?.give_up())
}

/// Asks, for the case that the attempt fails and may be repeated, for the next one no earlier than this many ms from
/// now: 0 to 30 days.
#[unsafe(no_mangle)]
pub extern "C" fn fj_attempt_retry_after(attempt: fj_attempt, delay_ms: i64) -> fj_status {
    guard(|| ATTEMPTS.get(attempt.id)?.retry_after(delay_ms))
}

/// Ends an attempt that came from fj_worker_poll: FJ_OK means succeeded with the result that was set, anything else
/// failed with the error that was set. Does not wait: the library sends it, again if need be, until a server has taken
/// it. FJ_E_STATE if it was completed before, and in a handler, whose return value says the same.
#[unsafe(no_mangle)]
pub extern "C" fn fj_attempt_complete(attempt: fj_attempt, status: fj_status) -> fj_status {
    guard(|| ATTEMPTS.get(attempt.id)?.complete_polled(status))
}

/// Ends the handle of an attempt that came from fj_worker_poll; one that was not completed fails. The null handle is
/// allowed and does nothing. FJ_E_CLOSED if it was freed before; FJ_E_STATE in a handler: the attempt is the library's.
#[unsafe(no_mangle)]
pub extern "C" fn fj_attempt_free(attempt: fj_attempt) -> fj_status {
    guard(|| {
        if attempt.id != 0 {
            ATTEMPTS.get(attempt.id)?.abandon_polled()?;
            ATTEMPTS.remove(attempt.id)?;
        }
        Ok(())
    })
}
