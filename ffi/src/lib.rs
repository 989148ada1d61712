//! The native library of FastJob: one safe bridge over core's client and worker, and the entries of C and Java over it.
//!
//! It installs nothing that belongs to the host program: no allocator, no tracing subscriber, no TLS provider, no signal
//! handler. No panic leaves it, and no handle is an address.

#![expect(non_camel_case_types, reason = "the names of the C ABI")]
#![expect(clippy::missing_safety_doc, reason = "the head of the C header says it once for all entries")]

pub mod bridge;
mod bytes;
pub mod c;
pub mod handle;
pub mod jni;
pub mod status;
