//! The worker against a server that the test plays by hand.

mod handlers;
mod outbox;
mod owners;
mod relay;
mod server;
mod streams;
