//! The owner of a shard: its loop, the way to it, and who waits for what it does.

pub mod door;
pub mod waiters;
