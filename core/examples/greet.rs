//! A worker with three handlers and the three jobs they serve: one by cron each second, one some time after the run
//! before, one that this program triggers itself. Ends on Ctrl-C or SIGTERM.
//!
//! Reads `FASTJOB_SERVERS`, `FASTJOB_APP` and `FASTJOB_TOKEN`. Appends one JSON line per execution to the file that
//! `FASTJOB_SAMPLE_LOG` names, if it is set.
//!
//! `cargo run -p fastjob-core --features worker --example greet`

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use fastjob_core::client::{Client, Job, Options, Overlap, Trigger};
use fastjob_core::clock::{Clock, Millis, SystemClock};
use fastjob_core::worker::{Context, HandlerError, Worker};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = Arc::new(Log::from_env()?);
    let client = Client::connect(Options::from_env()?).await?;
    let (greeted, swept, ordered) = (log.clone(), log.clone(), log);
    let worker = Worker::builder(&client)
        .slots(8)
        .handler("greet", move |ctx| greet(ctx, greeted.clone()))
        .handler("sweep", move |ctx| sweep(ctx, swept.clone()))
        .handler("order", move |ctx| order(ctx, ordered.clone()))
        .start()
        .await?;

    client
        .job_put_all(vec![
            Job::named("greet-every-second").handler("greet").cron("* * * * * ?").params_text("world"),
            Job::named("sweep-after-sweep").handler("sweep").delay(Duration::from_secs(2)),
            Job::named("order-on-demand").handler("order").api().overlap(Overlap::AllowAll).retries(3),
        ])
        .await?;
    let order = Trigger::of("order-on-demand").params_json(r#"{"item":"book"}"#).key("order-42");
    let fired = client.trigger(order).await?;
    let run = client.run_wait(fired.run.id, Some(Duration::from_secs(10))).await?;
    println!("run {} of {} is {:?}", run.id, run.job, run.state);

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        _ = terminate.recv() => {}
    }
    worker.stop(Duration::from_secs(10)).await?;
    Ok(())
}

async fn greet(ctx: Context, log: Arc<Log>) -> Result<String, HandlerError> {
    let start = SystemClock.now();
    let greeting = format!("hello {}", ctx.params().text()?);
    log.append(&ctx, start)?;
    Ok(greeting)
}

/// Works in small steps, so that it can give way.
async fn sweep(ctx: Context, log: Arc<Log>) -> Result<(), HandlerError> {
    let start = SystemClock.now();
    for step in 1..=4 {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(50)) => ctx.progress(step * 25, "sweeping"),
            () = ctx.cancelled() => return Err(HandlerError::message("cancelled between two steps")),
        }
    }
    log.append(&ctx, start)?;
    Ok(())
}

/// Has an effect that must happen once: the key names it, in whatever attempt.
async fn order(ctx: Context, log: Arc<Log>) -> Result<String, HandlerError> {
    let start = SystemClock.now();
    let ordered = format!("ordered {} under {}", ctx.params().text()?, ctx.idempotency_key());
    log.append(&ctx, start)?;
    Ok(ordered)
}

struct Log(Option<File>);

impl Log {
    fn from_env() -> Result<Self, std::io::Error> {
        let Some(path) = std::env::var_os("FASTJOB_SAMPLE_LOG") else { return Ok(Self(None)) };
        Ok(Self(Some(OpenOptions::new().create(true).append(true).open(path)?)))
    }

    /// One line by one write, so that several processes may share the file.
    fn append(&self, ctx: &Context, start: Millis) -> Result<(), std::io::Error> {
        let Some(mut file) = self.0.as_ref() else { return Ok(()) };
        let tick = ctx.tick().map_or_else(|| "null".to_owned(), |tick| tick.get().to_string());
        let line = format!(
            "{{\"run\":\"{}\",\"attempt\":{},\"tick\":{tick},\"start_ms\":{},\"end_ms\":{},\"pid\":{}}}\n",
            ctx.run_id(),
            ctx.attempt(),
            start.get(),
            SystemClock.now().get(),
            std::process::id(),
        );
        file.write_all(line.as_bytes())
    }
}
