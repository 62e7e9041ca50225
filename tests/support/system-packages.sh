#!/bin/sh
# Installs the programs that the integration tests use as second opinions; says what to do where it may not.
set -eu

packages="buildah podman skopeo umoci docker-registry docker.io runc bubblewrap mmdebstrap musl uidmap zstd git strace busybox-static qemu-user-static rpm db5.3-util ruby php-cli php-composer-semver libmaven3-core-java"
missing=""
for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
# Java's compiler and node come from elsewhere on many machines.
command -v javac >/dev/null 2>&1 || missing="$missing default-jdk-headless"
command -v node >/dev/null 2>&1 || missing="$missing nodejs node-semver"
[ -z "$missing" ] && exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "integration tests need:$missing (tests that use them are skipped without them)"
    exit 0
fi
run=""
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        run="sudo"
    else
        echo "integration tests need more programs: sudo apt-get install$missing"
        exit 0
    fi
fi
echo "installing:$missing"
$run apt-get update -qq
DEBIAN_FRONTEND=noninteractive $run apt-get install -y -qq --no-install-recommends $missing >/dev/null
