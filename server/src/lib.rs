//! The FastJob server and its command line.

pub mod app;
pub mod cli;
pub mod config;
pub mod http;
pub mod log;
pub mod metrics;
pub mod ready;
