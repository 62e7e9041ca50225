"""Which reader wants which path: by its whole path, its name, or how its name ends. The rest is not read."""

from __future__ import annotations

from collections.abc import Mapping

from builder.inventory.apk import apk_installed
from builder.inventory.found import Reader
from builder.inventory.java.archive import SUFFIXES as JAVA_SUFFIXES
from builder.inventory.java.archive import java_archive
from builder.inventory.java.pom import pom_file
from builder.inventory.languages import composer_installed, dotnet_dependencies, npm_package, ruby_gem
from builder.inventory.locks import node, others
from builder.inventory.locks import python as python_locks
from builder.inventory.programs import java_release
from builder.inventory.python import python_egg, python_metadata, python_record
from builder.inventory.rpm.database import rpm_database, rpm_journal, rpm_manifest
from builder.inventory.sbom import bill_of_materials, is_sbom

_RPM = ("/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm")
_BY_PATH: Mapping[str, Reader] = {
    "/lib/apk/db/installed": apk_installed,
    "/usr/lib/apk/db/installed": apk_installed,
    "/var/lib/apk/db/installed": apk_installed,
    **{
        f"{folder}/{name}": rpm_database
        for folder in _RPM
        for name in ("rpmdb.sqlite", "Packages.db", "Packages")
    },
    **{f"{folder}/rpmdb.sqlite-wal": rpm_journal for folder in _RPM},
    "/var/lib/rpmmanifest/container-manifest-2": rpm_manifest,
}
_BY_NAME: Mapping[str, tuple[tuple[str, ...], Reader]] = {
    "METADATA": ((".dist-info/METADATA",), python_metadata),
    "PKG-INFO": ((".egg-info/PKG-INFO", "/EGG-INFO/PKG-INFO"), python_metadata),
    "RECORD": ((".dist-info/RECORD",), python_record),
    "package.json": (("/package.json",), npm_package),
    "installed.json": (("/composer/installed.json",), composer_installed),
    "release": (("/release",), java_release),
}
"""By name: how the path may end, and the reader."""
_BY_SUFFIX: Mapping[str, Reader] = {
    "egg-info": python_metadata,
    "egg": python_egg,
    **{suffix[1:]: java_archive for suffix in JAVA_SUFFIXES},
}
_DOCUMENTS = frozenset({"json", "spdx", "cdx"})
_JAVA_HOMES = ("jvm", "java", "jdk", "jre")
_LOCKS: Mapping[str, Reader] = {
    "poetry.lock": python_locks.poetry_lock,
    "uv.lock": python_locks.uv_lock,
    "pdm.lock": python_locks.pdm_lock,
    "Pipfile.lock": python_locks.pipfile_lock,
    "pylock.toml": python_locks.pylock,
    "package-lock.json": node.npm_lock,
    "npm-shrinkwrap.json": node.npm_lock,
    "yarn.lock": node.yarn_lock,
    "pnpm-lock.yaml": node.pnpm_lock,
    "Cargo.lock": others.cargo_lock,
    "go.mod": others.go_mod,
    "go.sum": others.go_sum,
    "pom.xml": pom_file,
    "gradle.lockfile": others.gradle_lock,
    "buildscript-gradle.lockfile": others.gradle_lock,
    "Gemfile.lock": others.gemfile_lock,
    "gems.locked": others.gemfile_lock,
    "composer.lock": others.composer_lock,
    "packages.lock.json": others.nuget_lock,
}
_VENDORED = ("/node_modules/", "/site-packages/", "/dist-packages/", "/.git/", "/target/package/")
"""Folders of installed or fetched packages: lock files in them are those of their authors."""


def reader_for(path: str) -> Reader | None:
    """Give the reader that wants the file at ``path``."""
    name = path[path.rfind("/") + 1 :]
    named = _BY_NAME.get(name)
    if named is not None and path.endswith(named[0]):
        return named[1] if name != "release" or _is_java_home(path) else None
    suffix = name[name.rfind(".") + 1 :]
    reader = _BY_SUFFIX.get(suffix)
    if reader is not None:
        return reader
    if suffix == "gemspec":
        return ruby_gem if "/specifications/" in path else None
    if suffix in _DOCUMENTS:
        if name.endswith(".deps.json"):
            return dotnet_dependencies
        return bill_of_materials if is_sbom(path) else None
    return _BY_PATH.get(path)


def system_reader_for(path: str) -> Reader | None:
    """Give the reader of a distribution's package database."""
    return _BY_PATH.get(path)


def lock_reader_for(path: str) -> Reader | None:
    """Give the reader of a lock file; none inside of packages that are installed or vendored."""
    name = path[path.rfind("/") + 1 :]
    reader = _LOCKS.get(name)
    if reader is None:
        if name.endswith(".txt") and "requirements" in name:
            reader = python_locks.requirements
        elif name.startswith("pylock.") and name.endswith(".toml"):
            reader = python_locks.pylock
    if reader is None or any(folder in path for folder in _VENDORED):
        return None
    return reader


def _is_java_home(path: str) -> bool:
    return any(part in folder for folder in path.lower().split("/")[:-1] for part in _JAVA_HOMES)
