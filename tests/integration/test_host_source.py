"""A program compiled on this machine, with a library of this machine: what a CI job has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.desk import image_bytes, image_files
from tests.support.tools import REPOSITORY, need, python_of_all, rootlet

pytestmark = [pytest.mark.network, pytest.mark.tools]

SOURCE = """
#include <stdio.h>
const char *zlibVersion(void);
int main(void) { printf("zlib %s\\n", zlibVersion()); return 0; }
"""
RECIPE = """schema = 1
name = "compiled"
entrypoint = ["/usr/bin/app"]
[sources.here]
type = "host"
[[install]]
from = "here"
path = "PROGRAM"
to = "/usr/bin/app"
[[test]]
run = ["/usr/bin/app"]
stdout = "zlib 1"
[scan]
unscannable = "warn"
fail_on = "none"
max_database_age = "any"
"""


def compiled(folder: Path) -> Path:
    """A program that needs the machine's zlib, made with a umask that keeps it to its owner."""
    need("gcc", "dpkg-query")
    (folder / "app.c").write_text(SOURCE)
    before = os.umask(0o022)
    try:
        subprocess.run(["gcc", "-o", "app", "app.c", "-l:libz.so.1"], cwd=folder, check=True)
    finally:
        os.umask(before)
    (folder / "recipe.toml").write_text(RECIPE.replace("PROGRAM", str(folder / "app")))
    return folder / "app"


def build(folder: Path, *prefix: str, name: str, status: int = 0) -> tuple[str, str]:
    """Digest and complaints of a build whose folders are ``name``'s own."""
    python = python_of_all() if prefix else sys.executable
    more: Sequence[str | Path] = ("--cache", folder / f"cache-{name}") if prefix else ()
    finished = rootlet(
        *("build", folder / "recipe.toml", "--json", "--to", f"oci:{folder}/{name}", *more),
        *("--database", folder / "data"),
        cwd=folder,
        status=status,
        prefix=prefix,
        python=python,
    )
    return (json.loads(finished.stdout)["digest"] if status == 0 else "", finished.stderr)


def test_a_program_compiled_here_takes_a_library_of_the_machine_as_root_and_as_a_user() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        folder = Path(name)
        folder.chmod(0o777)
        app = compiled(folder)
        rootlet(
            "database", "--database", folder / "data", "import", REPOSITORY / "tests/data/osv", cwd=folder
        )
        digest, _ = build(folder, name="root")
        layout = folder / "root"
        version = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", "zlib1g"], check=True, capture_output=True, text=True
        ).stdout
        assert f"\nVersion: {version}\n" in image_bytes(layout, "/var/lib/dpkg/status.d/zlib1g").decode()
        assert "/usr/share/doc/zlib1g/copyright" in image_files(layout)
        assert "unchanged" in build(folder, name="root")[1]
        if os.geteuid() != 0:
            return
        need("setpriv")
        user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        assert build(folder, *user, name="user")[0] == digest
        app.chmod(0o700)
        complaint = build(folder, *user, name="user", status=4)[1]
        assert f"{app} could not be opened: Permission denied" in complaint
