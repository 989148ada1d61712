//! The FastJob server as a library: what `fastjob serve`, `fastjob dev` and the operator's commands are made of.

pub mod api;
pub mod app;
pub mod audit;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod doctor;
pub mod failpoint;
pub mod http;
pub mod lint;
pub mod log;
pub mod metrics;
pub mod owner;
pub mod ready;
pub mod rpc;
pub mod simulate;
pub mod store;
pub mod trust;
