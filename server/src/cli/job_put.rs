//! `fastjob job put`: creates a job, or replaces it.

use clap::{Args, ValueEnum};
use fastjob_core::client::Client;
use fastjob_core::domain::{Dialect, GapRule, OverlapRule};
use fastjob_core::protocol::v1;

use super::print::Printer;
use super::{Failure, args, shape};

/// A job's definition. What is not given has its default: a put replaces the whole definition.
#[derive(Args, Debug)]
pub(super) struct Put {
    /// Its name; 1 to 128 characters.
    name: String,
    /// Which of the workers' handlers runs it.
    #[arg(long, value_name = "H")]
    handler: String,
    #[command(flatten)]
    trigger: TriggerArgs,
    #[command(flatten)]
    params: args::Params,
    /// What happens to a run while an earlier one is alive [default: skip].
    #[arg(long, value_name = "P")]
    overlap: Option<Overlap>,
    /// Which of the missed ticks fire [default: latest].
    #[arg(long, value_name = "P")]
    catch_up: Option<CatchUp>,
    /// A missed tick no later than this simply fires late [default: 60s].
    #[arg(long, value_name = "D", value_parser = args::duration)]
    catch_up_threshold: Option<i64>,
    /// Ticks older than this are never made up for [default: 1h for periods under a day, else 24h].
    #[arg(long, value_name = "D", value_parser = args::duration)]
    catch_up_window: Option<i64>,
    /// With --catch-up all: at most this many fire, the newest, 1 to 1000 [default: 100].
    #[arg(long, value_name = "N")]
    catch_up_runs: Option<u32>,
    /// No tick lies before this instant.
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    start_at: Option<i64>,
    /// No tick lies at this instant or after it.
    #[arg(long, value_name = "T", value_parser = args::instant, allow_hyphen_values = true)]
    end_at: Option<i64>,
    /// Each tick's run is due up to this much later, but before the next tick [default: 0s].
    #[arg(long, value_name = "D", value_parser = args::duration)]
    jitter: Option<i64>,
    /// How long an attempt may take [default: 1h].
    #[arg(long, value_name = "D", value_parser = args::duration)]
    timeout: Option<i64>,
    /// How often a failed run is tried again.
    #[arg(long, value_name = "N", default_value_t = 0)]
    retries: u32,
    /// How the waits between attempts grow [default: fixed].
    #[arg(long, value_name = "B")]
    backoff: Option<Backoff>,
    /// The first wait between attempts [default: 1s].
    #[arg(long, value_name = "D", value_parser = args::duration)]
    retry_delay: Option<i64>,
    /// The longest wait of an exponential backoff [default: 1h].
    #[arg(long, value_name = "D", value_parser = args::duration)]
    retry_max_delay: Option<i64>,
    /// Each wait is drawn from [1 - J, 1] of it; 0 to 1.
    #[arg(long, value_name = "J", default_value_t = 0.0)]
    retry_jitter: f64,
    /// A run not dispatched this long after it was due is skipped [default: it waits].
    #[arg(long, value_name = "D", value_parser = args::duration)]
    start_deadline: Option<i64>,
    /// How long a handler may take to give way to a cancel or timeout [default: 10s].
    #[arg(long, value_name = "D", value_parser = args::duration)]
    grace: Option<i64>,
    /// Without contact to its worker for this long, an attempt is lost [default: the server's].
    #[arg(long, value_name = "D", value_parser = args::duration)]
    worker_lost_after: Option<i64>,
    /// Never dispatch a run again after its worker was lost.
    #[arg(long)]
    at_most_once: bool,
    /// Higher first among the waiting; -100 to 100.
    #[arg(long, value_name = "N", default_value_t = 0, allow_hyphen_values = true)]
    priority: i32,
    /// How a worker is chosen [default: least_busy].
    #[arg(long, value_name = "R")]
    routing: Option<Routing>,
    /// Refuse the put if a higher version is stored.
    #[arg(long, value_name = "N")]
    source_version: Option<u64>,
    /// Put it disabled: it makes no ticks.
    #[arg(long)]
    disabled: bool,
}

/// When it fires; only when called if nothing is given.
#[derive(Args, Debug)]
struct TriggerArgs {
    /// At the instants of a cron expression.
    #[arg(long, value_name = "EXPR", groups = ["trigger", "civil"])]
    cron: Option<String>,
    /// At an even pace, as 5s: from its creation on, or within a window of the day.
    #[arg(long, value_name = "D", value_parser = args::duration, group = "trigger")]
    every: Option<i64>,
    /// This long after the end of the previous run.
    #[arg(long, value_name = "D", value_parser = args::duration, group = "trigger")]
    delay: Option<i64>,
    /// Once at an instant; may be repeated.
    #[arg(long, value_name = "T", value_parser = args::instant, group = "trigger", allow_hyphen_values = true)]
    at: Vec<i64>,
    /// Only when called (the default).
    #[arg(long, group = "trigger")]
    api: bool,
    /// An instant of the even pace [default: the job's creation].
    #[arg(long, value_name = "T", value_parser = args::instant, requires = "every", conflicts_with = "window")]
    phase: Option<i64>,
    /// Only from one time of day to another, both included, as 09:00-17:30.
    #[arg(long, value_name = "FROM-TO", value_parser = args::window, requires = "every", group = "civil")]
    window: Option<(String, String)>,
    /// Only on these days, as mon-fri,sun [default: all].
    #[arg(long, value_name = "DAYS", value_parser = args::weekdays, requires = "window")]
    weekdays: Option<args::Weekdays>,
    /// How the cron expression is read [default: quartz].
    #[arg(long, value_name = "D", value_parser = args::dialect, requires = "cron", conflicts_with_all = ["every", "delay", "at", "api"])]
    dialect: Option<Dialect>,
    /// The IANA zone of the cron expression or the window [default: UTC].
    #[arg(long, value_name = "Z", requires = "civil", conflicts_with_all = ["delay", "at", "api"])]
    zone: Option<String>,
    /// What becomes of civil times that a gap of the zone swallows [default: next].
    #[arg(long, value_name = "R", value_parser = args::gap, requires = "cron", conflicts_with_all = ["every", "delay", "at", "api"])]
    gap: Option<GapRule>,
    /// In which passes of an overlap of the zone it fires [default: first].
    #[arg(long, value_name = "R", value_parser = args::overlap_rule, requires = "cron", conflicts_with_all = ["every", "delay", "at", "api"])]
    overlap_rule: Option<OverlapRule>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Overlap {
    /// It is skipped.
    Skip,
    /// One waits for its end, further ones are skipped.
    BufferOne,
    /// All wait, at most 1000, and run one after the other.
    BufferAll,
    /// It is cancelled; the newest of those that wait starts once it has ended.
    CancelOther,
    /// It is cancelled; the new one starts at once.
    TerminateOther,
    /// It runs beside it.
    AllowAll,
}

impl Overlap {
    pub(super) fn message(self) -> v1::Overlap {
        match self {
            Self::Skip => v1::Overlap::Skip,
            Self::AllowAll => v1::Overlap::AllowAll,
            Self::BufferOne => v1::Overlap::BufferOne,
            Self::BufferAll => v1::Overlap::BufferAll,
            Self::CancelOther => v1::Overlap::CancelOther,
            Self::TerminateOther => v1::Overlap::TerminateOther,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CatchUp {
    /// The newest.
    Latest,
    /// None.
    None,
    /// All, one after the other, up to --catch-up-runs.
    All,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Backoff {
    /// All equal.
    Fixed,
    /// Each twice the one before.
    Exponential,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Routing {
    /// The worker with the smallest share of its slots in use.
    LeastBusy,
    /// Each in turn.
    RoundRobin,
}

impl Put {
    pub(super) async fn run(self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let result = client.job_put_spec(self.spec()?).await?;
        let job = result.job.as_ref().ok_or_else(|| Failure::incomplete("job"))?;
        printer.one(&shape::job_put(result.change(), job))
    }

    pub(super) fn spec(self) -> Result<v1::JobSpec, Failure> {
        let policy = self.catch_up.map_or(v1::CatchUpPolicy::Latest, |policy| match policy {
            CatchUp::Latest => v1::CatchUpPolicy::Latest,
            CatchUp::None => v1::CatchUpPolicy::None,
            CatchUp::All => v1::CatchUpPolicy::All,
        });
        let backoff = self.backoff.map_or(v1::Backoff::Fixed, |backoff| match backoff {
            Backoff::Fixed => v1::Backoff::Fixed,
            Backoff::Exponential => v1::Backoff::Exponential,
        });
        let routing = self.routing.map_or(v1::Routing::LeastBusy, |routing| match routing {
            Routing::LeastBusy => v1::Routing::LeastBusy,
            Routing::RoundRobin => v1::Routing::RoundRobin,
        });
        let (threshold_ms, window_ms) = (self.catch_up_threshold, self.catch_up_window);
        Ok(v1::JobSpec {
            name: self.name,
            handler: self.handler,
            trigger: Some(v1::Trigger { kind: Some(self.trigger.kind()) }),
            params: self.params.payload()?,
            enabled: self.disabled.then_some(false),
            overlap: self.overlap.map_or(v1::Overlap::Skip, Overlap::message).into(),
            catch_up: Some(v1::CatchUp {
                policy: policy.into(),
                threshold_ms,
                window_ms,
                max_runs: self.catch_up_runs,
            }),
            timing: Some(v1::Timing {
                start_at: self.start_at,
                end_at: self.end_at,
                jitter_ms: self.jitter.unwrap_or(0),
            }),
            retry: Some(v1::Retry {
                retries: self.retries,
                backoff: backoff.into(),
                delay_ms: self.retry_delay,
                max_delay_ms: self.retry_max_delay,
                jitter: self.retry_jitter,
            }),
            attempt_timeout_ms: self.timeout,
            start_deadline_ms: self.start_deadline,
            cancel_grace_ms: self.grace,
            worker_lost_after_ms: self.worker_lost_after,
            at_most_once: self.at_most_once,
            priority: self.priority,
            routing: routing.into(),
            managed_by: String::new(),
            source_version: self.source_version,
        })
    }
}

impl TriggerArgs {
    fn kind(self) -> v1::trigger::Kind {
        use v1::trigger::Kind;
        if let Some(expression) = self.cron {
            return Kind::Cron(v1::Cron {
                expression,
                dialect: self.dialect.map_or("", Dialect::as_str).to_owned(),
                zone: self.zone.unwrap_or_default(),
                gap: self.gap.map_or("", GapRule::as_str).to_owned(),
                overlap: self.overlap_rule.map_or("", OverlapRule::as_str).to_owned(),
            });
        }
        if let (Some((from, to)), Some(every_ms)) = (self.window, self.every) {
            let weekdays = self.weekdays.map(|days| days.0).unwrap_or_default();
            let zone = self.zone.unwrap_or_default();
            return Kind::DailyWindow(v1::DailyWindow { weekdays, from, to, every_ms, zone });
        }
        if let Some(period_ms) = self.every {
            return Kind::FixedRate(v1::FixedRate { period_ms, phase_ms: self.phase });
        }
        if let Some(delay_ms) = self.delay {
            return Kind::FixedDelay(v1::FixedDelay { delay_ms });
        }
        if !self.at.is_empty() {
            return Kind::At(v1::At { instants: self.at });
        }
        Kind::Api(v1::ApiOnly {})
    }
}
