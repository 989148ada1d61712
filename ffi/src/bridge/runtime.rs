//! The async runtime of one client: two threads that nobody else uses, and calls that wait for them from plain threads.
//! Nothing of the user's runs on its threads.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::status::{Error, Result, Status};

/// A runtime that ends once, within a bound, whatever is still waiting for it.
pub(super) struct Runtime {
    handle: Handle,
    owned: Mutex<Option<tokio::runtime::Runtime>>,
    closed: CancellationToken,
    waits: TaskTracker,
}

/// Threads of one client: enough for its streams, since handlers run elsewhere.
const THREADS: usize = 2;
/// How long an end waits for calls in other threads to notice it, and then for the runtime's own work.
const END_WITHIN: Duration = Duration::from_secs(2);

thread_local! {
    /// Keeps the log of a runtime's thread where it goes.
    static LOG: Cell<Option<tracing::dispatcher::DefaultGuard>> = const { Cell::new(None) };
}

impl Runtime {
    /// Starts the threads, whose log goes to `log`.
    pub(super) fn start(log: tracing::Dispatch) -> Result<Arc<Self>> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(THREADS)
            .thread_name("fastjob-io")
            .on_thread_start(move || {
                block_signals();
                LOG.set(Some(tracing::dispatcher::set_default(&log)));
            })
            .on_thread_stop(|| LOG.set(None))
            .enable_all()
            .build()
            .map_err(|error| Error::new(Status::INTERNAL, format!("failed to start threads: {error}")))?;
        Ok(Arc::new(Self {
            handle: runtime.handle().clone(),
            owned: Mutex::new(Some(runtime)),
            closed: CancellationToken::new(),
            waits: TaskTracker::new(),
        }))
    }

    /// Waits on the calling thread for the future, or until the runtime is ended: [`Status::CLOSED`].
    pub(super) fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        // Taken before the look at `closed`: the end waits for it, so that nothing runs on a runtime that is gone.
        let waiting = self.waits.token();
        if self.closed.is_cancelled() {
            return Err(closed());
        }
        let answer = self.handle.block_on(async {
            tokio::select! {
                biased;
                () = self.closed.cancelled() => Err(closed()),
                answer = future => answer,
            }
        });
        drop(waiting);
        answer
    }

    /// Runs the future on the runtime's threads; `done` is called there with its answer, or with [`Status::CLOSED`] once the
    /// runtime is ended. `done` must not block.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
        done: impl FnOnce(Result<T>) + Send + 'static,
    ) {
        let waiting = self.waits.token();
        if self.closed.is_cancelled() {
            return done(Err(closed()));
        }
        let ended = self.closed.clone();
        let call = async move {
            done(tokio::select! {
                biased;
                () = ended.cancelled() => Err(closed()),
                answer = future => answer,
            });
        };
        self.waits.spawn_on(call, &self.handle);
        drop(waiting);
    }

    /// True once [`Runtime::end`] has begun.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Makes all waiting calls answer [`Status::CLOSED`] and ends the threads, within twice [`END_WITHIN`]. The second end
    /// does nothing.
    pub(super) fn end(&self) {
        self.closed.cancel();
        self.waits.close();
        let Some(runtime) = self.owned.lock().take() else { return };
        // Past the time limit the threads end by themselves once their work does.
        let _ = runtime.block_on(async { tokio::time::timeout(END_WITHIN, self.waits.wait()).await });
        runtime.shutdown_timeout(END_WITHIN);
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.owned.lock().take() {
            runtime.shutdown_background();
        }
    }
}

fn closed() -> Error {
    Error::new(Status::CLOSED, "the client is closed")
}

/// Signals are the host program's affair: its own threads take them. SIGPIPE above all, which a write to a connection
/// that its peer has closed raises, and whose default ends the process. Signals that tell of a fault of the thread itself
/// stay.
#[cfg(unix)]
fn block_signals() {
    // SAFETY: `set` is filled by sigfillset before it is read, and lives through the call.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGPROF] {
            libc::sigdelset(&raw mut set, fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

#[cfg(not(unix))]
fn block_signals() {}
