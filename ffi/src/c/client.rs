//! Clients in C.

use std::ffi::c_char;
use std::ptr;

use super::{fj_status, init_struct, read_struct};
use crate::bridge::{CLIENTS, Client, ClientOptions};
use crate::bytes::{optional_text, put};
use crate::status::{Result, guard};

/// A connection to the servers of one app. From fj_client_open to fj_client_free.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fj_client {
    /// Never an address; 0 names nothing.
    pub id: u64,
}

/// How to reach the servers. Fill it by fj_client_config_init, then set what you want. The texts are copied by
/// fj_client_open.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fj_client_config {
    /// Written by fj_client_config_init.
    pub struct_size: usize,
    /// Addresses of any of the servers, "host:port", several with commas. NULL: the environment's FASTJOB_SERVERS.
    pub servers: *const c_char,
    /// Name of the app. NULL: the environment's FASTJOB_APP.
    pub app: *const c_char,
    /// The app's token, or what the environment's FASTJOB_TOKEN holds if NULL.
    pub token: *const c_char,
    /// How long a call is tried, in ms, before it is FJ_E_UNAVAILABLE or FJ_E_TIMEOUT: 1 to 1 h. 0: 10 s.
    pub call_timeout_ms: i64,
}

const CONFIG_LEAST: usize = size_of::<fj_client_config>();

const CONFIG: fj_client_config = fj_client_config {
    struct_size: 0,
    servers: ptr::null(),
    app: ptr::null(),
    token: ptr::null(),
    call_timeout_ms: 0,
};

/// Fills `config` with the defaults: everything from the environment. `struct_size` is sizeof *config.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_client_config_init(
    config: *mut fj_client_config,
    struct_size: usize,
) -> fj_status {
    // SAFETY: the caller gives a structure of that size.
    guard(|| unsafe { init_struct(config, struct_size, CONFIG_LEAST, CONFIG, "config") })
}

/// Opens a client. `config` may be NULL: everything from the environment. On FJ_OK `*client` is the caller's, to be
/// freed by fj_client_free. Waits for no server: the first call does, so that a program may start before its servers.
/// FJ_E_ARGUMENT names what is wrong or missing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_client_open(
    config: *const fj_client_config,
    client: *mut fj_client,
) -> fj_status {
    guard(|| {
        // SAFETY: the caller gives a structure that was initialised, or NULL, and a place for the handle.
        unsafe {
            put(fj_client { id: 0 }, client, "client")?;
            let opened = Client::open(&options(config)?)?;
            put(fj_client { id: CLIENTS.insert(opened) }, client, "client")
        }
    })
}

/// Closes the connection: stops its workers without waiting for their handlers, makes calls that wait in other threads
/// answer FJ_E_CLOSED, and ends the library's threads. Takes at most 5 s. The handle still has to be freed. A second close does nothing.
/// FJ_E_DEADLOCK in a handler of one of its workers.
#[unsafe(no_mangle)]
pub extern "C" fn fj_client_close(client: fj_client) -> fj_status {
    guard(|| CLIENTS.get(client.id)?.close())
}

/// Closes the client if it is open, and ends the handle. Its workers' and runs' handles have to be freed by themselves.
/// The null handle is allowed and does nothing. FJ_E_CLOSED if it was freed before; FJ_E_DEADLOCK in a handler of one of
/// its workers: the handle then stays.
#[unsafe(no_mangle)]
pub extern "C" fn fj_client_free(client: fj_client) -> fj_status {
    guard(|| {
        if client.id != 0 {
            CLIENTS.get(client.id)?.close()?;
            CLIENTS.remove(client.id)?;
        }
        Ok(())
    })
}

unsafe fn options(config: *const fj_client_config) -> Result<ClientOptions> {
    if config.is_null() {
        return Ok(ClientOptions::default());
    }
    // SAFETY: as the caller of fj_client_open promised.
    unsafe {
        let config = read_struct(config, CONFIG_LEAST, CONFIG, "config")?;
        Ok(ClientOptions {
            servers: optional_text(config.servers, "config.servers")?.map(str::to_owned),
            app: optional_text(config.app, "config.app")?.map(str::to_owned),
            token: optional_text(config.token, "config.token")?.map(str::to_owned),
            call_timeout_ms: config.call_timeout_ms,
        })
    }
}
