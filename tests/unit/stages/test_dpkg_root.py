"""A Debian system laid by hand: what is laid, and what dpkg's database and the configuring script say."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from builder.sources.stage.dpkg_root import database, is_wanted, laid_nodes, system_tree
from builder.sources.stage.system import System
from builder.sysroot import Content, Kind, Node, Package


def file(path: str, package: str, **more: object) -> Node:
    content = Content(store=Path("/s"), offset=0, size=1, sha256=f"{hash(path):x}")
    return Node(path=path, kind=Kind.FILE, mode=0o644, package=package, content=content, **more)  # type: ignore[arg-type]  # fields by name


def package(name: str, *nodes: Node, same: bool = False, **scripts: str) -> Package:
    multi = "Multi-Arch: same\n" if same else ""
    return Package(
        name=name,
        version="1",
        architecture="amd64",
        source_name=name,
        source_version="1",
        control=f"Package: {name}\nVersion: 1\nArchitecture: amd64\n{multi}Description: x\n y\n",
        md5sums={"/bin/x": "d41d8cd98f00b204e9800998ecf8427e"},
        conffiles=("/etc/x",),
        nodes=nodes,
        scripts={"triggers": "", **scripts},
        newest=0,
    )


LIBRARY = package(
    "liba",
    file("/usr/lib/a.so", "liba"),
    file("/usr/share/doc/liba/copyright", "liba"),
    file("/usr/share/doc/liba/changelog.gz", "liba"),
    Node(path="/usr/share/man/man3", kind=Kind.DIRECTORY, mode=0o755, package="liba"),
    same=True,
    postinst="#!/bin/sh\n",
    triggers="activate-noawait ldconfig\n",
)
TOOL = package(
    "tool",
    file("/usr/bin/tool", "tool"),
    file("/usr/bin/again", "tool", hardlink="/usr/bin/tool"),
    preinst="#!/bin/sh\nexit 0\n",
    postinst="#!/bin/sh\n",
    triggers="# comment\ninterest-noawait /usr/lib\ninterest /nowhere\ninterest ldconfig\ninterest other\n",
)


def test_documentation_is_not_laid_but_licences_are() -> None:
    nodes = laid_nodes(system_tree([LIBRARY, TOOL]))
    paths = [node.path for node in nodes]
    assert "/usr/share/doc/liba/copyright" in paths
    assert not any("changelog" in path or "/man/" in path for path in paths)
    assert paths.index("/usr/bin/tool") < paths.index("/usr/bin/again")
    assert paths.index("/usr") < paths.index("/usr/lib/a.so")
    assert is_wanted("/usr/share/docs")


def test_the_database_says_that_nothing_is_configured() -> None:
    files = {
        name: (payload.decode(), mode) for name, payload, mode in database((TOOL, LIBRARY), (TOOL, LIBRARY))
    }
    status, _ = files["/var/lib/dpkg/status"]
    assert status.count("Status: install ok unpacked\n") == 2
    assert status.startswith("Package: liba\nStatus: install ok unpacked\nVersion: 1\n")
    assert "\n y\n\nPackage: tool\n" in status
    info = "/var/lib/dpkg/info"
    assert files[f"{info}/liba:amd64.list"][0].startswith("/.\n/usr/lib/a.so\n")
    assert files[f"{info}/tool.md5sums"] == ("d41d8cd98f00b204e9800998ecf8427e  bin/x\n", 0o644)
    assert files[f"{info}/tool.preinst"][1] == 0o755
    assert files[f"{info}/tool.conffiles"][0] == "/etc/x\n"
    assert f"{info}/liba:amd64.preinst" not in files
    assert files["/usr/sbin/policy-rc.d"][1] == 0o755


def test_the_script_runs_preinst_first_and_the_triggers_that_something_activates() -> None:
    script = next(
        payload
        for name, payload, _ in database((TOOL, LIBRARY), (TOOL, LIBRARY))
        if name.endswith("configure")
    ).decode()
    subprocess.run(["/bin/sh", "-n"], input=script.encode(), check=True)
    calls = [line for line in script.splitlines() if line.startswith(("script '", "dpkg "))]
    assert calls == [
        "script 'tool' 'amd64' 'tool' 'preinst' 'install' ''",
        "dpkg --force-unsafe-io --force-confold --no-triggers --configure -a",
        "script 'tool' 'amd64' 'tool' 'postinst' 'triggered' '/usr/lib ldconfig'",
        "dpkg --force-unsafe-io --configure --pending",
    ]


def test_packages_that_are_laid_on_a_system_are_added_to_what_its_database_says() -> None:
    files = {
        name: payload.decode()
        for name, payload, _ in database((LIBRARY,), (TOOL, LIBRARY), "Package: tool\nS: x\n\n")
    }
    assert files["/var/lib/dpkg/status"].startswith(
        "Package: tool\nS: x\n\nPackage: liba\nStatus: install ok unpacked\n"
    )
    assert "/var/lib/dpkg/diversions" not in files
    assert not any("tool" in name for name in files)
    script = files["/var/lib/rootlet-configure"]
    assert "'preinst'" not in script
    assert (
        "script 'tool' 'amd64' 'tool' 'postinst' 'triggered' '/usr/lib ldconfig'" in script
    )  # of the one that was there


def test_a_system_stays_below_packages_that_change_nothing_of_it() -> None:
    lonely = System(key="k", packages=(LIBRARY, TOOL))
    assert lonely.can_lie_on(frozenset({"liba"}))
    taker = package("taker", file("/usr/lib/a.so", "taker"))
    replacing = replace(taker, control=taker.control.replace("Description", "Replaces: liba\nDescription"))
    assert not System(key="k", packages=(LIBRARY, replacing)).can_lie_on(frozenset({"liba"}))
