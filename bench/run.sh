#!/usr/bin/env bash
# Measures. Usage: bench/run.sh [scenario [options]]; without a scenario, all of them. ROUNDS=n rounds each (3);
# LANG=rust|java|c: the worker of `throughput`. See bench/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."

export ROUNDS=${ROUNDS:-3}
# Any other LANG is the locale.
case ${LANG:-} in rust | java | c) language=$LANG ;; *) language=rust ;; esac
scenario=${1:-all}
[ $# -eq 0 ] || shift

say() { printf '\033[1m==\033[0m %s\n' "$*" >&2; }

scripts/setup.sh rust
say "building with optimisation (the first time takes some minutes)"
cargo build --release --quiet --workspace
bench=target/release/fastjob-bench
built=target/bench
mkdir -p "$built"

build_c() {
  scripts/setup.sh c
  ln -sf libfastjob.so target/release/libfastjob.so.1
  cc -std=c11 -Wall -Wextra -O2 -Iinclude bench/c/worker.c -o "$built/worker-c" \
    -Ltarget/release -lfastjob -Wl,-rpath,"$PWD/target/release" -lpthread
  export BENCH_C_WORKER=$PWD/$built/worker-c
}

build_java() {
  scripts/setup.sh java
  scripts/gradle.sh -q -PnativeDir="$PWD/target/release" :fastjob-client:jar :fastjob-examples:libs
  local libraries=java-client/examples/build/libs/lib
  mkdir -p "$built/java"
  javac -nowarn -cp "$libraries/*" -d "$built/java" bench/java/BenchWorker.java
  printf '#!/bin/sh\nexec java -cp "%s:%s/*" BenchWorker "$@"\n' "$PWD/$built/java" "$PWD/$libraries" >"$built/worker-java"
  chmod +x "$built/worker-java"
  export BENCH_JAVA_WORKER=$PWD/$built/worker-java
}

throughput() {
  case $1 in c) build_c ;; java) build_java ;; esac
  "$bench" throughput --language "$@"
}

case $scenario in
  all)
    "$bench" floor
    for one in rust c java; do throughput "$one"; done
    "$bench" lateness
    "$bench" spread
    "$bench" api-latency
    "$bench" schedule ;;
  throughput) throughput "$language" "$@" ;;
  cluster)
    case " $* " in *mariadb*) scripts/setup.sh mariadb ;; *) scripts/setup.sh postgres ;; esac
    "$bench" cluster "$@" ;;
  floor | lateness | spread | api-latency | schedule) "$bench" "$scenario" "$@" ;;
  *) echo "bench/run.sh: no scenario $scenario: all, floor, throughput, cluster, lateness, spread, api-latency, schedule" >&2; exit 2 ;;
esac
