//! The C ABI as C programs see it: the header in every dialect, the programs of `tests/c` and the example, with and
//! without the checkers of memory.

mod native;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use native::server::Server;
use native::{C11, DIALECTS, built_library, compile, expect_success, ffi, library_folder, run, stdout};

/// Also memory that can still be reached at the end is an error, but for what the suppressions name.
const VALGRIND: [&str; 7] = [
    "valgrind",
    "--quiet",
    "--error-exitcode=99",
    "--leak-check=full",
    "--show-leak-kinds=all",
    "--errors-for-leak-kinds=all",
    concat!("--suppressions=", env!("CARGO_MANIFEST_DIR"), "/tests/valgrind.supp"),
];

#[test]
fn every_program_compiles_in_every_dialect_without_a_warning() {
    let folder = library_folder("dialects");
    for dialect in DIALECTS {
        for source in [
            "tests/c/contract.c",
            "tests/c/offline.c",
            "tests/c/online.c",
            "tests/c/survive.c",
            "examples/greet.c",
        ] {
            compile(&folder, source, dialect, &[]);
        }
    }
}

#[test]
fn misuse_without_a_server_is_answered_in_every_dialect() {
    let folder = library_folder("offline");
    for dialect in DIALECTS {
        let program = compile(&folder, "tests/c/offline.c", dialect, &[]);
        let output = expect_success(&mut run(&folder, &program, &[]));
        assert_eq!(stdout(&output).matches("passed ").count(), tests_of("offline.c"));
    }
}

#[test]
fn misuse_without_a_server_makes_no_error_and_no_leak_under_valgrind() {
    let folder = library_folder("valgrind");
    let program = compile(&folder, "tests/c/offline.c", C11, &[]);
    expect_success(&mut run(&folder, &program, &VALGRIND));
}

#[test]
fn misuse_without_a_server_makes_no_error_under_the_address_sanitizer() {
    let folder = library_folder("asan");
    let program = compile(&folder, "tests/c/offline.c", C11, &["-fsanitize=address,undefined"]);
    expect_success(&mut run(&folder, &program, &[]));
}

#[test]
fn handlers_polls_and_triggers_work_against_a_server() {
    let folder = library_folder("online");
    let server = Server::start(&folder);
    for dialect in DIALECTS {
        let program = compile(&folder, "tests/c/online.c", dialect, &[]);
        let mut command = run(&folder, &program, &[]);
        server.tell(&mut command);
        let output = expect_success(&mut command);
        assert_eq!(stdout(&output).matches("passed ").count(), tests_of("online.c"));
    }
}

#[test]
fn handlers_polls_and_triggers_make_no_error_and_no_leak_under_the_checkers() {
    let folder = library_folder("online-checked");
    let server = Server::start(&folder);
    let sanitized = compile(&folder, "tests/c/online.c", C11, &["-fsanitize=address,undefined"]);
    let mut command = run(&folder, &sanitized, &[]);
    server.tell(&mut command);
    expect_success(&mut command);
    let plain = compile(&folder, "tests/c/online.c", C11, &[]);
    let mut command = run(&folder, &plain, &VALGRIND);
    server.tell(&mut command);
    expect_success(&mut command);
}

#[test]
fn a_program_survives_the_crash_of_its_server_and_goes_on_with_the_next() {
    let folder = library_folder("survive");
    let mut server = Server::start(&folder);
    let program = compile(&folder, "tests/c/survive.c", C11, &[]);
    let mut command = run(&folder, &program, &[]);
    server.tell(&mut command);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    server.crash_and_restart();
    process.stdin.take().unwrap().write_all(b"go on\n").unwrap();
    assert_eq!(lines.next().map(Result::unwrap).as_deref(), Some("survived"));
    assert!(process.wait().unwrap().success());
}

#[test]
fn the_example_greets_every_second_and_ends_cleanly_when_told() {
    let folder = library_folder("greet");
    let server = Server::start(&folder);
    let program = compile(&folder, "examples/greet.c", C11, &[]);
    let log = folder.join("executions");
    let mut command = run(&folder, &program, &[]);
    server.tell(&mut command);
    command.env("FASTJOB_SAMPLE_LOG", &log);
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        assert_eq!(lines.next().map(Result::unwrap).as_deref(), Some("hello world"));
    }
    expect_success(Command::new("kill").args(["-TERM", &process.id().to_string()]));
    assert!(process.wait().unwrap().success());
    let executions = fs::read_to_string(&log).expect("the example writes its log");
    let executions = executions.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert!(executions.filter(|execution| execution["tick"].is_i64()).count() >= 2);
}

#[test]
fn the_library_exports_the_symbols_of_the_list_and_no_others() {
    let output = expect_success(Command::new("nm").args(["-D", "--defined-only"]).arg(built_library()));
    let exported = stdout(&output);
    let exported = exported.lines().filter_map(|line| line.split_whitespace().nth(2));
    let mut exported: Vec<_> = exported.filter(|name| !is_of_java(name)).collect();
    exported.sort_unstable();
    let listed = fs::read_to_string(ffi().join("symbols.txt")).unwrap();
    assert_eq!(exported, listed.lines().collect::<Vec<_>>());
}

#[test]
fn the_soname_carries_the_major_number_of_the_abi() {
    let output = expect_success(Command::new("readelf").arg("-d").arg(built_library()));
    let dynamic = stdout(&output);
    assert!(dynamic.contains("Library soname: [libfastjob.so.1]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
}

fn is_of_java(symbol: &str) -> bool {
    symbol.starts_with("Java_") || symbol == "JNI_OnLoad"
}

/// How many tests a program says it has.
fn tests_of(program: &str) -> usize {
    let source = fs::read_to_string(ffi().join("tests/c").join(program)).expect("the program is there");
    source.matches("    RUN(").count()
}
