#!/bin/sh
# Makes the image that the Dockerfile makes, with no container engine and no
# registry: image.sh BINARY IMAGE:TAG OUT.tar
set -eu
binary=$1 image=$2 out=$3
here=$(dirname "$0")

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
"$here/rootfs.sh" "$binary" "$root"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../Cargo.toml" | head -n 1)
config='{
"User":"65532:65532",
"Env":["PATH=/usr/local/bin"],
"Entrypoint":["/usr/local/bin/webhook-operator"],
"WorkingDir":"/",
"Labels":{
"org.opencontainers.image.title":"webhook-operator",
"org.opencontainers.image.description":"Inbound webhooks for Kubernetes: verified, routed and carried to your app",
"org.opencontainers.image.licenses":"Apache-2.0",
"org.opencontainers.image.version":"'$version'"}}'
"$here/archive.sh" "$root" "$image" "$config" "$out"
