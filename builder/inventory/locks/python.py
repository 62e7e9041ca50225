"""Lock files of Python: pip's requirements, poetry, uv, pdm, pipenv, and pylock.toml (PEP 751)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from builder.inventory.content import Readable
from builder.inventory.document import DocumentError, json_object, lines_of, object_of, whole_text
from builder.inventory.found import Found, Package, damaged, found, plain_word
from builder.inventory.locks.blocks import Block, blocks
from builder.inventory.locks.graph import reachable
from builder.inventory.model import ComponentKind

_MAX = 16 << 20
_PINNED = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]{0,199}) ?(?:\[[^\]]{0,500}\])? ?={2,3} ?([A-Za-z0-9][A-Za-z0-9.!+_-]{0,99})"
    r" ?(?:;.*|\\|--?.*|#.*)?"
)
_DEVELOPMENT = re.compile(
    r"(?:^|[-_./])(?:dev|test|lint|docs?|typing|ci)(?:el(?:op(?:ment)?)?|s|ing)?(?:[-_.]|$)"
)
_FOLDERS = ("directory", "file", "editable", "virtual", "path", "workspace")
_NEED = re.compile(r'\{[^{}]*?name = "([^"]+)"')


def requirements(content: Readable, path: str) -> Found:
    """Read what is pinned; a file for tests or development says so in its name."""
    development = _DEVELOPMENT.search(path.rpartition("/")[2].lower()) is not None
    return _read(content, lambda text: _pinned(text, development=development))


def poetry_lock(content: Readable, path: str) -> Found:  # noqa: ARG001 (every reader is given the path)
    """Read poetry.lock of any version."""
    return _read(content, lambda text: _plain(blocks(text, "package"), _poetry_development))


def pdm_lock(content: Readable, path: str) -> Found:  # noqa: ARG001 (as above)
    """Read pdm.lock."""
    return _read(content, lambda text: _plain(blocks(text, "package"), _pdm_development))


def pylock(content: Readable, path: str) -> Found:  # noqa: ARG001 (as above)
    """Read pylock.toml: what is in no default group has a marker that says so."""
    return _read(content, lambda text: _plain(blocks(text, "packages"), _pylock_development))


def uv_lock(content: Readable, path: str) -> Found:  # noqa: ARG001 (as above)
    """Read uv.lock: who is needed by the project itself is told from who is needed by its groups."""
    return _read(content, _uv)


def pipfile_lock(content: Readable, path: str) -> Found:  # noqa: ARG001 (as above)
    """Read Pipfile.lock."""
    try:
        document = json_object(content)
    except DocumentError as error:
        return damaged(str(error))
    return found(
        _package(
            name,
            str(object_of(fields).get("version", "")).removeprefix("=="),
            development=section == "develop",
        )
        for section in ("default", "develop")
        for name, fields in object_of(document.get(section)).items()
        if str(object_of(fields).get("version", "")).startswith("==")
    )


def _read(content: Readable, packages: Callable[[str], Iterable[Package]]) -> Found:
    try:
        return found(one for one in packages(whole_text(content, _MAX)) if one.name and one.version)
    except DocumentError as error:
        return damaged(str(error))


def _package(name: str, version: str, *, development: bool) -> Package:
    return Package(
        kind=ComponentKind.PYTHON, name=plain_word(name), version=plain_word(version), development=development
    )


def _pinned(text: str, *, development: bool) -> Iterator[Package]:
    for line in lines_of(text):
        match = _PINNED.fullmatch(" ".join(line[:4096].split()))
        if match is not None:
            yield _package(match[1], match[2], development=development)


def _plain(found_blocks: Iterable[Block], development: Callable[[Block], bool]) -> Iterator[Package]:
    for block in found_blocks:
        if not _is_own(block):
            yield _package(block.text("name"), block.text("version"), development=development(block))


def _is_own(block: Block) -> bool:
    """Whether it is a folder of the project itself: no release of anyone."""
    source = block.values.get("source", "")
    kind = block.text("source.type") or next(
        (one for one in _FOLDERS if re.match(rf"\{{\s*{one}\b", source)), ""
    )
    return kind in _FOLDERS or "directory.path" in block.values or block.values.get("directory", "") != ""


def _poetry_development(block: Block) -> bool:
    if "groups" in block.values:
        return "main" not in block.texts("groups")
    return block.text("category") not in {"", "main"}


def _pdm_development(block: Block) -> bool:
    groups = block.texts("groups")
    return bool(groups) and all(_DEVELOPMENT.search(group) for group in groups)


def _pylock_development(block: Block) -> bool:
    return "dependency_groups" in block.values.get("marker", "")


def _uv(text: str) -> Iterator[Package]:
    found_blocks = list(blocks(text, "package"))
    edges = {
        block.text("name"): _needs(block, "dependencies", "optional-dependencies.") for block in found_blocks
    }
    own = [block for block in found_blocks if _is_own(block)]
    needed = reachable((block.text("name") for block in own), edges)
    grouped = reachable((name for block in own for name in _needs(block, "dev-dependencies.")), edges)
    for block in found_blocks:
        if block not in own:
            name = block.text("name")
            yield _package(name, block.text("version"), development=name in grouped and name not in needed)


def _needs(block: Block, *keys: str) -> list[str]:
    return [
        name
        for key, value in block.values.items()
        if key in keys or key.startswith(tuple(one for one in keys if one.endswith(".")) or ("\0",))
        for name in _NEED.findall(value)
    ]
