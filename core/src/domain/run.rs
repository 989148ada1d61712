//! Runs: the durable record of one firing of one job, and all that can become of it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Failure, Limits, Name, Payload};
use crate::clock::Millis;
use crate::id::{AttemptKey, Epoch, JobId, RequestId, RunId, ServerId, SessionId, ShardKey, Token};

/// A run as its row holds it.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// Names it.
    pub id: RunId,
    /// Who owns it.
    pub shard: ShardKey,
    /// Of which job.
    pub job: JobId,
    /// Name of that job.
    pub job_name: Name,
    /// Unique per job: what makes two firings the same.
    pub fire_key: FireKey,
    /// What fired it.
    pub source: Source,
    /// The instant its schedule produced.
    pub tick: Option<Millis>,
    /// How much later than its tick it was due first.
    pub jitter_ms: i64,
    /// When it may start next.
    pub due: Millis,
    /// The job's revision that it follows.
    pub revision: u64,
    /// Which function runs it.
    pub handler: Name,
    /// What the handler gets.
    pub params: Payload,
    /// The job's, as copied, with the trigger's overlap in place of the job's if it gave one.
    pub limits: Arc<Limits>,
    /// Where it stands.
    pub state: State,
    /// Attempts so far, the current one included.
    pub attempt: u32,
    /// The current or last attempt's.
    pub assignment: Option<Assignment>,
    /// Attempts that ended in error or timeout.
    pub fail_count: u32,
    /// Attempts whose worker was lost.
    pub lost_count: u32,
    /// When its row was written.
    pub created_at: Millis,
    /// When the handler was entered, of the attempt that ended it.
    pub started_at: Option<Millis>,
    /// A cancel that was asked for.
    pub cancel: Option<Cancel>,
    /// When it became terminal.
    pub ended_at: Option<Millis>,
    /// Of a succeeded run.
    pub result: Option<Payload>,
    /// Of the last failed attempt.
    pub error: Option<Failure>,
    /// As the caller gave it.
    pub idempotency_key: Option<Arc<str>>,
    /// The run that this one repeats.
    pub retry_of: Option<RunId>,
}

/// To whom an attempt was given.
#[derive(Clone, PartialEq, Debug)]
pub struct Assignment {
    /// Settles the run.
    pub token: Token,
    /// The worker process.
    pub session: SessionId,
    /// Its name.
    pub worker: Arc<str>,
    /// The owner that sent it.
    pub server: ServerId,
    /// Of that owner.
    pub epoch: Epoch,
    /// When it was decided.
    pub dispatched_at: Millis,
}

/// Where a run stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Written; not due yet, or waiting for a worker or for its next attempt.
    Scheduled,
    /// An attempt is with a worker.
    Dispatched,
    /// Over.
    Ended(Ended),
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ended {
    /// Its handler returned.
    Succeeded,
    /// Out of attempts.
    Failed(FailReason),
    /// It was asked to end.
    Cancelled(CancelCause),
    /// Never dispatched.
    Skipped(SkipReason),
}

/// Why a run failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FailReason {
    /// The handler said so.
    Error,
    /// The attempt's timeout.
    Timeout,
    /// Its worker was lost and it may run at most once.
    Lost,
    /// Its workers were lost [`Limits::MAX_LOST`] times.
    Quarantined,
}

/// A cancel that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cancel {
    /// When.
    pub at: Millis,
    /// Why.
    pub cause: CancelCause,
}

/// Why a run was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CancelCause {
    /// Somebody asked for it.
    Requested,
    /// A later run of its job took its place: overlap `cancel_other` or `terminate_other`.
    Overlap,
}

/// Why a run never started.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SkipReason {
    /// An earlier run was alive.
    Overlap,
    /// Missed, and the catch-up policy chose others.
    CatchUp,
    /// Its job was disabled.
    Disabled,
    /// Its job was deleted.
    Deleted,
    /// No worker in time.
    StartDeadline,
}

/// What fired a run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// A cron tick.
    Cron,
    /// A tick of a fixed-rate grid.
    FixedRate,
    /// The end of the previous run of the chain.
    FixedDelay,
    /// A tick of a daily window.
    DailyWindow,
    /// A one-off instant.
    At,
    /// A program.
    Api,
    /// A person.
    Manual,
    /// A past tick that is run on demand.
    Backfill,
}

/// What makes two firings of a job the same. Its text form is the `fire_key` column.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum FireKey {
    /// `t<ms>`: a tick.
    Tick(Millis),
    /// `d<n>`: the n-th run of a fixed-delay chain.
    Chain(u64),
    /// `k<sha256 of the idempotency key, hex>`.
    Key([u8; 32]),
    /// `b<backfill>:<ms>`: a tick, in one backfill.
    Backfill(RequestId, Millis),
    /// `r<request id>`.
    Request(RequestId),
}

/// A text that is no fire key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no fire key")]
pub struct BadFireKey(pub String);

impl FireKey {
    /// It names a tick of the job's own schedule, which its runs and gaps account for.
    pub const fn is_tick(&self) -> bool {
        matches!(self, Self::Tick(_))
    }

    /// The key of a firing with this idempotency key.
    pub fn of_idempotency_key(key: &str) -> Self {
        Self::Key(Sha256::digest(key.as_bytes()).into())
    }
}

impl fmt::Display for FireKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tick(at) => write!(f, "t{}", at.get()),
            Self::Chain(ordinal) => write!(f, "d{ordinal}"),
            Self::Key(hash) => {
                f.write_str("k")?;
                hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Backfill(id, at) => write!(f, "b{id}:{}", at.get()),
            Self::Request(id) => write!(f, "r{id}"),
        }
    }
}

impl FromStr for FireKey {
    type Err = BadFireKey;

    /// Reads the one text that [`fmt::Display`] writes for a key, and no other.
    fn from_str(text: &str) -> Result<Self, BadFireKey> {
        parse_fire_key(text).filter(|key| key.to_string() == text).ok_or_else(|| BadFireKey(text.to_owned()))
    }
}

fn parse_fire_key(text: &str) -> Option<FireKey> {
    let kind = text.chars().next()?;
    let rest = &text[kind.len_utf8()..];
    match kind {
        't' => Some(FireKey::Tick(Millis::new(rest.parse().ok()?))),
        'd' => Some(FireKey::Chain(rest.parse().ok()?)),
        'k' => {
            let mut hash = [0; 32];
            if rest.len() != 64 || !rest.is_ascii() {
                return None;
            }
            for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
                *byte = u8::from_str_radix(&rest[at..at + 2], 16).ok()?;
            }
            Some(FireKey::Key(hash))
        }
        'b' => {
            let (id, at) = rest.split_once(':')?;
            Some(FireKey::Backfill(id.parse().ok()?, Millis::new(at.parse().ok()?)))
        }
        'r' => Some(FireKey::Request(rest.parse().ok()?)),
        _ => None,
    }
}

/// One dispatch of a run, once it is superseded; the current one lives in the run.
#[derive(Clone, PartialEq, Debug)]
pub struct Attempt {
    /// Which.
    pub key: AttemptKey,
    /// To whom it was given; its token equals the key's.
    pub assignment: Assignment,
    /// When the handler was entered, if it said so.
    pub started_at: Option<Millis>,
    /// When it was over.
    pub ended_at: Millis,
    /// How.
    pub end: AttemptEnd,
    /// If it failed.
    pub error: Option<Failure>,
}

/// How a superseded attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AttemptEnd {
    /// In error.
    Failed,
    /// By its timeout.
    Timeout,
    /// No contact with its worker for too long.
    Lost,
    /// Its worker never had it.
    Undelivered,
}

/// What a worker says of an attempt.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// Of which.
    pub key: AttemptKey,
    /// How it ended.
    pub kind: OutcomeKind,
    /// When the handler was entered; `None` if it never was.
    pub started_at: Option<Millis>,
    /// When it returned, by the worker's estimate.
    pub ended_at: Millis,
    /// The next attempt no earlier than this much later.
    pub retry_after_ms: Option<i64>,
    /// Another attempt is useless.
    pub give_up: bool,
}

/// How an attempt ended, by its worker.
#[derive(Clone, PartialEq, Debug)]
pub enum OutcomeKind {
    /// With this result.
    Succeeded(Payload),
    /// With this error.
    Failed(Failure),
    /// By its timeout.
    TimedOut(Failure),
    /// It gave way to a cancel.
    Cancelled(Failure),
    /// Its worker gave it up, for it was too long without contact.
    Lost(Failure),
}

/// Ticks that made no run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gap {
    /// Of which job.
    pub job: JobId,
    /// The first of them.
    pub from: Millis,
    /// The last of them.
    pub to: Millis,
    /// How many; `None` above [`Gap::MAX_COUNTED`].
    pub count: Option<u64>,
    /// Why.
    pub reason: GapReason,
    /// By the rule of this revision.
    pub revision: u64,
}

impl Gap {
    /// Longer gaps are not counted when they are written.
    pub const MAX_COUNTED: u64 = 100_000;
}

/// Why ticks made no run.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum GapReason {
    /// Missed, and the catch-up policy chose others.
    CatchUp,
    /// The job was disabled.
    Disabled,
}

impl Run {
    /// The name of its current or last attempt.
    pub fn attempt_key(&self) -> Option<AttemptKey> {
        let token = self.assignment.as_ref()?.token;
        Some(AttemptKey { run: self.id, attempt: self.attempt, token })
    }

    /// The most attempts it may have, lost and undelivered ones aside.
    pub fn max_attempts(&self) -> u32 {
        self.limits.retry.retries + 1
    }
}

impl State {
    /// Its word, as `succeeded`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Dispatched => "dispatched",
            Self::Ended(ended) => ended.as_str(),
        }
    }

    /// The word that says why, as `start_deadline`; empty where the state says it all.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Scheduled | Self::Dispatched => "",
            Self::Ended(ended) => ended.reason(),
        }
    }

    /// The state with these two words.
    pub fn parse(state: &str, reason: &str) -> Option<Self> {
        let open = [Self::Scheduled, Self::Dispatched];
        let all = open.into_iter().chain(Ended::ALL.into_iter().map(Self::Ended));
        all.into_iter().find(|known| known.as_str() == state && known.reason() == reason)
    }
}

impl Ended {
    /// Every way a run can end.
    pub const ALL: [Self; 12] = [
        Self::Succeeded,
        Self::Failed(FailReason::Error),
        Self::Failed(FailReason::Timeout),
        Self::Failed(FailReason::Lost),
        Self::Failed(FailReason::Quarantined),
        Self::Cancelled(CancelCause::Requested),
        Self::Cancelled(CancelCause::Overlap),
        Self::Skipped(SkipReason::Overlap),
        Self::Skipped(SkipReason::CatchUp),
        Self::Skipped(SkipReason::Disabled),
        Self::Skipped(SkipReason::Deleted),
        Self::Skipped(SkipReason::StartDeadline),
    ];

    /// Its word, as `succeeded`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed(_) => "failed",
            Self::Cancelled(_) => "cancelled",
            Self::Skipped(_) => "skipped",
        }
    }

    /// The word that says why; empty for succeeded.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Succeeded => "",
            Self::Cancelled(cause) => cause.as_str(),
            Self::Failed(reason) => reason.as_str(),
            Self::Skipped(reason) => reason.as_str(),
        }
    }
}

impl CancelCause {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Overlap => "overlap",
        }
    }

    /// The cause with this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Requested, Self::Overlap].into_iter().find(|known| known.as_str() == word)
    }
}

impl FailReason {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
            Self::Quarantined => "quarantined",
        }
    }
}

impl SkipReason {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::CatchUp => "catch_up",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::StartDeadline => "start_deadline",
        }
    }
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 8] = [
        Self::Cron,
        Self::FixedRate,
        Self::FixedDelay,
        Self::DailyWindow,
        Self::At,
        Self::Api,
        Self::Manual,
        Self::Backfill,
    ];

    /// Its word, as `fixed_rate`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cron => "cron",
            Self::FixedRate => "fixed_rate",
            Self::FixedDelay => "fixed_delay",
            Self::DailyWindow => "daily_window",
            Self::At => "at",
            Self::Api => "api",
            Self::Manual => "manual",
            Self::Backfill => "backfill",
        }
    }

    /// The source with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

impl AttemptEnd {
    /// Every end.
    pub const ALL: [Self; 4] = [Self::Failed, Self::Timeout, Self::Lost, Self::Undelivered];

    /// Its word, as `undelivered`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
            Self::Undelivered => "undelivered",
        }
    }

    /// The end with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

impl GapReason {
    /// Every reason.
    pub const ALL: [Self; 2] = [Self::CatchUp, Self::Disabled];

    /// Its word, as `catch_up`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CatchUp => "catch_up",
            Self::Disabled => "disabled",
        }
    }

    /// The reason with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fire_key_reads_back_from_its_text() {
        let keys = [
            (FireKey::Tick(Millis::new(-5)), "t-5"),
            (FireKey::Chain(u64::MAX), "d18446744073709551615"),
            (FireKey::Key([0xa7; 32]), &format!("k{}", "a7".repeat(32))),
            (
                FireKey::Backfill(RequestId::from_bytes([1; 16]), Millis::new(7)),
                "b01010101-0101-0101-0101-010101010101:7",
            ),
            (FireKey::Request(RequestId::from_bytes([1; 16])), "r01010101-0101-0101-0101-010101010101"),
        ];
        for (key, text) in keys {
            assert_eq!(key.to_string(), text);
            assert_eq!(text.parse(), Ok(key));
        }
    }

    #[test]
    fn a_fire_key_has_one_text_only() {
        let upper = format!("k{}", "A7".repeat(32));
        let wide = format!("k{}", "é".repeat(32));
        for text in ["", "t", "t+5", "t05", "d-1", "x1", "é", "k00", &upper, &wide, "r", "r0", "b:1", "b0:1"]
        {
            assert_eq!(text.parse::<FireKey>(), Err(BadFireKey(text.to_owned())));
        }
    }

    #[test]
    fn every_word_reads_back() {
        for state in [State::Scheduled, State::Dispatched].into_iter().chain(Ended::ALL.map(State::Ended)) {
            assert_eq!(State::parse(state.as_str(), state.reason()), Some(state));
        }
        assert_eq!(State::parse("failed", "overlap"), None);
        assert_eq!(Source::ALL.map(|source| Source::parse(source.as_str())), Source::ALL.map(Some));
        assert_eq!(AttemptEnd::ALL.map(|end| AttemptEnd::parse(end.as_str())), AttemptEnd::ALL.map(Some));
        assert_eq!(GapReason::ALL.map(|reason| GapReason::parse(reason.as_str())), GapReason::ALL.map(Some));
    }
}
