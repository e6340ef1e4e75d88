#!/bin/sh
# Fails when crds/ is not what the code generates.
set -eu
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
hack/generate-crds.sh "$fresh"
if ! diff -ru crds "$fresh"; then
    echo "crds/ is out of date: run 'make crds' and commit the result" >&2
    exit 1
fi
echo "crds/ is up to date"
