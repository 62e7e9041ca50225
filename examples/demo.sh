#!/bin/sh
# `make demo`: a real, minimal, scanned image of a shipped recipe in dist/, on a machine with nothing but Python.
set -eu
cd "$(dirname "$0")/.."
recipe=${1:-recipes/redis.toml}
small_cut=tests/data/osv

echo "▸ vulnerability data from OSV (https://osv.dev)"
complaint=$(mktemp)
trap 'rm -f "$complaint"' EXIT
if rootlet database update Debian --quiet 2>"$complaint"; then
    rootlet build "$recipe"
else
    sed 's/^/  /' "$complaint"
    echo "  OSV cannot be reached from here, so the demo uses the small cut of real data in $small_cut."
    echo "  It covers the packages of the shipped recipes on Debian 13, as of the day it was made, and nothing"
    echo "  newer: fine for a demo, not for production. rootlet says so below, and fails for what it does not cover."
    # In a folder of its own: the cut must never stand in for the real data of later builds.
    rootlet database --database dist/demo-database import "$small_cut" --quiet
    rootlet build "$recipe" --database dist/demo-database --max-database-age any
fi

echo
echo "Look inside: .venv/bin/rootlet plan $recipe"
echo "Run it:      podman run --rm --read-only oci:$(pwd)/dist/redis:latest"
