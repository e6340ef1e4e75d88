#!/bin/sh
# Installs what the tests of the senders need: Node and Python from Debian where they are missing, as root, and
# the SDKs of both in this folder.
set -eu
cd "$(dirname "$0")"
missing=
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3 python3-venv"
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
python3 -m venv python
python/bin/pip install --quiet --no-compile --require-hashes --only-binary :all: --requirement requirements.txt
