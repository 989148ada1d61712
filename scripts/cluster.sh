#!/usr/bin/env bash
# Three servers on a throw-away PostgreSQL, sample workers, and who owns what as it happens.
# Usage: scripts/cluster.sh SECONDS RUNS   (0: until Ctrl-C; else it ends by itself after so many seconds, or runs)
set -euo pipefail
cd "$(dirname "$0")/.."
limit=${1:-0}
runs=${2:-0}
servers=3
workers=2

say() { printf '\033[1m==\033[0m %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
for number in "$limit" "$runs"; do
  [[ $number =~ ^[0-9]+$ ]] || { echo "error: SECONDS and RUNS are whole numbers, not $number" >&2; exit 2; }
done

scripts/setup.sh rust postgres
say "building the servers and the Rust sample (the first time takes a few minutes)"
cargo build --workspace --example greet
cargo build --workspace

# PostgreSQL refuses root, and its user must reach its files: these lie beside no private directory.
database=$(mktemp -d /tmp/fastjob-cluster.XXXXXX)
place=$PWD/.fastjob/cluster
pids=() watchers=() postgres=
as_postgres=()
binaries=$(dirname "$(compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V | tail -1 || command -v postgres)")
if [ "$(id -u)" -eq 0 ]; then
  as_postgres=(runuser -u postgres --)
  chown postgres "$database"
fi

finish() {
  code=$?
  trap - EXIT INT TERM
  for pid in "${watchers[@]}"; do kill "$pid" 2>/dev/null || true; done
  # Workers were started last and end first, so that the servers can still acknowledge what they did.
  for ((at = ${#pids[@]} - 1; at >= 0; at--)); do
    kill "${pids[at]}" 2>/dev/null && kill -CONT "${pids[at]}" 2>/dev/null || true
    wait "${pids[at]}" 2>/dev/null || true
  done
  if [ -n "$postgres" ]; then
    "${as_postgres[@]}" "$binaries/pg_ctl" -D "$database/data" -s -m immediate stop >/dev/null 2>&1 || true
  fi
  rm -rf "$database" "$place"
  rmdir .fastjob 2>/dev/null || true
  exit $code
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() {
  local port
  for _ in $(seq 50); do
    port=$((20000 + RANDOM % 30000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  fail "no free port was found"
}

start_postgres() {
  local options
  "${as_postgres[@]}" "$binaries/initdb" -D "$database/data" -A trust -U postgres -E UTF8 --no-sync >"$database/initdb.log" 2>&1 \
    || { cat "$database/initdb.log" >&2; fail "initdb failed"; }
  options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$database"
  "${as_postgres[@]}" "$binaries/pg_ctl" -D "$database/data" -w -s -l "$database/postgres.log" -o "$options" start </dev/null >/dev/null \
    || { cat "$database/postgres.log" >&2; fail "PostgreSQL did not start"; }
  postgres=started
  # No superuser: as in service.
  "$binaries/psql" -qX -h 127.0.0.1 -p "$port" -U postgres -c "CREATE ROLE fastjob LOGIN" -c "CREATE DATABASE fastjob OWNER fastjob"
}

configure() { # number
  cat >"$place/server-$1.toml" <<TOML
[rpc]
address = "127.0.0.1:0"
[http]
address = "127.0.0.1:0"
[database]
url = "postgres://fastjob@127.0.0.1:$port/fastjob"
[cluster]
key_file = "$place/cluster.key"
TOML
}

server_command() { # number
  echo "target/debug/fastjob serve --config $place/server-$1.toml --admin-token-file $place/admin.token --ready-file $place/server-$1.json"
}

field() { sed -E "s/.*\"$2\":\"?([^\",}]*)\"?.*/\1/" "$1"; }

rm -rf "$place"
mkdir -p "$place"
(umask 077 && head -c 32 /dev/urandom | base64 >"$place/cluster.key")
port=$(free_port)
say "starting PostgreSQL on 127.0.0.1:$port"
start_postgres

say "starting $servers servers at once: one makes the tables and the administrator's token, the others wait for it"
for n in $(seq $servers); do
  configure "$n"
  # shellcheck disable=SC2046
  $(server_command "$n") 2>"$place/server-$n.log" &
  pids+=($!)
done
for n in $(seq $servers); do
  for _ in $(seq 600); do
    [ -s "$place/server-$n.json" ] && break
    kill -0 "${pids[n - 1]}" 2>/dev/null || { cat "$place/server-$n.log" >&2; fail "server $n ended"; }
    sleep 0.05
  done
  [ -s "$place/server-$n.json" ] || { cat "$place/server-$n.log" >&2; fail "server $n was not ready within 30 s"; }
done

FASTJOB_SERVERS=$(for n in $(seq $servers); do field "$place/server-$n.json" rpc; done | paste -sd,)
export FASTJOB_SERVERS
fastjob() { target/debug/fastjob "$@"; }
admin() { FASTJOB_TOKEN=$(cat "$place/admin.token") fastjob "$@"; }

created=$(admin app create demo --shards $servers -o json)
FASTJOB_APP=demo
FASTJOB_TOKEN=$(sed -E 's/.*"token":"([^"]*)".*/\1/' <<<"$created")
export FASTJOB_APP FASTJOB_TOKEN
# A server learns of a token that another one has made with its next renewal.
for server in ${FASTJOB_SERVERS//,/ }; do
  for _ in $(seq 100); do
    fastjob app locate --server "$server" >/dev/null 2>&1 && break
    sleep 0.1
  done
done
for n in $(seq $workers); do
  target/debug/examples/greet >"$place/worker-$n.log" 2>&1 &
  pids+=($!)
done

hints() {
  local n
  say "what to try, from another terminal in this directory ($PWD)"
  for n in $(seq $servers); do
    echo "   kill -9 ${pids[n - 1]}      # server $n, $(field "$place/server-$n.json" rpc): its shards are taken over after its lease (4 s)" >&2
  done
  echo "   kill -TERM ${pids[0]}   # server 1 hands its shards over and ends" >&2
  echo "   kill -STOP ${pids[1]}   # server 2 stands still; kill -CONT ${pids[1]} wakes it: it finds itself fenced" >&2
  echo "   kill -9 ${pids[servers]}      # a worker: its runs go to the other one after 30 s" >&2
  echo "   $(server_command 1)   # starts server 1 again" >&2
  echo "   target/debug/fastjob doctor --config $place/server-1.toml --invariants" >&2
}

# Who owns what, whenever it changes.
owners() {
  local seen='' now
  while sleep 1; do
    now=$(admin server list -o json; fastjob app locate -o json) 2>/dev/null || continue
    # Without what changes by itself.
    now=$(sed -E 's/"renewed_[a-z_]+":("[^"]*"|[0-9]+),?//g' <<<"$now")
    [ "$now" != "$seen" ] || continue
    seen=$now
    now=$(admin server list -o table; fastjob app locate -o table) 2>/dev/null || continue
    say "servers, and who owns the shards of demo, at $(date +%T)"
    printf '%s\n' "$now"
  done
}

hints
owners &
watchers+=($!)
if [ "$limit" -gt 0 ]; then
  (sleep "$limit"; kill -USR1 $$) &
  watchers+=($!)
fi
trap 'exit 0' USR1

say "runs as they end (Ctrl-C ends everything)"
watch=(target/debug/fastjob run list --follow -o table)
[ "$runs" -gt 0 ] && watch+=(--count "$runs")
# In the background, so that a signal is heard at once; after a server's death it begins again.
while true; do
  "${watch[@]}" &
  watching=$!
  watchers+=($watching)
  if wait "$watching" && [ "$runs" -gt 0 ]; then break; fi
  sleep 1
done
