#!/bin/sh
# Assembles the image's root file system in an empty folder: rootfs.sh BINARY FOLDER
#
# The program, the libraries that it is linked to and what these read; no shell
# and nothing to write to.
set -eu
binary=$1 folder=$2
here=$(dirname "$0")

# Before 2.34, glibc loaded the resolver from libraries that ldd does not name.
glibc=$(getconf GNU_LIBC_VERSION)
if [ "$(printf '%s\n' 'glibc 2.34' "$glibc" | sort -V | head -n 1)" != 'glibc 2.34' ]; then
    echo "rootfs.sh: needs glibc 2.34 or later, this is $glibc" >&2
    exit 1
fi

# In the PATH, so that `kubectl exec POD -- webhook-operator ...` finds it.
"$here/install-program.sh" "$binary" "$folder" /usr/local/bin/webhook-operator
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/ca-certificates.crt"
echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >"$folder/etc/passwd"
echo 'nonroot:x:65532:' >"$folder/etc/group"
# Without it, glibc asks DNS for names that /etc/hosts has.
echo 'hosts: files dns' >"$folder/etc/nsswitch.conf"
chmod 644 "$folder/etc/passwd" "$folder/etc/group" "$folder/etc/nsswitch.conf"
