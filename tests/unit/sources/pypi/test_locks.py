"""Lock files as uv, poetry and pip write them (cut down), for several images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builder.errors import ResolutionError
from builder.recipe.source_model import PythonSource
from builder.sources.pypi.choose import best_wheel
from builder.sources.pypi.locks import Pinned, read_lock
from builder.sources.pypi.target import Target

SUM = "a1" * 32
FILES = f'hash = "sha256:{SUM}", size = 1'

UV = f"""version = 1
revision = 3
requires-python = ">=3.11"
resolution-markers = ["python_full_version >= '3.13'", "python_full_version < '3.13'"]

[[package]]
name = "shop"
version = "1.0"
source = {{ virtual = "." }}
dependencies = [
    {{ name = "colorama", marker = "sys_platform == 'win32'" }},
    {{ name = "flask", extra = ["tls"] }},
    {{ name = "tomli", marker = "python_full_version < '3.12'" }},
    {{ name = "two", version = "1.0", marker = "python_full_version < '3.13'" }},
    {{ name = "two", version = "2.0", marker = "python_full_version >= '3.13'" }},
]

[package.optional-dependencies]
db = [{{ name = "psycopg" }}]

[package.dev-dependencies]
ops = [{{ name = "gunicorn" }}]

[[package]]
name = "flask"
version = "3.1.3"
source = {{ registry = "https://index.test/simple" }}
wheels = [{{ url = "https://files.test/flask-3.1.3-py3-none-any.whl", {FILES} }}]

[package.optional-dependencies]
tls = [{{ name = "cryptography" }}]

[[package]]
name = "cryptography"
version = "45.0"
source = {{ registry = "https://index.test/simple" }}
wheels = [
    {{ url = "https://files.test/cryptography-45.0-cp311-abi3-manylinux_2_28_x86_64.whl", {FILES} }},
    {{ url = "https://files.test/cryptography-45.0-cp311-abi3-manylinux_2_28_aarch64.whl", {FILES} }},
]
"""
UV += "".join(
    f"""
[[package]]
name = "{name}"
version = "{version}"
source = {{ registry = "https://index.test/simple" }}
wheels = [{{ url = "https://files.test/{name}-{version}-py3-none-any.whl", {FILES} }}]
"""
    for name, version in (
        *(("colorama", "0.4"), ("tomli", "2.5"), ("two", "1.0"), ("two", "2.0")),
        *(("psycopg", "3.3"), ("gunicorn", "27")),
    )
)
FOLDER = '[[package]]\nname = "own"\nversion = "1"\nsource = { directory = "../own" }\n'
SDIST = (
    '[[package]]\nname = "own"\nversion = "1"\nsource = { registry = "https://index.test/simple" }\n'
    f'sdist = {{ url = "https://files.test/own-1.tar.gz", {FILES} }}\n'
)

POETRY = f"""[[package]]
name = "flask"
version = "3.1.3"
optional = false
python-versions = ">=3.9"
groups = ["main"]
files = [
    {{file = "flask-3.1.3-py3-none-any.whl", hash = "sha256:{SUM}"}},
    {{file = "flask-3.1.3.tar.gz", hash = "sha256:{SUM}"}},
]

[package.dependencies]
Jinja2 = ">=3"
importlib-metadata = {{version = ">=3", markers = "python_version < \\"3.10\\""}}

[package.extras]
async = ["asgiref (>=3.2)"]

[[package]]
name = "jinja2"
version = "3.1.6"
optional = false
python-versions = ">=3.7"
groups = ["main"]
files = [{{file = "jinja2-3.1.6-py3-none-any.whl", hash = "sha256:{SUM}"}}]

[[package]]
name = "psycopg"
version = "3.3.9"
optional = true
python-versions = ">=3.10"
groups = ["main"]
markers = "extra == \\"db\\""
files = [{{file = "psycopg-3.3.9-py3-none-any.whl", hash = "sha256:{SUM}"}}]

[package.dependencies]
psycopg-binary = {{version = "3.3.9", optional = true, markers = "extra == \\"binary\\""}}

[package.extras]
binary = ["psycopg-binary (==3.3.9) ; implementation_name != \\"pypy\\""]

[[package]]
name = "psycopg-binary"
version = "3.3.9"
optional = true
python-versions = ">=3.10"
groups = ["main"]
markers = "extra == \\"db\\" and implementation_name != \\"pypy\\""
files = [{{file = "psycopg_binary-3.3.9-cp313-cp313-manylinux_2_28_x86_64.whl", hash = "sha256:{SUM}"}}]

[[package]]
name = "gunicorn"
version = "27.0"
optional = false
python-versions = ">=3.7"
groups = ["ops"]
files = [{{file = "gunicorn-27.0.tar.gz", hash = "sha256:{SUM}"}}]

[metadata]
lock-version = "2.1"
python-versions = ">=3.11"
content-hash = "x"
"""
PROJECT = """[project]
name = "shop"
dependencies = ["flask>=3"]
[project.optional-dependencies]
db = ["psycopg[binary]>=3.1"]
[tool.poetry.group.ops.dependencies]
gunicorn = "*"
"""

PYLOCK = f"""lock-version = "1.0"
created-by = "test"
requires-python = ">=3.11"
extras = ["db"]
dependency-groups = ["ops"]

[[packages]]
name = "flask"
version = "3.1.3"
wheels = [
    {{ url = "https://files.test/flask-3.1.3-py3-none-any.whl", hashes = {{ sha256 = "{SUM}" }} }},
]
[[packages]]
name = "tomli"
version = "2.5"
marker = "python_full_version < '3.12'"
wheels = [{{ path = "wheels/tomli-2.5-py3-none-any.whl", hashes = {{ sha256 = "{SUM}" }} }}]
[[packages]]
name = "psycopg"
version = "3.3"
marker = "'db' in extras"
wheels = [{{ url = "https://files.test/psycopg-3.3-py3-none-any.whl", hashes = {{ sha256 = "{SUM}" }} }}]
"""


def target(python: str = "3.13", machine: str = "x86_64") -> Target:
    return Target(machine=machine, python=python, full=f"{python}.2", libc="glibc-2.36")


def read(folder: Path, name: str, text: str, *, python: str = "3.13", **options: Any) -> tuple[Pinned, ...]:
    (folder / name).write_text(text)
    source = PythonSource(name="deps", lock=folder / name, **options)
    return read_lock(folder / name, source, target(python))


def shown(pinned: tuple[Pinned, ...]) -> list[str]:
    return [f"{one.name} {one.version}" + (" *" if one.requested else "") for one in pinned]


def test_a_lock_of_uv_is_walked_by_markers_extras_and_groups(tmp_path: Path) -> None:
    assert shown(read(tmp_path, "uv.lock", UV)) == ["cryptography 45.0", "flask 3.1.3 *", "two 2.0 *"]
    assert shown(read(tmp_path, "uv.lock", UV, python="3.11")) == [
        "cryptography 45.0",
        "flask 3.1.3 *",
        "tomli 2.5 *",
        "two 1.0 *",
    ]
    more = read(tmp_path, "uv.lock", UV, extras=("db",), groups=("ops",))
    assert {one.name for one in more} == {"cryptography", "flask", "two", "psycopg", "gunicorn"}
    best = best_wheel(more[0].links, target(machine="aarch64"))
    assert best is not None
    assert (best.filename, best.sha256) == ("cryptography-45.0-cp311-abi3-manylinux_2_28_aarch64.whl", SUM)


def test_a_lock_of_poetry_is_walked_from_its_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    pinned = read(tmp_path, "poetry.lock", POETRY)
    assert shown(pinned) == ["flask 3.1.3 *", "jinja2 3.1.6"]
    assert pinned[0].sums == (("flask-3.1.3-py3-none-any.whl", SUM), ("flask-3.1.3.tar.gz", SUM))
    more = read(tmp_path, "poetry.lock", POETRY, extras=("db",), groups=("ops",))
    assert [one.name for one in more] == ["flask", "gunicorn", "jinja2", "psycopg", "psycopg-binary"]
    assert more[1].source == "only a source archive"


def test_pylock_toml_is_selected_from_by_its_own_rules(tmp_path: Path) -> None:
    assert shown(read(tmp_path, "pylock.toml", PYLOCK)) == ["flask 3.1.3"]
    pinned = read(tmp_path, "pylock.prod.toml", PYLOCK, python="3.11", extras=("db",))
    assert shown(pinned) == ["flask 3.1.3", "tomli 2.5", "psycopg 3.3"]
    assert pinned[1].links[0].url == (tmp_path / "wheels/tomli-2.5-py3-none-any.whl").resolve().as_uri()


@pytest.mark.parametrize(
    ("extra", "words"), [(FOLDER, "a folder"), (SDIST, "only a source archive")], ids=["a folder", "an sdist"]
)
def test_what_would_have_to_be_built_is_told(tmp_path: Path, extra: str, words: str) -> None:
    text = UV.replace('{ name = "flask", extra = ["tls"] }', '{ name = "flask" }, { name = "own" }') + extra
    (own,) = [one for one in read(tmp_path, "uv.lock", text) if one.name == "own"]
    assert own.source == words


@pytest.mark.parametrize(
    ("name", "text", "options", "words"),
    [
        ("uv.lock", UV, {"extras": ("x",)}, "no extra x"),
        ("uv.lock", UV, {"groups": ("x",)}, "no group x"),
        ("uv.lock", UV.replace('virtual = "."', 'registry = "x"'), {}, "no project of its own"),
        ("uv.lock", "version = 1\n", {}, "no sound lock"),
        ("uv.lock", "[[package]]\nname = 3\n", {}, "no project of its own"),
        ("pylock.toml", 'lock-version = "9.0"\ncreated-by = "x"\npackages = []\n', {}, "pylock.toml"),
        ("pylock.toml", PYLOCK.replace(">=3.11", ">=3.14"), {}, "pylock.toml"),
        ("pylock.toml", PYLOCK, {"groups": ("x",)}, "pylock.toml"),
        ("poetry.lock", POETRY.replace("flask", "falcon"), {}, "no version of flask"),
        ("poetry.lock", POETRY, {"groups": ("x",)}, "no sound lock"),
        ("poetry.lock", "package = 3\n", {}, "no sound lock"),
        ("poetry.lock", "[", {}, "no sound TOML"),
    ],
)
def test_locks_that_do_not_fit_are_errors(
    tmp_path: Path, name: str, text: str, options: dict[str, Any], words: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    with pytest.raises(ResolutionError, match=words):
        read(tmp_path, name, text, **options)
