//! Planted bugs, by which the fault harness proves that it finds such bugs. In builds with the feature `mutants` alone, and
//! only the one that `FASTJOB_MUTANT` names; never in a release.

/// Whether the bug of this name is to be there.
#[inline]
#[must_use]
pub fn mutant(name: &'static str) -> bool {
    #[cfg(feature = "mutants")]
    return chosen::is(name);
    #[cfg(not(feature = "mutants"))]
    {
        let _ = name;
        false
    }
}

#[cfg(feature = "mutants")]
mod chosen {
    use std::sync::LazyLock;

    static CHOSEN: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("FASTJOB_MUTANT").ok());

    pub(super) fn is(name: &str) -> bool {
        CHOSEN.as_deref() == Some(name)
    }
}
