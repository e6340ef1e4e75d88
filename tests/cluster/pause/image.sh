#!/bin/sh
# Makes the sandbox image that the node's containerd is told to use: image.sh OUT.tar
set -eu
out=$1
here=$(dirname "$0")

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
cc -Os -Wall -Werror -static -s -o "$root/pause" "$here/pause.c"
"$here/../../../hack/archive.sh" "$root" webhook-cluster/pause:1 \
    '{"User":"65535:65535","Entrypoint":["/pause"]}' "$out"
