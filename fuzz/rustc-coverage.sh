#!/bin/sh
# RUSTC_WRAPPER: compiles our crate, its multipart parser and the fuzz targets with the coverage counters and compare
# hooks that libFuzzer steers by, and everything else as it is. The flags are LLVM's own, so stable Rust takes them.
set -eu

crate=
previous=
for argument in "$@"; do
    [ "$previous" = --crate-name ] && crate=$argument
    previous=$argument
done

case $crate in
webhook_operator | multer | body | client | cloud_event | content_coding | filter | fram* | listener_response | opening | path | proxy_header | trace_context | verify_*)
    exec "$@" -Cpasses=sancov-module \
        -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
        -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares \
        -Ccodegen-units=1
    ;;
*)
    exec "$@"
    ;;
esac
