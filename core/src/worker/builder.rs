//! Making a worker, by parts with named defaults.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::context::Context;
use super::handler::{HandlerError, IntoResult};
use super::hub::{Hub, Profile};
use super::serve::{Handler, LateHandlers};
use super::{Taker, Worker};
use crate::client::{Client, Error};
use crate::clock::{Clock, SystemClock};
use crate::id::{Chance, SessionId};
use crate::protocol::v1;

/// A worker in the making. See [`Worker::builder`].
#[must_use = "a worker does nothing until it is started"]
pub struct WorkerBuilder {
    client: Client,
    name: Option<String>,
    sdk: String,
    slots: u32,
    handlers: HashMap<String, Handler>,
    versions: HashMap<String, String>,
    tags: Vec<String>,
    labels: Vec<v1::Label>,
    start_within: Duration,
    late: LateHandlers,
}

impl WorkerBuilder {
    /// Slots of a worker that names none.
    pub const DEFAULT_SLOTS: u32 = 8;
    /// The most slots.
    pub const MAX_SLOTS: u32 = 100_000;
    /// Default of [`WorkerBuilder::start_within`].
    pub const START_WITHIN: Duration = Duration::from_secs(30);

    pub(super) fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            name: None,
            sdk: concat!("rust/", env!("CARGO_PKG_VERSION")).to_owned(),
            slots: Self::DEFAULT_SLOTS,
            handlers: HashMap::new(),
            versions: HashMap::new(),
            tags: Vec::new(),
            labels: Vec::new(),
            start_within: Self::START_WITHIN,
            late: LateHandlers::Abort,
        }
    }

    /// For people, at most 128 characters. Default "host:pid".
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Name and version of the SDK, for bindings. Default "rust" and this crate's.
    pub fn sdk(mut self, sdk: impl Into<String>) -> Self {
        self.sdk = sdk.into();
        self
    }

    /// How many attempts run at a time, of whatever shards: 1 to [`WorkerBuilder::MAX_SLOTS`], default
    /// [`WorkerBuilder::DEFAULT_SLOTS`].
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// A function that runs the attempts of this handler's jobs. It may be an `async` closure that owns nothing, or a
    /// closure that answers a future. A panic in it fails the attempt.
    pub fn handler<F, Fut, R>(mut self, name: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, HandlerError>> + Send + 'static,
        R: IntoResult,
    {
        let handler = Arc::new(handler);
        let handler: Handler = Arc::new(move |context| {
            let handler = handler.clone();
            Box::pin(async move { handler(context).await.map(IntoResult::into_result) })
        });
        self.handlers.insert(name.into(), handler);
        self
    }

    /// The version of a handler's code, for people and for jobs that ask for one.
    pub fn handler_version(mut self, handler: impl Into<String>, version: impl Into<String>) -> Self {
        self.versions.insert(handler.into(), version.into());
        self
    }

    /// A word by which jobs choose workers.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// A label by which people and jobs choose workers.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push(v1::Label { key: key.into(), value: value.into() });
        self
    }

    /// How long a start waits for a server's first Welcome. Zero: it does not wait, and what goes wrong is logged.
    pub fn start_within(mut self, within: Duration) -> Self {
        self.start_within = within;
        self
    }

    /// What happens to a handler that does not give way in its grace. Default: it is aborted.
    pub fn late_handlers(mut self, late: LateHandlers) -> Self {
        self.late = late;
        self
    }

    /// Starts taking runs.
    ///
    /// # Errors
    /// [`crate::client::ErrorKind::Invalid`] names the part at fault; else why the server refused the worker, or
    /// [`crate::client::ErrorKind::Unavailable`] if none was reached within [`WorkerBuilder::start_within`].
    pub async fn start(mut self) -> Result<Worker, Error> {
        let handlers = std::mem::take(&mut self.handlers);
        let names = handlers.keys().cloned().collect::<Vec<_>>();
        let late = self.late;
        let taker = self.open(names)?;
        taker.serve(handlers, late);
        taker.made_contact().await.map(Worker::new)
    }

    /// Starts taking runs for these handlers, which the caller runs: it takes events and completes the attempts. Handlers
    /// given by [`WorkerBuilder::handler`] are not called.
    ///
    /// # Errors
    /// As [`WorkerBuilder::start`].
    pub async fn start_pull(self, handlers: impl IntoIterator<Item = String>) -> Result<Taker, Error> {
        let taker = self.open(handlers.into_iter().collect())?;
        taker.made_contact().await
    }

    fn open(self, names: Vec<String>) -> Result<Taker, Error> {
        let profile = self.profile(names)?;
        let turn = u32::try_from(self.client.draw() & 0xFFFF).unwrap_or(0);
        Ok(Taker::open(Arc::new(Hub::new(profile, turn)), self.client, self.start_within))
    }

    fn profile(&self, mut names: Vec<String>) -> Result<Profile, Error> {
        names.sort();
        names.dedup();
        if names.is_empty() {
            let error = Error::invalid("no_handlers", "handlers", "the worker has no handler");
            return Err(error.with_remedy("give it one"));
        }
        for name in &names {
            must_be_named("handlers", name)?;
        }
        let worker = self.name.clone().unwrap_or_else(host_and_pid);
        must_be_named("name", &worker)?;
        if !(1..=Self::MAX_SLOTS).contains(&self.slots) {
            let error =
                Error::invalid("bad_slots", "slots", format!("{} slots are out of bounds", self.slots));
            return Err(error.with_remedy(format!("give 1 to {}", Self::MAX_SLOTS)));
        }
        let session = SessionId::new(SystemClock.now(), &mut Chance::from_seed(self.client.draw()));
        let version = |name: &String| self.versions.get(name).cloned().unwrap_or_default();
        Ok(Profile {
            app: self.client.app().to_owned(),
            session: Bytes::copy_from_slice(session.as_bytes()),
            worker,
            sdk: self.sdk.clone(),
            handlers: names.into_iter().map(|name| v1::Handler { version: version(&name), name }).collect(),
            slots: self.slots,
            tags: self.tags.clone(),
            labels: self.labels.clone(),
        })
    }
}

fn must_be_named(field: &str, name: &str) -> Result<(), Error> {
    if (1..=128).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::invalid("bad_name", field, format!("{name:?} is not a name"))
        .with_remedy("give 1 to 128 characters, none of them a control character"))
}

fn host_and_pid() -> String {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    let host: String = host.chars().filter(|c| !c.is_control()).take(100).collect();
    format!("{host}:{}", std::process::id())
}
