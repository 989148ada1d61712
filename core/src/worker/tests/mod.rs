//! The worker against a server that the test plays by hand.

mod handlers;
mod outbox;
mod server;
mod streams;
