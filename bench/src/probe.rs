//! What a wake-up, a commit of one row and a message there and back take while a scenario runs: the least that any
//! durable scheduler of this kind needs between an instant and a handler, with the same neighbours.

use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::floor::PARAMS;
use crate::floor::pipeline::{self, Source};
use crate::floor::rows::SqliteRows;
use crate::floor::stream::{Listener, Session};
use crate::process::Process;
use crate::worker::now_us;

/// A database, a stream and the process at its other end.
pub(crate) struct Probe {
    rows: SqliteRows,
    session: Session,
    worker: Process,
    source: Source,
    tasks: JoinSet<()>,
    _directory: TempDir,
}

impl Probe {
    /// Ready to measure.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let rows = SqliteRows::create(&directory.path().join("probe.db"), vec![b'x'; PARAMS]).await?;
        let mut tasks = JoinSet::new();
        let listener = Listener::open(&mut tasks).await?;
        let worker = pipeline::start_worker(&listener.address, directory.path())?;
        let session = listener.accept().await?;
        Ok(Self { rows, session, worker, source: Source::new(), tasks, _directory: directory })
    }

    /// Milliseconds of a commit and a message there and back.
    pub(crate) async fn once(&mut self) -> anyhow::Result<f64> {
        self.after(now_us()).await
    }

    /// Sleeps until each of the instants that are `every` apart, at the same fraction of a second, and measures from it;
    /// until `end` says so. Answers the milliseconds, sorted.
    pub(crate) async fn keep_on(
        mut self,
        every: Duration,
        mut end: watch::Receiver<bool>,
    ) -> anyhow::Result<Vec<f64>> {
        let every = i64::try_from(every.as_micros())?;
        let mut late = Vec::new();
        while !*end.borrow() {
            // Half a step beside the whole second: the ticks measured are not held up.
            let target = (now_us() / every + 1) * every + every / 2;
            let sleep = Duration::from_micros(u64::try_from(target - now_us()).unwrap_or(0));
            tokio::select! {
                () = tokio::time::sleep(sleep) => late.push(self.after(target).await?),
                _ = end.changed() => {}
            }
        }
        self.stop().await?;
        late.sort_by(f64::total_cmp);
        Ok(late)
    }

    /// Ends the other process.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.tasks.shutdown().await;
        self.worker.stop().await
    }

    async fn after(&mut self, instant: i64) -> anyhow::Result<f64> {
        for run in self.source.batch(1) {
            self.rows.commit_one(&run, instant / 1_000).await?;
        }
        self.session.ping().await?;
        Ok((now_us() - instant) as f64 / 1_000.0)
    }
}
