"""Programs of dependencies come where a named package calls them by name, and only there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from builder.elf.facts import ElfFacts
from builder.runtime.companions import companions, parts
from builder.sources.debian.tree import merged_tree
from builder.sysroot import Package
from tests.support.packages import Dir, File, Link, make_package

_ELF = b"\x7fELF\x02\x01\x01"
DEP: dict[str, Dir | File | Link] = {
    "/usr/bin/jq": File(content=b"x", mode=0o755),
    "/bin/convert": Link("jq"),
    "/usr/share/jq": File(content=b"x"),
}
TABLE: dict[str, tuple[Mapping[str, Dir | File | Link], str, tuple[str, ...]]] = {
    "a module has the name in quotes": (
        {"/usr/lib/yq.py": File(content=b'run(["jq", x])')},
        "dep (>= 1)",
        ("/usr/bin/jq",),
    ),
    "a script has a command line in quotes": (
        {"/usr/bin/yq": File(content=b"#!/usr/bin/x\nrun('jq -r')", mode=0o755)},
        "libc6, other | dep",
        ("/usr/bin/jq",),
    ),
    "a compiled program has its path": (
        {"/usr/bin/yq": File(content=_ELF + b"\0/usr/bin/jq\0", mode=0o755)},
        "dep",
        ("/usr/bin/jq",),
    ),
    "a compiled program has a long name": (
        {"/usr/bin/yq": File(content=_ELF + b"\0convert -x\0", mode=0o755)},
        "dep",
        ("/usr/bin/convert",),
    ),
    "a short name in a compiled program is there by chance": (
        {"/usr/bin/yq": File(content=_ELF + b"\0jq\0", mode=0o755)},
        "dep",
        (),
    ),
    "a part of a word is no name": ({"/usr/lib/yq.py": File(content=b'"jqx" "ajq"')}, "dep", ()),
    "text that is no code is not read": ({"/usr/share/yq.txt": File(content=b'"jq"')}, "dep", ()),
    "documentation is not read": ({"/usr/share/doc/yq/x.py": File(content=b'"jq"')}, "dep", ()),
    "what is no direct dependency does not count": (
        {"/usr/lib/yq.py": File(content=b'"jq"')},
        "libdep",
        (),
    ),
    "what nobody can read as dependencies does not count": (
        {"/usr/lib/yq.py": File(content=b'"jq"')},
        "dep ((",
        (),
    ),
    "a file that is too long is not read": (
        {"/usr/lib/yq.py": File(content=b"x" * (4 << 20) + b'"jq"')},
        "dep",
        (),
    ),
}


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
def test_programs_of_dependencies(
    case: tuple[Mapping[str, Dir | File | Link], str, tuple[str, ...]], tmp_path: Path
) -> None:
    files, depends, expected = case
    app = make_package(tmp_path, "app", files)
    app = replace(app, control=f"Package: app\nDepends: {depends}\n")
    tree = merged_tree((app, make_package(tmp_path, "dep", DEP)))
    assert tuple(node.path for node, _ in companions(["app"], tree, ElfFacts(None))) == expected


def test_the_reason_is_the_file_that_has_the_name(tmp_path: Path) -> None:
    app = make_package(tmp_path, "app", {"/usr/lib/yq.py": File(content=b'"jq"')})
    app = replace(app, control="Package: app\nDepends: dep\n")
    tree = merged_tree((app, make_package(tmp_path, "dep", DEP)))
    (_, reason) = next(companions(["app"], tree, ElfFacts(None)))
    assert str(reason) == "needed at run time by /usr/lib/yq.py (program of a dependency)"


def test_tools_of_installation_do_not_count(tmp_path: Path) -> None:
    app = make_package(tmp_path, "app", {"/usr/lib/yq.py": File(content=b'"adduser"')})
    app = replace(app, control="Package: app\nDepends: adduser\n")
    tool = make_package(tmp_path, "adduser", {"/usr/sbin/adduser": File(content=b"x", mode=0o755)})
    assert list(companions(["app"], merged_tree((app, tool)), ElfFacts(None))) == []


def test_parts_are_direct_dependencies_that_are_called_after_the_package(tmp_path: Path) -> None:
    depends = {
        "app": "app-data (>= 1), libapp1, apple, app-gone",
        "app-data": "app-data-fonts, other-data",
        "app-data-fonts": "app",
        "other-data": "",
        "apple": "app-tools",
        "app-tools": "",
        "libapp1": "",
    }
    packages = [
        replace(make_package(tmp_path, name, {}), control=f"Package: {name}\nDepends: {on}\n")
        for name, on in depends.items()
    ]
    assert list(parts(["app"], merged_tree(packages))) == [
        ("app-data", "app"),
        ("app-data-fonts", "app-data"),
    ]


def test_a_package_is_read_once_for_the_same_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_package(tmp_path, "app", {"/usr/lib/yq.py": File(content=b'"jq" "fq"')})
    app = replace(app, control="Package: app\nDepends: dep, more\n")
    dep, more = (
        make_package(tmp_path, "dep", DEP),
        make_package(tmp_path, "more", {"/usr/bin/fq": File(mode=0o755)}),
    )

    def found(*packages: Package) -> list[tuple[str, str]]:
        facts = ElfFacts(tmp_path / "cache", watched=frozenset({"dlopen"}))
        called = list(companions(["app"], merged_tree((app, *packages)), facts))
        facts.save()
        return [(node.path, reason.subject) for node, reason in called]

    first = found(dep)
    monkeypatch.setattr("builder.runtime.companions.read_content", lambda _: b'"jq"')
    assert found(dep) == first == [("/usr/bin/jq", "/usr/lib/yq.py")]
    monkeypatch.setattr("builder.runtime.companions.read_content", lambda _: b'"fq"')
    assert found(dep, more) == [("/usr/bin/fq", "/usr/lib/yq.py")]  # other programs: it is read again
    assert found(dep) == first
