#!/bin/sh
# Installs what the tests of the page need and what is not there: a browser and Node from Debian, as root, and
# two packages in their own folder.
set -eu
cd "$(dirname "$0")"
missing=
command -v chromium >/dev/null || missing="$missing chromium fonts-dejavu-core"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "these Debian packages are needed:$missing" >&2
        exit 1
    fi
    echo "installing$missing"
    apt-get update -q
    # Words: the names of the packages.
    # shellcheck disable=SC2086
    apt-get install -y -q --no-install-recommends $missing
fi
npm ci --no-audit --no-fund --ignore-scripts
