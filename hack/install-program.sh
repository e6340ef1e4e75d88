#!/bin/sh
# Copies a program and the shared libraries that it is linked to into a root file
# system: install-program.sh PROGRAM FOLDER PATH
set -eu
program=$1 folder=$2 path=$3

install -D -m 755 "$program" "$folder$path"
# The dynamic loader is among what ldd names; a static program names nothing.
ldd "$program" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
    install -D -m 755 "$library" "$folder$library"
done
