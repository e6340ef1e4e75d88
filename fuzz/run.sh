#!/bin/sh
# Usage: fuzz/run.sh [TARGET SECONDS]
# Without a target, checks that all of them compile: they are a package of their own, which no check of the workspace
# sees. Otherwise builds one target on stable Rust and runs it for that long. A finding is a non-zero exit, and the
# input that made it is left in target/fuzz/artifacts/TARGET/; give it to target/debug/TARGET to see it again. The
# corpus is kept in target/fuzz/corpus/TARGET.
set -eu

cd "$(dirname "$0")"

# What is fuzzed is what ships: the product's own lock, to which cargo adds the fuzzer.
cp ../Cargo.lock Cargo.lock
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../target}
export CARGO_TARGET_DIR
[ "$#" -gt 0 ] || exec cargo check --bins
target=$1
seconds=$2
RUSTC_WRAPPER="$PWD/rustc-coverage.sh" cargo build --bin "$target"

work="$CARGO_TARGET_DIR/fuzz"
mkdir -p "$work/corpus/$target" "$work/artifacts/$target"
exec "$CARGO_TARGET_DIR/debug/$target" "$work/corpus/$target" "seeds/$target" \
    -artifact_prefix="$work/artifacts/$target/" \
    -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
