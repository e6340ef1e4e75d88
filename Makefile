# The two commands of the README are `make demo` and `make test`.
.PHONY: demo test page senders alerts crash attack e2e build release install crds chart-docs check-generated cluster bench fuzz lint

target := $(or $(CARGO_TARGET_DIR),target)
prefix ?= $(HOME)/.local
bin = $(DESTDIR)$(prefix)/bin

demo: ## build, and show one webhook end to end
	cargo run --quiet --locked -- demo

test: cluster ## every test that needs no root, those against a real API server among them; as root it installs PostgreSQL where it lacks
	tests/postgres.sh
	cargo test --locked --workspace

alerts: cluster build ## alerts, runbook, dashboard and /metrics, with Debian's promtool where there is none; needs Python
	tests/alerts/check.py

e2e: cluster build ## pods on a real node; as root, which it also needs to install Debian packages
	tests/e2e/prerequisites.sh
	tests/e2e/images.sh $(target)/debug/webhook-operator $(target)/e2e/images
	cargo test --locked --test e2e -- --test-threads=1 --nocapture

page: cluster build ## the page in a real browser; as root it installs the Debian packages that lack
	tests/page/prerequisites.sh
	cd tests/page && node --test --test-concurrency=1 --test-reporter=spec

senders: build ## requests signed by official SDKs; as root it installs Node and Python where they lack
	tests/senders/prerequisites.sh
	cd tests/senders && node --test --test-reporter=dot

crash: build ## the operator killed again and again under load, and webhooks that come and go; `make crash seconds=3600 webhooks=100000` by hand
	cargo build --locked --package crash
	$(target)/debug/crash --seconds $(or $(seconds),90)
	$(target)/debug/crash --scenario churn --webhooks $(or $(webhooks),2000)

attack: release ## floods, slow clients and broken HTTP/2 on loopback, beside a well-behaved client; about 2 minutes
	cargo build --locked --release --package attack
	$(target)/release/attack --seconds $(or $(seconds),6)

build:
	cargo build --locked

release:
	cargo build --locked --release

install: release ## the program and the names by which kubectl finds it, below `prefix`
	install -D $(target)/release/webhook-operator $(bin)/webhook-operator
	ln -sf webhook-operator $(bin)/kubectl-webhook
	ln -sf webhook-operator $(bin)/kubectl_complete-webhook

cluster: ## the Kubernetes of the tests and Helm, built from Go modules; about 10 minutes the first time
	tests/cluster/build.sh

crds: build ## write the CRDs anew, in crds/ and in the chart
	hack/generate-crds.sh crds charts/webhook-operator/files/crds

chart-docs: ## write the chart's README anew, from the comments of its values
	hack/chart-docs.sh charts/webhook-operator/README.md

check-generated: build ## fail when a generated file is not what it is made from
	hack/check-generated.sh

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	fuzz/run.sh

fuzz: ## each parser that strangers reach, a short while
	fuzz/run.sh path 20
	fuzz/run.sh body 40
	fuzz/run.sh cloud_event 15
	fuzz/run.sh content_coding 15
	fuzz/run.sh client 20
	fuzz/run.sh proxy_header 20
	fuzz/run.sh framing 20
	fuzz/run.sh opening 15
	fuzz/run.sh listener_response 15
	fuzz/run.sh frames 10
	fuzz/run.sh trace_context 15
	fuzz/run.sh verify_signature 30
	fuzz/run.sh verify_entry 20
	fuzz/run.sh verify_form 15
	fuzz/run.sh verify_jwt 15
	fuzz/run.sh verify_handshake 15
	fuzz/run.sh filter 40

bench: release ## the whole program beside a bare forwarder and nginx
	cargo build --locked --release --package bench
	$(target)/release/bench all
