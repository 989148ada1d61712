//! What is wrong with a configuration: the key, where it stands, and what to do.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The key, as `cluster.lease_ms`; empty if it is about the file as a whole.
    pub field: String,
    /// Where it stands: a file and line, a variable or a flag; empty if nobody gave it.
    pub origin: String,
    /// What is wrong, as a sentence fragment.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, origin, message, remedy } = self;
        f.write_str("error: ")?;
        if !field.is_empty() {
            write!(f, "{field}: ")?;
        }
        f.write_str(message)?;
        if !origin.is_empty() {
            write!(f, " ({origin})")?;
        }
        if !remedy.is_empty() {
            write!(f, "\nremedy: {remedy}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong, in order of section; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}
