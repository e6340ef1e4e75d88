#!/bin/sh
# Makes the images of the tests: images.sh BINARY FOLDER
#
# webhook-operator:e2e is the image that is delivered. webhook-operator-tools:e2e
# has a shell and curl besides, for listeners that tests also call from.
set -eu
binary=$1 folder=$2
here=$(dirname "$0")
hack=$here/../../hack

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"

# A debug build is mostly tables for debuggers.
strip -o "$work/webhook-operator" "$binary"
"$hack/image.sh" "$work/webhook-operator" webhook-operator:e2e "$folder/operator.tar"

mkdir "$work/tools"
"$hack/rootfs.sh" "$work/webhook-operator" "$work/tools"
"$hack/install-program.sh" "$(command -v dash)" "$work/tools" /bin/sh
"$hack/install-program.sh" "$(command -v curl)" "$work/tools" /usr/bin/curl
"$hack/archive.sh" "$work/tools" webhook-operator-tools:e2e \
    '{"User":"65532:65532","Env":["PATH=/usr/local/bin:/usr/bin:/bin"],"Entrypoint":["/usr/local/bin/webhook-operator"]}' \
    "$folder/tools.tar"
