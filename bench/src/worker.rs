//! The Rust worker of the scenarios: a handler that does nothing but note that it was called. Asked to end, it writes
//! what it noted and ends.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::{Args, ValueEnum};
use fastjob_core::client::{Client, Options as ClientOptions};
use fastjob_core::id::RunId;
use fastjob_core::worker::{Context, HandlerError, Worker};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

/// How long what runs may take to end.
const GRACE: Duration = Duration::from_secs(5);
/// The handler of every scenario's jobs.
pub(crate) const HANDLER: &str = "bench";

/// Where to work, and what to note.
#[derive(Args)]
pub(crate) struct Options {
    /// Attempts at a time, of each app.
    #[arg(long, default_value_t = 8_000)]
    slots: u32,
    /// What each call leaves behind.
    #[arg(long, value_enum, default_value_t = Note::Run)]
    note: Note,
    /// Lines of `app token`: one worker for each. Default: the app of the environment.
    #[arg(long)]
    apps: Option<PathBuf>,
    /// A connection for each app instead of one for all of them.
    #[arg(long)]
    apart: bool,
    /// Written once every worker is connected, empty.
    #[arg(long)]
    ready: PathBuf,
    /// Written at the end: `{"executions":N,"distinct":N,"instants_us":[..],"late_us":[..]}`.
    #[arg(long)]
    out: PathBuf,
}

/// What a call of the handler notes.
#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
pub(crate) enum Note {
    /// The run.
    Run,
    /// The run, and how late it is after its tick.
    Tick,
    /// The run, and how late it is after the instant in its parameters, microseconds since 1970.
    Params,
}

#[derive(Default)]
struct Noted {
    runs: Vec<RunId>,
    instants_us: Vec<i64>,
    late_us: Vec<i64>,
}

/// Works until it is asked to end.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let mut end = signal(SignalKind::terminate())?;
    let noted = Arc::new(Mutex::new(Noted::default()));
    let mut workers = Vec::new();
    for client in clients(&options).await? {
        let (note, noted) = (options.note, noted.clone());
        let handler = move |context: Context| {
            let noted = noted.clone();
            async move { take_note(note, &noted, &context) }
        };
        let builder = Worker::builder(&client).slots(options.slots).handler(HANDLER, handler);
        workers.push(builder.start().await?);
    }
    std::fs::write(&options.ready, "")?;
    end.recv().await;
    for worker in &workers {
        worker.stop(GRACE).await?;
    }
    let mut noted = std::mem::take(&mut *noted.lock().expect("no handler panics with the lock"));
    let executions = noted.runs.len();
    noted.runs.sort_unstable();
    noted.runs.dedup();
    let found = json!({
        "executions": executions, "distinct": noted.runs.len(),
        "instants_us": noted.instants_us, "late_us": noted.late_us,
    });
    Ok(std::fs::write(&options.out, found.to_string())?)
}

async fn clients(options: &Options) -> anyhow::Result<Vec<Client>> {
    let own = Client::connect(ClientOptions::from_env()?).await?;
    let Some(path) = &options.apps else { return Ok(vec![own]) };
    let text = std::fs::read_to_string(path)?;
    let apps = text.lines().filter_map(|line| line.split_once(' '));
    let mut clients = Vec::new();
    for (app, token) in apps {
        let servers = ClientOptions::from_env()?.servers;
        clients.push(match options.apart {
            true => Client::connect(ClientOptions::new(servers, app, token)).await?,
            false => own.of_app(app, token)?,
        });
    }
    Ok(clients)
}

fn take_note(note: Note, noted: &Mutex<Noted>, context: &Context) -> Result<(), HandlerError> {
    let now = now_us();
    let instant = match note {
        Note::Run => None,
        Note::Tick => context.tick().map(|tick| tick.get() * 1_000),
        Note::Params => Some(context.params().text()?.parse()?),
    };
    let mut noted = noted.lock().expect("no handler panics with the lock");
    noted.runs.push(context.run_id());
    noted.instants_us.extend(instant);
    noted.late_us.extend(instant.map(|instant| now - instant));
    Ok(())
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}
