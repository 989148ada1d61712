//! A handler that tells the test when it is entered, and stays until the test lets it go or the attempt is cancelled.

use std::pin::Pin;

use fastjob_core::domain::Payload;
use fastjob_core::worker::{Context, HandlerError};
use tokio::sync::{mpsc, oneshot};

use super::stage::patiently;

/// Where the visits of a handler are seen.
pub(crate) struct Gate(mpsc::UnboundedReceiver<Visit>);

/// A run inside the handler.
pub(crate) struct Visit {
    pub(crate) ctx: Context,
    answer: oneshot::Sender<Result<Payload, HandlerError>>,
}

type Answer = Pin<Box<dyn Future<Output = Result<Payload, HandlerError>> + Send>>;

impl Gate {
    /// The gate, and the handler behind it.
    pub(crate) fn new() -> (Self, impl Fn(Context) -> Answer + Send + Sync + 'static) {
        let (visits, gate) = mpsc::unbounded_channel();
        let handler = move |ctx: Context| -> Answer {
            let (answer, answered) = oneshot::channel();
            let _ = visits.send(Visit { ctx: ctx.clone(), answer });
            Box::pin(async move {
                tokio::select! {
                    Ok(answer) = answered => answer,
                    () = ctx.cancelled() => Err(HandlerError::new("GaveWay", "it was cancelled")),
                }
            })
        };
        (Self(gate), handler)
    }

    /// The next run that enters.
    pub(crate) async fn entered(&mut self) -> Visit {
        patiently("a run enters the handler", self.0.recv()).await.expect("the worker lives")
    }

    /// A run that has entered already.
    pub(crate) fn has_entered(&mut self) -> Option<Visit> {
        self.0.try_recv().ok()
    }

    /// Lets everything go that enters, until `count` runs have.
    pub(crate) async fn pass(&mut self, count: usize) -> Vec<Context> {
        let mut passed = Vec::new();
        while passed.len() < count {
            let visit = self.entered().await;
            passed.push(visit.ctx.clone());
            visit.succeed("passed");
        }
        passed
    }
}

impl Visit {
    pub(crate) fn succeed(self, text: &str) {
        self.answer(Ok(Payload::text(text)));
    }

    pub(crate) fn fail(self, error: HandlerError) {
        self.answer(Err(error));
    }

    fn answer(self, answer: Result<Payload, HandlerError>) {
        // A handler that was cancelled meanwhile no longer listens.
        let _ = self.answer.send(answer);
    }
}
