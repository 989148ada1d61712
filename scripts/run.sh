#!/usr/bin/env bash
# Server, sample worker, and the runs as they happen. Usage: scripts/run.sh java|c|rust RUNS   (RUNS=0: until Ctrl-C)
set -euo pipefail
cd "$(dirname "$0")/.."

began=$(date +%s.%N)
language=$1
runs=$2
case $language in
  java) parts="rust java" ;;
  c) parts="rust c" ;;
  rust) parts="rust" ;;
  *) echo "make run LANG=java|c|rust, not $language" >&2; exit 2 ;;
esac

say() { printf '\033[1m==\033[0m %s\n' "$*" >&2; }
# shellcheck disable=SC2086
scripts/setup.sh $parts

say "building the server and the native library (the first time takes a few minutes)"
if [ "$language" = rust ]; then
  cargo build --workspace --example greet
  cargo build --workspace
else
  cargo build --workspace
fi
case $language in
  java)
    say "building the Java client"
    scripts/gradle.sh -q jar
    sample=(java -jar java-client/examples/build/libs/fastjob-examples.jar) ;;
  c)
    say "building the C sample"
    mkdir -p target/c
    cc -std=c11 -Wall -Wextra -O1 -Iinclude ffi/examples/greet.c -o target/c/greet -Ltarget/debug -lfastjob -Wl,-rpath,"$PWD/target/debug" -lpthread
    ln -sf libfastjob.so target/debug/libfastjob.so.1
    sample=(target/c/greet) ;;
  rust) sample=(target/debug/examples/greet) ;;
esac

work=$(mktemp -d)
server= worker=
finish() {
  code=$?
  trap - EXIT INT TERM
  # The worker first, so that the server can still acknowledge what it did.
  for pid in $worker $server; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
  exit $code
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "starting fastjob dev"
target/debug/fastjob dev --ready-file "$work/ready.json" &
server=$!
for _ in $(seq 200); do
  [ -s "$work/ready.json" ] && break
  kill -0 "$server" 2>/dev/null || { wait "$server" || exit $?; exit 1; }
  sleep 0.05
done
[ -s "$work/ready.json" ] || { echo "the server did not become ready within 10 s" >&2; exit 1; }

field() { sed -E "s/.*\"$1\":\"([^\"]*)\".*/\1/" "$work/ready.json"; }
FASTJOB_SERVERS=$(field rpc) FASTJOB_APP=$(field app) FASTJOB_TOKEN=$(field token)
export FASTJOB_SERVERS FASTJOB_APP FASTJOB_TOKEN

say "starting the $language sample worker (Ctrl-C ends everything)"
"${sample[@]}" >&2 &
worker=$!

watch=(target/debug/fastjob run list --follow -o table)
[ "$runs" -gt 0 ] && watch+=(--count "$runs")
first=
while IFS= read -r line; do
  if [ -z "$first" ] && [[ $line != ENDED_AT* ]]; then
    first=$(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
  fi
  printf '%s\n' "$line"
done < <(exec "${watch[@]}")
say "first run seen after $first s"
[ -n "$first" ]
