//! The checker against committed histories: one that holds, and for each invariant some broken by hand, which must fail by
//! that invariant's name.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where it stopped")]
#![expect(dead_code, reason = "the checker's program is the chaos test's")]

#[path = "chaos/checker/mod.rs"]
mod checker;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn histories() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chaos/broken");
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn invariants_broken(path: &Path) -> BTreeSet<&'static str> {
    let text = std::fs::read_to_string(path).unwrap();
    let (violations, _) = checker::check(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    violations.into_iter().map(|violation| violation.invariant).collect()
}

fn named(path: &Path) -> String {
    path.file_name()
        .unwrap()
        .to_string_lossy()
        .split('_')
        .next()
        .unwrap()
        .trim_end_matches(".jsonl")
        .to_owned()
}

#[test]
fn a_history_that_holds_passes() {
    let good: Vec<_> = histories().into_iter().filter(|path| named(path) == "good").collect();
    assert!(!good.is_empty());
    for path in good {
        assert_eq!(invariants_broken(&path), BTreeSet::new(), "{}", path.display());
    }
}

#[test]
fn each_broken_history_fails_by_its_invariant() {
    for path in histories().into_iter().filter(|path| !["good", "void"].contains(&named(path).as_str())) {
        let name = named(&path);
        let broken = invariants_broken(&path);
        assert!(broken.contains(name.as_str()), "{} breaks {broken:?}", path.display());
    }
}

#[test]
fn a_history_without_what_was_to_happen_is_void() {
    let void: Vec<_> = histories().into_iter().filter(|path| named(path) == "void").collect();
    assert!(!void.is_empty());
    for path in void {
        let judged = checker::check(&std::fs::read_to_string(&path).unwrap());
        assert!(judged.is_err(), "{} proves something", path.display());
    }
}

#[test]
fn every_invariant_has_a_broken_history() {
    let names: BTreeSet<String> = histories().iter().map(|path| named(path)).collect();
    for invariant in
        ["G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8", "G9", "G10", "G11", "G12", "G13", "blind"]
    {
        assert!(names.contains(invariant), "{invariant}");
    }
}

#[test]
fn a_history_of_nothing_proves_nothing() {
    assert!(checker::check("").is_err());
    assert!(checker::check("{\"kind\":\"config\"}").is_err());
    assert!(checker::check("not json").is_err());
}
