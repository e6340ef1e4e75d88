#!/bin/sh
# Installs the Debian packages that a node needs and that are not there.
set -eu
if [ "$(id -u)" != 0 ]; then
    echo "a node needs root" >&2
    exit 1
fi
missing=
# The last two are the curl of the tools image, and the ingress of the chart's tests.
for package in containerd runc containernetworking-plugins iptables curl nginx-light; do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
# Words: the names of the packages.
# shellcheck disable=SC2086
"$(dirname "$0")/../../hack/install-debian-packages.sh" $missing
