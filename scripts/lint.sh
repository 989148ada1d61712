#!/usr/bin/env bash
# What must hold besides the tests: format, lints, no drift of the C header.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh rust
cargo fmt --check
FASTJOB_HEADER=check cargo clippy --workspace --all-targets -- -D warnings
