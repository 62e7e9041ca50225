"""Real wheels of the machine's own index, run in the image: compiled ones with libraries of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.desk import image_files
from tests.support.tools import REPOSITORY, cache_folder, rootlet

pytestmark = [pytest.mark.network, pytest.mark.tools]

SITE = "/usr/lib/python3/dist-packages"
RECIPE = """schema = 1
name = "wheels"
entrypoint = ["/usr/bin/python3"]
extends = ["python"]

[sources.os]
packages = ["libstdc++6"]                      # what manylinux expects of every system

[sources.deps]
type = "python"
requirements = "requirements.txt"
hashes = false

[[install]]
from = "deps"
to = "/usr/lib/python3/dist-packages"

[[test]]
run = ["/usr/bin/python3", "-c", "import numpy; print(int(numpy.linalg.det(numpy.eye(3)) * 7))"]
stdout = "7"

[[test]]
run = ["/usr/bin/python3", "-c", "import psycopg; print(psycopg.pq.__impl__, psycopg.pq.version() > 0)"]
stdout = "binary True"

[[test]]
run = ["/usr/local/bin/flask", "--version"]
stdout = "Flask"

[scan]
unscannable = "warn"
fail_on = "none"
max_database_age = "any"
"""


def test_compiled_wheels_of_the_index_run_in_the_image_and_the_scan_sees_them(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "requirements.txt").write_text("numpy\npsycopg[binary]\nflask>=3\n")
    cache = ("--cache", cache_folder(), "--database", tmp_path / "data")
    rootlet(
        "database", "--database", tmp_path / "data", "import", REPOSITORY / "tests/data/osv", cwd=tmp_path
    )
    built = rootlet("build", "recipe.toml", "--json", *cache, cwd=tmp_path)
    layout = tmp_path / "dist/wheels"
    files = image_files(layout)
    vendored = [path for path in files if path.startswith(f"{SITE}/numpy.libs/")]
    assert any("openblas" in path for path in vendored)
    assert any(path.startswith(f"{SITE}/psycopg_binary.libs/libpq") for path in files)
    scanned = rootlet(
        *("scan", "oci:dist/wheels", "--format", "json", "--unscannable", "warn", "--fail-on", "none"),
        *("--max-database-age", "any", "--database", tmp_path / "data"),
        cwd=tmp_path,
    )
    assert "pkg:pypi/numpy@" in scanned.stdout
    assert "pkg:pypi/psycopg-binary@" in scanned.stdout
    again = rootlet("build", "recipe.toml", "--json", "--force", "--offline", *cache, cwd=tmp_path)
    assert json.loads(again.stdout)["digest"] == json.loads(built.stdout)["digest"]


def test_the_example_of_a_service_from_a_lock_file_answers(tmp_path: Path) -> None:
    data = REPOSITORY / "tests/data/osv"
    rootlet("database", "--database", tmp_path / "data", "import", data, cwd=tmp_path)
    built = rootlet(
        *("build", REPOSITORY / "examples/python-service/recipe.toml", "--json", "--unscannable", "warn"),
        *("--to", f"oci:{tmp_path}/shop", "--max-database-age", "any"),
        *("--cache", cache_folder(), "--database", tmp_path / "data"),
        cwd=tmp_path,
    )
    (platform,) = json.loads(built.stdout)["platforms"]
    assert platform["tests"] == 1
    files = image_files(tmp_path / "shop")
    assert files["/usr/local/bin/gunicorn"].mode == 0o755
    assert "/srv/shop/shop.py" in files
