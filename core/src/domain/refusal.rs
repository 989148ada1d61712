//! Why a call was refused, in the one shape that every door shows.

use std::borrow::Cow;

/// A refused call: a kind for the program, a code to look up, a sentence and a remedy for the person.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}{message}{}", self.prefix(), self.suffix())]
pub struct Refusal {
    /// What sort of refusal it is.
    pub kind: RefusalKind,
    /// A stable word in snake_case, as `job_not_found`.
    pub code: &'static str,
    /// What is wrong.
    pub message: Cow<'static, str>,
    /// The field at fault, as `jobs[3].trigger.cron.expression`; empty if none.
    pub field: Cow<'static, str>,
    /// What to do about it; may be empty.
    pub remedy: Cow<'static, str>,
}

/// Sorts of refusal; they map one to one onto status and exit codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusalKind {
    /// The request is wrong and stays so.
    Invalid,
    /// What it names does not exist.
    NotFound,
    /// It contradicts what is there.
    Conflict,
    /// Who calls is not known.
    Unauthenticated,
    /// Who calls may not do it.
    NotPermitted,
    /// Not now; the same call may succeed later.
    Unavailable,
    /// A defect of ours, logged with its cause.
    Internal,
}

impl Refusal {
    /// A refusal without field and remedy.
    pub fn new(kind: RefusalKind, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, code, message: message.into(), field: "".into(), remedy: "".into() }
    }

    /// A wrong field.
    pub fn invalid(
        code: &'static str,
        field: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { field: field.into(), ..Self::new(RefusalKind::Invalid, code, message) }
    }

    /// With what to do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// With its field seen from further out: `jobs[3]` and `name` make `jobs[3].name`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.field =
            if self.field.is_empty() { outer.to_owned() } else { format!("{outer}.{}", self.field) }.into();
        self
    }

    fn prefix(&self) -> String {
        if self.field.is_empty() { String::new() } else { format!("{}: ", self.field) }
    }

    fn suffix(&self) -> String {
        if self.remedy.is_empty() { String::new() } else { format!(" ({})", self.remedy) }
    }
}
