//! Compiles and runs C programs against the library and header that were just built. Decides nothing about them.

#![expect(clippy::unwrap_used, reason = "a test says best by failing where it stands")]

pub(crate) mod server;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

/// A language that the header promises to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Dialect {
    pub(crate) name: &'static str,
    compiler: &'static str,
    language: &'static str,
}

pub(crate) const C99: Dialect = Dialect { name: "c99", compiler: "gcc", language: "c" };
pub(crate) const C11: Dialect = Dialect { name: "c11", compiler: "gcc", language: "c" };
pub(crate) const C17: Dialect = Dialect { name: "c17", compiler: "gcc", language: "c" };
pub(crate) const CXX17: Dialect = Dialect { name: "c++17", compiler: "g++", language: "c++" };
pub(crate) const DIALECTS: [Dialect; 4] = [C99, C11, C17, CXX17];

const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g"];

/// The folder `ffi`.
pub(crate) fn ffi() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The library as the dynamic linker wants it: `libfastjob.so` and `libfastjob.so.1` in a folder of the test's own.
pub(crate) fn library_folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    // What an earlier run left there.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for name in ["libfastjob.so", "libfastjob.so.1"] {
        symlink(built_library(), folder.join(name)).unwrap();
    }
    folder
}

/// The shared library beside this test.
pub(crate) fn built_library() -> PathBuf {
    let library = env::current_exe().unwrap().parent().unwrap().join("libfastjob.so");
    assert!(library.exists(), "{} was not built", library.display());
    library
}

/// Compiles `source` (relative to `ffi`) into the folder; the program's path. A warning fails.
pub(crate) fn compile(folder: &Path, source: &str, dialect: Dialect, more: &[&str]) -> PathBuf {
    let stem = Path::new(source).file_stem().unwrap().to_str().unwrap();
    let program = folder.join(format!("{stem}-{}", dialect.name));
    let mut command = Command::new(dialect.compiler);
    command.arg(format!("-std={}", dialect.name)).args(STRICT).args(more);
    command.args(["-x", dialect.language]).arg(ffi().join(source)).args(["-x", "none"]);
    command.arg("-I").arg(ffi().join("../include")).arg("-L").arg(folder);
    command.args(["-lfastjob", "-pthread", "-o"]).arg(&program);
    expect_success(&mut command);
    program
}

/// A command that runs the program with the library of the folder, and nothing of FastJob's in its environment.
pub(crate) fn run(folder: &Path, program: &Path, before: &[&str]) -> Command {
    let mut words = before.iter().map(|word| (*word).to_owned());
    let program = program.to_str().unwrap().to_owned();
    let mut command = match words.next() {
        Some(first) => {
            let mut command = Command::new(first);
            command.args(words).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.env("LD_LIBRARY_PATH", folder);
    for name in ["FASTJOB_SERVERS", "FASTJOB_APP", "FASTJOB_TOKEN", "FASTJOB_SAMPLE_LOG"] {
        command.env_remove(name);
    }
    command
}

/// Runs it; a failure shows all that it said.
pub(crate) fn expect_success(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?} did not start: {error} (apt-get install gcc g++ valgrind binutils)")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

/// What it wrote to its standard output.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
