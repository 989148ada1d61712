//! What an owner decides: sentences about single stories, and random walks in which anything may break.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod checks;
mod inbox;
mod model;
mod policies;
mod rows;

mod sentences;
mod sim;
mod steps;
mod story;
mod through_others;
mod worker;
mod world;
