#!/usr/bin/env bash
# What must hold besides the tests: format, lints, no drift of generated files, purity of core.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fmt --check
cargo clippy --workspace --all-targets -- -D warnings
FASTJOB_HEADER=check cargo check -q -p fastjob-ffi
