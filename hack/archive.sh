#!/bin/sh
# Packs a root file system as an image: archive.sh FOLDER IMAGE:TAG CONFIG OUT.tar
#
# CONFIG is the `config` object of the OCI image specification, in JSON. The same
# files give the same bytes. `docker load` and `ctr images import` read the result.
set -eu
folder=$1 image=$2 config=$3 out=$4

case $(uname -m) in
x86_64) architecture=amd64 ;;
aarch64) architecture=arm64 ;;
*) architecture=$(uname -m) ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pack() {
    tar --create --format=gnu --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner "$@"
}
digest() {
    sha256sum "$1" | cut -d ' ' -f 1
}

pack --mode=go-w --file="$work/layer.tar" --directory="$folder" .
cat >"$work/config.json" <<JSON
{"architecture":"$architecture","os":"linux","created":"1970-01-01T00:00:00Z","config":$config,
"rootfs":{"type":"layers","diff_ids":["sha256:$(digest "$work/layer.tar")"]},
"history":[{"created":"1970-01-01T00:00:00Z","created_by":"hack/archive.sh"}]}
JSON
name=$(digest "$work/config.json").json
mv "$work/config.json" "$work/$name"
echo "[{\"Config\":\"$name\",\"RepoTags\":[\"$image\"],\"Layers\":[\"layer.tar\"]}]" >"$work/manifest.json"
pack --file="$out" --directory="$work" manifest.json "$name" layer.tar
