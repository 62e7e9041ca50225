"""Packages made of scripts alone, and what configuring them comes to, as short lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from builder.sources.debian.configure.model import Configuration, ScriptReport
from builder.sources.debian.configure.run import configure
from builder.sources.debian.tree import merged_tree
from builder.sysroot import Kind, Package
from tests.support.packages import Dir, File, Link, make_package

Files = Mapping[str, Dir | File | Link]

BASE: Files = {
    **{
        folder: Dir()
        for folder in ("/etc", "/usr/bin", "/var/lib", "/var/log", "/var/cache", "/run", "/root")
    },
    "/bin": Link("usr/bin"),
}


def package(
    folder: Path, name: str, files: Files | None = None, *, depends: str = "", **scripts: str
) -> Package:
    """A package with maintainer scripts; a script without ``#!`` gets ``/bin/sh``."""
    made = make_package(folder, name, files or {})
    texts = {
        kind: text if text.startswith("#!") or kind == "templates" else f"#!/bin/sh\n{text}"
        for kind, text in scripts.items()
    }
    control = made.control + (f"Depends: {depends}\n" if depends else "")
    return replace(made, scripts=texts, control=control)


def configured(folder: Path, *packages: Package) -> Configuration:
    """What ``packages`` come to, with the folders that every system has."""
    every = (make_package(folder, "base", BASE), *packages)
    return configure(every, merged_tree(every))


def script(folder: Path, text: str, files: Files | None = None) -> Configuration:
    """What one postinst of the package "app" comes to."""
    return configured(folder, package(folder, "app", files, postinst=text))


def lines(configuration: Configuration) -> list[str]:
    """Users, groups and paths, one a line, in the order of the configuration."""
    found = [
        f"user {user.name} {user.uid if user.uid is not None else '-'} {user.group} {user.home} {user.shell}"
        + (f" {user.comment!r}" if user.comment else "")
        + (f" +{','.join(user.groups)}" if user.groups else "")
        for user in configuration.users
    ]
    found += [
        f"group {group.name} {group.gid if group.gid is not None else '-'}" for group in configuration.groups
    ]
    for made in configuration.made:
        node = made.node
        if node.kind is Kind.SYMLINK:
            found.append(f"{node.path} -> {node.target}")
        else:
            slash = "/" if node.kind is Kind.DIRECTORY else ""
            owner = f"{node.user or node.uid}:{node.group or node.gid}"
            found.append(f"{node.path}{slash} {node.mode:04o} {owner}" + (" changed" if made.changed else ""))
    return found


def unrecognised(configuration: Configuration) -> list[tuple[int, str]]:
    """Every line that was not understood."""
    return [line for report in configuration.scripts for line in report.unrecognised]


def report(configuration: Configuration, package: str, name: str) -> ScriptReport:
    """The report of one script."""
    return next(one for one in configuration.scripts if (one.package, one.script) == (package, name))
