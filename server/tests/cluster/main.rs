//! Several servers of one database in one process, each with its lease, its claims and its owners. The clock stands still
//! between the steps, so that every death, delay and hand-over is exact.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should panic")]

mod claims;
mod deaths;
mod hand_over;
mod node;
