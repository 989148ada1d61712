//! The Rust client: puts jobs, fires them, asks about runs. What it needs to know of a server it gets from any of them; a
//! call goes to the owner of the app's shard and is made again elsewhere while none is reachable. It decides nothing about
//! jobs and runs: the bounds are the server's.
//!
//! ```no_run
//! # async fn example() -> Result<(), fastjob_core::client::Error> {
//! use fastjob_core::client::{Client, Job, Options, Trigger};
//!
//! let client = Client::connect(Options::from_env()?).await?;
//! client.job_put(Job::named("greet-every-second").handler("greet").cron("* * * * * ?")).await?;
//! let fired = client.trigger(Trigger::of("greet-every-second").key("order-42")).await?;
//! let run = client.run_wait(fired.run.id, None).await?;
//! println!("{:?}", run.state);
//! # Ok(())
//! # }
//! ```

mod admin;
mod call;
mod channels;
mod error;
mod job;
mod options;
mod raw;
mod route;
mod run;
mod servers;
#[cfg(test)]
mod tests;
mod trigger;
mod view;

use std::sync::Arc;

use parking_lot::Mutex;

use self::channels::Channels;
use self::route::Route;
use crate::id::Chance;

pub use self::error::{Error, ErrorKind};
pub use self::job::{Backoff, CatchUp, Job, Overlap, Routing};
pub use self::options::Options;
pub use self::route::Located;
pub use self::run::RunFilter;
pub use self::trigger::{Accepted, Trigger, Triggered};
pub use self::view::{Change, Fired, JobPut, Run, RunState, Source};
pub(crate) use self::view::{payload, wire};

/// A way to the servers of one app. Clones share their connections and cost little.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    bearer: tonic::metadata::MetadataValue<tonic::metadata::Ascii>,
    channels: Arc<Channels>,
    route: Mutex<Route>,
    chance: Mutex<Chance>,
}

/// Clients of other apps over the same connections at most: each worker takes one of a connection's streams.
const MOST_SHARING: usize = 1_024;

impl Client {
    /// Checks the options and prepares the connections. It waits for no server: the first call does, so a program may
    /// start before its servers. Must be called within a tokio runtime with time and I/O.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] names the option at fault.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        Self::over(Arc::default(), options)
    }

    /// A client of another app, at the same servers and, up to 1,024 of them, over the same connections: for a program
    /// that works for many apps. Dropping one leaves the others as they are.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn of_app(&self, app: impl Into<String>, token: impl Into<String>) -> Result<Self, Error> {
        let mut options = self.inner.options.clone();
        (options.app, options.token) = (app.into(), token.into());
        let shared = Arc::clone(&self.inner.channels);
        let channels = if Arc::strong_count(&shared) > MOST_SHARING { Arc::default() } else { shared };
        Self::over(channels, options)
    }

    fn over(channels: Arc<Channels>, options: Options) -> Result<Self, Error> {
        let bearer = options.check()?;
        for server in &options.servers {
            channels.get(server)?;
        }
        let chance = Mutex::new(Chance::from_seed(rand::random()));
        let route = Mutex::new(Route::new(options.servers.clone()));
        Ok(Self { inner: Arc::new(Inner { options, bearer, channels, route, chance }) })
    }

    /// The app it speaks for.
    pub fn app(&self) -> &str {
        &self.inner.options.app
    }

    pub(crate) fn draw(&self) -> u64 {
        self.inner.chance.lock().next_u64()
    }

    fn request_id(&self) -> bytes::Bytes {
        use crate::clock::{Clock, SystemClock};
        let id = crate::id::RequestId::new(SystemClock.now(), &mut self.inner.chance.lock());
        bytes::Bytes::copy_from_slice(id.as_bytes())
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("options", &self.inner.options).finish_non_exhaustive()
    }
}
