//! What a lint finds.

/// The rule that speaks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Code {
    /// No tick within a hundred years.
    NeverFires,
    /// A tick stands where the clocks of its zone are changed.
    DstHour,
    /// Both the day of month and the day of week are restricted.
    TwoDayFields,
    /// A day that some of its months do not have.
    ShortMonth,
    /// A step that does not divide its field.
    UnevenStep,
    /// Many jobs at one instant.
    PileUp,
    /// The runs take longer than the time between two ticks.
    PeriodTooShort,
    /// An attempt may take longer than the time between two ticks.
    TimeoutOverPeriod,
    /// A rare job that loses its tick if the server is away then.
    NoCatchUp,
}

impl Code {
    /// Every rule.
    pub const ALL: [Self; 9] = [
        Self::NeverFires,
        Self::DstHour,
        Self::TwoDayFields,
        Self::ShortMonth,
        Self::UnevenStep,
        Self::PileUp,
        Self::PeriodTooShort,
        Self::TimeoutOverPeriod,
        Self::NoCatchUp,
    ];

    /// As machines read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverFires => "never_fires",
            Self::DstHour => "dst_hour",
            Self::TwoDayFields => "two_day_fields",
            Self::ShortMonth => "short_month",
            Self::UnevenStep => "uneven_step",
            Self::PileUp => "pile_up",
            Self::PeriodTooShort => "period_too_short",
            Self::TimeoutOverPeriod => "timeout_over_period",
            Self::NoCatchUp => "no_catch_up",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// It may be meant so.
    Warning,
    /// It cannot be meant so.
    Error,
}

impl Severity {
    /// As machines read it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is likely wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Place of the job among those that were given.
    pub subject: usize,
    /// The rule that speaks.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The field at fault, as `trigger.cron.expression`.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Finding {
    /// A warning of the job at hand.
    pub(super) fn warning(code: Code, field: &'static str, message: String, remedy: &'static str) -> Self {
        Self { subject: 0, code, severity: Severity::Warning, field, message, remedy }
    }

    /// An error of the job at hand.
    pub(super) fn error(code: Code, field: &'static str, message: String, remedy: &'static str) -> Self {
        Self { severity: Severity::Error, ..Self::warning(code, field, message, remedy) }
    }
}
