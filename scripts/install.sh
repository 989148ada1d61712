#!/usr/bin/env bash
# Copies dist/ below PREFIX. Usage: scripts/install.sh DESTDIR PREFIX
set -euo pipefail
cd "$(dirname "$0")/.."
[ -d dist ] || { echo "nothing built: run make build first" >&2; exit 1; }
to=$1$2
install -d "$to/bin" "$to/lib/pkgconfig" "$to/include"
install -m 755 dist/bin/fastjob "$to/bin/"
cp -a dist/lib/libfastjob.* "$to/lib/"
install -m 644 dist/include/fastjob.h "$to/include/"
sed "s|^prefix=.*|prefix=$2|" dist/pkgconfig/fastjob.pc >"$to/lib/pkgconfig/fastjob.pc"
echo "installed below $to"
