"""The inventory's own readers of binary formats, held against whoever writes them, on any content."""

from __future__ import annotations

import io
import sqlite3
import zipfile
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.inventory.elf import elf_file
from builder.inventory.found import packed, unpacked
from builder.inventory.model import Component, ComponentKind
from builder.inventory.purl import component_name, component_purl, parse_purl
from builder.inventory.rpm import berkeley, ndb, sqlite
from builder.inventory.zipped import entries, read_entry, stored_entry
from tests.support import rpmdb
from tests.support.programs import go_program, modules

BLOBS = st.lists(
    st.binary(min_size=1, max_size=40) | st.integers(1, 6000).map(lambda size: b"x" * size), max_size=30
)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
WORDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(NAMES, st.binary(max_size=300), max_size=12),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    st.binary(max_size=20),
    st.binary(max_size=50),
)
def test_zip_archives_read_as_the_standard_library_wrote_them(
    files: dict[str, bytes], method: int, before: bytes, comment: bytes
) -> None:
    stream = io.BytesIO()
    stream.write(before)
    with zipfile.ZipFile(stream, "a" if before else "w", method) as archive:
        archive.comment = comment.replace(b"PK", b"")
        for name, body in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), body, method)
    whole = stream.getvalue()
    found = {one.name: read_entry(whole, one, 1000) for one in entries(whole)}
    assert found == files
    for one in entries(whole):
        view = stored_entry(whole, one)
        assert (view is None) == (method == zipfile.ZIP_DEFLATED)
        assert view is None or view[0 : len(view)] == files[one.name]


@settings(max_examples=60, deadline=None)
@given(BLOBS, st.sampled_from([512, 1024, 4096, 65536]))
def test_sqlite_gives_what_sqlite_wrote(blobs: list[bytes], page: int) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size = {page}")
        connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
        connection.executemany("INSERT INTO Packages (blob) VALUES (?)", ((blob,) for blob in blobs))
        whole = connection.serialize()
    finally:
        connection.close()
    assert list(sqlite.package_blobs(whole)) == blobs


@settings(max_examples=60, deadline=None)
@given(BLOBS)
@pytest.mark.parametrize(
    ("make", "read"),
    [(rpmdb.ndb, ndb.package_blobs), (rpmdb.berkeley, berkeley.package_blobs)],
    ids=["ndb", "Berkeley DB"],
)
def test_older_rpm_databases_give_what_was_put_in(
    make: Callable[[Sequence[bytes]], bytes], read: Callable[[bytes], Sequence[bytes]], blobs: list[bytes]
) -> None:
    assert list(read(make(blobs))) == blobs


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(WORDS, st.from_regex(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True), max_size=40),
    st.booleans(),
)
def test_go_programs_give_the_modules_that_the_linker_wrote(found: dict[str, str], pointers: bool) -> None:
    program = go_program(
        modules(*(f"dep|{name}|v{version}|h" for name, version in found.items())), pointers=pointers
    )
    packages = {one.name: one.version for one in elf_file(program, "/x").packages}
    assert {"stdlib": "1.22.1", **found} == {**found, **packages}
    assert set(found) <= set(packages)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ComponentKind), WORDS, WORDS, WORDS, WORDS)
def test_package_urls_are_read_back(
    kind: ComponentKind, space: str, name: str, version: str, arch: str
) -> None:
    spaced = {ComponentKind.JAVA: f"{space}:{name}", ComponentKind.NPM: f"@{space}/{name}"}
    component = Component(
        kind=kind,
        name=spaced.get(kind, name),
        version=version,
        architecture=arch,
        source_name=space,
        source_version=version,
        purl="",
        evidence=(),
        files=0,
    )
    parsed = parse_purl(component_purl(component, None))
    assert parsed is not None
    assert parsed.kind is kind
    assert parsed.version.removeprefix("v") == version.removeprefix("v")
    same = component_name(parsed)
    assert same.replace("_", "-").replace(".", "-").lower() == component.name.replace("_", "-").replace(
        ".", "-"
    ).lower() or (kind is ComponentKind.PYTHON)
    if kind.is_system:
        assert parsed.qualifiers["arch"] == arch


@given(st.lists(NAMES.map(lambda name: f"/{name}")))
def test_lists_of_paths_are_unpacked_as_they_were_packed(paths: list[str]) -> None:
    assert unpacked(packed(paths)) == paths
