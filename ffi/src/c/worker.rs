//! Workers in C: handlers as functions, or attempts by polling.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use super::attempt::fj_attempt;
use super::client::fj_client;
use super::{fj_status, init_struct, read_struct};
use crate::bridge::{ATTEMPTS, Attempt, CLIENTS, Callback, Polled, WORKERS, Worker, WorkerOptions};
use crate::bytes::{optional_text, put, text};
use crate::status::{Error, Result, Status, guard};

/// Takes runs of its client's app and executes them. From fj_worker_new to fj_worker_free.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fj_worker {
    /// Never an address; 0 names nothing.
    pub id: u64,
}

/// How a worker is. Fill it by fj_worker_config_init, then set what you want. The texts are copied by fj_worker_new.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fj_worker_config {
    /// Written by fj_worker_config_init.
    pub struct_size: usize,
    /// For people, at most 128 characters. NULL: "host:pid".
    pub name: *const c_char,
    /// How many attempts at a time: 1 to 1,024, or 100,000 if its handlers are polled. 0 means 8.
    pub slots: u32,
}

/// Runs one attempt. It may block and may call every function of this header but those that would wait for it, which
/// answer FJ_E_DEADLOCK. It runs on one of up to `slots` threads of the library, with others beside it, and must return
/// by itself, soon after fj_attempt_is_cancelled answers 1: no exception, no longjmp, no end of the thread.
/// FJ_OK: succeeded, with the result of fj_attempt_set_result. Else: failed, with the error of fj_attempt_set_error.
pub type fj_handler = Option<unsafe extern "C" fn(attempt: fj_attempt, user: *mut c_void) -> fj_status>;

/// Called once with the `user` of fj_worker_handle when no handler will see it any more, on the thread that frees the
/// worker or on that of the last handler.
pub type fj_drop = Option<unsafe extern "C" fn(user: *mut c_void)>;

const CONFIG_LEAST: usize = size_of::<fj_worker_config>();

const CONFIG: fj_worker_config = fj_worker_config { struct_size: 0, name: ptr::null(), slots: 0 };

/// Fills `config` with the defaults. `struct_size` is sizeof *config.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_worker_config_init(
    config: *mut fj_worker_config,
    struct_size: usize,
) -> fj_status {
    // SAFETY: the caller gives a structure of that size.
    guard(|| unsafe { init_struct(config, struct_size, CONFIG_LEAST, CONFIG, "config") })
}

/// Makes a worker that takes nothing yet. `config` may be NULL: the defaults. On FJ_OK `*worker` is the caller's, to be
/// freed by fj_worker_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_worker_new(
    client: fj_client,
    config: *const fj_worker_config,
    worker: *mut fj_worker,
) -> fj_status {
    guard(|| {
        // SAFETY: the caller gives a structure that was initialised, or NULL, and a place for the handle.
        unsafe {
            put(fj_worker { id: 0 }, worker, "worker")?;
            let made = Worker::new(&CLIENTS.get(client.id)?, options(config)?)?;
            put(fj_worker { id: WORKERS.insert(made) }, worker, "worker")
        }
    })
}

/// Gives the worker a handler by its name, 1 to 128 characters; before fj_worker_start. With a NULL `handler` its
/// attempts come by fj_worker_poll; that holds for all handlers of a worker or for none. FJ_E_STATE if it does not fit
/// those that the worker has, or comes after the start. `user` is passed to each call of the handler and belongs to the library from here on:
/// `drop_user`, if not NULL, is called with it exactly once, also if this call fails.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_worker_handle(
    worker: fj_worker,
    name: *const c_char,
    handler: fj_handler,
    user: *mut c_void,
    drop_user: fj_drop,
) -> fj_status {
    let user = User { pointer: user, drop: drop_user };
    // SAFETY: the caller gives a text, and a function that is one.
    guard(|| unsafe {
        let name = text(name, "name")?;
        WORKERS.get(worker.id)?.handle(name, callback(handler, user))
    })
}

/// Starts taking runs. Does not wait for a server: the worker goes on trying. FJ_E_STATE if it was started before, or
/// has no handler.
#[unsafe(no_mangle)]
pub extern "C" fn fj_worker_start(worker: fj_worker) -> fj_status {
    guard(|| WORKERS.get(worker.id)?.start())
}

/// Takes the next attempt of a handler that was registered with NULL, waiting at most `timeout_ms` (negative: without
/// end). On FJ_OK `*attempt` is the caller's: fj_attempt_complete, then fj_attempt_free. FJ_E_TIMEOUT: none came.
/// FJ_E_WOKEN: fj_worker_wake was called. FJ_E_CLOSED: the worker was stopped. FJ_E_STATE before the start, and if its
/// handlers are functions. Any number of threads may poll.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_worker_poll(
    worker: fj_worker,
    timeout_ms: i64,
    attempt: *mut fj_attempt,
) -> fj_status {
    // SAFETY: the caller gives a place for the handle.
    guard(|| unsafe {
        put(fj_attempt { id: 0 }, attempt, "attempt")?;
        let taken = polled(WORKERS.get(worker.id)?.poll(timeout_ms)?)?;
        put(fj_attempt { id: ATTEMPTS.insert(taken) }, attempt, "attempt")
    })
}

/// Makes one fj_worker_poll, the present one or else the next, answer FJ_E_WOKEN.
#[unsafe(no_mangle)]
pub extern "C" fn fj_worker_wake(worker: fj_worker) -> fj_status {
    guard(|| WORKERS.get(worker.id)?.wake())
}

/// Takes nothing more, lets the running handlers go on for `grace_ms` (0 to 24 h), then cancels them and gives them up to
/// 10 s (less if their jobs say so), and sends what is unsent. FJ_OK once all has ended; FJ_E_TIMEOUT if a handler has not
/// returned: it keeps its thread until it does; FJ_E_UNAVAILABLE if no server took what was unsent. It has stopped in each
/// of these cases. A second stop waits for the first. FJ_E_DEADLOCK in one of its handlers; FJ_E_STATE before the start.
#[unsafe(no_mangle)]
pub extern "C" fn fj_worker_stop(worker: fj_worker, grace_ms: i64) -> fj_status {
    guard(|| WORKERS.get(worker.id)?.stop(grace_ms))
}

/// Waits until another thread has stopped the worker: FJ_OK after fj_worker_stop, FJ_E_CLOSED after fj_client_close.
/// Without a server, or with one that refuses it, the worker goes on trying. FJ_E_DEADLOCK in one of its handlers;
/// FJ_E_STATE before the start.
#[unsafe(no_mangle)]
pub extern "C" fn fj_worker_join(worker: fj_worker) -> fj_status {
    guard(|| WORKERS.get(worker.id)?.join())
}

/// Stops the worker without grace if it runs, as fj_worker_stop does, and ends the handle. The null handle is allowed and
/// does nothing. FJ_E_CLOSED if it was freed before; FJ_E_DEADLOCK in one of its handlers: the handle then stays.
#[unsafe(no_mangle)]
pub extern "C" fn fj_worker_free(worker: fj_worker) -> fj_status {
    guard(|| {
        if worker.id != 0 {
            WORKERS.get(worker.id)?.end()?;
            WORKERS.remove(worker.id)?;
        }
        Ok(())
    })
}

/// The pointer that a handler is called with, and what gives it back.
struct User {
    pointer: *mut c_void,
    drop: fj_drop,
}

// SAFETY: the header says that handlers run on several threads at a time, and that `user` must bear it.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl Drop for User {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: the caller gave the function for this pointer, and this is the one place that calls it.
            unsafe { drop(self.pointer) }
        }
    }
}

impl User {
    const fn pointer(&self) -> *mut c_void {
        self.pointer
    }
}

fn callback(handler: fj_handler, user: User) -> Option<Callback> {
    let handler = handler?;
    Some(Box::new(move |attempt: Arc<Attempt>| {
        let attempt = fj_attempt { id: ATTEMPTS.insert(attempt) };
        // SAFETY: the caller of fj_worker_handle promised a function that may be called with its pointer.
        let status = unsafe { handler(attempt, user.pointer()) };
        // Nobody but this function may end it, so that it is there.
        let _ = ATTEMPTS.remove(attempt.id);
        status
    }))
}

fn polled(polled: Polled) -> Result<Arc<Attempt>> {
    match polled {
        Polled::Attempt(attempt) => Ok(attempt),
        Polled::Nothing => Err(Error::new(Status::TIMEOUT, "no attempt came within the time given")),
        Polled::Woken => Err(Error::new(Status::WOKEN, "the poll was woken")),
        Polled::Closed => Err(Error::new(Status::CLOSED, "the worker has stopped: no attempt will come")),
    }
}

unsafe fn options(config: *const fj_worker_config) -> Result<WorkerOptions> {
    if config.is_null() {
        return Ok(WorkerOptions::default());
    }
    // SAFETY: as the caller of fj_worker_new promised.
    unsafe {
        let config = read_struct(config, CONFIG_LEAST, CONFIG, "config")?;
        let name = optional_text(config.name, "config.name")?.map(str::to_owned);
        Ok(WorkerOptions { name, slots: config.slots })
    }
}
