# The two commands of the README are `make demo` and `make test`.
.PHONY: demo test build release crds check-generated cluster bench fuzz lint

demo: ## build, and show one webhook end to end
	cargo run --quiet --locked -- demo

test: cluster ## every test that needs no root, those against a real API server among them
	cargo test --locked --workspace

build:
	cargo build --locked

release:
	cargo build --locked --release

cluster: ## the API server of the tests, built from Go modules; about 8 minutes the first time
	tests/cluster/build.sh

crds: build ## write crds/ anew
	hack/generate-crds.sh crds

check-generated: build ## fail when crds/ is not what the code says
	hack/check-generated.sh

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

fuzz: ## each parser that strangers reach, a short while
	fuzz/run.sh path 20
	fuzz/run.sh body 40

bench: release ## the whole program beside a bare forwarder and nginx
	cargo build --locked --release --package bench
	$(or $(CARGO_TARGET_DIR),target)/release/bench all
