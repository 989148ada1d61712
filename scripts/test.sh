#!/usr/bin/env bash
# Every test of every language; one line per suite and the total at the end.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh rust c java maven valgrind postgres mariadb || exit 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/results"

# Writes "name<TAB>passed<TAB>failed" for what the log of a suite says. Cargo's log has a suite for each target.
count() { # name log status
  awk -v name="$1" -v status="$3" '
    /^ +Running / { target = $2
                    if ($2 == "unittests") {
                      target = $4; sub(/.*\/deps\//, "", target); sub(/-[0-9a-f]+\)/, "", target)
                      target = target " " $3
                    } }
    /^ +Doc-tests / { target = $2 " documentation" }
    match($0, /[0-9]+ passed[;,] [0-9]+ failed/) {
      split(substr($0, RSTART, RLENGTH), part, " ")
      key = target == "" ? name : name ": " target
      if (!(key in passed)) order[++suites] = key
      passed[key] += part[1]; failed[key] += part[3]; all += part[1]; bad += part[3]
    }
    END {
      for (i = 1; i <= suites; i++) printf "%s\t%d\t%d\n", order[i], passed[order[i]], failed[order[i]]
      if ((status != 0 && bad == 0) || all == 0) printf "%s (ended with status %d)\t0\t1\n", name, status
    }' "$2" >>"$work/results"
}

suite() { # name command...
  local name=$1 status
  shift
  printf '== %s\n' "$name"
  "$@" 2>&1 | tee "$work/log"
  status=${PIPESTATUS[0]}
  count "$name" "$work/log" "$status"
}

# The same features as the tests; leaves the server and the native library where the suites of C and Java look for them.
cargo build --workspace --all-targets || exit 1
suite "rust" cargo test --workspace --no-fail-fast
if scripts/mysql.sh; then suite "rust on MySQL" cargo test --workspace --test store -- --ignored on_mysql::; fi
suite "cron beside other programs" scripts/differential.sh 500
suite "java" scripts/gradle.sh -q check
suite "java consumers" java-client/consumers/test.sh

printf '\n'
awk -F '\t' '
  $2 + $3 > 0 { printf "%-44s %5d passed, %d failed\n", $1, $2, $3; passed += $2; failed += $3 }
  END { printf "total: %d passed, %d failed\n", passed, failed; exit failed > 0 }' "$work/results"
