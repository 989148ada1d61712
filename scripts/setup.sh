#!/usr/bin/env bash
# Installs what the named parts need, or names it. Usage: scripts/setup.sh rust c java maven node valgrind python postgres mariadb faketime
set -euo pipefail

say() { printf '%s\n' "$*" >&2; }

missing=()
need() { # command package
  command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}

for part in "$@"; do
  case $part in
    rust) need cc gcc
      if ! command -v cargo >/dev/null 2>&1; then
        say "Rust is missing: install 1.95 or newer with rustup (https://rustup.rs), then run this again."
        exit 1
      fi ;;
    c) need gcc gcc; need g++ g++ ;;
    java)
      if ! command -v javac >/dev/null 2>&1; then missing+=(openjdk-17-jdk-headless); fi
      need gradle gradle ;;
    maven) need mvn maven ;;
    node) need node nodejs; need npm npm ;;
    valgrind) need valgrind valgrind ;;
    python) need python3 python3 ;;
    mariadb) PATH=$PATH:/usr/sbin need mariadbd mariadb-server ;;
    faketime) compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || missing+=(libfaketime) ;;
    postgres) compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || need postgres postgresql ;;
    *) say "setup.sh: unknown part $part"; exit 2 ;;
  esac
done

[ ${#missing[@]} -eq 0 ] && exit 0

sudo=
[ "$(id -u)" -eq 0 ] || sudo="sudo -n"
if command -v apt-get >/dev/null 2>&1 && { [ -z "$sudo" ] || $sudo true 2>/dev/null; }; then
  say "installing ${missing[*]} ..."
  export DEBIAN_FRONTEND=noninteractive
  # Tests start databases of their own: no package may start a service.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap '$sudo rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
    $sudo chmod 755 $policy
  fi
  if ! { $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/tmp/fastjob-setup.$$.log 2>&1; then
    cat /tmp/fastjob-setup.$$.log >&2
    say "failed to install: ${missing[*]}"
    exit 1
  fi
  rm -f /tmp/fastjob-setup.$$.log
else
  say "please install: ${missing[*]} (Debian names), then run this again."
  exit 1
fi
