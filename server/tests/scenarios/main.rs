//! Scenarios against the real binary: each test starts its own server on free ports and a directory of its own, lets
//! workers of this process or of a child run, and asks through the client and the command line. They wait for what
//! happens, and never for time to pass.

mod audit;
mod bad_input;
mod bad_server;
mod callers;
mod catch_up;
mod cli;
mod cli_tokens;
mod clusters;
mod deaths;
mod doctor;
mod edits;
mod endings;
mod firing;
mod gate;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../harness/mod.rs"]
mod harness;
mod jobs_as_code;
mod payloads;
mod policies;
#[path = "../harness/postgres.rs"]
mod postgres;
mod queues;
mod restarts;
mod sample;
mod schedule_tools;
mod sql_door;
mod stage;
mod stream;
mod worker_process;
