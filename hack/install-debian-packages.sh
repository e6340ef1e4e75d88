#!/bin/sh
# Usage: hack/install-debian-packages.sh [PACKAGE...]
# Installs Debian packages, as root. Without packages it does nothing.
set -eu
[ "$#" -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "these Debian packages are needed: $*" >&2
    exit 1
fi
echo "installing $*"
apt-get update -q
apt-get install -y -q --no-install-recommends "$@"
