//! Hostile expressions, by the functions of the fuzz targets: for a bounded time, and without a fuzzer.

#[path = "../../fuzz/src/targets.rs"]
mod targets;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn config() -> ProptestConfig {
    let cases = std::env::var("FASTJOB_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Pieces of which expressions are made, and some of which none should be.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&str; 46] = [
        "0",
        "1",
        "2",
        "5",
        "7",
        "15",
        "23",
        "24",
        "29",
        "30",
        "31",
        "59",
        "60",
        "99",
        "1970",
        "2026",
        "2199",
        "4294967296",
        "*",
        "*",
        "?",
        " ",
        " ",
        " ",
        " ",
        " ",
        "\t",
        ",",
        "-",
        "/",
        "#",
        "L",
        "W",
        "LW",
        "L-",
        "JAN",
        "dec",
        "SUN",
        "Fri",
        "@daily",
        "@",
        "*/",
        "\0",
        "\u{e9}",
        "\u{1f600}",
        "\n",
    ];
    vec(select(&PIECES[..]), 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

/// Five to seven fields, each made of the pieces that fields are made of.
fn fields() -> impl Strategy<Value = Vec<u8>> {
    const PIECES: [&str; 24] = [
        "0", "0", "0", "*", "*", "*", "?", "1", "3", "7", "12", "29", "31", "1-5", "20-4", "*/2", "0/3", "L",
        "15W", "L-2", "2#5", "6L", "FEB", "MON",
    ];
    let field = vec(select(&PIECES[..]), 1..3).prop_map(|items| items.join(","));
    vec(field, 5..8).prop_map(|fields| fields.join(" ").into_bytes())
}

fn with_head(head: usize) -> impl Strategy<Value = Vec<u8>> {
    let body = prop_oneof![vec(any::<u8>(), 0..64), pieces(), fields(), fields()];
    (vec(any::<u8>(), head), body).prop_map(|(head, body)| [head, body].concat())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_text_breaks_the_parser(data in with_head(1)) {
        targets::cron_parse(&data);
    }

    #[test]
    fn no_rule_zone_or_instant_breaks_the_search(data in with_head(10)) {
        targets::cron_next(&data);
    }
}

#[test]
fn the_corpus_of_the_fuzz_targets_passes() {
    for (folder, target) in
        [("cron_parse", targets::cron_parse as fn(&[u8])), ("cron_next", targets::cron_next)]
    {
        let corpus = format!("{}/../fuzz/corpus/{folder}", env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for file in std::fs::read_dir(corpus).expect("the corpus is checked in") {
            target(&std::fs::read(file.expect("a file").path()).expect("readable"));
            count += 1;
        }
        assert!(count >= 3, "{folder} has seeds");
    }
}

#[test]
fn a_text_of_a_megabyte_is_refused() {
    for piece in ["0 ", "*,", "1-", "L", "\u{1f600}", " "] {
        let data = [&[0], piece.repeat(1_048_576 / piece.len()).as_bytes()].concat();
        targets::cron_parse(&data);
    }
}
