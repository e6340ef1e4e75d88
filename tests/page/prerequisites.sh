#!/bin/sh
# Installs what the tests of the page need and what is not there: a browser and Node from Debian, as root, and
# two packages in their own folder.
set -eu
cd "$(dirname "$0")"
missing=
command -v chromium >/dev/null || missing="$missing chromium fonts-dejavu-core"
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
# Words: the names of the packages.
# shellcheck disable=SC2086
../../hack/install-debian-packages.sh $missing
npm ci --no-audit --no-fund --ignore-scripts
