#!/usr/bin/env bash
# Release builds, laid out in dist/.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh rust java
cargo build --release --workspace
scripts/gradle.sh -q -PnativeDir="$PWD/target/release" jar

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
rm -rf dist
mkdir -p dist/{bin,lib,include,pkgconfig,java}
install -m 755 target/release/fastjob dist/bin/fastjob
install -m 755 target/release/libfastjob.so "dist/lib/libfastjob.so.$version"
strip --strip-unneeded "dist/lib/libfastjob.so.$version"
ln -s "libfastjob.so.$version" dist/lib/libfastjob.so.1
ln -s libfastjob.so.1 dist/lib/libfastjob.so
install -m 644 target/release/libfastjob.a dist/lib/libfastjob.a
install -m 644 include/fastjob.h dist/include/fastjob.h
sed -e "s|@PREFIX@|/usr/local|" -e "s|@VERSION@|$version|" ffi/fastjob.pc.in >dist/pkgconfig/fastjob.pc
cp java-client/client/build/libs/fastjob-client-"$version".jar dist/java/
find dist -type f -o -type l | sort
