#!/usr/bin/env bash
# Runs the cron engine beside Quartz, Spring and croner. Usage: scripts/differential.sh [cases [seed]]
# Known differences are counted, any other fails: docs/cron-differences.md.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh rust java maven node

spring=6.2.8 croner=11.0.1
rivals=$PWD/target/differential
mkdir -p "$rivals"

jar() { # artifact version
  local file=$rivals/${1#*:}-$2.jar
  [ -s "$file" ] || mvn -q -B dependency:copy -Dartifact="$1:$2" -DoutputDirectory="$rivals" >&2
  printf '%s' "$file"
}

FASTJOB_QUARTZ_2_3=$(jar org.quartz-scheduler:quartz 2.3.2)
FASTJOB_QUARTZ_2_5=$(jar org.quartz-scheduler:quartz 2.5.0)
FASTJOB_SPRING=$(jar org.springframework:spring-context $spring):$(jar org.springframework:spring-core $spring)
FASTJOB_SPRING+=:$(jar org.springframework:spring-jcl $spring)
FASTJOB_CRONER=$rivals/croner-$croner
[ -d "$FASTJOB_CRONER/node_modules/croner" ] ||
  npm install --silent --no-save --no-audit --no-fund --prefix "$FASTJOB_CRONER" "croner@$croner" >&2
export FASTJOB_QUARTZ_2_3 FASTJOB_QUARTZ_2_5 FASTJOB_SPRING FASTJOB_CRONER
export FASTJOB_DIFFERENTIAL_CASES=${1:-3000} FASTJOB_DIFFERENTIAL_SEED=${2:-1}

cargo test --workspace --test schedule_oracle -- --ignored --nocapture --test-threads=1 known_differences
