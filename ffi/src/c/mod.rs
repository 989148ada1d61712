//! The C ABI. Each entry is a guard, a conversion and one call of the bridge; it decides nothing. The rules that hold for
//! all of them stand once, at the head of the header (`ffi/cbindgen.toml`).

pub mod attempt;
pub mod client;
pub mod job;
pub mod run;
pub mod worker;

use std::ffi::c_char;

use crate::bytes::put_cut_text;
use crate::status::{self, Error, Result};

/// How a call ended: FJ_OK (0), or one of FJ_E_*. A handler answers it too.
pub type fj_status = i32;

/// Done.
pub const FJ_OK: i32 = 0;
/// A null pointer or handle, text that is not UTF-8, a number out of its bounds, a wrong struct_size.
pub const FJ_E_ARGUMENT: i32 = 1;
/// The handle was freed, or its client or worker closed.
pub const FJ_E_CLOSED: i32 = 2;
/// The call does not fit the object's present state, as a second start.
pub const FJ_E_STATE: i32 = 3;
/// The call would wait for the handler that makes it.
pub const FJ_E_DEADLOCK: i32 = 4;
/// The caller's buffer is too small; the size of the data was written.
pub const FJ_E_TOO_SMALL: i32 = 5;
/// It did not come about within the time given.
pub const FJ_E_TIMEOUT: i32 = 6;
/// There is no such value, as the tick of a run that no schedule made.
pub const FJ_E_NONE: i32 = 7;
/// fj_worker_poll was woken by fj_worker_wake.
pub const FJ_E_WOKEN: i32 = 8;
/// The server found the request wrong: the same call will be refused again.
pub const FJ_E_INVALID: i32 = 9;
/// What the request names does not exist.
pub const FJ_E_NOT_FOUND: i32 = 10;
/// The request contradicts what is stored.
pub const FJ_E_CONFLICT: i32 = 11;
/// The token is not known.
pub const FJ_E_UNAUTHENTICATED: i32 = 12;
/// The token does not allow it.
pub const FJ_E_NOT_PERMITTED: i32 = 13;
/// No server answered or none was ready: the same call may succeed later.
pub const FJ_E_UNAVAILABLE: i32 = 14;
/// A defect in the library or the server.
pub const FJ_E_INTERNAL: i32 = 15;
/// For handlers: the attempt failed. The library itself never answers it.
pub const FJ_E_FAILED: i32 = 16;

/// The binary interface this header describes. A library of another major number must not be used with it; one of a
/// higher minor number has more functions.
pub const FJ_ABI_VERSION_MAJOR: u32 = 1;
/// See FJ_ABI_VERSION_MAJOR.
pub const FJ_ABI_VERSION_MINOR: u32 = 0;

/// The binary interface of the library that was loaded: major << 16 | minor.
#[unsafe(no_mangle)]
pub extern "C" fn fj_abi_version() -> u32 {
    FJ_ABI_VERSION_MAJOR << 16 | FJ_ABI_VERSION_MINOR
}

/// The version of the library, as "0.1.0". Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn fj_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Copies the text of this thread's last failed call into `buffer`, cut at a character if need be, always ended by a
/// NUL if `capacity` is not 0. Returns the length of the whole text without its NUL; 0 before the first failure. A call
/// that succeeds leaves the text as it is. `buffer` may be NULL if `capacity` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fj_last_error(buffer: *mut c_char, capacity: usize) -> usize {
    // SAFETY: the caller gives a buffer of that capacity.
    status::last_error(|text| unsafe { put_cut_text(text, buffer, capacity) })
}

/// A short English text for a status, as "wrong argument"; "unknown status" for other numbers. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn fj_status_text(status: fj_status) -> *const c_char {
    status::Status(status).text().as_ptr()
}

/// Reads a structure of which the caller may know fewer or more fields than the library: those that he lacks keep the
/// value they have in `defaults`. Every such structure begins with its size.
///
/// # Safety
/// `given` is null or points to a structure of as many bytes as its first field says. `T` is `repr(C)`, begins with a
/// `usize`, and any bytes make one.
unsafe fn read_struct<T>(given: *const T, least: usize, mut defaults: T, name: &str) -> Result<T> {
    if given.is_null() {
        return Err(Error::argument(name, "is NULL"));
    }
    // SAFETY: the first field is the size, as the caller promised.
    let size = unsafe { given.cast::<usize>().read() };
    check_size(size, least, name)?;
    // SAFETY: both are at least this long.
    unsafe {
        let known = size.min(size_of::<T>());
        given.cast::<u8>().copy_to_nonoverlapping((&raw mut defaults).cast::<u8>(), known);
    }
    Ok(defaults)
}

/// Fills a structure of `size` bytes with `defaults`, what lies behind the known fields with zeros, and writes its size.
///
/// # Safety
/// `target` is null or has `size` bytes to write. `T` is `repr(C)` and begins with a `usize`.
unsafe fn init_struct<T>(target: *mut T, size: usize, least: usize, defaults: T, name: &str) -> Result<()> {
    if target.is_null() {
        return Err(Error::argument(name, "is NULL"));
    }
    check_size(size, least, name)?;
    // SAFETY: the caller gives that many bytes, and no more are written.
    unsafe {
        target.cast::<u8>().write_bytes(0, size);
        let known = size.min(size_of::<T>());
        (&raw const defaults).cast::<u8>().copy_to_nonoverlapping(target.cast::<u8>(), known);
        target.cast::<usize>().write(size);
    }
    Ok(())
}

/// No structure grows beyond this; a larger size is a mistake of the caller.
const MAX_STRUCT: usize = 4096;

fn check_size(size: usize, least: usize, name: &str) -> Result<()> {
    if (least..=MAX_STRUCT).contains(&size) {
        return Ok(());
    }
    let fault = format!("has struct_size {size}, not {least} to {MAX_STRUCT}: fill it by its init function");
    Err(Error::argument(name, fault))
}
