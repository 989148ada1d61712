//! Jobs of files, for commands that speak to no server: YAML as `fastjob apply` reads it, JSON lines as `fastjob job list -o
//! json` prints them, or lines like those of a crontab, an expression and a name. What is wrong names its file and line.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use fastjob_core::clock::Millis;
use fastjob_core::domain::Refusal;
use fastjob_core::id::JobId;
use fastjob_core::protocol::{job, v1};
use fastjob_core::shard::JobPut;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::jobfile::{self, Source};
use super::{Failure, args};

/// The largest file that is read.
const MAX_BYTES: u64 = 64 << 20;
/// The most jobs of all files together.
const MAX_JOBS: usize = 100_000;

/// How crontab-like lines are read.
#[derive(Args, Debug)]
pub(super) struct Reading {
    /// The dialect of crontab-like lines.
    #[arg(long, value_name = "D", default_value = "quartz")]
    dialect: String,
    /// The zone of crontab-like lines that follow no CRON_TZ line.
    #[arg(long, value_name = "Z", default_value = "UTC")]
    zone: String,
}

/// A job and where it stands.
pub(super) struct FileJob {
    pub(super) file: String,
    /// From 1.
    line: usize,
    pub(super) put: JobPut,
    /// It comes from a file that knows the place of each field.
    yaml: Option<jobfile::FileJob>,
}

impl FileJob {
    /// Stands for the id that it has not yet: the same for a name, and so for its jitter.
    pub(super) fn id(&self) -> JobId {
        let digest = Sha256::digest(self.put.name.as_str());
        JobId::from_bytes(digest[..16].try_into().expect("16 of 32 bytes"))
    }

    /// The line of one of its fields.
    pub(super) fn line_of(&self, field: &'static str) -> usize {
        let fault = self.yaml.as_ref().map(|yaml| yaml.fault(&Refusal::invalid("lint", field, "")));
        fault.map_or(self.line, |fault| fault.at.line)
    }
}

impl Reading {
    /// Every job of every file.
    pub(super) fn read(&self, files: &[PathBuf], now: Millis) -> Result<Vec<FileJob>, Failure> {
        let mut jobs = Vec::new();
        for path in files {
            let file = path.display().to_string();
            let text = text_of(path, "FILE")?;
            if is_yaml(path, &text) {
                jobs.extend(yaml_jobs(file, text, now)?);
                continue;
            }
            let mut lines = Lines { zone: self.zone.clone(), dialect: &self.dialect };
            for (at, line) in text.lines().enumerate() {
                let wrong = |field: String, message: String, remedy: String| {
                    let field = if field.is_empty() { field } else { format!(": {field}") };
                    Failure::usage(&format!("{file}:{}{field}", at + 1), message, remedy)
                };
                let Some(spec) = lines.spec(line.trim(), at + 1).map_err(|bad| wrong(bad.0, bad.1, bad.2))?
                else {
                    continue;
                };
                let put = job::put(spec, now).map_err(|bad| {
                    wrong(bad.field.to_string(), bad.message.to_string(), bad.remedy.to_string())
                })?;
                jobs.push(FileJob { file: file.clone(), line: at + 1, put, yaml: None });
                if jobs.len() > MAX_JOBS {
                    let message = format!("there are more than {MAX_JOBS} jobs");
                    return Err(Failure::usage("FILE", message, "give fewer files at a time"));
                }
            }
        }
        Ok(jobs)
    }
}

/// By its name, or by how it begins.
fn is_yaml(path: &Path, text: &str) -> bool {
    let named = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    named || lines.next().is_some_and(|line| line == "---" || line.starts_with("fastjob:"))
}

fn yaml_jobs(file: String, text: String, now: Millis) -> Result<impl Iterator<Item = FileJob>, Failure> {
    let source = Source { file: file.clone(), bytes: text.into_bytes() };
    let jobs = jobfile::read(&[source], None, now).map_err(jobfile::failure)?;
    Ok(jobs.into_iter().map(move |job| {
        let line = job.fault(&Refusal::invalid("lint", "", "")).at.line;
        FileJob { file: file.clone(), line, put: job.put.clone(), yaml: Some(job) }
    }))
}

/// Field, message, remedy.
type Bad = (String, String, String);

struct Lines<'a> {
    zone: String,
    dialect: &'a str,
}

impl Lines<'_> {
    /// The job of a line; `None` for one that holds none.
    fn spec(&mut self, line: &str, number: usize) -> Result<Option<v1::JobSpec>, Bad> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        if line.starts_with('{') {
            let job: JsonJob = serde_json::from_str(line).map_err(|error| {
                let remedy = "give one job a line, as `fastjob job list -o json` prints it";
                (String::new(), format!("is no job: {error}"), remedy.to_owned())
            })?;
            return Ok(Some(job.spec()?));
        }
        let zone = ["CRON_TZ=", "TZ="].iter().find_map(|word| line.strip_prefix(word));
        if let Some(zone) = zone {
            zone.trim().trim_matches(['"', '\'']).clone_into(&mut self.zone);
            return Ok(None);
        }
        Ok(Some(self.crontab(line, number)))
    }

    /// As many fields as the dialect has, then the name.
    fn crontab(&self, line: &str, number: usize) -> v1::JobSpec {
        let fields = match self.dialect {
            _ if line.starts_with('@') => 1,
            "unix" => 5,
            _ => 6,
        };
        let mut end = 0;
        for _ in 0..fields {
            let rest = &line[end..];
            let start = rest.len() - rest.trim_start().len();
            let length = rest[start..].find(char::is_whitespace).unwrap_or(rest.len() - start);
            end += start + length;
        }
        let (expression, name) = (line[..end].trim(), line[end..].trim());
        let name: String = name.chars().filter(|c| !c.is_control()).take(128).collect();
        let name = if name.trim().is_empty() { format!("line {number}") } else { name.trim().to_owned() };
        let cron = v1::Cron {
            expression: expression.to_owned(),
            dialect: self.dialect.to_owned(),
            zone: self.zone.clone(),
            ..v1::Cron::default()
        };
        let kind = Some(v1::trigger::Kind::Cron(cron));
        v1::JobSpec {
            handler: "line".into(),
            name,
            trigger: Some(v1::Trigger { kind }),
            ..Default::default()
        }
    }
}

/// What the JSON of a job says of it; the rest does not matter here.
#[derive(Deserialize)]
struct JsonJob {
    name: String,
    #[serde(default)]
    handler: Option<String>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    trigger: Option<JsonTrigger>,
    #[serde(default)]
    overlap: Option<String>,
    #[serde(default)]
    catch_up: Option<JsonCatchUp>,
    #[serde(default)]
    attempt_timeout_ms: Option<i64>,
    #[serde(default)]
    start_deadline_ms: Option<i64>,
    #[serde(default)]
    priority: i32,
    #[serde(default)]
    timing: Option<JsonTiming>,
}

#[derive(Deserialize)]
struct JsonTiming {
    start_at: Option<Instant>,
    end_at: Option<Instant>,
    #[serde(default)]
    jitter_ms: i64,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum JsonTrigger {
    Cron {
        expression: String,
        dialect: Option<String>,
        zone: Option<String>,
        gap: Option<String>,
        overlap: Option<String>,
    },
    DailyWindow {
        #[serde(default)]
        weekdays: Vec<String>,
        from: String,
        to: String,
        every_ms: i64,
        zone: Option<String>,
    },
    FixedRate {
        period_ms: i64,
        phase: Option<Instant>,
    },
    FixedDelay {
        delay_ms: i64,
    },
    At {
        instants: Vec<Instant>,
    },
    Api,
}

/// RFC 3339, or milliseconds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Instant {
    Text(String),
    Number(i64),
}

#[derive(Deserialize)]
struct JsonCatchUp {
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    threshold_ms: Option<i64>,
    #[serde(default)]
    window_ms: Option<i64>,
}

impl JsonJob {
    fn spec(self) -> Result<v1::JobSpec, Bad> {
        let catch_up = self.catch_up.map(JsonCatchUp::message).transpose()?;
        let kind = match self.trigger {
            Some(trigger) => trigger.kind()?,
            None => v1::trigger::Kind::Api(v1::ApiOnly {}),
        };
        let mut spec = v1::JobSpec {
            name: self.name,
            handler: self.handler.unwrap_or_else(|| "unknown".into()),
            enabled: self.enabled,
            trigger: Some(v1::Trigger { kind: Some(kind) }),
            catch_up,
            attempt_timeout_ms: self.attempt_timeout_ms,
            start_deadline_ms: self.start_deadline_ms,
            priority: self.priority,
            timing: self.timing.map(JsonTiming::message).transpose()?,
            ..v1::JobSpec::default()
        };
        spec.set_overlap(word("overlap", "OVERLAP", self.overlap, v1::Overlap::from_str_name)?);
        Ok(spec)
    }
}

impl JsonTiming {
    fn message(self) -> Result<v1::Timing, Bad> {
        Ok(v1::Timing {
            start_at: self.start_at.map(Instant::ms).transpose()?,
            end_at: self.end_at.map(Instant::ms).transpose()?,
            jitter_ms: self.jitter_ms,
        })
    }
}

impl JsonCatchUp {
    fn message(self) -> Result<v1::CatchUp, Bad> {
        let known = v1::CatchUpPolicy::from_str_name;
        let policy = word("catch_up.policy", "CATCH_UP_POLICY", self.policy, known)?;
        let mut message = v1::CatchUp {
            threshold_ms: self.threshold_ms,
            window_ms: self.window_ms,
            ..v1::CatchUp::default()
        };
        message.set_policy(policy);
        Ok(message)
    }
}

impl JsonTrigger {
    fn kind(self) -> Result<v1::trigger::Kind, Bad> {
        use v1::trigger::Kind;
        Ok(match self {
            Self::Cron { expression, dialect, zone, gap, overlap } => Kind::Cron(v1::Cron {
                expression,
                dialect: dialect.unwrap_or_default(),
                zone: zone.unwrap_or_default(),
                gap: gap.unwrap_or_default(),
                overlap: overlap.unwrap_or_default(),
            }),
            Self::DailyWindow { weekdays, from, to, every_ms, zone } => Kind::DailyWindow(v1::DailyWindow {
                weekdays,
                from,
                to,
                every_ms,
                zone: zone.unwrap_or_default(),
            }),
            Self::FixedRate { period_ms, phase } => {
                Kind::FixedRate(v1::FixedRate { period_ms, phase_ms: phase.map(Instant::ms).transpose()? })
            }
            Self::FixedDelay { delay_ms } => Kind::FixedDelay(v1::FixedDelay { delay_ms }),
            Self::At { instants } => Kind::At(v1::At {
                instants: instants.into_iter().map(Instant::ms).collect::<Result<_, _>>()?,
            }),
            Self::Api => Kind::Api(v1::ApiOnly {}),
        })
    }
}

impl Instant {
    fn ms(self) -> Result<i64, Bad> {
        match self {
            Self::Number(ms) => Ok(ms),
            Self::Text(text) => args::instant(&text).map_err(|why| {
                ("trigger".to_owned(), format!("{text:?} is {why}"), "give RFC 3339".to_owned())
            }),
        }
    }
}

/// A word of an enumeration of the protocol, as JSON writes it: `latest` for `CATCH_UP_POLICY_LATEST`.
fn word<T: Default>(
    field: &str,
    prefix: &str,
    given: Option<String>,
    known: impl Fn(&str) -> Option<T>,
) -> Result<T, Bad> {
    let Some(given) = given else { return Ok(T::default()) };
    let name = format!("{prefix}_{}", given.to_ascii_uppercase());
    known(&name).ok_or_else(|| {
        (
            field.to_owned(),
            format!("is {given:?}, which is not known"),
            "see `fastjob job put --help`".to_owned(),
        )
    })
}

/// How long the runs of each job take, in milliseconds: lines of a name and a duration, or JSON lines with `job` and
/// `usual_ms`.
pub(super) fn durations(path: &Path) -> Result<HashMap<String, i64>, Failure> {
    #[derive(Deserialize)]
    struct Line {
        job: String,
        usual_ms: i64,
    }
    let file = path.display().to_string();
    let mut durations = HashMap::new();
    for (at, line) in text_of(path, "--durations")?.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |why: String| {
            let remedy = "give a name and a duration, as `nightly 5m`, or {\"job\": \"nightly\", \"usual_ms\": 300000}";
            Failure::usage(&format!("{file}:{}", at + 1), why, remedy)
        };
        let (job, ms) = if line.starts_with('{') {
            let line: Line = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            (line.job, line.usual_ms)
        } else {
            let (job, duration) =
                line.rsplit_once(char::is_whitespace).ok_or_else(|| wrong("has no duration".to_owned()))?;
            (job.trim().to_owned(), args::duration(duration).map_err(wrong)?)
        };
        if ms < 0 {
            return Err(wrong(format!("the duration is {ms} ms")));
        }
        durations.insert(job, ms);
    }
    Ok(durations)
}

fn text_of(path: &Path, field: &str) -> Result<String, Failure> {
    let cannot = |why: String| {
        let message = format!("cannot read {}: {why}", path.display());
        Failure::usage(field, message, "give a readable file of UTF-8 text")
    };
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| cannot(error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(cannot(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
    }
    String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8".to_owned()))
}
