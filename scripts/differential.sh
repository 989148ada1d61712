#!/usr/bin/env bash
# Runs the cron engine beside Quartz, Spring and croner, and the importers' evaluator beside Quartz and cron-utils.
# Usage: scripts/differential.sh [cases [seed]]
# Known differences are counted, any other fails: docs/cron-differences.md.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh rust java maven node

spring=6.2.8 croner=11.0.1 cron_utils=9.2.1 slf4j=2.0.13
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
FASTJOB_CRON_UTILS=$(jar com.cronutils:cron-utils $cron_utils):$(jar org.slf4j:slf4j-api $slf4j)
FASTJOB_CRONER=$rivals/croner-$croner
[ -d "$FASTJOB_CRONER/node_modules/croner" ] ||
  npm install --silent --no-save --no-audit --no-fund --prefix "$FASTJOB_CRONER" "croner@$croner" >&2
export FASTJOB_QUARTZ_2_3 FASTJOB_QUARTZ_2_5 FASTJOB_SPRING FASTJOB_CRON_UTILS FASTJOB_CRONER
export FASTJOB_DIFFERENTIAL_CASES=${1:-3000} FASTJOB_DIFFERENTIAL_SEED=${2:-1}

cargo test --workspace --test schedule_oracle -- --ignored --nocapture --test-threads=1 known_differences
# The evaluator of `fastjob import` beside the engines that it speaks for.
cargo test --workspace --lib -- --ignored --nocapture --test-threads=1 fires_when_its_evaluator_says
