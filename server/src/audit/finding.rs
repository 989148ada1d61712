//! What an audit finds.

use fastjob_core::clock::Millis;

/// What is wrong, by a stable word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Code {
    /// Ticks of the rule are neither runs nor in a gap.
    MissingTick,
    /// A tick is accounted for more than once.
    DoubledTick,
    /// A run or gap stands where the rule has no tick.
    TickOfNoRule,
    /// A run or gap carries a reason that its job did not give.
    WrongReason,
    /// A run says that another kind of trigger fired it.
    WrongSource,
    /// A gap's count is not the number of its ticks.
    MiscountedGap,
    /// The mark stands before or behind what is accounted for.
    MovedMark,
    /// The mark has stood still though its tick is long past.
    Overdue,
    /// A run, a gap or the history names another revision than the one that stood.
    AlteredRevision,
    /// A run was started first by a definition that an edit had replaced.
    StaleRevision,
    /// The history lacks a revision.
    MissingRevision,
    /// The runs of a fixed-delay chain do not follow each other.
    BrokenChain,
}

impl Code {
    /// As machines read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingTick => "missing_tick",
            Self::DoubledTick => "doubled_tick",
            Self::TickOfNoRule => "tick_of_no_rule",
            Self::WrongReason => "wrong_reason",
            Self::WrongSource => "wrong_source",
            Self::MiscountedGap => "miscounted_gap",
            Self::MovedMark => "moved_mark",
            Self::Overdue => "overdue",
            Self::AlteredRevision => "altered_revision",
            Self::StaleRevision => "stale_revision",
            Self::MissingRevision => "missing_revision",
            Self::BrokenChain => "broken_chain",
        }
    }
}

/// One discrepancy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What is wrong.
    pub code: Code,
    /// The first tick it is about; of a chain or the history, the instant.
    pub from: Option<Millis>,
    /// The last one.
    pub to: Option<Millis>,
    /// How many ticks; `None`: too many to count, or it is about none.
    pub count: Option<u64>,
    /// By this revision.
    pub revision: Option<u64>,
    /// The run at fault, if it is one.
    pub run: Option<fastjob_core::id::RunId>,
    /// For people.
    pub detail: String,
}

impl Finding {
    /// About the job as a whole.
    pub(super) fn of(code: Code, detail: impl Into<String>) -> Self {
        Self { code, from: None, to: None, count: None, revision: None, run: None, detail: detail.into() }
    }

    /// About one tick.
    pub(super) fn at(self, tick: Millis) -> Self {
        Self { from: Some(tick), to: Some(tick), count: Some(1), ..self }
    }

    /// About several.
    pub(super) fn between(self, from: Millis, to: Millis, count: Option<u64>) -> Self {
        Self { from: Some(from), to: Some(to), count, ..self }
    }

    /// By which revision.
    pub(super) fn by(self, revision: u64) -> Self {
        Self { revision: Some(revision), ..self }
    }

    /// Of which run.
    pub(super) fn in_run(self, run: fastjob_core::id::RunId) -> Self {
        Self { run: Some(run), ..self }
    }
}
