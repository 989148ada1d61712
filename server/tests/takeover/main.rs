//! Several real servers on one PostgreSQL: what a death, a stop, a freeze and an order of the administrator do to the
//! apps. How long each takes is printed by the tests that are ignored otherwise.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should panic")]

#[path = "../harness/mod.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[path = "../harness/postgres.rs"]
mod postgres;

mod fleet;
mod story;
mod times;
