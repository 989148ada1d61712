//! The entries of `io.fastjob.internal.Native`, for the Java client. Java pulls: it polls for frames and nothing here
//! ever calls into Java, attaches a thread or keeps a reference. Every entry is guarded against panics, throws nothing,
//! and copies what it is given.
//!
//! A `byte[]` that is answered is null if all is well, else one byte of kind and an encoded `ErrorDetail`.

mod connection;
mod mapping;
mod messages;
mod newsroom;
mod outbox;

use std::sync::Arc;

use jni::objects::{JByteArray, JByteBuffer, JClass, JIntArray, JLongArray, JString};
use jni::sys::{jbyteArray, jint, jlong, jstring};
use jni::{Env, EnvUnowned, Outcome};
use prost::Message;

use self::connection::Connection;
use self::outbox::Polled;
use crate::handle::{Kind, Registry};
use crate::status::{Error, Result, Status, attempt};

static CONNECTIONS: Registry<Connection> = Registry::new(Kind::Connection);

/// Major version in the upper half: Java refuses another one than its own.
const ABI_VERSION: jint = 1 << 16;

/// What [`Java_io_fastjob_internal_Native_poll`] answers for a handle that is closed.
const POLL_CLOSED: jint = -1;

/// The version of this border.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_fastjob_internal_Native_abiVersion<'l>(
    _: EnvUnowned<'l>,
    _: JClass<'l>,
) -> jint {
    ABI_VERSION
}

/// The version of FastJob.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_fastjob_internal_Native_version<'l>(
    mut env: EnvUnowned<'l>,
    _: JClass<'l>,
) -> jstring {
    value(&mut env, |env| Ok(env.new_string(env!("CARGO_PKG_VERSION"))?.into_raw()))
        .unwrap_or(std::ptr::null_mut())
}

/// Opens a connection and writes its handle.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_fastjob_internal_Native_open<'l>(
    mut env: EnvUnowned<'l>,
    _: JClass<'l>,
    options: JByteArray<'l>,
    handle: JLongArray<'l>,
) -> jbyteArray {
    answer(&mut env, |env| {
        let opened = CONNECTIONS.insert(Arc::new(Connection::open(decode(env, &options)?)?));
        Ok(handle.set_region(env, 0, &[opened.cast_signed()])?)
    })
}

/// Begins a call.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_fastjob_internal_Native_call<'l>(
    mut env: EnvUnowned<'l>,
    _: JClass<'l>,
    handle: jlong,
    id: jlong,
    method: JString<'l>,
    request: JByteArray<'l>,
    timeout_ms: jlong,
) -> jbyteArray {
    answer(&mut env, |env| {
        let method = method.try_to_string(env)?;
        let request = env.convert_byte_array(&request)?.into();
        connection(handle)?.call(id.cast_unsigned(), &method, request, timeout_ms)
    })
}

/// Starts a worker and writes its number.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_fastjob_internal_Native_workerStart<'l>(
    mut env: EnvUnowned<'l>,
    _: JClass<'l>,
    handle: jlong,
    options: JByteArray<'l>,
    worker: JIntArray<'l>,
) -> jbyteArray {
    answer(&mut env, |env| {
        let number = connection(handle)?.worker_start(decode(env, &options)?)?;
        Ok(worker.set_region(env, 0, &[jint::from(number)])?)
    })
}

/// Stops a worker; blocks until it has stopped.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_fastjob_internal_Native_workerStop<'l>(
    mut env: EnvUnowned<'l>,
    _: JClass<'l>,
    handle: jlong,
    worker: jint,
    grace_ms: jlong,
) -> jbyteArray {
    answer(&mut env, |_| connection(handle)?.worker_stop(worker, grace_ms))
}

/// Waits for frames, and proves that Java is alive.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_fastjob_internal_Native_poll<'l>(
    mut env: EnvUnowned<'l>,
    _: JClass<'l>,
    handle: jlong,
    mut buffer: JByteBuffer<'l>,
) -> jint {
    let polled = value(&mut env, |env| Ok(connection(handle)?.poll(memory(env, &mut buffer)?)));
    match polled {
        Ok(Polled::Written(bytes)) => jint::try_from(bytes).unwrap_or(POLL_CLOSED),
        Ok(Polled::Needs(bytes)) => jint::try_from(bytes).map_or(POLL_CLOSED, |bytes| -bytes),
        Err(_) => POLL_CLOSED,
    }
}

/// A handler is about to be called.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_fastjob_internal_Native_entered<'l>(
    _: EnvUnowned<'l>,
    _: JClass<'l>,
    handle: jlong,
    ticket: jlong,
) {
    // A connection that is gone does not care.
    let _ = attempt(|| connection(handle).map(|connection| connection.entered(ticket.cast_unsigned())));
}

/// How far an attempt is.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_fastjob_internal_Native_progress<'l>(
    mut env: EnvUnowned<'l>,
    _: JClass<'l>,
    handle: jlong,
    ticket: jlong,
    percent: jint,
    note: JByteArray<'l>,
) -> jbyteArray {
    answer(&mut env, |env| {
        let note = env.convert_byte_array(&note)?;
        connection(handle)?.progress(ticket.cast_unsigned(), percent, &String::from_utf8_lossy(&note));
        Ok(())
    })
}

/// A handler has returned.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_fastjob_internal_Native_complete<'l>(
    mut env: EnvUnowned<'l>,
    _: JClass<'l>,
    handle: jlong,
    ticket: jlong,
    outcome: JByteArray<'l>,
) -> jbyteArray {
    answer(&mut env, |env| connection(handle)?.complete(ticket.cast_unsigned(), decode(env, &outcome)?))
}

/// Closes a connection; blocks until its workers have stopped.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_fastjob_internal_Native_close<'l>(
    _: EnvUnowned<'l>,
    _: JClass<'l>,
    handle: jlong,
    grace_ms: jlong,
) {
    // One that is gone is closed.
    let _ = attempt(|| connection(handle).map(|connection| connection.close(grace_ms)));
}

/// Forgets a handle.
#[unsafe(no_mangle)]
pub extern "system" fn Java_io_fastjob_internal_Native_free<'l>(
    _: EnvUnowned<'l>,
    _: JClass<'l>,
    handle: jlong,
) {
    // A second free finds nothing.
    let _ = attempt(|| CONNECTIONS.remove(handle.cast_unsigned()).map(|connection| connection.end()));
}

fn connection(handle: jlong) -> Result<Arc<Connection>> {
    CONNECTIONS.get(handle.cast_unsigned())
}

fn decode<M: Message + Default>(env: &Env<'_>, bytes: &JByteArray<'_>) -> Result<M> {
    let bytes = env.convert_byte_array(bytes)?;
    M::decode(&*bytes).map_err(|error| Error::argument("message", format_args!("is malformed: {error}")))
}

/// The memory of a direct buffer, for the time of one poll.
fn memory<'a>(env: &Env<'_>, buffer: &'a mut JByteBuffer<'_>) -> Result<&'a mut [u8]> {
    let capacity = env.get_direct_buffer_capacity(buffer)?;
    let start = env.get_direct_buffer_address(buffer)?;
    // SAFETY: the JVM answers address and capacity of a live direct buffer, which `buffer` keeps alive; only the thread
    // that polls touches it, and Java hands it to one poll at a time.
    Ok(unsafe { std::slice::from_raw_parts_mut(start, capacity) })
}

/// Runs an entry's body; its error becomes bytes for Java, and success null.
fn answer<'l>(env: &mut EnvUnowned<'l>, body: impl FnOnce(&mut Env<'l>) -> Result<()>) -> jbyteArray {
    let Err(error) = value(env, body) else { return std::ptr::null_mut() };
    let bytes = mapping::error_bytes(&error);
    // Only without memory is there no array; then Java has its own exception pending.
    value(env, |env| Ok(env.byte_array_from_slice(&bytes)?.into_raw())).unwrap_or(std::ptr::null_mut())
}

fn value<'l, T>(env: &mut EnvUnowned<'l>, body: impl FnOnce(&mut Env<'l>) -> Result<T>) -> Result<T> {
    match env.with_env(body).into_outcome() {
        Outcome::Ok(value) => Ok(value),
        Outcome::Err(error) => Err(error),
        Outcome::Panic(panic) => attempt(|| std::panic::resume_unwind(panic)),
    }
}

impl From<jni::errors::Error> for Error {
    fn from(error: jni::errors::Error) -> Self {
        Self::new(Status::ARGUMENT, format!("Java's argument could not be read: {error}"))
    }
}
