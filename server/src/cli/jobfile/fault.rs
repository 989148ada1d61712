//! What is wrong in a file: where, what, and what to do about it; one line each.

use std::fmt;

use crate::cli::failure::{Lines, escaped};
use crate::cli::{Exit, Failure};

/// The most faults that are shown at a time.
const SHOWN: usize = 50;
/// The most characters of a message.
const MAX_MESSAGE_CHARS: usize = 400;

/// Where something begins, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::cli) struct Place {
    pub(in crate::cli) line: usize,
    pub(in crate::cli) column: usize,
}

impl Place {
    /// Of what stands in no file.
    pub(super) const NOWHERE: Self = Self { line: 0, column: 0 };
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::cli) struct Fault {
    /// Empty until the file is known.
    pub(in crate::cli) file: String,
    pub(in crate::cli) at: Place,
    /// As `jobs[3].trigger.cron`; may be empty.
    pub(in crate::cli) field: String,
    pub(in crate::cli) message: String,
    pub(in crate::cli) remedy: String,
}

impl Fault {
    pub(in crate::cli) fn at(at: Place, message: impl Into<String>) -> Self {
        Self { file: String::new(), at, field: String::new(), message: message.into(), remedy: String::new() }
    }

    #[must_use]
    pub(in crate::cli) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    #[must_use]
    pub(super) fn of(mut self, field: &str) -> Self {
        field.clone_into(&mut self.field);
        self
    }

    #[must_use]
    pub(super) fn in_file(mut self, file: &str) -> Self {
        file.clone_into(&mut self.file);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, at, field, message, remedy } = self;
        let mut line = file.clone();
        if *at != Place::NOWHERE {
            line += &format!(":{}:{}", at.line, at.column);
        }
        if !field.is_empty() {
            line += &format!(": {}", shortened(field, 120));
        }
        line += &format!(": {}", shortened(message, MAX_MESSAGE_CHARS));
        if !remedy.is_empty() {
            line += &format!(" ({})", shortened(remedy, MAX_MESSAGE_CHARS));
        }
        f.write_str(&escaped(&line, Lines::Escaped))
    }
}

/// Every fault, a line each.
pub(in crate::cli) fn failure(mut faults: Vec<Fault>) -> Failure {
    faults.sort_by(|a, b| (&a.file, a.at).cmp(&(&b.file, b.at)));
    let mut lines: Vec<String> = faults.iter().take(SHOWN).map(Fault::to_string).collect();
    if faults.len() > SHOWN {
        lines.push(format!("and {} more", faults.len() - SHOWN));
    }
    if faults.len() > 1 {
        lines.insert(0, format!("{} faults; nothing was changed", faults.len()));
    }
    Failure::new(Exit::Usage, lines.join("\n"))
}

/// The text, cut to its first characters.
pub(super) fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
