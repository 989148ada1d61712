//! What the machine allows: the rows and frames of a run without a scheduler around them. A scenario's rate over the
//! floor's, taken in the same minutes, is its score.

pub(crate) mod pipeline;
pub(crate) mod rows;
pub(crate) mod stream;
pub(crate) mod worker;

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use clap::Args;
use fastjob_core::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::figures::{Figure, percentile};
use crate::machine;
use crate::report::Report;
use pipeline::{Shape, Taken};

/// How much is measured.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; each measures every line once.
    #[arg(long, env = "ROUNDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Runs per measurement, in thousands.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    thousands: u32,
    /// Where the JSON goes.
    #[arg(long, default_value = "bench/results")]
    results: PathBuf,
}

/// A line of the table.
struct Line {
    name: &'static str,
    stream: bool,
    writes: u8,
    batch: usize,
    beside: &'static str,
}

const LINES: [Line; 6] = [
    Line {
        name: "rows, 3 writes, 100 per commit",
        stream: false,
        writes: 3,
        batch: 100,
        beside: "114,000 (200-byte rows, one index)",
    },
    Line { name: "rows, 2 writes, 100 per commit", stream: false, writes: 2, batch: 100, beside: "" },
    Line { name: "rows, 2 writes, 1,000 per commit", stream: false, writes: 2, batch: 1_000, beside: "" },
    Line {
        name: "rows and frames, 2 writes, batches of 100",
        stream: true,
        writes: 2,
        batch: 100,
        beside: "",
    },
    Line {
        name: "rows and frames, 3 writes, batches of 1,000",
        stream: true,
        writes: 3,
        batch: 1_000,
        beside: "",
    },
    Line {
        name: "rows and frames, 2 writes, batches of 1,000",
        stream: true,
        writes: 2,
        batch: 1_000,
        beside: "the floor of `throughput`",
    },
];

/// Writes to the disk of one look at it.
const SYNCS: usize = 100;
/// Bytes of a run's parameters, as in `throughput`.
pub(crate) const PARAMS: usize = 100;

/// Measures every line, in interleaved rounds.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let runs = options.thousands as usize * 1_000;
    let mut taken: Vec<Vec<Taken>> = LINES.iter().map(|_| Vec::new()).collect();
    let mut syncs = Vec::new();
    for round in 1..=options.rounds {
        syncs.push(sync_ms()?);
        for (line, taken) in LINES.iter().zip(&mut taken) {
            let shape = Shape { writes: line.writes, batch: line.batch, runs, params: PARAMS };
            let one = measured(line.stream, shape).await?;
            println!("round {round}: {}: {:.0} runs/s", line.name, one.rate());
            taken.push(one);
        }
    }
    let mut figures = vec![Figure::new("fdatasync of 4 KiB, median", "ms", syncs).beside("0.13")];
    for (line, taken) in LINES.iter().zip(&taken) {
        let rates = taken.iter().map(Taken::rate).collect();
        figures.push(Figure::new(line.name, "runs/s", rates).beside(line.beside));
    }
    if let Some(taken) = taken.last() {
        figures.extend(costs("rows and frames, 2 writes, batches of 1,000", taken));
    }
    let mut settings = settings().await?;
    settings["runs"] = runs.into();
    settings["params_bytes"] = PARAMS.into();
    let about = "a run's rows written and its frames sent, by a program that does nothing else".to_owned();
    Report { name: "floor".to_owned(), about, settings, figures }.publish(&options.results)
}

/// Milliseconds that the disk takes to keep 4 KiB: the median of [`SYNCS`].
fn sync_ms() -> anyhow::Result<f64> {
    let file = tempfile::tempfile()?;
    let mut taken = Vec::with_capacity(SYNCS);
    for page in 0..SYNCS as u64 {
        file.write_all_at(&[b'x'; 4_096], page * 4_096)?;
        let started = SystemClock.elapsed();
        file.sync_data()?;
        taken.push((SystemClock.elapsed() - started).as_secs_f64() * 1_000.0);
    }
    taken.sort_by(f64::total_cmp);
    Ok(percentile(&taken, 50.0))
}

/// One measurement, in a directory of its own on the file system of the temporary directory.
pub(crate) async fn measured(stream: bool, shape: Shape) -> anyhow::Result<Taken> {
    let directory = tempfile::tempdir()?;
    let rows = pipeline::sqlite(directory.path(), shape).await?;
    if stream {
        pipeline::with_worker(rows, directory.path(), shape).await
    } else {
        pipeline::rows_alone(rows, shape).await
    }
}

/// What rounds cost beside their time.
pub(crate) fn costs(name: &str, taken: &[Taken]) -> [Figure; 3] {
    [
        Figure::new(format!("{name}: CPU"), "us/run", taken.iter().map(Taken::cpu_us).collect()),
        Figure::new(format!("{name}: commits"), "1/run", taken.iter().map(Taken::commits).collect()),
        Figure::new(format!("{name}: disk writes"), "B/run", taken.iter().map(Taken::written).collect()),
    ]
}

/// The durability that the floor's own connection has.
pub(crate) async fn settings() -> anyhow::Result<Value> {
    let directory = tempfile::tempdir()?;
    let mut rows = rows::SqliteRows::create(&directory.path().join("floor.db"), Vec::new()).await?;
    Ok(json!({ "floor_database": machine::durability(rows.connection()).await? }))
}
