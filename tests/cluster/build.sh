#!/bin/sh
# Builds what the tests need of Kubernetes into target/cluster/, each part unless
# it is there already: the cluster itself with its sandbox image, Helm, and the
# definitions of the Gateway API.
set -eu
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/cluster"
out=$(cd "$target/cluster" && pwd)
cd tests/cluster

helm_version=v3.19.2
gateway_api_version=v1.6.1
kubernetes_version=$(sed -n 's#^.*k8s.io/kubernetes v#v#p' go.mod)
minor=${kubernetes_version#v1.}
minor=${minor%%.*}

cluster() {
    # A hash and not the age of the files: a checkout makes every source new, and
    # CI restores the binary from a cache.
    sources=$(cat go.mod go.sum ./*.go build.sh | sha256sum)
    if [ -x "$out/webhook-cluster" ] && [ "$(cat "$out/webhook-cluster.sources" 2>/dev/null)" = "$sources" ]; then
        echo "the test cluster is up to date"
        return
    fi
    echo "building the test cluster (about 8 minutes the first time)"
    # Clients and Helm read the version, which only the linker sets.
    package=k8s.io/component-base/version
    go build -buildvcs=false -o "$out/webhook-cluster.new" -ldflags "-s -w \
        -X $package.gitVersion=$kubernetes_version -X $package.gitMajor=1 -X $package.gitMinor=$minor"
    # Renamed, not overwritten: a test may be running the old one.
    mv "$out/webhook-cluster.new" "$out/webhook-cluster"
    echo "$sources" >"$out/webhook-cluster.sources"
}

helm() {
    if [ -x "$out/helm" ] && go version -m "$out/helm" | grep -q "helm.sh/helm/v3.$helm_version"; then
        echo "Helm is up to date"
        return
    fi
    echo "building Helm $helm_version (about 2 minutes the first time)"
    # What it takes the cluster for when it renders a chart without one.
    chartutil=helm.sh/helm/v3/pkg/chartutil
    lint=helm.sh/helm/v3/pkg/lint/rules
    GOBIN=$out go install -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=$helm_version \
        -X $chartutil.k8sVersionMajor=1 -X $chartutil.k8sVersionMinor=$minor \
        -X $lint.k8sVersionMajor=1 -X $lint.k8sVersionMinor=$minor" "helm.sh/helm/v3/cmd/helm@$helm_version"
}

gateway_api() {
    if [ "$(cat "$out/gateway-api/version" 2>/dev/null)" = "$gateway_api_version" ]; then
        echo "the Gateway API is up to date"
        return
    fi
    echo "downloading the Gateway API $gateway_api_version"
    module=$(go mod download -json "sigs.k8s.io/gateway-api@$gateway_api_version" |
        sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    rm -rf "$out/gateway-api"
    mkdir "$out/gateway-api"
    install -m 644 "$module"/config/crd/standard/*.yaml "$out/gateway-api"
    echo "$gateway_api_version" >"$out/gateway-api/version"
}

cluster
pause/image.sh "$out/pause.tar"
helm
gateway_api
