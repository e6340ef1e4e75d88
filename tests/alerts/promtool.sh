#!/bin/sh
# Prints the path of promtool: that of the PATH, or that of Debian's package, unpacked into target/alerts. Nothing is
# installed, and no service begins.
set -eu
cd "$(dirname "$0")/../.."
if command -v promtool; then
    exit
fi
mkdir -p "${CARGO_TARGET_DIR:-target}/alerts"
cd "${CARGO_TARGET_DIR:-target}/alerts"
if [ ! -x usr/bin/promtool ]; then
    rm -f prometheus_*.deb
    {
        apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }
        dpkg-deb --fsys-tarfile prometheus_*.deb | tar --extract ./usr/bin/promtool
        rm -f prometheus_*.deb
    } >&2
fi
echo "$PWD/usr/bin/promtool"
