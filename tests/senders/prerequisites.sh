#!/bin/sh
# Installs what the tests of the senders need: Node and Python from Debian where they are missing, as root, and
# the SDKs of both in this folder.
set -eu
cd "$(dirname "$0")"
missing=
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3 python3-venv"
# Words: the names of the packages.
# shellcheck disable=SC2086
../../hack/install-debian-packages.sh $missing
npm ci --no-audit --no-fund --ignore-scripts
python3 -m venv python
python/bin/pip install --quiet --no-compile --require-hashes --only-binary :all: --requirement requirements.txt
