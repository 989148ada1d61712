//! The other role of this program: a worker whose handlers tell the observer when they are entered and left, and what the
//! owner answered to their outcomes.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastjob_core::client::{Client, Options};
use fastjob_core::worker::{Context, HandlerError, Worker};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt as _;

use super::clock::now_ms;

const SLOTS: u32 = 64;
const GRACE: Duration = Duration::from_secs(5);

/// What a handler does after its time.
#[derive(Clone, Copy)]
enum Way {
    Succeeds,
    Fails,
    /// Takes its worker with it.
    Kills,
}

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
    for (handler, takes_ms, way) in [
        ("quick", 1, Way::Succeeds),
        ("work", 700, Way::Succeeds),
        ("long", 3_000, Way::Succeeds),
        ("fail", 50, Way::Fails),
        ("kill", 200, Way::Kills),
    ] {
        let (wire, name) = (wire.clone(), name.clone());
        builder = builder.handler(handler, move |ctx: Context| {
            let (wire, name) = (wire.clone(), name.clone());
            async move { handle(&wire, &name, &ctx, Duration::from_millis(takes_ms), way).await }
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
    ctx: &Context,
    takes: Duration,
    way: Way,
) -> Result<String, HandlerError> {
    let run = ctx.run_id().to_string();
    let pid = std::process::id();
    wire.tell(&json!({
        "kind": "start", "run": run, "attempt": ctx.attempt(), "epoch": ctx.epoch().0, "revision": ctx.revision(),
        "job": ctx.job(), "handler": ctx.handler(), "worker": worker, "pid": pid,
        "tick_ms": ctx.tick().map(|tick| tick.get()), "due_ms": ctx.due().get(), "at_ms": now_ms(),
    }))?;
    tokio::time::sleep(takes).await;
    let result = format!("{run}/{}/{pid}", ctx.attempt());
    let (outcome, told) = match way {
        Way::Succeeds => ("succeeded", Some(&result)),
        Way::Fails => ("failed", None),
        Way::Kills => {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            ("failed", None)
        }
    };
    wire.tell(&json!({
        "kind": "end", "run": run, "attempt": ctx.attempt(), "pid": pid, "at_ms": now_ms(), "outcome": outcome,
        "result": told,
    }))?;
    match way {
        Way::Succeeds => Ok(result),
        Way::Fails | Way::Kills => Err(std::io::Error::other("as it should").into()),
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
