#!/usr/bin/env bash
# Gradle on the Java client, without a daemon left behind.
set -euo pipefail
cd "$(dirname "$0")/../java-client"
exec gradle --no-daemon -Dorg.gradle.daemon=false "$@"
