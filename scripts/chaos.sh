#!/usr/bin/env bash
# Plans of the fault harness. PLAN=name (default: the quick set; all: each of them), SEED=n, DATABASE=sqlite|postgres|mariadb
# (default: all that this machine has), ROUNDS=n (how often a plan does what it does).
#   chaos.sh mutants   each planted bug must be caught by its invariant (MUTANTS=name for one)
#   chaos.sh full      every plan (or PLAN=name; PLAN= for the quick set), on every database, with SEEDS (default "1 2 3"):
#                      all plans with one seed, then with the next. A cell whose last verdict is good is not played again,
#                      whatever revision that was of, unless FRESH=1 and it is of another one. Writes docs/chaos-matrix.md
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh rust
scripts/setup.sh faketime || echo "without libfaketime the plans that set a database's clock are left out" >&2

STATE=target/chaos-matrix.tsv

matrix() {
  local revision program plan database seed said verdict failed=0
  revision=$(git rev-parse --short HEAD)
  touch "$STATE"
  cargo test --workspace --test chaos --no-run
  program=$PWD/$(cargo test --workspace --test chaos --no-run 2>&1 | sed -n 's/.*(\(.*deps\/chaos-.*\))$/\1/p')
  for seed in ${SEEDS:-1 2 3}; do
    while read -r plan database; do
      good "$plan" "$database" "$seed" "${FRESH:+$revision}" && continue
      said=$(cd server && PLAN=$plan DATABASE=$database SEED=$seed "$program" </dev/null 2>&1 || true)
      printf '%s\n' "$said"
      verdict=$(verdict <<<"$said")
      printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$revision" "$plan" "$database" "$seed" "$verdict" "$(date -u +%F)" >>"$STATE"
      good "$plan" "$database" "$seed" "" || failed=1
      table >docs/chaos-matrix.md
    done < <(PLAN=${PLAN-all} "$program" list)
  done
  table >docs/chaos-matrix.md
  return $failed
}

# What a plan's output amounts to, in a line: its figures, or which invariants it broke.
verdict() {
  awk '/(holds|FAILED): / && !line { line = $0; sub(/^.*seed [0-9]+: /, "", line); sub(/; see .*/, "", line) }
    / \(lines \[/ { sub(/:$/, "", $1); if (!seen[$1]++) broken = broken (broken ? ", " : " of ") $1 }
    END { print (line ? line : "FAILED: no verdict") broken }'
}

# Whether the last verdict of this plan, database and seed is that it holds; in this revision, if one is given.
good() {
  awk -F'\t' -v plan="$1" -v database="$2" -v seed="$3" -v revision="$4" '
    $2 == plan && $3 == database && $4 == seed { last = $5; of = $1 }
    END { exit !(last ~ /^holds/ && (revision == "" || of == revision)) }' "$STATE"
}

# The state as a page: how often each plan held, every cell by its last verdict, and what failed before.
table() {
  printf '# Fault matrix\n\nWritten by `make chaos-full`. A cell is one plan on one database with one seed; repeat it with\n'
  printf '`make chaos PLAN= DATABASE= SEED=`. Pauses are times without a start; those of a plan that stops its only server,\n'
  printf 'its database or all its workers contain that stop.\n\n'
  awk -F'\t' '
    { cell = $2 FS $3 FS $4; if (cell in last && verdict[cell] ~ /^FAILED/) before[++earlier] = row[cell]
      last[cell] = NR; verdict[cell] = $5; row[cell] = $0 }
    END {
      for (cell in last) { split(cell, at, FS); held = verdict[cell] ~ /^holds/
        pair = at[1] FS at[2]; of[pair]++; good[pair] += held
        if (!held) seeds[pair] = seeds[pair] " " at[3] }
      print "| plan | database | seeds | hold | fail with seed |\n|---|---|---|---|---|"
      for (pair in of) { split(pair, at, FS)
        printf "| %s | %s | %d | %d |%s |\n", at[1], at[2], of[pair], good[pair], seeds[pair] | "sort" }
      close("sort")
      print "\n## Every cell\n\n| plan | database | seed | revision | date | verdict |\n|---|---|---|---|---|---|"
      for (cell in last) { split(row[cell], f, FS)
        printf "| %s | %s | %s | %s | %s | %s |\n", f[2], f[3], f[4], f[1], f[6], f[5] | "sort -t\"|\" -k2,2 -k3,3 -k4,4n" }
      close("sort -t\"|\" -k2,2 -k3,3 -k4,4n")
      print "\n## Failed before\n\n| plan | database | seed | revision | date | verdict |\n|---|---|---|---|---|---|"
      for (n = 1; n <= earlier; n++) { split(before[n], f, FS)
        printf "| %s | %s | %s | %s | %s | %s |\n", f[2], f[3], f[4], f[1], f[6], f[5] }
    }' "$STATE"
}

case "${1:-}" in
  full) matrix ;;
  mutants) MUTANTS="${MUTANTS:-all}" exec cargo test --workspace --features fastjob-server/mutants --test chaos ;;
  *) exec cargo test --workspace --test chaos ;;
esac
