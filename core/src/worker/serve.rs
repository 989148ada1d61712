//! Runs Rust handlers: a task for each attempt.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::attempt::Attempt;
use super::context::Context;
use super::handler::{Completion, HandlerError};
use super::hub::Hub;
use super::queue::Event;
use crate::domain::Payload;

pub(super) type Running = Pin<Box<dyn Future<Output = Result<Payload, HandlerError>> + Send>>;

/// A user's function, whatever its type was.
pub(super) type Handler = Arc<dyn Fn(Context) -> Running + Send + Sync>;

/// What happens to a handler that is still running when the grace after its cancel is over. Its attempt is reported as
/// ended in either case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LateHandlers {
    /// Its task is dropped where it awaits, and its slot is free.
    #[default]
    Abort,
    /// It keeps its slot until it returns.
    Wait,
}

/// Runs what is taken until the worker closes; what still runs then is dropped.
pub(super) async fn serve(hub: Arc<Hub>, handlers: HashMap<String, Handler>, late: LateHandlers) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            event = hub.queue.next() => match event {
                Some(Event::Dispatch(attempt)) => {
                    let handler = handlers.get(&attempt.handler).cloned();
                    running.spawn(run(hub.clone(), handler, attempt, late));
                }
                Some(Event::Cancel { .. }) => {}
                Some(Event::Closed) | None => return,
            },
            Some(_) = running.join_next(), if !running.is_empty() => {}
            () = hub.closing.cancelled() => return,
        }
    }
}

async fn run(hub: Arc<Hub>, handler: Option<Handler>, attempt: Arc<Attempt>, late: LateHandlers) {
    let key = attempt.key;
    let Some(handler) = handler else {
        let message = format!("this worker has no handler {:?}", attempt.handler);
        return hub.complete(&key, Completion::Failed(HandlerError::new("no_such_handler", message)));
    };
    hub.entered(&key);
    let context = Context { attempt: attempt.clone(), hub: hub.clone() };
    let called = AssertUnwindSafe(async move { handler(context).await }).catch_unwind();
    let over = async {
        match late {
            LateHandlers::Abort => attempt.over().await,
            LateHandlers::Wait => std::future::pending().await,
        }
    };
    let returned = tokio::select! {
        biased;
        returned = called => returned,
        () = over => Ok(Err(HandlerError::new("aborted", "the handler was dropped after its grace"))),
    };
    hub.complete(
        &key,
        match returned {
            Ok(Ok(result)) => Completion::Succeeded(result),
            Ok(Err(error)) => Completion::Failed(error),
            Err(panic) => Completion::Failed(HandlerError::new("panic", said(&*panic))),
        },
    );
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("the handler panicked")
}
