//! The words of the protocol's enumerations: the names of their values, in lower case and without the enumeration's own.

use fastjob_core::protocol::v1;

/// An enumeration.
pub(in crate::cli) struct Words {
    prefix: &'static str,
    name: fn(i32) -> Option<&'static str>,
}

pub(in crate::cli) static OVERLAPS: Words = Words {
    prefix: "OVERLAP_",
    name: |value| v1::Overlap::try_from(value).ok().map(|word| word.as_str_name()),
};
pub(in crate::cli) static CATCH_UPS: Words = Words {
    prefix: "CATCH_UP_POLICY_",
    name: |value| v1::CatchUpPolicy::try_from(value).ok().map(|word| word.as_str_name()),
};
pub(super) static BACKOFFS: Words = Words {
    prefix: "BACKOFF_",
    name: |value| v1::Backoff::try_from(value).ok().map(|word| word.as_str_name()),
};
pub(super) static ROUTINGS: Words = Words {
    prefix: "ROUTING_",
    name: |value| v1::Routing::try_from(value).ok().map(|word| word.as_str_name()),
};

// What follows are texts in the protocol.
pub(super) static MANAGERS: Words =
    Words { prefix: "", name: |value| ["code", "console"].get(usize::try_from(value).ok()?).copied() };

pub(super) static DIALECTS: Words = Words {
    prefix: "",
    name: |value| ["quartz", "unix", "spring"].get(usize::try_from(value).ok()?).copied(),
};
pub(super) static GAP_RULES: Words =
    Words { prefix: "", name: |value| ["next", "skip"].get(usize::try_from(value).ok()?).copied() };
pub(super) static OVERLAP_RULES: Words =
    Words { prefix: "", name: |value| ["first", "both"].get(usize::try_from(value).ok()?).copied() };

/// No enumeration of a job has a value from here on.
const BEYOND: i32 = 32;

impl Words {
    /// Every word, in order of value.
    pub(super) fn all(&self) -> Vec<String> {
        (0..BEYOND).filter(|value| (self.name)(*value).is_some()).map(|value| self.word(value)).collect()
    }

    /// The word of a value; the number of one that a later version knows.
    pub(super) fn word(&self, value: i32) -> String {
        let name = (self.name)(value).and_then(|name| name.strip_prefix(self.prefix));
        name.map_or_else(|| value.to_string(), str::to_lowercase)
    }

    /// The value of a word.
    pub(in crate::cli) fn value(&self, word: &str) -> Option<i32> {
        (0..BEYOND).find(|value| (self.name)(*value).is_some() && self.word(*value) == word)
    }
}
