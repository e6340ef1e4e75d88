#!/bin/sh
# Installs PostgreSQL for the tests where it is missing: Debian's, as root.
set -eu
cd "$(dirname "$0")"
if ! command -v postgres >/dev/null && ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
    ../hack/install-debian-packages.sh postgresql
fi
