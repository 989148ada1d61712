//! The text of an expression, cut into words that know their position.

use super::ScheduleError;
use crate::domain::Cron;

/// A part of an expression.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    /// Its position in characters, from 0.
    pub(super) at: usize,
    pub(super) text: &'a str,
}

impl<'a> Word<'a> {
    /// The words between blanks.
    pub(super) fn all(text: &'a str) -> impl Iterator<Item = Self> {
        Word { at: 0, text }.split([' ', '\t']).filter(|word| !word.text.is_empty())
    }

    /// The items of a list.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        self.split([','])
    }

    /// What stands before and after the first `sign`.
    pub(super) fn cut(self, sign: char) -> Option<(Self, Self)> {
        let (before, after) = self.text.split_once(sign)?;
        let at = self.at + before.len() + sign.len_utf8();
        Some((Self { at: self.at, text: before }, Self { at, text: after }))
    }

    /// What is left after leaving out as much at its start and end.
    pub(super) fn without(self, start: usize, end: usize) -> Self {
        Self { at: self.at + start, text: &self.text[start..self.text.len() - end] }
    }

    pub(super) fn is(self, other: &str) -> bool {
        self.text.eq_ignore_ascii_case(other)
    }

    /// It has digits only; `None` if not, and the largest number if it has too many.
    pub(super) fn number(self) -> Option<u32> {
        let digits = !self.text.is_empty() && self.text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| self.text.parse().unwrap_or(u32::MAX))
    }

    fn split<const N: usize>(self, separators: [char; N]) -> impl Iterator<Item = Self> {
        let mut at = self.at;
        self.text.split(separators).map(move |text| {
            let start = at;
            at += text.len() + 1;
            Self { at: start, text }
        })
    }
}

/// Refuses what is too long, and what is not ASCII, so that bytes count characters.
pub(super) fn check(text: &str) -> Result<(), ScheduleError> {
    if text.chars().nth(Cron::MAX_CHARS).is_some() {
        return Err(refusal(
            "cron_too_long",
            Cron::MAX_CHARS,
            format!("is longer than {} characters", Cron::MAX_CHARS),
            "write ranges and steps instead of lists, or several jobs",
        ));
    }
    match text.chars().enumerate().find(|(_, c)| !(c.is_ascii_graphic() || *c == ' ' || *c == '\t')) {
        None => Ok(()),
        Some((at, found)) => Err(refusal(
            "cron_bad_character",
            at,
            format!("has the character {found:?}"),
            "write ASCII letters, digits and signs, separated by blanks",
        )),
    }
}

pub(super) fn refusal(
    code: &'static str,
    position: usize,
    message: impl Into<String>,
    remedy: &'static str,
) -> ScheduleError {
    let message = format!("at position {position}: {}", message.into());
    ScheduleError { code, field: "cron.expression", message, position: Some(position), remedy }
}
