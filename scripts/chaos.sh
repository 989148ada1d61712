#!/usr/bin/env bash
# Plans of the fault harness. PLAN=name (default: the quick set; all: each of them), SEED=n, DATABASE=sqlite|postgres|mariadb
# (default: all that this machine has), ROUNDS=n (how often a plan does what it does).
#   chaos.sh mutants   each planted bug must be caught by its invariant (MUTANTS=name for one)
#   chaos.sh full      every plan, on every database, with SEEDS (default "1 2 3"); goes on where it stopped, and writes
#                      docs/chaos-matrix.md
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh rust
scripts/setup.sh faketime || echo "without libfaketime the plans that set a database's clock are left out" >&2

matrix() {
  local state=target/chaos-matrix.tsv revision plan database seed said
  revision=$(git rev-parse --short HEAD)
  touch "$state"
  cargo build -p fastjob-server --test chaos
  while read -r plan database; do
    for seed in ${SEEDS:-1 2 3}; do
      grep -q "^$revision	$plan	$database	$seed	holds" "$state" && continue
      said=$(PLAN=$plan DATABASE=$database SEED=$seed cargo test -q -p fastjob-server --test chaos 2>&1 || true)
      printf '%s\n' "$said"
      said=$(printf '%s\n' "$said" | grep -E '(holds|FAILED): ' | head -n 1 | sed 's/^.*seed [0-9]*: //')
      printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$revision" "$plan" "$database" "$seed" "${said:-FAILED: no verdict}" "$(date -u +%F)" >>"$state"
    done
  done < <(PLAN=all cargo test -q -p fastjob-server --test chaos -- list)
  {
    printf '# Fault matrix\n\nWritten by `make chaos-full`. A cell is one plan on one database with one seed; repeat it with\n'
    printf '`make chaos PLAN= DATABASE= SEED=`.\n\n| revision | plan | database | seed | result | date |\n|---|---|---|---|---|---|\n'
    sed 's/\t/ | /g; s/^/| /; s/$/ |/' "$state"
  } >docs/chaos-matrix.md
  ! grep -q "^$revision	.*FAILED" "$state"
}

case "${1:-}" in
  full) mkdir -p docs && matrix ;;
  mutants) MUTANTS="${MUTANTS:-all}" exec cargo test -p fastjob-server --features mutants --test chaos ;;
  *) exec cargo test -p fastjob-server --test chaos ;;
esac
