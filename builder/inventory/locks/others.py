"""Lock files of Rust, Go, Gradle, RubyGems, Composer and NuGet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from builder.inventory.content import Readable
from builder.inventory.document import DocumentError, json_object, lines_of, object_of, whole_text
from builder.inventory.found import Found, Package, damaged, found, plain_word
from builder.inventory.languages import composer_packages
from builder.inventory.locks.blocks import blocks
from builder.inventory.model import ComponentKind

_MAX = 16 << 20
_GO_LINE = re.compile(r"(\S+)\s+v(\S+)")
_GO_REPLACED = re.compile(r"(\S+)(?:\s+v(\S+))?\s+=>\s+(\S+)(?:\s+v(\S+))?")
_GO_VERSION = re.compile(r"^go\s+([0-9]+)\.([0-9]+)", re.MULTILINE)
_COMPLETE = (1, 17)
"""From this version of Go on, go.mod names every module, and go.sum only sums."""
_GRADLE = re.compile(r"([^:=#\s]+):([^:=\s]+):([^:=\s]+)=(\S*)")
_GEM = re.compile(r"    ([A-Za-z0-9._-]+) \(([^()\s]+)\)")
_GEM_PLATFORM = re.compile(
    r"-(?:(?:x86|x64|x86_64|aarch64|arm|arm64|armv\w+|i386|i686|universal|powerpc\w*|s390x)-?[\w-]*|java|jruby|mswin\w*|mingw\w*)"
)


def cargo_lock(content: Readable, path: str) -> Found:  # noqa: ARG001 (every reader is given the path)
    """Read Cargo.lock; crates of the project's own folders, which have no source, are left out."""
    return _read(content, _cargo)


def go_mod(content: Readable, path: str) -> Found:
    """Read go.mod, with its replacements; from Go 1.17 on it makes go.sum superfluous."""
    answer = _read(content, _go_mod)
    match = _GO_VERSION.search(content[0:_MAX].decode(errors="replace"))
    if match is None or (int(match[1][:4]), int(match[2][:4])) < _COMPLETE:
        return answer
    return Found(packages=answer.packages, notes=answer.notes, instead_of=(f"{path[: -len('.mod')]}.sum",))


def go_sum(content: Readable, path: str) -> Found:  # noqa: ARG001 (as above)
    """Read go.sum: modules whose own bytes are listed, not only their go.mod."""
    return _read(content, _go_sum)


def gradle_lock(content: Readable, path: str) -> Found:  # noqa: ARG001 (as above)
    """Read gradle.lockfile; what only test configurations use is marked."""
    return _read(content, _gradle)


def gemfile_lock(content: Readable, path: str) -> Found:  # noqa: ARG001 (as above)
    """Read Gemfile.lock; it does not say what is for development."""
    return _read(content, _gemfile)


def composer_lock(content: Readable, path: str) -> Found:  # noqa: ARG001 (as above)
    """Read composer.lock."""
    try:
        document = json_object(content)
    except DocumentError as error:
        return damaged(str(error))
    return found(
        [
            *composer_packages(document.get("packages"), set()),
            *composer_packages(document.get("packages-dev")),
        ]
    )


def nuget_lock(content: Readable, path: str) -> Found:  # noqa: ARG001 (as above)
    """Read packages.lock.json; projects of the solution itself are left out."""
    try:
        document = json_object(content)
    except DocumentError as error:
        return damaged(str(error))
    return found(
        Package(kind=ComponentKind.DOTNET, name=plain_word(name), version=plain_word(fields.get("resolved")))
        for target in object_of(document.get("dependencies")).values()
        for name, fields in object_of(target).items()
        if isinstance(fields, dict) and plain_word(name) and plain_word(fields.get("resolved"))
    )


def _read(content: Readable, packages: Callable[[str], Iterable[Package]]) -> Found:
    try:
        return found(one for one in packages(whole_text(content, _MAX)) if one.version)
    except DocumentError as error:
        return damaged(str(error))


def _made(kind: ComponentKind, name: str, version: str, *, development: bool = False) -> Package:
    return Package(kind=kind, name=plain_word(name), version=plain_word(version), development=development)


def _cargo(text: str) -> Iterator[Package]:
    for block in blocks(text, "package"):
        if block.text("source"):
            yield _made(ComponentKind.RUST, block.text("name"), block.text("version"))


def _go(name: str, version: str) -> Package:
    return _made(ComponentKind.GO, name, version)


def _go_mod(text: str) -> Iterator[Package]:
    needed: dict[str, str] = {}
    replaced: dict[tuple[str, str], tuple[str, str]] = {}
    block = ""
    for line in lines_of(text):
        words = line.partition("//")[0].strip()
        word, _, rest = words.partition(" ")
        if rest.strip() == "(":
            block = word
        elif words == ")":
            block = ""
        else:
            verb, body = (block, words) if block else (word, rest.strip())
            if verb == "require" and (match := _GO_LINE.fullmatch(body)) is not None:
                needed[match[1]] = match[2]
            elif verb == "replace" and (match := _GO_REPLACED.fullmatch(body)) is not None:
                replaced[match[1], match[2] or ""] = (match[3], match[4] or "")
    for name, version in needed.items():
        other = replaced.get((name, version)) or replaced.get((name, ""))
        # A folder that replaces a module has no version, and is no release of anyone.
        yield _go(*(other or (name, version)))


def _go_sum(text: str) -> Iterator[Package]:
    for line in lines_of(text):
        words = line.split()
        if len(words) == 3 and words[1].startswith("v") and not words[1].endswith("/go.mod"):  # noqa: PLR2004 (module, version, sum)
            yield _go(words[0], words[1].removeprefix("v"))


def _gradle(text: str) -> Iterator[Package]:
    for line in lines_of(text):
        match = _GRADLE.fullmatch(line.strip())
        if match is not None:
            uses = [use for use in match[4].split(",") if use]
            development = bool(uses) and all("test" in use.lower() for use in uses)
            name = f"{match[1]}:{match[2]}"
            yield _made(ComponentKind.JAVA, name, match[3], development=development)


def _gemfile(text: str) -> Iterator[Package]:
    section = ""
    for line in lines_of(text):
        if line and not line.startswith(" "):
            section = line.strip()
        match = _GEM.fullmatch(line.rstrip())
        if match is not None and section in {"GEM", "GIT", "PLUGIN SOURCE"}:
            yield _made(ComponentKind.RUBY, match[1], _GEM_PLATFORM.sub("", match[2]))
