//! A part of the server that runs by itself until it is told to stop.

use std::future::poll_fn;
use std::task::Poll;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// One running part.
pub(super) struct Part {
    name: &'static str,
    stop: CancellationToken,
    /// Holds its one task, or none once that was joined.
    task: JoinSet<anyhow::Result<()>>,
}

impl Part {
    /// Starts it. It ends soon after its token is cancelled.
    pub(super) fn start<F>(name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(run(stop.clone()));
        Self { name, stop, task }
    }

    /// Tells it to stop and waits for it.
    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        match self.task.join_next().await {
            None | Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => tracing::warn!(part = self.name, %error, "failed to stop in order"),
            Some(Err(error)) => tracing::error!(part = self.name, %error, "panicked"),
        }
    }
}

/// None is to end by itself: why the first did.
pub(super) async fn first_to_end(parts: &mut [Part]) -> anyhow::Error {
    poll_fn(|context| {
        for part in parts.iter_mut() {
            if let Poll::Ready(Some(ended)) = part.task.poll_join_next(context) {
                let why = match ended {
                    Ok(Ok(())) => anyhow::anyhow!("it ended"),
                    Ok(Err(error)) => error,
                    Err(panicked) => panicked.into(),
                };
                return Poll::Ready(why.context(format!("the part {} ended by itself", part.name)));
            }
        }
        Poll::Pending
    })
    .await
}
