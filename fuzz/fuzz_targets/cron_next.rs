#![no_main]

#[expect(dead_code, reason = "each fuzz target is a program of its own and uses one of the functions")]
#[path = "../src/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::cron_next(data));
