#!/bin/sh
# Builds the test API server into target/cluster/webhook-cluster, unless what is
# there was built from these very sources.
set -eu
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/cluster"
binary=$(cd "$target/cluster" && pwd)/webhook-cluster
cd tests/cluster

# A hash and not the age of the files: a checkout makes every source new, and
# CI restores the binary from a cache.
sources=$(cat go.mod go.sum ./*.go build.sh | sha256sum)
if [ -x "$binary" ] && [ "$(cat "$binary.sources" 2>/dev/null)" = "$sources" ]; then
    echo "the test API server is up to date"
    exit
fi
echo "building the test API server (about 8 minutes the first time)"

# Clients and Helm read the version, which only the linker sets.
version=$(sed -n 's#^.*k8s.io/kubernetes v#v#p' go.mod)
minor=${version#v1.}
minor=${minor%%.*}
package=k8s.io/component-base/version
go build -buildvcs=false -o "$binary.new" -ldflags "-s -w \
    -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor"
# Renamed, not overwritten: a test may be running the old one.
mv "$binary.new" "$binary"
echo "$sources" >"$binary.sources"
