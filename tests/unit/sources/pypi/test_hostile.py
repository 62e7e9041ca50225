"""Whatever an index, requirements, a lock or a wheel hold, a sentence is the worst that comes of it."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.errors import RootletError
from builder.recipe.source_model import PythonSource
from builder.sources.pypi.asked import read_requirements
from builder.sources.pypi.choose import Chosen
from builder.sources.pypi.index import Link, parse_page
from builder.sources.pypi.install import Layout, lay_out
from builder.sources.pypi.locks import read_lock
from builder.sources.pypi.target import Target
from tests.support.wheels import Wheel

TARGET = Target(machine="x86_64", python="3.13", full="3.13.1", libc="glibc-2.41")
LAYOUT = Layout(
    site="/site", scripts="/bin", data="/data", headers="/include", interpreter="/usr/bin/python3"
)
WHEEL = Wheel(name="lib", entry_points="[console_scripts]\nlib = lib:main\n")
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PAGE = (
    b'{"files": [{"filename": "a-1-py3-none-any.whl", "url": "../a", "hashes": {"sha256": "x"},'
    b' "yanked": 1}]}'
)
HTML = b'<!DOCTYPE html><base href="/x"><a href="a-1-py3-none-any.whl#sha256=00" data-yanked>a</a>'
LOCK = (
    b'[[package]]\nname = "a"\nsource = { virtual = "." }\n'
    b'dependencies = [{ name = "a", marker = "os_name" }]\n'
)


def mangled(sound: bytes, data: st.DataObject) -> bytes:
    raw = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        raw = raw or bytearray(b"x")
    return bytes(raw)


@QUIET
@given(data=st.data())
def test_pages(data: st.DataObject) -> None:
    with contextlib.suppress(RootletError):
        for link in parse_page(
            mangled(data.draw(st.sampled_from([PAGE, HTML])), data), "https://i.test/a/", "x"
        ):
            assert isinstance(link.filename, str)


@QUIET
@given(data=st.data())
def test_requirements(tmp_path: Path, data: st.DataObject) -> None:
    text = (
        b'a[b]==1.0 ; python_version < "3" \\\n --hash=sha256:00\n-r b.txt\n-c c.txt\nx @ https://x.test/y\n'
    )
    (tmp_path / "r.txt").write_bytes(mangled(text, data))
    with contextlib.suppress(RootletError):
        for one in read_requirements(tmp_path / "r.txt").requirements:
            TARGET.holds(one.requirement.marker)


@QUIET
@given(data=st.data())
def test_locks(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / data.draw(st.sampled_from(["uv.lock", "poetry.lock", "pylock.toml"]))
    path.write_bytes(mangled(LOCK, data))
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = ["a"]\n')
    with contextlib.suppress(RootletError):
        read_lock(path, PythonSource(name="d", lock=path), TARGET)


@QUIET
@given(data=st.data())
def test_wheels(data: st.DataObject) -> None:
    chosen = Chosen(name="lib", version="1.0", link=Link(filename=WHEEL.filename, url=""), requested=True)
    with contextlib.suppress(RootletError):
        installed = lay_out(io.BytesIO(mangled(WHEEL.build(), data)), chosen, LAYOUT)
        for placed in installed.files.values():
            b"".join(installed.chunks(placed))
