"""Lock files of Node: package-lock.json and npm-shrinkwrap.json, yarn.lock, pnpm-lock.yaml."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from builder.inventory.content import Readable
from builder.inventory.document import DocumentError, json_object, lines_of, object_of, whole_text
from builder.inventory.found import Found, Package, damaged, found, plain_word
from builder.inventory.locks.pnpm import pnpm_packages
from builder.inventory.model import ComponentKind

_MAX = 32 << 20
_MAX_DEPTH = 200
_NUMBER = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*")
_ALIAS = re.compile(r"npm:((?:@[^/@]+/)?[^/@]+)@(.+)")
_YARN_NAME = re.compile(r'"?((?:@[^/@"]+/)?[^/@"]+)@([^",]*)')
_YARN_FIELD = re.compile(r'  "?(version|resolution|linkType)"?:? "?([^"\n]+)"?')


def npm_lock(content: Readable, path: str) -> Found:
    """Read the lock file of npm; the one that npm hides in node_modules is passed over: the folder tells."""
    if "/node_modules/" in path:
        return Found()
    try:
        document = json_object(content)
    except DocumentError as error:
        return damaged(str(error))
    packages = document.get("packages")
    return found(
        _npm_packages(packages) if isinstance(packages, dict) else _npm_tree(document.get("dependencies"), 0)
    )


def yarn_lock(content: Readable, path: str) -> Found:  # noqa: ARG001 (every reader is given the path)
    """Read yarn.lock; it does not say what is for development."""
    try:
        text = whole_text(content, _MAX)
    except DocumentError as error:
        return damaged(str(error))
    return found(_yarn(text))


def pnpm_lock(content: Readable, path: str) -> Found:  # noqa: ARG001 (as above)
    """Read pnpm-lock.yaml of version 5, 6 or 9."""
    try:
        text = whole_text(content, _MAX)
    except DocumentError as error:
        return damaged(str(error))
    return found(_made(name, version, development=dev) for name, version, dev in pnpm_packages(text))


def _made(name: str, version: str, *, development: bool = False) -> Package:
    return Package(
        kind=ComponentKind.NPM, name=plain_word(name), version=plain_word(version), development=development
    )


def _npm_packages(packages: dict[str, Any]) -> Iterator[Package]:
    for place, fields in packages.items():
        entry = object_of(fields)
        inside, _, name = place.rpartition("node_modules/")
        if not name or (not inside and not place.startswith("node_modules/")) or entry.get("link"):
            continue
        named = entry.get("name")
        name = named if isinstance(named, str) and named else name
        if _NUMBER.fullmatch(str(entry.get("version"))):
            development = entry.get("dev") is True or entry.get("devOptional") is True
            yield _made(name, entry["version"], development=development)


def _npm_tree(dependencies: object, depth: int) -> Iterator[Package]:
    if depth > _MAX_DEPTH:
        return
    for name, fields in object_of(dependencies).items():
        entry = object_of(fields)
        version = str(entry.get("version"))
        alias = _ALIAS.fullmatch(version)
        if alias is not None:
            name, version = alias[1], alias[2]  # noqa: PLW2901 (the package's real name)
        if _NUMBER.fullmatch(version):
            yield _made(name, version, development=entry.get("dev") is True)
        yield from _npm_tree(entry.get("dependencies"), depth + 1)


def _yarn(text: str) -> Iterator[Package]:
    head, fields = "", dict[str, str]()
    for line in itertools.chain(lines_of(text), ["end:"]):
        if line[:1] not in {"", " ", "#", "\r"}:
            yield from _yarn_package(head, fields)
            head, fields = line, {}
        elif (match := _YARN_FIELD.match(line)) is not None:
            fields.setdefault(match[1], match[2].strip())


def _yarn_package(head: str, fields: dict[str, str]) -> Iterable[Package]:
    match = _YARN_NAME.match(fields.get("resolution") or head)
    version = fields.get("version", "")
    if match is None or fields.get("linkType") == "soft" or not _NUMBER.fullmatch(version):
        return ()
    alias = _ALIAS.match(match[2])
    return (_made(alias[1] if alias else match[1], version),)
