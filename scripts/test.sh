#!/usr/bin/env bash
# Every test of every language; one line per suite and the total at the end.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh rust c java maven valgrind python || exit 1

results=()
passed_all=0
failed_all=0
# Runs a suite: shows its output, and counts what its runner says: cargo test's "N passed; M failed", or "N passed, M failed".
suite() {
  local name=$1 log status passed failed
  shift
  log=$(mktemp)
  printf '== %s\n' "$name"
  "$@" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  read -r passed failed < <(sed -nE 's/.*[^0-9]([0-9]+) passed[;,] ([0-9]+) failed.*/\1 \2/p' "$log" |
    awk '{ p += $1; f += $2 } END { print p + 0, f + 0 }')
  rm -f "$log"
  if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
  if [ "$status" -eq 0 ] && [ "$passed" -eq 0 ]; then failed=1; fi
  passed_all=$((passed_all + passed))
  failed_all=$((failed_all + failed))
  results+=("$(printf '%-28s %5d passed, %d failed' "$name" "$passed" "$failed")")
}

suite "build" bash -c 'cargo build --workspace --all-targets --quiet && echo ": 1 passed, 0 failed"'
suite "rust" cargo test --workspace --quiet
if [ -x ffi/tests/run.sh ]; then suite "c" ffi/tests/run.sh; fi
if [ -f java-client/build.gradle ]; then
  suite "java" scripts/gradle.sh -q check
  suite "java consumers" java-client/consumers/test.sh
fi

printf '\n'
printf '%s\n' "${results[@]}"
printf 'total: %d passed, %d failed\n' "$passed_all" "$failed_all"
[ "$failed_all" -eq 0 ]
