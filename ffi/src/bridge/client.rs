//! Clients for C and Java: a connection of core's client with a runtime of its own, and calls that wait on the thread that
//! makes them.

use std::sync::Arc;
use std::time::Duration;

use fastjob_core::client as core;
use fastjob_core::domain::Name;
use fastjob_core::id::RunId;
use fastjob_core::protocol::v1;
use parking_lot::Mutex;

use super::job::{JobOptions, Put, TriggerOptions};
use super::pool::{Owner, Serial};
use super::run::{Existed, Run};
use super::runtime::Runtime;
use super::tap::{self, Sink};
use super::worker::{Adopted, Worker};
use crate::status::{Error, Result, Status};

/// A connection to the servers of one app.
pub struct Client {
    serial: Serial,
    core: core::Client,
    runtime: Arc<Runtime>,
    workers: Mutex<Vec<Adopted>>,
}

/// How to reach the servers. What is `None` comes from the environment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClientOptions {
    /// "host:port", several with commas. FASTJOB_SERVERS.
    pub servers: Option<String>,
    /// FASTJOB_APP.
    pub app: Option<String>,
    /// FASTJOB_TOKEN.
    pub token: Option<String>,
    /// How long a call is tried; 0: core's default.
    pub call_timeout_ms: i64,
}

impl Client {
    /// The longest wait for a run: 24 h.
    pub const MAX_WAIT_MS: i64 = 86_400_000;
    /// The longest time that a call is tried: 1 h.
    pub const MAX_CALL_TIMEOUT_MS: i64 = 3_600_000;
    /// How long a close tells the servers that its workers leave.
    const STOP_WITHIN: Duration = Duration::from_secs(1);

    /// Opens a connection.
    pub fn open(options: &ClientOptions) -> Result<Arc<Self>> {
        Self::start(options, tracing::Dispatch::none())
    }

    /// As [`Client::open`], with a sink for the log.
    pub fn open_with_log(options: &ClientOptions, log: Sink) -> Result<Arc<Self>> {
        Self::start(options, tap::into_sink(log))
    }

    fn start(options: &ClientOptions, log: tracing::Dispatch) -> Result<Arc<Self>> {
        let options = options.read()?;
        let runtime = Runtime::start(log)?;
        match runtime.wait(async { core::Client::connect(options).await.map_err(wrong_option) }) {
            Ok(core) => {
                Ok(Arc::new(Self { serial: Serial::next(), core, runtime, workers: Mutex::default() }))
            }
            Err(error) => {
                runtime.end();
                Err(error)
            }
        }
    }

    /// Stops its workers without waiting for their handlers and ends its threads. A second close does nothing.
    /// [`Status::DEADLOCK`] in a handler of one of its workers.
    pub fn close(&self) -> Result<()> {
        if Owner::of_this_thread().is_some_and(|owner| owner.client == self.serial) {
            let text = "closing the client in a handler of one of its workers would wait for itself";
            return Err(Error::new(Status::DEADLOCK, text));
        }
        self.stop_workers();
        self.runtime.end();
        Ok(())
    }

    /// Puts a job.
    pub fn job_put(&self, job: &JobOptions<'_>) -> Result<Put> {
        let spec = job.spec()?;
        let result = self.wait(self.core.job_put_spec(spec))?;
        Ok(match result.change() {
            v1::job_put_result::Change::Created => Put::Created,
            v1::job_put_result::Change::Updated => Put::Updated,
            v1::job_put_result::Change::Unchanged => Put::Unchanged,
        })
    }

    /// Lets a job fire again.
    pub fn job_enable(&self, name: &str) -> Result<()> {
        self.wait(self.core.job_enable(name)).map(drop)
    }

    /// Stops a job from firing.
    pub fn job_disable(&self, name: &str) -> Result<()> {
        self.wait(self.core.job_disable(name)).map(drop)
    }

    /// Deletes a job.
    pub fn job_delete(&self, name: &str) -> Result<()> {
        self.wait(self.core.job_delete(name)).map(drop)
    }

    /// Fires a job.
    pub fn trigger(&self, trigger: &TriggerOptions<'_>) -> Result<Run> {
        let spec = trigger.spec()?;
        let (run, existed) = self.wait(self.core.trigger_spec(spec))?;
        Run::new(run, if existed { Existed::Before } else { Existed::No })
    }

    /// A run by its id.
    pub fn run_get(&self, run_id: &str) -> Result<Run> {
        let id = id(run_id)?;
        Run::new(self.wait(self.core.run_get(id))?.into_message(), Existed::No)
    }

    /// A run once it has ended, or as it is after `timeout_ms`.
    pub fn run_wait(&self, run_id: &str, timeout_ms: i64) -> Result<Run> {
        let id = id(run_id)?;
        if !(0..=Self::MAX_WAIT_MS).contains(&timeout_ms) {
            let most = Self::MAX_WAIT_MS;
            return Err(Error::argument(
                "timeout_ms",
                format_args!("is {timeout_ms}: give 0 to {most} (24 h)"),
            ));
        }
        let timeout = Duration::from_millis(timeout_ms.unsigned_abs());
        Run::new(self.wait(self.core.run_wait(id, Some(timeout)))?.into_message(), Existed::No)
    }

    /// Asks for a run's end.
    pub fn run_cancel(&self, run_id: &str) -> Result<Run> {
        let id = id(run_id)?;
        Run::new(self.wait(self.core.run_cancel(id))?.into_message(), Existed::No)
    }

    /// The connection itself, for calls that do not wait: see [`Client::submit`].
    pub const fn core(&self) -> &core::Client {
        &self.core
    }

    /// Makes a call on the runtime's threads; `done` is called there once, with [`Status::CLOSED`] if the client is closed
    /// first. `done` must not block.
    pub fn submit<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T>> + Send + 'static,
        done: impl FnOnce(Result<T>) + Send + 'static,
    ) {
        self.runtime.submit(call, done);
    }

    /// Makes a call and waits for it on this thread, which must not be one of the runtime's.
    pub fn wait<T>(&self, call: impl Future<Output = std::result::Result<T, core::Error>>) -> Result<T> {
        self.runtime.wait(async { call.await.map_err(Error::from) })
    }

    pub(super) fn must_be_open(&self) -> Result<()> {
        if self.runtime.is_closed() {
            Err(Error::new(Status::CLOSED, "the client is closed"))
        } else {
            Ok(())
        }
    }

    pub(super) fn adopt(&self, worker: &Arc<Worker>) {
        let mut workers = self.workers.lock();
        workers.retain(|worker| worker.strong_count() > 0);
        workers.push(Arc::downgrade(worker));
    }

    pub(super) const fn serial(&self) -> Serial {
        self.serial
    }

    fn stop_workers(&self) {
        let workers = std::mem::take(&mut *self.workers.lock());
        let workers: Vec<_> = workers.iter().filter_map(Adopted::upgrade).collect();
        let running = workers.iter().filter_map(|worker| Some((worker, worker.give_up()?)));
        let running: Vec<_> = running.collect();
        // What is not done in time is left: the servers find out by themselves.
        let _ = self.runtime.wait(async {
            let stops = async {
                for (_, taker) in &running {
                    let _ = taker.stop(Duration::ZERO).await;
                }
            };
            Ok(tokio::time::timeout(Self::STOP_WITHIN, stops).await)
        });
        for (worker, taker) in running {
            taker.abandon();
            worker.killed();
        }
    }
}

impl ClientOptions {
    /// The options of core, each from here or else from the environment.
    fn read(&self) -> Result<core::Options> {
        let servers = given(&self.servers, "config.servers", "FASTJOB_SERVERS")?;
        let servers = servers.split(',').map(str::trim).filter(|server| !server.is_empty());
        let app = given(&self.app, "config.app", "FASTJOB_APP")?;
        Name::parse(&app).map_err(|error| Error::argument("config.app", error))?;
        let token = given(&self.token, "config.token", "FASTJOB_TOKEN")?;
        let mut options = core::Options::new(servers, app, token.trim());
        match self.call_timeout_ms {
            0 => {}
            ms @ 1..=Client::MAX_CALL_TIMEOUT_MS => {
                options.call_timeout = Duration::from_millis(ms.unsigned_abs())
            }
            ms => {
                let most = Client::MAX_CALL_TIMEOUT_MS;
                let fault = format!("is {ms}: give 1 to {most} (1 h), or 0 for the default");
                return Err(Error::argument("config.call_timeout_ms", fault));
            }
        }
        Ok(options)
    }
}

fn given(given: &Option<String>, field: &str, variable: &str) -> Result<String> {
    if let Some(given) = given {
        return Ok(given.clone());
    }
    std::env::var(variable).map_err(|_| {
        Error::argument(field, format_args!("is not given, and the environment has no {variable}"))
    })
}

/// What is wrong with the options is the caller's argument, no server's refusal.
fn wrong_option(error: core::Error) -> Error {
    let error = Error::from(error);
    if error.status == Status::INVALID { Error { status: Status::ARGUMENT, ..error } } else { error }
}

fn id(run_id: &str) -> Result<RunId> {
    run_id.parse().map_err(|_| Error::argument("run_id", format_args!("is {run_id:?}, not a UUID")))
}
