//! The rules of ARCHITECTURE.md that a text can break: who imports whom, what stands in no file, and which crates are in
//! no dependency tree. It reads sources, and runs nothing but `cargo tree`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// From the lowest to the highest: a part imports parts of lower lines alone.
const CORE: [&[&str]; 8] = [
    &["clock", "mutant"],
    &["id"],
    &["domain"],
    &["schedule", "routing", "cluster"],
    &["shard"],
    &["protocol"],
    &["client"],
    &["worker"],
];
const SERVER: [&[&str]; 11] = [
    &["failpoint", "metrics", "config", "ready", "audit", "lint", "simulate"],
    &["log"],
    &["store"],
    &["trust"],
    &["owner"],
    &["cluster"],
    &["api", "doctor"],
    &["rpc", "http"],
    &["app"],
    &["cli"],
    &["main"],
];

/// A source file of one of the crates.
struct Source {
    path: PathBuf,
    /// The part it belongs to: its first folder, or its own name.
    part: String,
    text: String,
}

#[test]
fn no_part_of_the_core_imports_a_higher_one() {
    check_imports("core/src", &CORE);
}

#[test]
fn no_part_of_the_server_imports_a_higher_one() {
    check_imports("server/src", &SERVER);
}

#[test]
fn nobody_reads_a_clock_but_the_system_clock() {
    let readers =
        ["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "Utc::now", "Local::now"];
    let mut found = Vec::new();
    for source in all_sources() {
        let is_clock = source.path.ends_with("core/src/clock.rs");
        found.extend(lines_with(&source, &readers).filter(|_| !is_clock));
    }
    assert!(found.is_empty(), "time is an argument; ask the Clock:\n{}", found.join("\n"));
}

#[test]
fn sql_stands_in_the_folder_of_its_database_alone() {
    let mut found = Vec::new();
    for source in all_sources() {
        let folders = ["sqlite", "postgres", "mysql"].map(|backend| format!("server/src/store/{backend}"));
        let is_backend = source
            .path
            .parent()
            .is_some_and(|folder| folders.iter().any(|backend| folder.ends_with(backend)));
        found.extend(lines_with(&source, &["sqlx::", "use sqlx"]).filter(|_| !is_backend));
    }
    assert!(found.is_empty(), "it belongs into store/<backend>:\n{}", found.join("\n"));
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let silent: Vec<String> = all_sources()
        .into_iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "the first line is no module doc:\n{}", silent.join("\n"));
}

#[test]
fn nothing_unfinished_is_left() {
    let marks = ["todo!(", "unimplemented!(", "TODO", "FIXME", "XXX"];
    let found: Vec<String> =
        all_sources().iter().flat_map(|source| lines_with(source, &marks).collect::<Vec<_>>()).collect();
    assert!(found.is_empty(), "finish it:\n{}", found.join("\n"));
}

#[test]
fn the_pure_core_depends_on_no_runtime_no_wire_and_no_database() {
    let tree = dependencies(&["-p", "fastjob-core", "--no-default-features"]);
    for absent in ["tokio", "tonic", "prost", "sqlx", "hyper", "axum"] {
        assert!(!tree.contains(absent), "fastjob-core without features depends on {absent}: {tree:?}");
    }
    assert!(tree.contains("jiff"), "the tree is read wrongly: {tree:?}");
}

#[test]
fn the_native_library_has_neither_database_nor_server() {
    let tree = dependencies(&["-p", "fastjob-ffi"]);
    for absent in ["sqlx", "sqlx-core", "libsqlite3-sys", "axum", "fastjob-server", "clap"] {
        assert!(!tree.contains(absent), "fastjob-ffi depends on {absent}");
    }
    assert!(tree.contains("tonic"), "the tree is read wrongly: {tree:?}");
}

fn check_imports(folder: &str, layers: &[&[&str]]) {
    let ranks: BTreeMap<&str, usize> = layers
        .iter()
        .enumerate()
        .flat_map(|(rank, parts)| parts.iter().map(move |part| (*part, rank)))
        .collect();
    let mut wrong = Vec::new();
    let mut edges = 0;
    for source in sources(folder) {
        if source.part == "lib" {
            continue;
        }
        let Some(own) = ranks.get(source.part.as_str()) else {
            wrong.push(format!("{}: {} is in no line of the order", source.path.display(), source.part));
            continue;
        };
        for imported in imports(&source.text).into_iter().filter(|imported| *imported != source.part) {
            edges += 1;
            match ranks.get(imported.as_str()) {
                Some(rank) if rank < own => {}
                Some(_) => wrong.push(format!("{} imports {imported}", source.path.display())),
                None => {
                    wrong.push(format!("{} imports {imported}, which is in no line", source.path.display()))
                }
            }
        }
    }
    assert!(wrong.is_empty(), "against \"Who may import whom\":\n{}", wrong.join("\n"));
    assert!(edges > 20, "the imports are read wrongly: {edges} in {folder}");
}

/// The parts that a text names behind `crate::`, or behind the crate's own name; comments aside.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut parts = BTreeSet::new();
    for root in ["crate::", "fastjob_server::"] {
        for (at, _) in code.match_indices(root) {
            // `$crate::` and `other_crate::` are other words.
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            parts.extend(first_segments(&code[at + root.len()..]));
        }
    }
    parts
}

/// Of `a::b` it is `a`; of `{a, b::{c, d}}` they are `a` and `b`. Names of items that stand in the crate's root are none.
fn first_segments(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![word(path)].into_iter().filter(|word| is_module(word)).collect();
    };
    let (mut depth, mut segments, mut fresh) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if fresh && (c.is_alphabetic() || c == '_') => {
                segments.push(word(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    segments.retain(|segment| is_module(segment));
    segments
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn is_module(word: &str) -> bool {
    word.starts_with(|c: char| c.is_lowercase())
}

fn lines_with<'a>(source: &'a Source, words: &'a [&'a str]) -> impl Iterator<Item = String> + 'a {
    let code = source.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.filter(|(_, line)| words.iter().any(|word| line.contains(word)))
        .map(|(at, line)| format!("{}:{}: {}", source.path.display(), at + 1, line.trim()))
}

fn all_sources() -> Vec<Source> {
    ["core/src", "server/src", "ffi/src"].into_iter().flat_map(sources).collect()
}

fn sources(folder: &str) -> Vec<Source> {
    let root = workspace().join(folder);
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("it is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let within = path.strip_prefix(&root).expect("it lies within").components().next();
                let part = within.expect("it has a name").as_os_str().to_string_lossy();
                let part = part.trim_end_matches(".rs").to_owned();
                let text = std::fs::read_to_string(&path).expect("it is readable");
                found.push(Source { path, part, text });
            }
        }
    }
    assert!(!found.is_empty(), "{} holds no sources", root.display());
    found
}

/// The names of the crates in a dependency tree, without tests and build scripts.
fn dependencies(of: &[&str]) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tree = Command::new(cargo);
    tree.args(["tree", "--offline", "--locked", "-e", "normal", "--prefix", "none"]).args(of);
    let output = tree.current_dir(workspace()).output().expect("cargo can be started");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the server's crate lies in the workspace")
}

#[test]
fn the_imports_of_a_text_are_its_parts() {
    let text = "use crate::store::{Store, Error};\nuse crate::{api, owner::{door, self}, Root};\n// crate::comment\n\
                let x = crate::metrics::start(); $crate::hidden!(); other_crate::not::this;";
    let parts: Vec<String> = imports(text).into_iter().collect();
    assert_eq!(parts, ["api", "metrics", "owner", "store"]);
}
