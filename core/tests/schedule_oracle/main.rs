//! The cron engine against a second account of it that was written from the documentation alone.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should panic")]

mod differential;
mod engine;
mod instants;
mod known;
mod properties;
mod random;
mod table;
mod text;
