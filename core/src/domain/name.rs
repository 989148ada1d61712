//! Names that people give.

use std::fmt;
use std::sync::Arc;

/// The name of an app, job or handler: 1 to 128 characters, none of them a control character, no space at either end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// Why a text is no name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadName {
    /// Nothing in it.
    #[error("is empty: give 1 to 128 characters")]
    Empty,
    /// More than [`Name::MAX_CHARS`].
    #[error("has {0} characters: at most 128 are allowed")]
    TooLong(usize),
    /// A control character, at this character position from 1.
    #[error("has a control character at position {0}: remove it")]
    Control(usize),
    /// White space at an end.
    #[error("begins or ends with white space: remove it")]
    Padded,
}

impl Name {
    /// The longest name.
    pub const MAX_CHARS: usize = 128;

    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let chars = text.chars().count();
        if chars == 0 {
            return Err(BadName::Empty);
        }
        if chars > Self::MAX_CHARS {
            return Err(BadName::TooLong(chars));
        }
        if let Some(at) = text.chars().position(char::is_control) {
            return Err(BadName::Control(at + 1));
        }
        if text.trim() != text {
            return Err(BadName::Padded);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_128_visible_characters() {
        assert_eq!(Name::parse(""), Err(BadName::Empty));
        assert_eq!(Name::parse(&"é".repeat(129)), Err(BadName::TooLong(129)));
        assert_eq!(Name::parse("a\nb"), Err(BadName::Control(2)));
        assert_eq!(Name::parse(" a"), Err(BadName::Padded));
        assert_eq!(Name::parse(&"é".repeat(128)).map(|name| name.as_str().len()), Ok(256));
    }
}
