//! The Rust worker.
