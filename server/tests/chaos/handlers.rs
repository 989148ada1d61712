//! The other role of this program: a worker whose handlers tell the observer when they are entered and left, and what the
//! owner answered to their outcomes. With CHAOS_PULL its handlers run beside the SDK, as those of a foreign runtime do, and
//! can hang as a whole while the SDK speaks on.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastjob_core::client::{Client, Options};
use fastjob_core::worker::{
    Attempt, Completion, Context, Event, HandlerError, IntoResult as _, Taker, Worker,
};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing_subscriber::layer::SubscriberExt as _;

use super::clock::now_ms;

const SLOTS: u32 = 64;
const GRACE: Duration = Duration::from_secs(5);
const ALIVE_EVERY: Duration = Duration::from_millis(300);

/// What a handler does after its time.
#[derive(Clone, Copy)]
enum Way {
    Succeeds,
    Fails,
    /// Takes its worker with it.
    Kills,
    /// In its first attempt it makes the whole side that runs handlers stand still, where that is possible.
    Hangs,
}

/// Handlers: what they are called, how long they take, how they end.
const HANDLERS: [(&str, u64, Way); 6] = [
    ("quick", 1, Way::Succeeds),
    ("work", 700, Way::Succeeds),
    ("long", 3_000, Way::Succeeds),
    ("fail", 50, Way::Fails),
    ("kill", 200, Way::Kills),
    ("hang", 1, Way::Hangs),
];

pub(crate) fn run() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime.map(|runtime| runtime.block_on(work())) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        other => {
            eprintln!("chaos worker: {other:?}");
            ExitCode::FAILURE
        }
    }
}

async fn work() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let observer = std::env::var("CHAOS_OBSERVER")?;
    let name = std::env::var("CHAOS_WORKER")?;
    let wire = Wire(Arc::new(Mutex::new(TcpStream::connect(observer)?)));
    tracing::subscriber::set_global_default(
        tracing_subscriber::registry()
            .with(tracing_subscriber::EnvFilter::new("warn,fastjob_core::worker::outbox=trace"))
            .with(Verdicts(wire.clone()))
            .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false)),
    )?;
    let client = Client::connect(Options::from_env()?).await?;
    let mut builder = Worker::builder(&client).slots(SLOTS).name(&name).start_within(Duration::ZERO);
    if std::env::var_os("CHAOS_PULL").is_some() {
        let taker = builder.start_pull(HANDLERS.iter().map(|(handler, ..)| (*handler).to_owned())).await?;
        return pull(taker, wire, name).await;
    }
    for (handler, takes_ms, way) in HANDLERS {
        let (wire, name) = (wire.clone(), name.clone());
        builder = builder.handler(handler, move |ctx: Context| {
            let (wire, name) = (wire.clone(), name.clone());
            async move { handle(&wire, &name, &Call::of(&ctx), Duration::from_millis(takes_ms), way).await }
        });
    }
    let worker = builder.start().await?;
    signal(SignalKind::terminate())?.recv().await;
    worker.stop(GRACE).await?;
    Ok(())
}

async fn handle(
    wire: &Wire,
    worker: &str,
    call: &Call,
    takes: Duration,
    way: Way,
) -> Result<String, HandlerError> {
    let Call { run, attempt, .. } = call;
    let pid = std::process::id();
    wire.tell(&json!({
        "kind": "start", "run": run, "attempt": attempt, "epoch": call.epoch, "revision": call.revision,
        "job": call.job, "handler": call.handler, "worker": worker, "pid": pid, "tick_ms": call.tick_ms,
        "due_ms": call.due_ms, "at_ms": now_ms(),
    }))?;
    tokio::time::sleep(takes).await;
    let result = format!("{run}/{attempt}/{pid}");
    let (outcome, told) = match way {
        Way::Hangs if *attempt == 1 => return std::future::pending().await,
        Way::Succeeds | Way::Hangs => ("succeeded", Some(&result)),
        Way::Fails => ("failed", None),
        Way::Kills => {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            ("failed", None)
        }
    };
    wire.tell(&json!({
        "kind": "end", "run": run, "attempt": attempt, "pid": pid, "at_ms": now_ms(), "outcome": outcome,
        "result": told,
    }))?;
    match way {
        Way::Succeeds | Way::Hangs => Ok(result),
        Way::Fails | Way::Kills => Err(std::io::Error::other("as it should").into()),
    }
}

/// Takes attempts and runs them, until it is told to end. From a handler that hangs on it takes nothing, proves nothing,
/// and what it runs stands still.
async fn pull(
    taker: Taker,
    wire: Wire,
    name: String,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let taker = Arc::new(taker);
    let mut end = signal(SignalKind::terminate())?;
    let mut alive = tokio::time::interval(ALIVE_EVERY);
    let mut running = JoinSet::new();
    loop {
        let event = tokio::select! {
            event = taker.next() => event,
            _ = alive.tick() => {
                taker.alive();
                continue;
            }
            _ = end.recv() => break,
        };
        let Some(Event::Dispatch(attempt)) = event else { continue };
        let known = HANDLERS.iter().find(|(handler, ..)| *handler == attempt.handler);
        let Some(&(_, takes_ms, way)) = known else { continue };
        let call = Call::taken(&attempt);
        if matches!(way, Way::Hangs) && call.attempt == 1 {
            running.abort_all();
            taker.entered(&attempt.key);
            let _ =
                tokio::time::timeout(Duration::ZERO, handle(&wire, &name, &call, Duration::ZERO, way)).await;
            end.recv().await;
            taker.abandon();
            return Ok(());
        }
        let (taker, wire, name) = (Arc::clone(&taker), wire.clone(), name.clone());
        running.spawn(async move {
            taker.entered(&attempt.key);
            let done = handle(&wire, &name, &call, Duration::from_millis(takes_ms), way).await;
            let completion =
                done.map_or_else(Completion::Failed, |result| Completion::Succeeded(result.into_result()));
            taker.complete(&attempt.key, completion);
        });
    }
    taker.stop(GRACE).await.map_err(Into::into)
}

/// What a handler was called for.
struct Call {
    run: String,
    attempt: u32,
    epoch: i64,
    revision: u64,
    job: String,
    handler: String,
    tick_ms: Option<i64>,
    due_ms: i64,
}

impl Call {
    fn of(ctx: &Context) -> Self {
        Self {
            run: ctx.run_id().to_string(),
            attempt: ctx.attempt(),
            epoch: ctx.epoch().0,
            revision: ctx.revision(),
            job: ctx.job().to_owned(),
            handler: ctx.handler().to_owned(),
            tick_ms: ctx.tick().map(|tick| tick.get()),
            due_ms: ctx.due().get(),
        }
    }

    fn taken(attempt: &Attempt) -> Self {
        Self {
            run: attempt.key.run.to_string(),
            attempt: attempt.key.attempt,
            epoch: attempt.epoch.0,
            revision: attempt.revision,
            job: attempt.job.clone(),
            handler: attempt.handler.clone(),
            tick_ms: attempt.tick.map(|tick| tick.get()),
            due_ms: attempt.due.get(),
        }
    }
}

/// The connection to the observer.
#[derive(Clone)]
struct Wire(Arc<Mutex<TcpStream>>);

impl Wire {
    fn tell(&self, line: &Value) -> std::io::Result<()> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(format!("{line}\n").as_bytes())
    }
}

/// Picks the owner's verdicts out of what the SDK logs.
struct Verdicts(Wire);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Verdicts {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut line = json!({"kind": "verdict", "pid": std::process::id(), "at_ms": now_ms()});
        event.record(&mut Fields(&mut line));
        if line["verdict"].is_string() {
            let _ = self.0.tell(&line);
        }
    }
}

struct Fields<'a>(&'a mut Value);

impl tracing::field::Visit for Fields<'_> {
    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.0[field.name()] = value.into();
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.0[field.name()] = value.trim_start_matches("VERDICT_").to_lowercase().into();
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0[field.name()] = format!("{value:?}").into();
    }
}
