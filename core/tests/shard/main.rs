//! What an owner decides: sentences about single stories, and a random walk in which anything may break.

mod checks;
mod model;
mod rows;
mod worker;
mod world;
