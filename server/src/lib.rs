//! The FastJob server as a library: what `fastjob serve` and `fastjob dev` are made of.

pub mod api;
pub mod cluster;
pub mod owner;
pub mod rpc;
pub mod store;
