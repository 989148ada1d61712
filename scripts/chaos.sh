#!/usr/bin/env bash
# The whole kill test. SEED=n repeats one; ROUNDS=n (default 5) kills so often at each failpoint.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh rust
export ROUNDS="${ROUNDS:-5}"
exec cargo test -p fastjob-server --test chaos
