#!/bin/sh
# Writes the README of the chart from its template and the comments of values.yaml: chart-docs.sh FILE
set -eu
file=$1
version=v1.14.2
mkdir -p "${CARGO_TARGET_DIR:-target}/cluster"
tools=$(cd "${CARGO_TARGET_DIR:-target}/cluster" && pwd)
if ! go version -m "$tools/helm-docs" 2>/dev/null | grep -qF "$version"; then
    GOBIN=$tools go install "github.com/norwoodj/helm-docs/cmd/helm-docs@$version"
fi
"$tools/helm-docs" --chart-search-root charts --sort-values-order file --log-level warning \
    --dry-run >"$file.new"
mv "$file.new" "$file"
