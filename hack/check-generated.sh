#!/bin/sh
# Fails when the CRDs, their copies in the chart or its README are not what the code and values.yaml say.
set -eu
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
chart=charts/webhook-operator
hack/generate-crds.sh "$fresh/crds"
hack/chart-docs.sh "$fresh/README.md"

stale=
diff -ru crds "$fresh/crds" || stale=1
diff -ru "$chart/files/crds" "$fresh/crds" || stale=1
diff -u "$chart/README.md" "$fresh/README.md" || stale=1
if [ "$stale" ]; then
    echo "generated files are out of date: run 'make crds chart-docs' and commit the result" >&2
    exit 1
fi
echo "generated files are up to date"
