"""The wheel carries what an installation needs, and works away from the checkout."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.tools import REPOSITORY

pytestmark = [pytest.mark.network]


def pip(python: str | Path, *arguments: str | Path) -> None:
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


def test_recipes_and_templates_reach_the_wheel_and_its_commands_run(tmp_path: Path) -> None:
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", tmp_path, REPOSITORY)
    (wheel,) = tmp_path.glob("rootlet-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {"recipes/redis.toml", "recipes/fragments/python.toml", "templates/build.md.j2"}
    assert {f"builder/_shipped/{name}" for name in shipped} <= names
    assert "builder/sources/debian/keys/debian-archive.pgp" in names
    assert "builder/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]

    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    pip(python, "install", wheel)
    where = "from builder.resources import shipped; print(shipped('templates'), shipped('recipes'))"
    found = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout.count("_shipped") == 2
    for command in (["rootlet", "--version"], ["build", "--help"], ["rootlet", "schema"]):
        program = tmp_path / "venv/bin" / command[0]
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert done.stdout
