//! How far the machine itself falls behind, so that the plans judge the product and not the load beside it: a thread that
//! waits a fixed time, computes for a fixed time and writes to the disk, over and over. What a round took beyond that, it
//! was kept from running or from writing; so were, as likely, the servers.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use super::clock::now_ms;
use super::record::Record;

const PAUSE: Duration = Duration::from_millis(30);
const WORK: Duration = Duration::from_millis(2);
/// What one small write to the disk may take.
const WRITE: Duration = Duration::from_millis(5);
/// Rounds that are late by less are not noted.
const LEAST_MS: i64 = 10;
const BLOCK: [u8; 4096] = [b'.'; 4096];

/// Watches until it is dropped.
pub(crate) struct Stalls {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stalls {
    pub(crate) fn watch(place: &Path, record: Record) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("failed to watch for stalls: {error}");
        let mut file = File::create(place.join("stalls")).map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watching = move || {
            while !stopped.load(Ordering::Relaxed) {
                let late_ms = round(&mut file);
                let end_ms = now_ms();
                if late_ms >= LEAST_MS {
                    let begin_ms = end_ms - late_ms - millis(PAUSE + WORK + WRITE);
                    let line =
                        json!({"kind": "stall", "begin_ms": begin_ms, "end_ms": end_ms, "late_ms": late_ms});
                    record.add(line);
                }
            }
        };
        let thread = thread::Builder::new().name("stalls".into()).spawn(watching).map_err(failed)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// By how much it took longer than it should.
fn round(file: &mut File) -> i64 {
    let began = clock(ClockId::Monotonic);
    thread::sleep(PAUSE);
    let computed = clock(ClockId::ThreadCPUTime);
    while clock(ClockId::ThreadCPUTime) - computed < WORK {
        std::hint::spin_loop();
    }
    // A disk that fails is late enough to be seen elsewhere.
    let _ =
        file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&BLOCK)).and_then(|()| file.sync_data());
    millis(clock(ClockId::Monotonic) - began) - millis(PAUSE + WORK + WRITE)
}

fn clock(which: ClockId) -> Duration {
    let now = clock_gettime(which);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
