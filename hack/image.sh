#!/bin/sh
# Makes the image that the Dockerfile makes, with no container engine and no
# registry: image.sh BINARY IMAGE:TAG OUT.tar
set -eu
binary=$1 image=$2 out=$3
here=$(dirname "$0")

# What the image is told stands in the Dockerfile alone.
said() {
    sed -n "s/^$1 //p" "$here/../Dockerfile"
}
labels=$(said LABEL | sed 's/^\([^=]*\)=/"\1":/' | paste -s -d ,)
config="{\"User\":\"$(said USER)\",\"Env\":[\"$(said ENV)\"],\"Entrypoint\":$(said ENTRYPOINT),\"Labels\":{$labels}}"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
"$here/rootfs.sh" "$binary" "$root"
"$here/archive.sh" "$root" "$image" "$config" "$out"
